"""Whether one more object is taken: space on the disk, and rows that keep up."""

from pathlib import Path

from node.listen.room import Room
from node.statuses import OUT_OF_RESOURCES


def test_an_object_is_taken_while_there_is_space_and_the_rows_keep_up(tmp_path: Path) -> None:
    assert Room(tmp_path, 0, 10, lambda: 9).refusal() is None


def test_a_disk_below_its_reserve_asks_for_another_try(tmp_path: Path) -> None:
    refusal = Room(tmp_path, 1 << 62, 10, lambda: 0).refusal()
    assert refusal is not None
    assert refusal.status == OUT_OF_RESOURCES
    assert "in reserve" in refusal.reason


def test_a_database_that_is_behind_asks_for_another_try_until_it_has_caught_up(tmp_path: Path) -> None:
    waiting = 10
    room = Room(tmp_path, 0, 10, lambda: waiting)
    refusal = room.refusal()
    assert refusal is not None
    assert (refusal.status, "10 objects wait" in refusal.reason) == (OUT_OF_RESOURCES, True)
    waiting = 3
    assert room.refusal() is None


def test_a_disk_that_cannot_be_examined_takes_nothing(tmp_path: Path) -> None:
    refusal = Room(tmp_path / "gone", 0, 10, lambda: 0).refusal()
    assert refusal is not None
    assert refusal.status == OUT_OF_RESOURCES
