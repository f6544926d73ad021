"""Who uses a data folder: the parts of a node share it; what replaces its files has it alone.
A backup and the deletion of studies keep out of each other's way in the same manner.

Held by a lock on a file, which ends with the process; that the file exists says nothing.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from storage.disk import translated
from storage.errors import InUse

FILE = ".in-use"
COPYING = ".copying"
FILES = frozenset({FILE, COPYING})


@contextlib.contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Use the data folder along with others, until the block ends.

    Raises
    ------
    InUse
        Somebody has it alone.
    """
    with _locked(
        folder, fcntl.LOCK_SH, f"{folder}: osteon rebuild or osteon restore is at work. Start when it is done."
    ):
        yield


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Have the data folder alone, until the block ends.

    Raises
    ------
    InUse
        A node runs on it, or another command has it.
    """
    with _locked(folder, fcntl.LOCK_EX, f"{folder}: a node runs on it, or another such command. Stop it first."):
        yield


@contextlib.contextmanager
def copying(folder: Path) -> Iterator[None]:
    """Copy the data folder; meanwhile nothing is deleted from it.

    Raises
    ------
    InUse
        Something is being deleted.
    """
    with _locked(folder, fcntl.LOCK_SH, f"{folder}: studies are being deleted. Try again in a moment.", COPYING):
        yield


@contextlib.contextmanager
def deleting(folder: Path) -> Iterator[None]:
    """Delete studies; meanwhile nothing is copied, and nobody else deletes.

    Raises
    ------
    InUse
        A backup is being made, or another process deletes.
    """
    with _locked(folder, fcntl.LOCK_EX, f"{folder}: a backup is being made, or studies are being deleted.", COPYING):
        yield


@contextlib.contextmanager
def _locked(folder: Path, how: int, refusal: str, name: str = FILE) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as exc:
        raise translated(exc, folder / name, "opened") from exc
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(fd)
        raise InUse(refusal) from exc
    try:
        yield
    finally:
        os.close(fd)
