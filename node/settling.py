"""Acts on settle.py: looks at studies that still receive, asks the PACS where it may, and marks the complete ones.

Not the decision itself, which is pure and lives in settle.py.
"""

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from node.config import Config
from node.errors import OsteonError
from node.settle import Settled, SettleRules, settled
from node.transport.asking import images_in_study
from storage import peers, studies
from storage.engine import Engine, begin, reading

log = logging.getLogger(__name__)

_ASK_AGAIN_S = 5.0


class Settler:
    """Looks at every receiving study once per turn."""

    def __init__(self, engine: Engine, config: Config) -> None:
        self._engine = engine
        self._rules = rules_from(config)
        self._counts = _PacsCounts(config)
        self._seen: dict[int, tuple[float, float]] = {}

    def turn(self) -> bool:
        """Mark what is complete; True when a study was."""
        with reading(self._engine) as conn:
            arriving = studies.arriving(conn)
            askable = {peer.ae_title: peer for peer in peers.peers(conn) if peer.may_find} if arriving else {}
        found = False
        for arrival in arriving:
            now = time.time()
            peer = askable.get(arrival.calling_ae)
            count, is_asking = self._counts.of(arrival, peer) if peer else (None, False)
            decision = settled(arrival, now, self._rules, count, self._unchanged_s(arrival), is_asking=is_asking)
            if isinstance(decision, Settled):
                with begin(self._engine) as conn:
                    found |= studies.mark_ready(conn, arrival.id, decision.reason, now, seen=arrival.last_arrival)
                log.info("study %d: complete. %s", arrival.id, decision.reason)
        still = {arrival.id for arrival in arriving}
        self._counts.forget(still)
        self._seen = {study_id: seen for study_id, seen in self._seen.items() if study_id in still}
        return found

    def _unchanged_s(self, arrival: studies.Arrival) -> float:
        """Since when we have seen this very evidence, by a clock that nobody sets."""
        now = time.monotonic()
        last_arrival, since = self._seen.get(arrival.id, (None, now))
        if last_arrival != arrival.last_arrival:
            since = now
        self._seen[arrival.id] = (arrival.last_arrival, since)
        return now - since

    def close(self) -> None:
        """Stop asking."""
        self._counts.close()


def rules_from(config: Config) -> SettleRules:
    """The rules of settle.py from the section [settle]."""
    section = config.settle
    return SettleRules(
        xray_quiet_s=section.xray_quiet_s,
        xray_quiet_open_s=section.xray_quiet_open_s,
        mr_quiet_s=section.mr_quiet_s,
        mr_quiet_open_s=section.mr_quiet_open_s,
        patience_s=section.patience_s,
        cap_s=section.cap_s,
    )


class _PacsCounts:
    """How much the sending PACS says a study has; asked in the background, so that a silent PACS delays nobody."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="count")
        self._asked: dict[int, tuple[float, float, Future[int | None]]] = {}
        self._lock = threading.Lock()

    def of(self, arrival: studies.Arrival, peer: peers.Peer) -> tuple[int | None, bool]:
        """The newest known count for the study as it stands, None while unknown, and whether the PACS is being asked.

        Asks again when images came since.
        """
        with self._lock:
            asked_at, seen, answer = self._asked.get(arrival.id, (0.0, 0.0, None))
            outdated = seen != arrival.last_arrival or time.monotonic() - asked_at > _ASK_AGAIN_S
            if answer is None or (outdated and answer.done()):
                answer = self._pool.submit(self._ask, arrival.study_instance_uid, peer)
                self._asked[arrival.id] = (time.monotonic(), arrival.last_arrival, answer)
                return None, True
        if seen != arrival.last_arrival or not answer.done():
            return None, True
        return answer.result(), False

    def forget(self, but: set[int]) -> None:
        """Drop what is known of studies that no longer receive."""
        with self._lock:
            self._asked = {study_id: known for study_id, known in self._asked.items() if study_id in but}

    def close(self) -> None:
        """Stop the threads; questions on their way end by their time-outs."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, study_instance_uid: str, peer: peers.Peer) -> int | None:
        try:
            return images_in_study(self._config, peer, study_instance_uid)
        except OsteonError as exc:
            log.warning("peer %s: its query gave no count (%s); studies settle by quiet time instead", peer.name, exc)
            return None
