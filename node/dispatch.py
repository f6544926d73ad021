"""Starts who brings results to peers and who asks peers whether they keep them.

One thread per peer and errand, so that a slow or hanging peer delays no other, and waiting for a report delays no
object.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from node.config import Config
from node.confirm import confirm_one_parcel
from node.send import send_one_study
from storage import confirmations, parcels, peers
from storage.engine import Connection, Engine, reading
from storage.errors import Unknown

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Errand:
    """Something to do at peers."""

    name: str
    due: Callable[[Connection, float], list[int]]
    """The peers at which it is due."""
    once: Callable[[Engine, Config, str, peers.Peer, Callable[[], bool]], bool]
    """Do one piece of it; False when nothing is left, or the peer must be left alone."""


_ERRANDS = (
    _Errand("send", parcels.due_peers, send_one_study),
    _Errand("confirm", confirmations.due_peers, confirm_one_parcel),
)


class Dispatcher:
    """Starts a thread for each peer at which something is due."""

    def __init__(self, engine: Engine, config: Config, owner: str) -> None:
        self._engine = engine
        self._config = config
        self._owner = owner
        self._stop = threading.Event()
        self._running: dict[tuple[str, int], threading.Thread] = {}

    def turn(self) -> bool:
        """Look once; what was started goes on in its threads."""
        self._running = {key: thread for key, thread in self._running.items() if thread.is_alive()}
        with reading(self._engine) as conn:
            due = [
                (errand, peer)
                for errand in _ERRANDS
                for peer_id in errand.due(conn, time.time())
                if (peer := _peer(conn, peer_id)) is not None
            ]
        for errand, peer in due:
            key = (errand.name, peer.id)
            if key not in self._running:
                name = f"{errand.name}-{peer.name}"
                thread = threading.Thread(target=self._until_done, args=(errand, peer), name=name, daemon=True)
                self._running[key] = thread
                thread.start()
        return False

    def close(self) -> None:
        """Let what is on its way end; the rest stays in the outbox."""
        self._stop.set()
        deadline = time.monotonic() + 10
        for thread in self._running.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def _until_done(self, errand: _Errand, peer: peers.Peer) -> None:
        try:
            while not self._stop.is_set() and errand.once(
                self._engine, self._config, self._owner, peer, self._stop.is_set
            ):
                pass
        except Exception:  # the turn of one peer: its lease runs out and the parcel is taken again
            log.exception(
                "peer %s: %s failed in a way that is not foreseen; it is tried again when its lease runs out",
                peer.name,
                errand.name,
            )


def _peer(conn: Connection, peer_id: int) -> peers.Peer | None:
    """The peer; None when it was removed while an answer for it was being recorded: the others get theirs."""
    try:
        return peers.by_id(conn, peer_id)
    except Unknown:
        log.error("Results are due at peer number %d, which was removed. Add it again, or leave them.", peer_id)
        return None
