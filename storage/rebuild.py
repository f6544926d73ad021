"""A lost or damaged SQLite database is made anew: what was received from the journal, the rest from the old file.

The new database grows beside the old one and takes its place when it is whole; killed at any time, the next call goes
on or begins again, and a start in between is refused (`refuse_unfinished`).
"""

import heapq
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select

from storage import journal
from storage.disk import sync_folder, translated
from storage.engine import Engine, begin, migrate, open_engine, reading, sqlite_file
from storage.errors import Damaged, DiskFailed, Unavailable
from storage.intake import Taken, index, unindexed
from storage.replay import replay
from storage.salvage import Salvaged, restore_states, salvage
from storage.segment import first_received_at
from storage.tables import instances, peers, studies

log = logging.getLogger(__name__)

_GROUP = 256
_GROWING, _WHOLE = ".rebuilding", ".rebuilt"
_COMPANIONS = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What the new database holds."""

    objects: int
    studies: int
    as_before: int
    """Studies that have their former state and answer."""
    peers: int
    damaged: tuple[str, ...]
    """Tables of which rows were lost; those that the journal tells again are not among them."""
    kept: Path | None
    """The old file; None when there was none."""


def refuse_unfinished(url: str, journal_folder: Path) -> None:
    """Refuse a database that is missing although something was received, or whose rebuilding was cut short.

    Raises
    ------
    Damaged
    """
    path = sqlite_file(url)
    if path is None:
        return
    if _beside(path, _WHOLE).exists():
        raise Damaged(f"{path}: its rebuilding was cut short. Run osteon rebuild once more; it takes a moment.")
    if not path.exists() and any(journal_folder.glob("*" + journal.SUFFIX)):
        raise Damaged(
            f"{path} is not there, although {journal_folder} holds what was received. Restore a backup (osteon "
            "restore), or run osteon rebuild: the index is rebuilt from the segments, and peers are entered anew."
        )


def rebuild(url: str, journal_folder: Path, now: float) -> Rebuilt:
    """Make the database anew. Nobody else uses it meanwhile (storage/occupied.py).

    Raises
    ------
    Unavailable
        It is no SQLite database.
    DiskFull, DiskFailed
        The old file is in its place still.
    """
    path = sqlite_file(url)
    if path is None:
        raise Unavailable(
            "database.url: only SQLite is rebuilt by this command. Restore PostgreSQL with pg_restore; what was "
            "received after the dump is indexed from the segments at the next start."
        )
    whole, growing = _beside(path, _WHOLE), _beside(path, _GROWING)
    if whole.exists():
        engine = open_engine(f"sqlite:///{whole}")
        made, as_before = Salvaged(), 0
    else:
        for each in (growing, *(_beside(growing, companion) for companion in _COMPANIONS)):
            each.unlink(missing_ok=True)
        migrate(f"sqlite:///{growing}")
        made = salvage(path, growing) if path.exists() else Salvaged()
        engine = open_engine(f"sqlite:///{growing}")
        _index_in_order(engine, journal_folder, now)
        replay(engine, journal_folder, now)
        as_before = restore_states(growing, made, now)
    with reading(engine) as conn:
        counts = [conn.scalar(select(func.count()).select_from(table)) or 0 for table in (instances, studies, peers)]
    engine.dispose()  # the last connection brings all into the one file
    if not whole.exists():
        _sync(growing)
        growing.rename(whole)
        sync_folder(path.parent)
    kept = _take_the_place(path, whole, now)
    return Rebuilt(counts[0], counts[1], as_before, counts[2], tuple(sorted(made.damaged)), kept)


def _take_the_place(path: Path, whole: Path, now: float) -> Path | None:
    """The old database is kept under another name, its log first: it must not be taken for that of the new one."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    kept = _beside(path, f".damaged-{stamp}")
    for companion in _COMPANIONS:
        old = _beside(path, companion)
        if old.exists():
            old.rename(_beside(kept, companion))
    existed = path.exists()
    if existed:
        kept.unlink(missing_ok=True)
        os.link(path, kept)
    sync_folder(path.parent)
    whole.replace(path)
    sync_folder(path.parent)
    return kept if existed else None


def _index_in_order(engine: Engine, folder: Path, now: float) -> None:
    """Index all segments in the order in which the objects came: of one UID with two contents the first is kept."""
    if not folder.is_dir():
        return
    with reading(engine) as conn:
        paths = [path for path, _ in unindexed(conn, folder)]
    batch: list[Taken] = []
    for taken in _merged(paths):
        batch.append(taken)
        if len(batch) == _GROUP:
            with begin(engine) as conn:
                index(conn, batch, now)
            batch = []
    with begin(engine) as conn:
        index(conn, batch, now)


def _merged(paths: list[Path]) -> Iterator[Taken]:
    """The records of all segments by time; a segment is open from its first record to its last."""
    waiting = sorted(((first_received_at(path), path) for path in paths), reverse=True)
    opened: list[tuple[float, str, int, Taken, Iterator[Taken]]] = []
    while waiting or opened:
        while waiting and (not opened or waiting[-1][0] <= opened[0][0]):
            _push(opened, _records(waiting.pop()[1]))
        if opened:
            _, _, _, taken, rest = heapq.heappop(opened)
            yield taken
            _push(opened, rest)


def _push(opened: list[tuple[float, str, int, Taken, Iterator[Taken]]], rest: Iterator[Taken]) -> None:
    taken = next(rest, None)
    if taken is not None:
        heapq.heappush(opened, (taken.meta.received_at, taken.place.segment, taken.end, taken, rest))


def _records(path: Path) -> Iterator[Taken]:
    try:
        for meta, place, end in journal.records(path):
            yield Taken(meta, place, end)
    except (Damaged, DiskFailed):
        log.exception(
            "Segment %s cannot be read; what it holds behind this is tried again at the next start.", path.name
        )


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _sync(path: Path) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as exc:
        raise translated(exc, path, "synced") from exc
