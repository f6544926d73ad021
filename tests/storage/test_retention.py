"""What is deleted is gone byte for byte, with a proof; what is on its way is never touched (FAULTS 60)."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, text, update

from storage import errors, intake, journal, outbox, peers, retention, runs, studies, tables
from storage.engine import begin, reading
from storage.files import ResultStore
from storage.intake import Taken
from storage.journal import Journal
from storage.occupied import copying, deleting
from storage.replay import replay
from storage.results import ResultFile
from storage.retention import Store
from storage.states import Outcome, RunState, StudyState

DAY = 86400.0
OLD = 1000.0 * DAY
NOW = 1100.0 * DAY


class Node:
    """A database and a data folder in which studies arrive and are answered."""

    def __init__(self, engine: Engine, folder: Path, sender: Any) -> None:
        self.engine = engine
        self.store = Store(folder / "journal", folder / "results")
        self.store.journal.mkdir()
        self._sender = sender
        with begin(engine) as conn:
            peer = peers.Peer(0, "pacs", "XRAY", "pacs", 104, may_send=True, results="own", confirm="none")
            self.peer = peers.add(conn, peer, 1.0)

    def receives(self, segment: str, *numbers: int, index: bool = True, content: str = "") -> list[Taken]:
        """Two images of each of these studies, all in one segment."""
        writer = Journal(self.store.journal, segment)
        taken = [self._record(writer, study, image, content) for study in numbers for image in (1, 2)]
        writer.close()
        if index:
            with begin(self.engine) as conn:
                intake.index(conn, taken, OLD)
        return taken

    def _record(self, writer: Journal, study: int, image: int, content: str) -> Taken:
        meta = replace(self._sender.sends(image, study).meta, received_at=OLD, association=writer.path.stem)
        writer.begin()
        writer.write(payload(study, image, content))
        return Taken(meta, writer.commit(meta), writer.end)

    def answers(self, number: int, *, outcome: Outcome = Outcome.OK_NORMAL) -> None:
        """The study is analysed; its one result waits to be sent."""
        path, sha256 = ResultStore(self.store.results).put(b"result of %d" % number)
        made = ResultFile("sr", 0, "1.2.840.10008.5.1.4.1.1.88.34", f"1.9.{number}", "1.9", "1.2.840.10008.1.2.1", path, 9, sha256)  # fmt: skip  # noqa: E501
        with begin(self.engine) as conn:
            study = self.study(conn, number)
            studies.mark_ready(conn, study.id, "The sender is done.", OLD)
            claim = runs.claim_ready(conn, "worker", 60.0, OLD)
            assert claim is not None
            results = (made,) if outcome is Outcome.OK_NORMAL else ()
            ending = runs.Ending(outcome=outcome, explanation="Said.", results=results, destinations=(self.peer.id,))
            runs.finish(conn, claim, ending, OLD)

    def delivers(self) -> None:
        """The peer takes everything that waits."""
        with begin(self.engine) as conn:
            conn.execute(update(tables.deliveries).values(state="delivered", accepted_at=OLD))
            conn.execute(update(tables.parcels).values(is_open=False))
            conn.execute(text("UPDATE studies SET state = 'delivered' WHERE state = 'sending'"))

    def study(self, conn: Connection, number: int) -> studies.Study:
        found = studies.study_by_uid(conn, f"1.2.{number}")
        assert found is not None
        return found

    def forget_old(self, before: float = NOW) -> list[int]:
        return retention.forget_old(self.engine, self.store, before, NOW)

    def there(self) -> set[str]:
        with reading(self.engine) as conn:
            return {study.study_instance_uid for study in studies.studies(conn, limit=1000)}

    def bytes(self) -> bytes:
        """Everything in the folders."""
        folders = (self.store.journal, self.store.results)
        return b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())


def payload(study: int, image: int, content: str = "") -> bytes:
    return f"<{study} {image} {content}>".encode() * 2000


@pytest.fixture
def node(engine: Engine, tmp_path: Path, sender: Any) -> Node:
    return Node(engine, tmp_path, sender)


def test_a_delivered_study_is_deleted_and_the_others_stay_whole(node: Node) -> None:
    node.receives("one", 1, 2, 3)
    for number in (1, 2, 3):
        node.answers(number)
    node.delivers()
    with begin(node.engine) as conn:
        conn.execute(update(tables.studies).where(tables.studies.c.id != 2).values(changed_at=NOW))
    assert node.forget_old() == [2]
    assert node.there() == {"1.2.1", "1.2.3"}
    left = node.bytes()
    assert b"<2 " not in left
    assert b"result of 2" not in left
    assert b'"1.2.2"' not in left, "nor the values of its rows"
    with reading(node.engine) as conn:
        for number in (1, 3):
            for instance in studies.instances(conn, node.study(conn, number).id):
                assert journal.read(node.store.journal, instance.place) == payload(number, int(instance.sop_instance_uid[-1]))  # fmt: skip  # noqa: E501
            assert outbox.deliveries_of(conn, number)
    assert replay(node.engine, node.store.journal, NOW) == 0


def test_the_proof_names_no_patient_and_can_be_checked(node: Node) -> None:
    node.receives("one", 1)
    node.answers(1, outcome=Outcome.NOT_APPLICABLE_BODYPART)
    assert node.forget_old() == [1]
    with reading(node.engine) as conn:
        [proof] = retention.forgotten(conn)
    assert "2 received objects and 0 results" in proof.text
    assert hashlib.sha256(b"1.2.1").hexdigest() in proof.text
    assert "1.2.1." not in proof.text.replace(hashlib.sha256(b"1.2.1").hexdigest(), "")
    assert proof.study_id is None
    assert not list(node.store.journal.iterdir()), "the segment held nothing else"


@pytest.mark.parametrize("stage", ["receiving", "ready", "analysing", "sending", "failed"])
def test_what_is_on_its_way_or_failed_is_never_deleted_by_itself(node: Node, stage: str) -> None:
    node.receives("one", 1)
    with begin(node.engine) as conn:
        if stage in ("ready", "analysing"):
            studies.mark_ready(conn, 1, "The sender is done.", OLD)
        if stage == "analysing":
            assert runs.claim_ready(conn, "worker", 60.0, OLD)
    if stage in ("sending", "failed"):
        node.answers(1)
    if stage == "failed":
        with begin(node.engine) as conn:
            conn.execute(update(tables.studies).values(state="failed"))
            conn.execute(update(tables.deliveries).values(state="parked"))
            conn.execute(update(tables.parcels).values(is_open=False))
    before = node.bytes()
    assert node.forget_old() == []
    with pytest.raises(errors.NotNow, match="not deleted"):
        retention.forget(node.engine, node.store, 1, NOW)
    assert node.bytes() == before
    if stage == "failed":
        retention.forget(node.engine, node.store, 1, NOW, undelivered=True)
        assert node.there() == set()
    else:
        with pytest.raises(errors.NotNow):
            retention.forget(node.engine, node.store, 1, NOW, undelivered=True)


@pytest.mark.parametrize(
    "open_",
    [
        lambda conn: conn.execute(update(tables.parcels).values(is_open=True)),
        lambda conn: conn.execute(update(tables.deliveries).values(state="accepted")),
        lambda conn: conn.execute(update(tables.runs).values(state=RunState.RUNNING)),
        lambda conn: conn.execute(text("INSERT INTO confirmations VALUES (1, 1, 1, '', 0, 0, :no)"), {"no": False}),
    ],
    ids=["an open parcel", "not confirmed", "a run", "a question to the peer"],
)
def test_a_study_that_looks_final_and_has_work_is_not_deleted(node: Node, open_: Callable[[Connection], Any]) -> None:
    node.receives("one", 1)
    node.answers(1)
    node.delivers()
    with begin(node.engine) as conn:
        open_(conn)
    assert node.forget_old() == []
    with pytest.raises(errors.NotNow, match="on its way"):
        retention.forget(node.engine, node.store, 1, NOW, undelivered=True)
    assert node.there() == {"1.2.1"}


def test_nothing_younger_than_the_limit_is_deleted(node: Node) -> None:
    node.receives("one", 1)
    node.answers(1)
    node.delivers()
    assert node.forget_old(before=OLD) == []
    assert node.forget_old(before=OLD + 1) == [1]


def test_duplicates_and_conflicts_without_rows_of_their_own_go_too(node: Node) -> None:
    node.receives("first", 1)
    node.answers(1)
    node.delivers()
    node.receives("again", 1)
    node.receives("other", 1, content="other bytes")
    with reading(node.engine) as conn:
        assert len(studies.conflicts(conn, 1)) == 2
    assert node.forget_old() == [1]
    assert node.bytes() == b""


def test_an_image_that_has_no_row_yet_is_not_deleted_with_its_study(node: Node) -> None:
    """It was acknowledged: it becomes a study of its own."""
    node.receives("one", 1)
    node.answers(1)
    node.delivers()
    late = node.receives("late", 1, index=False)
    assert node.forget_old() == [1]
    assert replay(node.engine, node.store.journal, NOW) == 2
    with reading(node.engine) as conn:
        [study] = studies.studies(conn)
        assert study.state is StudyState.RECEIVING
        for instance in studies.instances(conn, study.id):
            assert instance.place in [item.place for item in late]
            assert journal.read(node.store.journal, instance.place)


def test_a_deletion_that_was_cut_short_is_made_up_for(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut when the bytes are erased and the rows are there still."""
    node.receives("one", 1, 2)
    for number in (1, 2):
        node.answers(number)
    node.delivers()
    with begin(node.engine) as conn:
        conn.execute(update(tables.studies).where(tables.studies.c.id == 2).values(changed_at=NOW))

    def cut(_conn: Connection, _number: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(retention, "_delete_rows", cut)
    with pytest.raises(KeyboardInterrupt):
        node.forget_old()
    monkeypatch.undo()
    assert node.there() == {"1.2.1", "1.2.2"}
    assert node.forget_old() == [1]
    assert node.there() == {"1.2.2"}
    with reading(node.engine) as conn:
        assert conn.execute(select(tables.events.c.id).where(tables.events.c.kind == "forgotten")).all()


def test_a_backup_and_a_deletion_keep_out_of_each_others_way(tmp_path: Path) -> None:
    with copying(tmp_path), copying(tmp_path), pytest.raises(errors.InUse, match="backup"), deleting(tmp_path):
        pass
    with deleting(tmp_path), pytest.raises(errors.InUse, match="being deleted"), copying(tmp_path):
        pass
