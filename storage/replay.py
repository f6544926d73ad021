"""After a crash: index what the journal holds and the database does not, and cut what was never committed.

This is also how the index is rebuilt when the database was lost: to an empty database every segment is unindexed.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import Connection, Engine

from storage import journal
from storage.engine import begin, reading
from storage.errors import Broken, Damaged, DiskFailed
from storage.intake import Taken, index, note_indexed, unindexed
from storage.segment import head_of, next_head

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
        if journal.is_live(path):
            continue
        try:
            total += _replay_segment(engine, path, start, now, group)
        except (Damaged, DiskFailed):  # one bad file does not keep the others from their rows
            log.exception("Segment %s cannot be read; it is tried again at the next start.", path.name)
    return total


def unindexed_records(conn: Connection, folder: Path) -> Iterator[tuple[str, str]]:
    """(SOP Instance UID, SHA-256) of what is acknowledged and has no row yet; nothing is changed."""
    if not folder.is_dir():
        return
    for path, start in unindexed(conn, folder):
        for meta, place, _ in journal.records(path, start):
            yield meta.sop_instance_uid, place.sha256


def _replay_segment(engine: Engine, path: Path, start: int, now: float, group: int) -> int:
    count, end, has_gap, is_whole = 0, start, False, True
    batch: list[Taken] = []
    for meta, place, after in journal.records(path, start):
        has_gap |= head_of(place) > next_head(end)
        end = after
        batch.append(Taken(meta, place, end))
        if len(batch) == group:
            count += len(batch)
            is_whole &= _index(engine, batch, now)
            batch = []
    count += len(batch)
    is_whole &= _index(engine, batch, now)
    if count:
        log.info("Segment %s: %d objects that a stop had left unindexed were indexed.", path.name, count)
    if not journal.trim(path, end) and path.exists() and not journal.is_live(path):
        log.warning("Segment %s ends in a record that is not whole (byte %d on); it is left as it is.", path.name, end)
        has_gap, end = True, path.stat().st_size
    if has_gap and is_whole:
        with begin(engine) as conn:
            note_indexed(conn, {path.name: end}, now)
    return count


def _index(engine: Engine, batch: Sequence[Taken], now: float) -> bool:
    """Index a group; when it is refused, one by one, so that one record does not stop the others."""
    try:
        if batch:
            with begin(engine) as conn:
                index(conn, batch, now)
    except Broken:
        if len(batch) > 1:
            alone = [_index(engine, [item], now) for item in batch]
            return all(alone)
        where = f"{batch[0].place.segment} from byte {batch[0].place.offset} on"
        log.exception("An object (%s) cannot be indexed; it is kept, and tried again at the next start.", where)
        return False
    return True
