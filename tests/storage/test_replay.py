"""After a crash every acknowledged object has its row again, and no segment is longer than what it holds."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from storage import intake, journal, studies
from storage.engine import begin, migrate, reading
from storage.intake import Taken
from storage.journal import Journal
from storage.replay import replay


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "segments"
    folder.mkdir()
    return folder


def receive(segment: Journal, sender: Any, *numbers: int, study: int = 1) -> list[Taken]:
    taken = []
    for number in numbers:
        meta = sender.sends(number, study).meta
        segment.begin()
        segment.write(f"{study} {number} ".encode() * 500)
        taken.append(Taken(meta, segment.commit(meta), segment.end))
    return taken


def die(segment: Journal) -> Path:
    """What a kill leaves: the file as it is, its lock gone."""
    os.close(segment._fd)
    return segment.path


def held(engine: Engine) -> dict[str, str]:
    with reading(engine) as conn:
        return dict(studies.held(conn))


def expected(*taken: Taken) -> dict[str, str]:
    return {item.meta.sop_instance_uid: item.place.sha256 for item in taken}


def waiting(engine: Engine, folder: Path) -> list[tuple[str, int]]:
    with reading(engine) as conn:
        return [(path.name, start) for path, start in intake.unindexed(conn, folder)]


def test_what_a_crash_left_unindexed_is_indexed(engine: Engine, folder: Path, sender: Any) -> None:
    one, two = Journal(folder, "one"), Journal(folder, "two")
    taken = receive(one, sender, 1, 2, 3)
    others = receive(two, sender, 1, 2, study=2)
    with begin(engine) as conn:
        intake.index(conn, taken[:2], 200.0)
    for segment in (one, two):
        die(segment)
    assert sorted(waiting(engine, folder)) == [("one.seg", taken[1].end), ("two.seg", 0)]
    assert replay(engine, folder, 300.0, group=2) == 3
    assert held(engine) == expected(*taken, *others)
    assert [(folder / name).stat().st_size for name in ("one.seg", "two.seg")] == [taken[-1].end, others[-1].end]
    assert waiting(engine, folder) == []
    assert replay(engine, folder, 301.0) == 0


def test_what_is_indexed_and_closed_is_not_looked_at_again(engine: Engine, folder: Path, sender: Any) -> None:
    segment = Journal(folder, "closed")
    taken = receive(segment, sender, 1, 2)
    segment.close()
    with begin(engine) as conn:
        intake.index(conn, taken, 200.0)
    assert waiting(engine, folder) == []


def test_a_living_journal_is_left_alone(engine: Engine, folder: Path, sender: Any) -> None:
    segment = Journal(folder, "living")
    receive(segment, sender, 1)
    size = segment.path.stat().st_size
    assert replay(engine, folder, 300.0) == 0
    assert segment.path.stat().st_size == size
    segment.close()


def test_a_segment_in_which_nothing_was_committed_is_removed(engine: Engine, folder: Path) -> None:
    segment = Journal(folder, "torn")
    segment.write(b"half an object" * 200_000)
    die(segment)
    assert replay(engine, folder, 300.0) == 0
    assert list(folder.iterdir()) == []


def test_a_sealed_but_damaged_tail_is_kept_for_a_person_and_not_read_twice(
    engine: Engine, folder: Path, sender: Any, caplog: pytest.LogCaptureFixture
) -> None:
    segment = Journal(folder, "tail")
    taken = receive(segment, sender, 1, 2)
    path = die(segment)
    with path.open("r+b") as file:
        file.seek(taken[1].place.offset)
        file.write(b"\xff")
    size = path.stat().st_size
    assert replay(engine, folder, 300.0) == 1
    assert held(engine) == expected(taken[0])
    assert path.stat().st_size == size
    assert "not whole" in caplog.text
    assert waiting(engine, folder) == []


def test_a_lost_database_is_rebuilt_from_the_segments(
    engine: Engine, folder: Path, sender: Any, tmp_path: Path, opened: Callable[..., Engine]
) -> None:
    taken = []
    for number in range(4):
        segment = Journal(folder, f"s{number}")
        taken += receive(segment, sender, number, 100 + number, study=number % 2)
        segment.close()
    with begin(engine) as conn:
        intake.index(conn, taken, 200.0)
    migrate(f"sqlite:///{tmp_path}/new.db")
    new = opened(f"sqlite:///{tmp_path}/new.db")
    assert replay(new, folder, 300.0) == 8
    assert held(new) == held(engine) == expected(*taken)
    with reading(new) as conn:
        for study in studies.studies(conn):
            for instance in studies.instances(conn, study.id):
                assert len(journal.read(folder, instance.place)) == instance.place.length


def test_indexing_the_same_records_again_changes_nothing(engine: Engine, folder: Path, sender: Any) -> None:
    segment = Journal(folder, "again")
    taken = receive(segment, sender, 1, 2, 3)
    for _ in range(2):
        with begin(engine) as conn:
            intake.index(conn, taken, 200.0)
    with begin(engine) as conn:
        intake.index(conn, [replace(taken[0], end=taken[0].end)], 201.0)
        [study] = studies.studies(conn)
    assert study.image_count == 3
    die(segment)
    assert waiting(engine, folder) == [("again.seg", taken[-1].end)]


def test_a_record_that_was_passed_over_is_indexed_at_the_next_start(engine: Engine, folder: Path, sender: Any) -> None:
    segment = Journal(folder, "gap")
    taken = receive(segment, sender, 1, 2, 3)
    with begin(engine) as conn:
        intake.index(conn, [taken[0], taken[2]], 200.0)
    assert waiting(engine, folder) == [("gap.seg", taken[0].end)]
    segment.close()
    assert replay(engine, folder, 300.0) == 2
    assert held(engine) == expected(*taken)
    assert waiting(engine, folder) == []


def test_damage_between_whole_records_costs_that_record_and_is_read_once(
    engine: Engine, folder: Path, sender: Any, caplog: pytest.LogCaptureFixture
) -> None:
    segment = Journal(folder, "damage")
    taken = receive(segment, sender, 1, 2, 3)
    path = die(segment)
    with path.open("r+b") as file:
        file.seek(taken[1].place.offset)
        file.write(b"\xff")
    assert replay(engine, folder, 300.0) == 2
    assert held(engine) == expected(taken[0], taken[2])
    assert "damaged between" in caplog.text
    assert waiting(engine, folder) == []


def test_an_object_that_the_database_refuses_stops_no_other(
    engine: Engine, folder: Path, sender: Any, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = Journal(folder, "one"), Journal(folder, "two")
    taken = receive(one, sender, 1, 2, 3)
    others = receive(two, sender, 4, study=2)
    for segment in (one, two):
        die(segment)
    refused = taken[1].meta.sop_instance_uid
    with begin(engine) as conn:
        for statement in REFUSE[conn.dialect.name]:
            conn.exec_driver_sql(statement.format(uid=refused))
    replay(engine, folder, 300.0)
    assert held(engine) == expected(taken[0], taken[2], *others)
    assert "tried again at the next start" in caplog.text
    with begin(engine) as conn:
        conn.exec_driver_sql(ALLOW[conn.dialect.name])
    assert waiting(engine, folder) == [("one.seg", taken[0].end)]
    replay(engine, folder, 400.0)
    assert held(engine) == expected(*taken, *others)
    assert waiting(engine, folder) == []


REFUSE = {
    "sqlite": [
        "CREATE TRIGGER refuse BEFORE INSERT ON instances WHEN NEW.sop_instance_uid = '{uid}'"
        " BEGIN SELECT RAISE(ABORT, 'refused'); END"
    ],
    "postgresql": ["ALTER TABLE instances ADD CONSTRAINT refuse CHECK (sop_instance_uid <> '{uid}')"],
}
ALLOW = {"sqlite": "DROP TRIGGER refuse", "postgresql": "ALTER TABLE instances DROP CONSTRAINT refuse"}


def test_a_segment_that_cannot_be_read_stops_no_other(
    engine: Engine, folder: Path, sender: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "a.seg").mkdir()
    segment = Journal(folder, "b")
    taken = receive(segment, sender, 1)
    die(segment)
    assert replay(engine, folder, 300.0) == 1
    assert held(engine) == expected(*taken)
    assert "a.seg cannot be read" in caplog.text


def test_an_unreadable_folder_is_told(engine: Engine, folder: Path) -> None:
    shutil.rmtree(folder)
    with pytest.raises(Exception, match="segments") as caught:
        replay(engine, folder, 300.0)
    assert type(caught.value).__name__ == "DiskFailed"
