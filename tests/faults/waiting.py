"""A database in which studies wait: to be analysed, or with results in the outbox that are due at peers."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from node import confirm, send
from node.config import Config, NodeSection, SendSection
from node.database import open_database
from storage import events, intake, peers, runs, studies
from storage.engine import Connection, Engine, begin, reading
from storage.files import ResultStore
from storage.outbox import Delivery, deliveries_of
from storage.results import ResultFile
from storage.segment import Place, RecordMeta
from storage.states import Outcome, StudyState
from tests.bench.uids import uid
from tests.e2e.processes import HOST
from tests.faults.desk import SEG, SR, result_bytes
from tests.faults.octets import DX_IMAGE, EXPLICIT

SENDER = "MODALITY"
QUICK = SendSection(connect_timeout_s=2, response_timeout_s=1, first_retry_s=0.1, max_retry_s=1)


@dataclass
class Waiting:
    """The database, and what a worker does with it."""

    engine: Engine
    config: Config

    def send(self, peer: str) -> bool:
        """Send the next parcel that is due at the peer."""
        return send.send_one_study(self.engine, self.config, "test", self._peer(peer), lambda: False)

    def ask(self, peer: str) -> bool:
        """Ask the peer about the next parcel that it accepted."""
        return confirm.confirm_one_parcel(self.engine, self.config, "test", self._peer(peer), lambda: False)

    def deliveries(self, study_id: int) -> list[Delivery]:
        """Every delivery of a study."""
        with reading(self.engine) as conn:
            return deliveries_of(conn, study_id)

    def study(self, study_id: int) -> studies.Study:
        """A study as it stands."""
        with reading(self.engine) as conn:
            return studies.study_of(conn, study_id)

    def told(self, study_id: int) -> list[events.Event]:
        """What is written down of a study, in order."""
        with reading(self.engine) as conn:
            return events.timeline(conn, study_id)

    def retry(self, study_id: int) -> StudyState:
        """`osteon retry`."""
        with begin(self.engine) as conn:
            return studies.retry(conn, study_id, time.time())

    def _peer(self, name: str) -> peers.Peer:
        with reading(self.engine) as conn:
            return peer_named(conn, name)


def opened(folder: Path, section: SendSection = QUICK) -> Waiting:
    """An empty database in `folder`, of this process alone."""
    config = Config(node=NodeSection(data_folder="data"), send=section, folder=folder)
    return Waiting(open_database(config), config)


def add_peers(conn: Connection, ports: Mapping[str, int], **more: object) -> dict[str, peers.Peer]:
    """Peers that get all results, by name; their answers are believed, unless `more` says otherwise."""
    usual = {"results": "all", "confirm": "none"} | more
    return {
        name: peers.add(conn, replace(peers.Peer(0, name, name.upper(), HOST, port), **usual), time.time())  # type: ignore[arg-type]
        for name, port in ports.items()
    }


def peer_named(conn: Connection, name: str) -> peers.Peer:
    """A peer as it is stored."""
    return peers.by_name(conn, name)


def arrive(conn: Connection, study: str, now: float) -> int:
    """One image of the study; the number of the study, which now receives."""
    meta = RecordMeta(DX_IMAGE, uid(study, "image"), EXPLICIT, study, uid(study, "images"), "k", SENDER, "OSTEON", HOST,
                      "a", now, "DX")  # fmt: skip
    return int(intake.index(conn, [intake.Taken(meta, Place("s", 0, 1, "0" * 64), 1)], now)[0].study_id)


def make_ready(conn: Connection, study: str, now: float) -> int:
    """The same, complete and waiting to be analysed."""
    study_id = arrive(conn, study, now)
    studies.mark_ready(conn, study_id, "It is complete.", now)
    return study_id


def make_due(waiting: Waiting, conn: Connection, study: str, peer_ids: tuple[int, ...], now: float) -> int:
    """The same, with a SEG and an SR that are due at peers."""
    study_id = make_ready(conn, study, now)
    claim = runs.claim_ready(conn, "test", 60.0, now)
    assert claim is not None
    assert claim.study_id == study_id
    store = ResultStore(waiting.config.results_folder)
    made = tuple(_kept(store, study, order, name) for order, name in enumerate(("seg", "sr")))
    assert runs.finish(conn, claim, runs.Ending(Outcome.OK_FINDINGS, "found", results=made, destinations=peer_ids), now)
    return study_id


def _kept(store: ResultStore, study: str, order: int, name: str) -> ResultFile:
    sop_class, instance, series = SEG if name == "seg" else SR, uid(study, name), uid(study, name, "series")
    data = result_bytes(sop_class, instance, series, study)
    path, sha256 = store.put(data)
    return ResultFile(name, order, sop_class, instance, series, EXPLICIT, path, len(data), sha256)
