"""Who uses a data folder: the parts of a node share it; what replaces its files has it alone.

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
def _locked(folder: Path, how: int, refusal: str) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as exc:
        raise translated(exc, folder / FILE, "opened") from exc
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(fd)
        raise InUse(refusal) from exc
    try:
        yield
    finally:
        os.close(fd)
