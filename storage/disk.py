"""Writing, reserving and syncing with the operating system, and what its errors mean for the admin.

`EINTR` is retried by Python itself (PEP 475); a short write is carried on; a full disk is `DiskFull`, anything else
`DiskFailed`.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from storage.errors import DiskFailed, DiskFull, StorageError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_ALLOCATION = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})

Bytes = bytes | bytearray | memoryview


def write_at(fd: int, pieces: Sequence[Bytes], at: int, path: Path) -> None:
    """Write all pieces, one behind the other, from byte `at` on."""
    total = sum(len(piece) for piece in pieces)
    try:
        done = os.pwritev(fd, pieces, at)
        if done < total:
            rest = memoryview(b"".join(pieces))
            while done < total:
                done += os.pwrite(fd, rest[done:], at + done)
    except OSError as exc:
        raise translated(exc, path, "written") from exc


def create(path: Path) -> int:
    """Open a file that must not exist yet."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    except OSError as exc:
        raise translated(exc, path, "created") from exc


def lock(fd: int, path: Path) -> None:
    """Hold the file for as long as it is open here."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        raise translated(exc, path, "locked") from exc


def allocate(fd: int, start: int, end: int, path: Path) -> None:
    """Reserve the bytes from `start` (the end so far) to `end`, where the file system can; all of them or none."""
    try:
        os.posix_fallocate(fd, start, end - start)
    except OSError as exc:
        if exc.errno in _NO_ALLOCATION:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(fd, start)  # what was reserved before the disk was full
        raise translated(exc, path, "enlarged") from exc


def sync(fd: int, path: Path) -> None:
    """Return when the file's bytes (not its times) are on stable storage."""
    try:
        os.fdatasync(fd)
    except OSError as exc:
        raise translated(exc, path, "synced") from exc


def sync_folder(folder: Path) -> None:
    """Return when the names in `folder` are on stable storage."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as exc:
        raise translated(exc, folder, "synced") from exc


def translated(exc: OSError, path: Path, action: str) -> StorageError:
    """Our error for an error of the operating system."""
    if exc.errno in _FULL:
        return DiskFull(f"{path} cannot be {action}: the disk is full ({exc.strerror}). Make room on it.")
    return DiskFailed(f"{path} cannot be {action}: {exc.strerror}. Look at the disk and at the rights of its folder.")


def free_bytes(folder: Path) -> int:
    """Bytes that an ordinary user may still write on the disk of `folder`."""
    try:
        stat = os.statvfs(folder)
    except OSError as exc:
        raise translated(exc, folder, "examined") from exc
    return stat.f_bavail * stat.f_frsize
