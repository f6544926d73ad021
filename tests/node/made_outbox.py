"""A database with one study whose results are due at the peer `pacs`, for the tests of sending and of confirming."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom.uid import ExplicitVRLittleEndian

from node import confirm, send
from node.config import Config, NodeSection, SendSection
from storage import events, intake, peers, runs, studies
from storage.engine import Engine, begin, migrate, open_engine, reading
from storage.files import ResultStore
from storage.outbox import Delivery, deliveries_of
from storage.results import ResultFile, Role
from storage.segment import Place, RecordMeta
from storage.states import DeliveryState, Outcome, StudyState

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
GSPS = "1.2.840.10008.5.1.4.1.1.11.1"
SC = "1.2.840.10008.5.1.4.1.1.7"
SR = "1.2.840.10008.5.1.4.1.1.88.34"
PLAIN_SR = "1.2.840.10008.5.1.4.1.1.88.33"
USUAL = (("SEG", SEG), ("SR", SR))


@dataclass(frozen=True)
class Stand:
    """An object of a test: its kind and class, and what it stands in for (by place)."""

    kind: str
    sop_class: str
    instead_of: tuple[int, ...] = ()
    in_reserve: bool = False


@dataclass
class Outbox:
    """The study and its results."""

    engine: Engine
    config: Config
    study_id: int
    files: tuple[bytes, ...]

    def peer(self) -> peers.Peer:
        """The peer as it is stored."""
        with reading(self.engine) as conn:
            return peers.by_name(conn, "pacs")

    def change_peer(self, **values: object) -> None:
        """Change the peer, as an admin does."""
        with begin(self.engine) as conn:
            peers.change(conn, replace(peers.by_name(conn, "pacs"), **values), 1.0)  # type: ignore[arg-type]

    def send(self) -> bool:
        """Send the next parcel."""
        return send.send_one_study(self.engine, self.config, "test", self.peer(), lambda: False)

    def ask(self) -> bool:
        """Ask about the next parcel that was accepted."""
        return confirm.confirm_one_parcel(self.engine, self.config, "test", self.peer(), lambda: False)

    def retry(self) -> StudyState:
        """`osteon retry`."""
        with begin(self.engine) as conn:
            return studies.retry(conn, self.study_id, time.time())

    def lines(self) -> list[Delivery]:
        """Every delivery."""
        with reading(self.engine) as conn:
            return deliveries_of(conn, self.study_id)

    def states(self) -> list[DeliveryState]:
        """The state of every delivery."""
        return [line.state for line in self.lines()]

    def study(self) -> studies.Study:
        """The study as it stands."""
        with reading(self.engine) as conn:
            found = studies.study(conn, self.study_id)
        assert found is not None
        return found

    def state(self) -> tuple[StudyState, Outcome | None]:
        """State and outcome of the study."""
        study = self.study()
        return study.state, study.outcome

    def told(self, kind: str) -> list[str]:
        """The events of a kind."""
        with reading(self.engine) as conn:
            return [event.text for event in events.timeline(conn, self.study_id) if event.kind == kind]


def made_outbox(
    folder: Path,
    port: int,
    objects: Sequence[tuple[str, str] | Stand] = USUAL,
    *,
    settings: SendSection | None = None,
    **peer: object,
) -> Outbox:
    """An outbox whose peer listens on `port`; what else the peer is, by keyword."""
    url = f"sqlite:///{folder / 'test.sqlite'}"
    migrate(url)
    engine = open_engine(url)
    section = settings or SendSection(connect_timeout_s=2, response_timeout_s=2)
    config = Config(node=NodeSection(data_folder="data"), send=section, folder=folder)
    store = ResultStore(config.results_folder)
    stands = [one if isinstance(one, Stand) else Stand(*one) for one in objects]
    files = tuple(f"the bytes of the {one.kind}, odd, {place}".encode() for place, one in enumerate(stands))
    results = tuple(_kept(store, place, one, files[place]) for place, one in enumerate(stands))
    with begin(engine) as conn:
        wanted = peers.Peer(0, "pacs", "ARCHIVE", "127.0.0.1", port, results="all")
        kept = peers.add(conn, replace(wanted, **peer), 1.0)  # type: ignore[arg-type]
        meta = RecordMeta("1.2.840.10008.5.1.4.1.1.1.1", "1.2.3", ExplicitVRLittleEndian, "1.2", "1.2.1", "k",
                          "ARCHIVE", "OSTEON", "127.0.0.1", "a", 1.0, "DX")  # fmt: skip
        study_id = intake.index(conn, [intake.Taken(meta, Place("s", 0, 1, "0" * 64), 1)], 1.0)[0].study_id
        studies.mark_ready(conn, study_id, "It is complete.", 2.0)
        claim = runs.claim_ready(conn, "test", 60.0, 3.0)
        assert claim is not None
        ending = runs.Ending(Outcome.OK_FINDINGS, "found", results=results, destinations=(kept.id,))
        assert runs.finish(conn, claim, ending, time.time())
    return Outbox(engine, config, study_id, files)


def uid(place: int) -> str:
    """The SOP Instance UID of the object at that place."""
    return f"2.25.{place + 1}"


def _kept(store: ResultStore, place: int, stand: Stand, data: bytes) -> ResultFile:
    path, sha256 = store.put(data)
    roles = (Role("default", tuple(uid(other) for other in stand.instead_of), stand.in_reserve),)
    return ResultFile(
        stand.kind, place, stand.sop_class, uid(place), f"2.25.1{place}", ExplicitVRLittleEndian, path, len(data),
        sha256, roles,
    )  # fmt: skip
