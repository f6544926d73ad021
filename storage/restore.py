"""A backup becomes a data folder again: checked byte for byte, over nothing that is there, whole or not at all."""

import hashlib
import shutil
from pathlib import Path

from storage.backup import DATABASE, DUMP, MANIFEST, Manifest, copy, read_manifest, write_durably
from storage.disk import sync_folder, translated
from storage.engine import HEAD, sqlite_file
from storage.errors import Damaged, NotEmpty, SchemaMismatch
from storage.occupied import FILES

_UNDER_WAY = ".restoring"


def refuse_half_restored(data_folder: Path) -> None:
    """Refuse a data folder into which a backup was being restored when that was cut short.

    Raises
    ------
    Damaged
    """
    if (data_folder / _UNDER_WAY).exists():
        raise Damaged(f"{data_folder}: osteon restore was cut short. Run it again with the same backup.")


def check(folder: Path) -> Manifest:
    """Read every file of a backup.

    Raises
    ------
    Damaged
        One is missing, too many, or not what was written; the sentence names it.
    """
    manifest = read_manifest(folder)
    for entry in manifest.files:
        if _unsafe(entry.path):
            raise Damaged(f"{folder / MANIFEST} names {entry.path!r}, which lies outside. This is no backup of Osteon.")
        try:
            found = _sha256(folder / entry.path)
        except OSError as exc:
            raise Damaged(f"{folder / entry.path} cannot be read: {exc.strerror}. Use another backup.") from exc
        if found != entry.sha256:
            raise Damaged(f"{folder / entry.path} is not what was backed up. Use another backup.")
    return manifest


def restore(folder: Path, data_folder: Path, url: str) -> Manifest:
    """Put a backup into an empty data folder. Nobody else uses it meanwhile (storage/occupied.py).

    Raises
    ------
    NotEmpty
        There is something in the data folder, or a database where `url` says.
    SchemaMismatch
        The backup is of a newer program.
    Damaged
        The backup is not whole; nothing was put anywhere.
    """
    database = sqlite_file(url)
    _refuse_to_overwrite(data_folder, database)
    manifest = read_manifest(folder)
    if manifest.database == "sqlite" and int(manifest.schema) > int(HEAD):
        raise SchemaMismatch(
            f"{folder} was made by {manifest.program}, whose database has revision {manifest.schema}; this program "
            f"knows revisions up to {HEAD}. Install that version."
        )
    check(folder)
    try:
        write_durably(data_folder / _UNDER_WAY, b"")
        for name in ("journal", "results"):
            shutil.rmtree(data_folder / name, ignore_errors=True)  # what a restoring that was cut short left
            (data_folder / name).mkdir()
        if database is not None:
            database.unlink(missing_ok=True)
        for entry in manifest.files:
            if (target := _target(entry.path, data_folder, database)) is None:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if copy(folder / entry.path, target, entry.path).sha256 != entry.sha256:
                raise Damaged(f"{folder / entry.path} changed while it was copied. Run osteon restore again.")
            sync_folder(target.parent)
        sync_folder(data_folder)
        (data_folder / _UNDER_WAY).unlink()
        sync_folder(data_folder)
    except OSError as exc:
        raise translated(exc, data_folder, "restored") from exc
    return manifest


def _refuse_to_overwrite(data_folder: Path, database: Path | None) -> None:
    data_folder.mkdir(parents=True, exist_ok=True)
    if (data_folder / _UNDER_WAY).exists():
        return
    if any(path.name not in FILES for path in data_folder.iterdir()):
        raise NotEmpty(
            f"{data_folder} is not empty: a restore never overwrites. Move it away, or name another node.data_folder."
        )
    if database is not None and database.exists():
        raise NotEmpty(f"{database} exists: a restore never overwrites. Move it away, or name another database.url.")


def _target(path: str, data_folder: Path, database: Path | None) -> Path | None:
    """Where a file of the backup belongs; None for what an admin puts to its place (a dump, the configuration)."""
    if path == DATABASE:
        return database
    return data_folder / path if path.startswith(("journal/", "results/")) and path != DUMP else None


def _unsafe(path: str) -> bool:
    parts = Path(path).parts
    return Path(path).is_absolute() or ".." in parts or not parts


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
