"""Results leave only when the archive has the study under the patient whom they name, or has no say in it."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.events import Event

from node import send
from node.config import Config, NodeSection, SendSection
from node.dimse.negotiate import STUDY_ROOT_FIND
from node.report.encode import encoded
from storage import events, intake, outbox, peers, runs, studies
from storage.engine import Engine, begin, migrate, open_engine, reading
from storage.files import ResultStore
from storage.results import ResultFile
from storage.segment import Place, RecordMeta
from storage.states import DeliveryState, Outcome, StudyState
from tests.node.dicomweb.made_servers import Says, serving, stored

SR = "1.2.840.10008.5.1.4.1.1.88.34"
STUDY, RESULT = "1.2.3", "2.25.1"
CANARY = "CANARY-17"


@dataclass
class Archive:
    """An SCP that stores, and answers C-FIND with the records that the test gives it."""

    port: int = 0
    records: list[dict[str, str]] = field(default_factory=list)
    status: int = 0x0000
    asked: list[Dataset] = field(default_factory=list)
    came: int = 0

    def find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        self.asked.append(event.identifier)
        for record in self.records:
            answer = Dataset()
            answer.QueryRetrieveLevel = "STUDY"
            for keyword, value in record.items():
                setattr(answer, keyword, value)
            yield 0xFF00, answer
        yield self.status, None

    def store(self, _event: Event) -> int:
        self.came += 1
        return 0x0000


@pytest.fixture
def archive() -> Iterator[Archive]:
    found = Archive()
    ae = AE("PACS")
    ae.add_supported_context(SR, ExplicitVRLittleEndian)
    ae.add_supported_context(STUDY_ROOT_FIND, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    handlers = [(evt.EVT_C_STORE, found.store), (evt.EVT_C_FIND, found.find)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    found.port = server.server_address[1]
    yield found
    server.shutdown()


@dataclass(frozen=True)
class House:
    """A node with one study, sent by CAMERA, whose report is due at the peer `pacs`."""

    engine: Engine
    config: Config
    study_id: int

    def send(self) -> bool:
        with reading(self.engine) as conn:
            peer = peers.by_name(conn, "pacs")
        return send.send_one_study(self.engine, self.config, "test", peer, lambda: False)

    def study(self) -> studies.Study:
        with reading(self.engine) as conn:
            found = studies.study(conn, self.study_id)
        assert found is not None
        return found

    def delivery(self) -> outbox.Delivery:
        with reading(self.engine) as conn:
            (found,) = outbox.deliveries_of(conn, self.study_id)
        return found

    def told(self) -> str:
        with reading(self.engine) as conn:
            return "\n".join(event.text for event in events.timeline(conn, self.study_id))


@pytest.fixture
def house_for(tmp_path: Path) -> Iterator[Callable[..., House]]:
    url = f"sqlite:///{tmp_path / 'test.sqlite'}"
    migrate(url)
    engine = open_engine(url)

    def make(port: int, *, camera: dict[str, Any] | None = None, check: bool = True, **changes: Any) -> House:
        settings = SendSection(connect_timeout_s=2, response_timeout_s=2, check_patient=check)
        config = Config(node=NodeSection(data_folder="data"), send=settings, folder=tmp_path)
        with begin(engine) as conn:
            pacs = peers.Peer(0, "pacs", "PACS", "127.0.0.1", port, results="all", may_find=True)
            to = peers.add(conn, replace(pacs, **changes), 1.0)
            if camera is not None:
                peers.add(conn, peers.Peer(0, "camera", "CAMERA", "127.0.0.1", **camera), 1.0)
            meta = RecordMeta("1.2.840.10008.5.1.4.1.1.1.1", "1.2.9", ExplicitVRLittleEndian, STUDY, "1.2.1", "k",
                              "CAMERA", "OSTEON", "127.0.0.1", "a", 1.0, "DX")  # fmt: skip
            study_id = intake.index(conn, [intake.Taken(meta, Place("s", 0, 1, "0" * 64), 1)], 1.0)[0].study_id
            studies.mark_ready(conn, study_id, "It is complete.", 2.0)
            claim = runs.claim_ready(conn, "test", 60.0, 3.0)
            assert claim is not None
            ending = runs.Ending(Outcome.OK_NORMAL, "normal", results=(_report(config),), destinations=(to.id,))
            assert runs.finish(conn, claim, ending, time.time())
        return House(engine, config, study_id)

    yield make
    engine.dispose()


def _report(config: Config) -> ResultFile:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID = SR, RESULT, STUDY
    ds.PatientID, ds.IssuerOfPatientID, ds.PatientName = CANARY, "HOSPITAL", "Canary^Maiden"
    data = encoded(ds, {})
    path, sha256 = ResultStore(config.results_folder).put(data)
    return ResultFile("sr", 0, SR, RESULT, "2.25.2", ExplicitVRLittleEndian, path, len(data), sha256)


def record(patient_id: str = CANARY, **more: str) -> dict[str, str]:
    return {"StudyInstanceUID": STUDY, "PatientID": patient_id, **more}


@pytest.mark.checklist(64)
def test_a_study_of_another_patient_is_held_until_a_person_has_looked(
    archive: Archive, house_for: Callable[..., House]
) -> None:
    archive.records = [record("CANARY-18", IssuerOfPatientID="HOSPITAL")]
    house = house_for(archive.port)
    assert house.send()
    assert archive.came == 0
    assert (house.study().state, house.study().outcome) == (StudyState.FAILED, Outcome.INPUT_PATIENT_MISMATCH)
    assert house.delivery().state is DeliveryState.PARKED
    assert "pacs has this study under another patient than the images name" in house.told()
    assert "CANARY" not in (house.told() + house.study().explanation + house.delivery().error).upper()
    assert not house.send()
    with begin(house.engine) as conn:
        assert studies.retry(conn, house.study_id, 9.0) is StudyState.SENDING
    assert house.send()
    assert archive.came == 0, "looking alone does not make it right"
    assert house.study().outcome is Outcome.INPUT_PATIENT_MISMATCH
    archive.records = [record()]
    with begin(house.engine) as conn:
        studies.retry(conn, house.study_id, 10.0)
    assert house.send()
    assert archive.came == 1
    assert (house.study().state, house.study().outcome) == (StudyState.DELIVERED, Outcome.OK_NORMAL)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        pytest.param([record(PatientName="Canary^Married", IssuerOfPatientID="HOSPITAL")], "", id="the same"),
        pytest.param([record(), record("CANARY-18")], "", id="under both patients"),
        pytest.param([], "pacs does not know this study, so its patient cannot differ", id="no such study"),
        pytest.param(
            [{"StudyInstanceUID": "1.2.4", "PatientID": "CANARY-18"}], "does not know this study", id="another study"
        ),
        pytest.param([{"StudyInstanceUID": STUDY}], "gives no Patient ID that can be compared", id="no number"),
    ],
)
def test_a_study_that_no_record_contradicts_is_sent(
    archive: Archive, house_for: Callable[..., House], records: list[dict[str, str]], words: str
) -> None:
    archive.records = records
    house = house_for(archive.port)
    assert house.send()
    assert archive.came == 1
    assert house.study().state is StudyState.DELIVERED
    (asked,) = archive.asked
    assert (asked.QueryRetrieveLevel, asked.StudyInstanceUID) == ("STUDY", STUDY)
    assert "PatientID" in asked
    assert words in house.told()
    assert bool(words) == ("its results are sent" in house.told())
    assert "CANARY" not in house.told().upper()


def test_an_archive_that_answers_with_a_failure_does_not_keep_results_from_anybody(
    archive: Archive, house_for: Callable[..., House]
) -> None:
    archive.status = 0xC001
    house = house_for(archive.port)
    assert house.send()
    assert archive.came == 1
    assert "pacs could not be asked for the patient of this study" in house.told()
    assert "0xC001" in house.told()


def test_an_archive_that_is_busy_is_asked_again_later(archive: Archive, house_for: Callable[..., House]) -> None:
    archive.status = 0xA700
    house = house_for(archive.port)
    assert not house.send()
    assert archive.came == 0
    assert house.delivery().state is DeliveryState.PENDING
    assert "0xA700 (out of resources)" in house.delivery().error


def test_an_archive_that_is_not_there_is_asked_again_later(house_for: Callable[..., House]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        house = house_for(probe.getsockname()[1])
        assert not house.send()
    assert house.delivery().state is DeliveryState.PENDING
    assert "cannot be reached" in house.delivery().error


@pytest.mark.parametrize(
    "changes",
    [pytest.param({"may_find": False}, id="not to be asked"), pytest.param({"check": False}, id="switched off")],
)
def test_an_archive_that_may_not_be_asked_is_not(
    archive: Archive, house_for: Callable[..., House], changes: dict[str, Any]
) -> None:
    archive.records = [record("CANARY-18")]
    house = house_for(archive.port, **changes)
    assert house.send()
    assert (archive.came, archive.asked) == (1, [])


def test_where_the_receiver_cannot_say_the_sender_of_the_study_is_asked(
    archive: Archive, house_for: Callable[..., House]
) -> None:
    archive.records = [record("CANARY-18")]
    house = house_for(archive.port, may_find=False, camera={"port": archive.port, "may_find": True})
    assert house.send()
    assert (archive.came, len(archive.asked)) == (0, 1)
    assert "camera has this study under another patient" in house.told()


def test_a_sender_that_is_gone_holds_back_nothing(archive: Archive, house_for: Callable[..., House]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        house = house_for(archive.port, may_find=False, camera={"port": probe.getsockname()[1], "may_find": True})
        assert house.send()
    assert archive.came == 1
    assert "camera could not be asked for the patient of this study" in house.told()


@pytest.mark.parametrize("patient_id", [CANARY, "CANARY-18"], ids=["the same", "another"])
def test_a_stow_peer_is_asked_by_qido(house_for: Callable[..., House], patient_id: str) -> None:
    study = {
        "0020000D": {"vr": "UI", "Value": [STUDY]},
        "00100020": {"vr": "LO", "Value": [patient_id]},
        "00100021": {"vr": "LO", "Value": ["HOSPITAL"]},
    }
    with serving(Says(200, json.dumps([study]).encode()), Says(200, stored(RESULT))) as server:
        url = f"http://127.0.0.1:{server.port}/rs"
        house = house_for(server.port, transport="stow", url=url)
        assert house.send()
    is_same = patient_id == CANARY
    assert [came.method for came in server.came] == ["GET", "POST"][: 1 + is_same]
    assert server.came[0].path == f"/rs/studies?StudyInstanceUID={STUDY}&includefield=00100021"
    outcome = Outcome.OK_NORMAL if is_same else Outcome.INPUT_PATIENT_MISMATCH
    assert house.study().outcome is outcome
