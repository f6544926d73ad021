"""Takes single records out of segments for good: overwritten with zeros, then given back to the disk.

What is left of a record is its head without the hash, so that the records behind it are found and nothing is taken for
damage. Erasing again what is erased does nothing.
"""

import contextlib
import ctypes
import json
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from storage.disk import sync, sync_folder, translated, write_at
from storage.segment import (
    ALIGNMENT,
    ERASED_MAGIC,
    HEAD,
    SUFFIX,
    aligned,
    erased_end,
    is_live,
    nonce_of,
    sealed_at,
)

Spot = tuple[str, int]
"""Name of a segment, and where in it a record begins."""

_PUNCH_HOLE_KEEP_SIZE = 3  # fallocate(2)
_ZEROS = bytes(1 << 20)


def find(folder: Path, study_instance_uids: Collection[str], since: float) -> dict[str, set[Spot]]:
    """Where the objects of these studies lie, duplicates that have no row among them.

    Parameters
    ----------
    since : float
        Segments that were last written before (unix seconds) are passed over.
    """
    found: dict[str, set[Spot]] = defaultdict(set)
    for path in sorted(folder.glob("*" + SUFFIX)):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < since:
                continue
            for at, values in _records(path):
                uid = str(json.loads(values)["study_instance_uid"])
                if uid in study_instance_uids:
                    found[uid].add((path.name, at))
    return found


def erase(folder: Path, spots: Iterable[Spot]) -> int:
    """Erase these records; returns how many there were. On stable storage when it returns.

    Raises
    ------
    DiskFailed
        Some may be erased; call it again.
    """
    by_segment: dict[str, set[int]] = defaultdict(set)
    for name, at in spots:
        by_segment[name].add(at)
    count = 0
    for name, places in by_segment.items():
        path = folder / name
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise translated(exc, path, "opened") from exc
        try:
            count += _erase(fd, path, places)
        finally:
            os.close(fd)
    return count


def remove_if_empty(path: Path) -> bool:
    """Remove a dead segment that holds no record any more."""
    if is_live(path) or not path.exists() or next(_records(path), None) is not None:
        return False
    path.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def _records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Where each sealed record begins, and its values; payloads are not read."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        nonce = nonce_of(fd, size)
        at = ALIGNMENT
        while at + HEAD.size <= size:
            sealed = sealed_at(fd, at, size, nonce)
            if sealed is not None:
                yield at, sealed[0]
                at = aligned(sealed[3])
            else:
                at = aligned(erased_end(fd, at, size, nonce)) or at + ALIGNMENT
    except OSError as exc:
        raise translated(exc, path, "read") from exc
    finally:
        os.close(fd)


def _erase(fd: int, path: Path, places: Iterable[int]) -> int:
    """Payloads first and heads after them: until its head is marked, a record is found again after a crash."""
    size = os.fstat(fd).st_size
    nonce = nonce_of(fd, size)
    ends = {}
    for at in places:
        sealed = sealed_at(fd, at, size, nonce)
        if end := sealed[3] if sealed is not None else erased_end(fd, at, size, nonce):
            ends[at] = end
    lengths = {at: HEAD.unpack(os.pread(fd, HEAD.size, at))[2:4] for at in ends}
    for at, (_, length) in lengths.items():
        _zero(fd, path, at + HEAD.size, at + HEAD.size + length)
    sync(fd, path)
    for at, (values_length, length) in lengths.items():
        write_at(fd, [HEAD.pack(ERASED_MAGIC, nonce, values_length, length, bytes(32))], at, path)
        _zero(fd, path, at + HEAD.size + length, ends[at])
    sync(fd, path)
    for at, end in ends.items():
        _give_back(fd, at + HEAD.size, end)
    return len(ends)


def _zero(fd: int, path: Path, start: int, end: int) -> None:
    for at in range(start, end, len(_ZEROS)):
        write_at(fd, [memoryview(_ZEROS)[: min(len(_ZEROS), end - at)]], at, path)


def _give_back(fd: int, start: int, end: int) -> None:
    """Where the file system can; elsewhere the zeros stay."""
    first = aligned(start)
    if end > first:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.fallocate(fd, _PUNCH_HOLE_KEEP_SIZE, ctypes.c_int64(first), ctypes.c_int64(end - first))
