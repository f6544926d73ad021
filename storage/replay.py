"""After a crash: index what the journal holds and the database does not, and cut what was never committed.

This is also how the index is rebuilt when the database was lost: to an empty database every segment is unindexed.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine

from storage import journal
from storage.engine import begin, reading
from storage.intake import Taken, index, note_indexed, unindexed

log = logging.getLogger(__name__)


def replay(engine: Engine, folder: Path, now: float, *, group: int = 256) -> int:
    """Index every committed record of the dead segments in `folder`; return how many there were.

    Segments that a living process still writes are left to it. May be called again, by several processes at once, and
    killed at any time.
    """
    with reading(engine) as conn:
        waiting = unindexed(conn, folder)
    total = 0
    for path, start in waiting:
        if not journal.is_live(path):
            total += _replay_segment(engine, path, start, now, group)
    return total


def unindexed_records(conn: Connection, folder: Path) -> Iterator[tuple[str, str]]:
    """(SOP Instance UID, SHA-256) of what is acknowledged and has no row yet; nothing is changed."""
    if not folder.is_dir():
        return
    for path, start in unindexed(conn, folder):
        for meta, place, _ in journal.records(path, start):
            yield meta.sop_instance_uid, place.sha256


def _replay_segment(engine: Engine, path: Path, start: int, now: float, group: int) -> int:
    count, end = 0, start
    batch: list[Taken] = []
    for meta, place, end in journal.records(path, start):
        batch.append(Taken(meta, place, end))
        if len(batch) == group:
            count += _index(engine, batch, now)
    count += _index(engine, batch, now)
    if count:
        log.info("Segment %s: %d objects that a stop had left unindexed were indexed.", path.name, count)
    if not journal.trim(path, end) and path.exists() and not journal.is_live(path):
        log.warning("Segment %s ends in a record that is not whole (byte %d on); it is left as it is.", path.name, end)
        with begin(engine) as conn:
            note_indexed(conn, {path.name: path.stat().st_size}, now)
    return count


def _index(engine: Engine, batch: list[Taken], now: float) -> int:
    count = len(batch)
    if batch:
        with begin(engine) as conn:
            index(conn, batch, now)
        batch.clear()
    return count
