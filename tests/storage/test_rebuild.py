"""A damaged or lost database is made anew: every object is there again, and no study is left half answered."""

import os
import random
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from storage import errors, intake, peers, runs, studies
from storage.engine import begin, open_engine, reading, verify
from storage.intake import Taken
from storage.journal import Journal
from storage.occupied import alone, shared
from storage.rebuild import rebuild, refuse_unfinished
from storage.results import ResultFile
from storage.states import FINAL_STUDY_STATES, Outcome, StudyState

PAGE = 4096
COUNT = 30


class Archive:
    """A data folder with studies in every state, most of them delivered."""

    def __init__(self, folder: Path, template: Path, sender: Any) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.journal.mkdir()
        self.path = folder / "osteon.sqlite"
        self.path.write_bytes(template.read_bytes())
        self.url = f"sqlite:///{self.path}"
        engine = open_engine(self.url)
        with begin(engine) as conn:
            self.peer = peers.add(
                conn, peers.Peer(0, "pacs", "XRAY", "pacs", 104, may_send=True, results="own"), 1.0
            ).id
            for number in range(COUNT):
                self._receive(conn, sender, number)
        self._another_content(engine, sender)
        self.held = held(engine)
        self.states = states(engine)
        engine.dispose()
        self.sound = self.path.read_bytes()

    def _receive(self, conn: Connection, sender: Any, number: int) -> None:
        segment = Journal(self.journal, f"s{number:03d}")
        images = [record(segment, sender, image, number, at=100.0 + number) for image in range(3)]
        segment.close()
        intake.index(conn, images, 200.0)
        [study] = studies.studies(conn, limit=1)
        if number % 10:
            studies.mark_ready(conn, study.id, "The sender is done.", 201.0)
            claim = runs.claim_ready(conn, "worker", 60.0, 202.0)
            assert claim is not None
        if number % 10 > 1:
            runs.finish(conn, claim, ending(study.id, self.peer, number % 10 > 2), 203.0)

    def _another_content(self, engine: Engine, sender: Any) -> None:
        """The same UID with other bytes in a segment that sorts before, and whose file is older."""
        segment = Journal(self.journal, "a-first-by-name")
        taken = record(segment, sender, 0, 5, at=900.0, content="other")
        segment.close()
        os.utime(segment.path, (1, 1))
        with begin(engine) as conn:
            [done] = intake.index(conn, [taken], 300.0)
        assert done.verdict == "conflict"


def record(segment: Journal, sender: Any, image: int, study: int, *, at: float, content: str = "") -> Taken:
    meta = replace(sender.sends(image, study).meta, received_at=at + image / 10)
    segment.begin()
    segment.write(f"{study} {image} {content}".encode() * 300)
    return Taken(meta, segment.commit(meta), segment.end)


def ending(study: int, peer: int, is_finding: bool) -> runs.Ending:
    """An answer with one result that waits to be sent, or one that no model is for."""
    if not is_finding:
        return runs.Ending(outcome=Outcome.NOT_APPLICABLE_BODYPART, explanation="No model is for it.")
    name = f"1.9.{study}"
    made = ResultFile("sr", 0, "1.2.840.10008.5.1.4.1.1.88.34", name, name, "1.2.840.10008.1.2.1", f"aa/{study}.dcm", 1, "0" * 64)  # fmt: skip  # noqa: E501
    return runs.Ending(outcome=Outcome.OK_NORMAL, explanation="Nothing found.", results=(made,), destinations=(peer,))


def held(engine: Engine) -> dict[str, str]:
    with reading(engine) as conn:
        return dict(studies.held(conn))


def states(engine: Engine) -> dict[str, StudyState]:
    with reading(engine) as conn:
        return {each.study_instance_uid: each.state for each in studies.studies(conn, limit=10_000)}


@pytest.fixture
def archive(tmp_path: Path, sqlite_template: Path, sender: Any) -> Archive:
    return Archive(tmp_path, sqlite_template, sender)


def test_a_sound_database_comes_back_with_all_its_states(archive: Archive, opened: Callable[..., Engine]) -> None:
    made = rebuild(archive.url, archive.journal, 1000.0)
    assert made.objects == 3 * COUNT
    assert made.damaged == ()
    engine = opened(archive.url)
    assert held(engine) == archive.held
    moved = {StudyState.ANALYSING: StudyState.READY}
    assert states(engine) == {uid: moved.get(state, state) for uid, state in archive.states.items()}
    assert set(archive.states.values()) >= {StudyState.RECEIVING, StudyState.SENDING, StudyState.NOT_APPLICABLE}
    with reading(engine) as conn:
        assert peers.by_name(conn, "pacs").id == archive.peer
        verify(conn)


def test_whichever_page_is_overwritten_every_object_is_there_again(archive: Archive) -> None:
    chance = random.Random(13)
    pages = range(0, len(archive.sound), PAGE)
    as_before = 0
    for page in [*chance.sample(pages, 6), 0, PAGE]:
        archive.path.write_bytes(archive.sound[:page] + chance.randbytes(PAGE) + archive.sound[page + PAGE :])
        engine = open_engine(archive.url)
        with pytest.raises(errors.Damaged, match="osteon rebuild"), reading(engine) as conn:
            verify(conn)
        engine.dispose()
        made = rebuild(archive.url, archive.journal, 1000.0)
        as_before += made.as_before
        engine = open_engine(archive.url)
        assert held(engine) == archive.held, f"page {page // PAGE}"
        found = states(engine)
        with reading(engine) as conn:
            verify(conn)
            violated = conn.exec_driver_sql("PRAGMA foreign_key_check").all()
        engine.dispose()
        assert violated == []
        assert found.keys() == archive.states.keys()
        unlike = {
            (archive.states[uid], state)
            for uid, state in found.items()
            if state not in (archive.states[uid], StudyState.RECEIVING)
        }
        assert unlike <= {(StudyState.ANALYSING, StudyState.READY)}, "begins again, or is as it was"
        if page:
            assert made.kept is not None
            assert made.kept.exists()
    assert as_before > 2 * COUNT


def test_a_study_whose_results_may_have_been_lost_is_answered_anew(
    archive: Archive, opened: Callable[..., Engine]
) -> None:
    db = sqlite3.connect(archive.path)
    [root] = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'deliveries'").fetchone()
    db.close()
    with archive.path.open("r+b") as file:
        file.seek((root - 1) * PAGE)
        file.write(os.urandom(PAGE))
    made = rebuild(archive.url, archive.journal, 1000.0)
    assert "deliveries" in made.damaged
    engine = opened(archive.url)
    found = states(engine)
    waiting = [uid for uid, state in archive.states.items() if state is StudyState.SENDING]
    assert waiting
    assert {found[uid] for uid in waiting} == {StudyState.RECEIVING}
    assert {found[uid] for uid, state in archive.states.items() if state in FINAL_STUDY_STATES} <= FINAL_STUDY_STATES
    with reading(engine) as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM results").scalar() == 0


def test_a_lost_database_is_refused_and_then_made_from_the_segments_alone(
    archive: Archive, opened: Callable[..., Engine]
) -> None:
    archive.path.unlink()
    with pytest.raises(errors.Damaged, match="osteon rebuild"):
        refuse_unfinished(archive.url, archive.journal)
    made = rebuild(archive.url, archive.journal, 1000.0)
    assert (made.as_before, made.peers, made.kept) == (0, 0, None)
    refuse_unfinished(archive.url, archive.journal)
    assert held(opened(archive.url)) == archive.held


def test_a_rebuilding_that_was_cut_short_is_finished(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., Engine]
) -> None:
    def cut(_whole: Path, _path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", cut)
    with pytest.raises(KeyboardInterrupt):
        rebuild(archive.url, archive.journal, 1000.0)
    monkeypatch.undo()
    with pytest.raises(errors.Damaged, match="cut short"):
        refuse_unfinished(archive.url, archive.journal)
    rebuild(archive.url, archive.journal, 1001.0)
    refuse_unfinished(archive.url, archive.journal)
    assert held(opened(archive.url)) == archive.held


def test_other_databases_are_left_to_their_own_tools(tmp_path: Path) -> None:
    with pytest.raises(errors.Unavailable, match="pg_restore"):
        rebuild("postgresql://127.0.0.1:1/osteon", tmp_path, 1.0)


def test_a_data_folder_is_had_alone_or_shared(tmp_path: Path) -> None:
    with shared(tmp_path), shared(tmp_path), pytest.raises(errors.InUse, match="Stop it first"), alone(tmp_path):
        pass
    with alone(tmp_path), pytest.raises(errors.InUse, match="rebuild"), shared(tmp_path):
        pass
