"""The bytes of results: each in a file of its own, on stable storage before any row names it.

File names are our own and say nothing. A file without a row is what a crash left between the two; `sweep` removes it.
"""

import hashlib
import os
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import Connection, select

from storage.disk import free_bytes, sync_folder, translated
from storage.errors import Damaged
from storage.tables import results

__all__ = ["RESULT_SUFFIX", "ResultStore", "free_bytes"]

RESULT_SUFFIX = ".dcm"
_TEMPORARY = ".part"
_MANY = 500
_AT_ONCE = 8
"""Files that are synced at the same time."""


class ResultStore:
    """A folder of result files, written once and never changed; several processes may use it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> tuple[str, str]:
        """Store the bytes; when it returns they survive a power cut.

        Returns
        -------
        tuple of str
            The path relative to the store, and the SHA-256 (hex).

        Raises
        ------
        DiskFull, DiskFailed
            Nothing is left behind.
        """
        name = uuid.uuid4().hex
        folder = self._folder / name[:2]
        path, temporary = folder / (name + RESULT_SUFFIX), folder / (name + _TEMPORARY)
        try:
            self._make(folder)
            with temporary.open("wb", buffering=0) as file:
                view = memoryview(data)
                while view:
                    view = view[file.write(view) :]
                os.fsync(file.fileno())
            temporary.rename(path)
        except OSError as exc:
            temporary.unlink(missing_ok=True)
            raise translated(exc, path, "written") from exc
        sync_folder(folder)
        return f"{name[:2]}/{name}{RESULT_SUFFIX}", hashlib.sha256(data).hexdigest()

    def put_all(self, several: Sequence[bytes]) -> list[tuple[str, str]]:
        """The same for several at once, in their order: the disk syncs many as fast as a few.

        Raises
        ------
        DiskFull, DiskFailed
            Those that were stored already are orphans; `sweep` finds them.
        """
        with ThreadPoolExecutor(max(1, min(_AT_ONCE, len(several)))) as pool:
            return list(pool.map(self.put, several))

    def read(self, path: str, sha256: str) -> bytes:
        """Read a file back.

        Raises
        ------
        Damaged
            It is missing, unreadable, or its bytes have another SHA-256.
        """
        place = self._folder / path
        try:
            data = place.read_bytes()
        except OSError as exc:
            raise Damaged(
                f"{place} cannot be read: {exc.strerror}. Restore it, or have the study analysed again."
            ) from exc
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Damaged(f"{place} is not what was stored there. Restore it, or have the study analysed again.")
        return data

    def sweep(self, conn: Connection, before: float) -> list[str]:
        """Remove files last written before `before` (unix seconds) that no row names; return their relative paths.

        A run in progress has files without rows: `before` lies further back than any run takes.
        """
        old = sorted(
            f"{path.parent.name}/{path.name}"
            for path in self._folder.glob("??/*")
            if path.suffix in (RESULT_SUFFIX, _TEMPORARY) and path.stat().st_mtime < before
        )
        removed = []
        for at in range(0, len(old), _MANY):
            some = old[at : at + _MANY]
            named = set(conn.execute(select(results.c.path).where(results.c.path.in_(some))).scalars())
            for relative in some:
                if relative not in named:
                    (self._folder / relative).unlink(missing_ok=True)
                    removed.append(relative)
        return removed

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(self._folder)
