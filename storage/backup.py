"""A backup of a data folder while the node runs: the database, what was received, what was made, and a manifest.

The database is copied first, the files after it. Bytes are on the disk before a row names them, and are never changed:
so every file that the copied rows name is there when its turn comes. What arrives in between lies in the copied
segments without rows, and is indexed at the start after a restore; a record that is cut by the copy had not been
acknowledged when the backup began. The other way round the rows could name files that were not there yet.

Files are copied, not linked: a segment still grows and may be cut, and a link does not survive the disk.
The manifest comes last, when all is on stable storage: without it there is no backup.
"""

import hashlib
import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from storage.disk import sync_folder, translated
from storage.engine import sqlite_file
from storage.errors import Damaged, NotEmpty, Unavailable
from storage.files import RESULT_SUFFIX
from storage.journal import SUFFIX

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
DATABASE = "osteon.sqlite"
DUMP = "database.dump"
FORM = 1
"""Of the manifest; a newer one is refused."""
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a backup."""

    path: str
    """Relative to the backup."""
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    form: int
    made_at: str
    """UTC, ISO 8601."""
    program: str
    schema: str
    """Revision of the database."""
    database: str
    """`sqlite`; `postgresql` with its dump; or `absent`: files only."""
    files: tuple[Entry, ...]
    missing: tuple[str, ...] = ()
    """Files that rows name and that were not there."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)


def backup(
    url: str, journal_folder: Path, results_folder: Path, target: Path, *, program: str, dump: Path | None = None,
    more: dict[str, bytes] | None = None,
) -> Manifest:  # fmt: skip
    """Make a backup in the folder `target`, which does not exist or is empty.

    Parameters
    ----------
    program : str
        Name and version of what makes it.
    dump : Path, optional
        PostgreSQL: what pg_dump wrote before this was called.
    more : dict of bytes, optional
        Further small files, by name.

    Raises
    ------
    NotEmpty
        There is something in `target`.
    Damaged
        The database is: a backup of it would replace a sound one.
    DiskFull, DiskFailed
        What was copied so far is no backup.
    """
    _make(target)
    entries: list[Entry] = []
    schema, named = "", dict[str, int]()
    if (source := sqlite_file(url)) is not None:
        schema, named = _copy_database(source, target / DATABASE)
        entries.append(_entry(target, target / DATABASE))
    elif dump is not None:
        entries.append(copy(dump, target / DUMP, DUMP))
    entries += _copy_all(journal_folder, target / "journal", "*" + SUFFIX)
    entries += _copy_all(results_folder, target / "results", "??/*" + RESULT_SUFFIX)
    for name, data in (more or {}).items():
        (target / name).write_bytes(data)
        entries.append(_entry(target, target / name))
    there = {entry.path: entry.size for entry in entries}
    manifest = Manifest(
        form=FORM,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        program=program,
        schema=schema,
        database="sqlite" if source is not None else "postgresql" if dump is not None else "absent",
        files=tuple(entries),
        missing=tuple(sorted(path for path, size in named.items() if there.get(path, -1) < size)),
    )
    _sync_tree(target)
    write_durably(target / MANIFEST, json.dumps(asdict(manifest), indent=1).encode())
    sync_folder(target.absolute().parent)
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup.

    Raises
    ------
    Damaged
        There is none: the folder is no backup, or its making was cut short.
    """
    path = folder / MANIFEST
    try:
        values = json.loads(path.read_bytes())
        entries = tuple(Entry(**entry) for entry in values.pop("files"))
        found = Manifest(**values | {"files": entries, "missing": tuple(values.pop("missing"))})
    except FileNotFoundError as exc:
        raise Damaged(
            f"{folder} is no backup, or its making was cut short: it has no {MANIFEST}. Use another."
        ) from exc
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise Damaged(f"{path} cannot be read ({type(exc).__name__}). Use another backup.") from exc
    if found.form != FORM:
        raise Damaged(f"{path} has form {found.form}, this program reads {FORM}. Use the Osteon that made it.")
    return found


def copy(source: Path, target: Path, name: str) -> Entry:
    """Copy a file as it is now, with its times, onto stable storage; what grows behind is left out."""
    digest, done = hashlib.sha256(), 0
    try:
        with source.open("rb", buffering=0) as old, target.open("xb", buffering=0) as new:
            stat = os.fstat(old.fileno())
            while done < stat.st_size and (piece := old.read(min(_PIECE, stat.st_size - done))):
                digest.update(piece)
                view = memoryview(piece)
                while view:
                    view = view[new.write(view) :]
                done += len(piece)
            os.fchmod(new.fileno(), 0o640)
            os.utime(new.fileno(), ns=(stat.st_atime_ns, stat.st_mtime_ns))
            os.fsync(new.fileno())
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise translated(exc, target, "copied") from exc
    return Entry(name, done, digest.hexdigest())


def write_durably(path: Path, data: bytes) -> None:
    """All of it or nothing, also when the power fails."""
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as exc:
        raise translated(exc, path, "written") from exc
    sync_folder(path.parent)


def _copy_all(folder: Path, target: Path, pattern: str) -> Iterator[Entry]:
    for path in sorted(folder.glob(pattern)):
        relative = path.relative_to(folder)
        (target / relative).parent.mkdir(parents=True, exist_ok=True)
        try:
            yield copy(path, target / relative, f"{target.name}/{relative.as_posix()}")
        except FileNotFoundError:  # a segment in which nothing had been committed, or a result that no row named
            log.info("A file that was to be copied was removed meanwhile")


def _copy_database(source: Path, target: Path) -> tuple[str, dict[str, int]]:
    """The database at one moment, in one file; its revision, and the files that its rows name with their least size."""
    if not source.exists():
        raise Unavailable(f"{source} is not there: nothing can be backed up. Run osteon check.")
    old, new = sqlite3.connect(f"file:{source}?mode=rw", uri=True), sqlite3.connect(target)
    try:
        old.backup(new)  # in one step: a snapshot that no writer disturbs and that disturbs none
        if new.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise Damaged(f"{source}: the database is damaged, so no backup is made of it. Run osteon check.")
        new.execute("PRAGMA journal_mode=DELETE")  # all in one file
        (schema,) = new.execute("SELECT version_num FROM alembic_version").fetchone()
        named = {f"results/{path}": size for path, size in new.execute("SELECT path, size FROM results")}
        ends = 'SELECT segment, max("offset" + length) FROM instances GROUP BY segment'
        named |= {f"journal/{segment}": end for segment, end in new.execute(ends)}
    except sqlite3.DatabaseError as exc:
        raise Damaged(f"{source}: the database cannot be copied ({exc}). Run osteon check.") from exc
    finally:
        old.close()
        new.close()
    target.chmod(0o640)
    return str(schema), named


def _make(target: Path) -> None:
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise NotEmpty(f"{target} is not empty. Name a new folder for each backup; remove one that was cut short.")
    except OSError as exc:
        raise translated(exc, target, "made") from exc


def _entry(folder: Path, path: Path) -> Entry:
    data = path.read_bytes()
    return Entry(path.relative_to(folder).as_posix(), len(data), hashlib.sha256(data).hexdigest())


def _sync_tree(folder: Path) -> None:
    """Every name in it; the copied files are synced already, those written here are now."""
    for root, _, names in os.walk(folder):
        for name in names if Path(root) == folder else ():
            with (Path(root) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(root))
