"""The steps in which segments take the disk stay out of what is kept in reserve."""

from pathlib import Path

from storage import journal
from storage.journal import Journal

from .made_segments import keep

CHUNK = 1 << 20


def test_a_segment_takes_whole_steps_while_there_is_room_for_them(tmp_path: Path) -> None:
    segment = Journal(tmp_path, "roomy", chunk_bytes=CHUNK)
    keep(segment, b"image")
    assert segment.path.stat().st_size == CHUNK


def test_it_takes_what_a_record_needs_where_a_step_would_reach_into_the_reserve(tmp_path: Path) -> None:
    segment = Journal(tmp_path, "nearly-full", chunk_bytes=CHUNK, reserve_bytes=1 << 62)
    place = keep(segment, b"image")
    assert segment.path.stat().st_size < 4 * journal.ALIGNMENT
    assert journal.read(tmp_path, place) == b"image"
