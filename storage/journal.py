"""The append-only segment of one association: data sets as received, each with the values of its row.

`commit()` returns only when the payload and the values of its row are on stable storage, by one `fdatasync`; rows are
made from them afterwards (`storage/intake.py`), and after a crash `records()` finds every one that was acknowledged.
The form of a segment, and reading it, are in `storage/segment.py`.
"""

import hashlib
import mmap
import os
import re
from pathlib import Path

from storage.disk import allocate, create, free_bytes, lock, sync, sync_folder, write_at
from storage.errors import DiskFailed, DiskFull, StorageError
from storage.segment import (
    ALIGNMENT,
    BUFFER_BYTES,
    HEAD,
    META_FIELDS,
    NONCE_BYTES,
    RECORD_MAGIC,
    SUFFIX,
    Place,
    RecordMeta,
    aligned,
    cut,
    encode_meta,
    file_head,
    is_live,
    read,
    records,
    seal,
    trim,
)

__all__ = [
    "ALIGNMENT",
    "HEAD",
    "META_FIELDS",
    "SUFFIX",
    "Journal",
    "Place",
    "RecordMeta",
    "is_live",
    "read",
    "records",
    "trim",
]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")


class Journal:
    """The segment of one association, used by one thread; the lock on the file tells the living from the dead.

    Parameters
    ----------
    folder : Path
        Where segments lie; it exists.
    name : str
        The segment's own name (letters, digits, `-` and `_`), never taken from a sender.
    chunk_bytes : int
        Disk space is taken in steps of this size.
    reserve_bytes : int
        So much of the disk no step may take; then only what a record needs is taken.

    Raises
    ------
    DiskFull, DiskFailed
        Nothing is left behind.
    """

    def __init__(self, folder: Path, name: str, *, chunk_bytes: int = 16 << 20, reserve_bytes: int = 0) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a segment: use 1 to 100 letters, digits, '-' and '_'.")
        self.path = folder / (name + SUFFIX)
        self._chunk_bytes = chunk_bytes
        self._reserve_bytes = reserve_bytes
        self._nonce = os.urandom(NONCE_BYTES)
        self._end = 0  # after the last committed record
        self._start = ALIGNMENT  # head of the current or next record
        self._allocated = 0
        self._failed = False
        # anonymous memory is taken page by page as it is used: small images cost small buffers
        self._buffer = mmap.mmap(-1, HEAD.size + BUFFER_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._fd = create(self.path)
        try:
            lock(self._fd, self.path)
            self._reserve(ALIGNMENT)
            write_at(self._fd, [file_head(self._nonce)], 0, self.path)
            sync_folder(folder)
        except StorageError:
            self.close()
            raise
        self.begin()

    def begin(self) -> None:
        """Start a record; one that was begun and not committed is forgotten."""
        self._digest = hashlib.sha256()
        self._length = 0  # of the payload so far
        self._filled = HEAD.size  # of the buffer, whose beginning is kept for the head
        self._flushed = 0  # bytes of the payload that are in the file already
        self._lost = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next piece of the payload (items of one byte); the caller may overwrite it afterwards.

        Raises
        ------
        DiskFull, DiskFailed
            The record is lost (call `abandon`), the segment is whole.
        """
        self._digest.update(data)
        size = len(data)
        self._length += size
        if self._filled + size <= len(self._buffer):
            self._buffer[self._filled : self._filled + size] = data
            self._filled += size
            return
        self._flush(data)

    def commit(self, meta: RecordMeta) -> Place:
        """Put the record on stable storage and say where its payload lies.

        Raises
        ------
        DiskFull, DiskFailed
            The record is not promised (call `abandon`); what was committed before is.
        """
        if self._failed or self._lost:
            raise DiskFailed(f"{self.path}: an earlier write or sync failed, so this record is not kept.")
        values = encode_meta(meta)
        digest = self._digest.digest()
        head = HEAD.pack(RECORD_MAGIC, self._nonce, len(values), self._length, digest)
        tail = values + seal(self._nonce, self._start, head, values)
        end = self._start + HEAD.size + self._length + len(tail)
        self._reserve(end)
        self._buffer[: HEAD.size] = head
        first, at = (HEAD.size, self._start + HEAD.size + self._flushed) if self._flushed else (0, self._start)
        with memoryview(self._buffer) as buffer, buffer[first : self._filled] as kept:
            write_at(self._fd, [kept, tail], at, self.path)
        if self._flushed:
            write_at(self._fd, [head], self._start, self.path)
        self._sync()
        place = Place(self.path.name, self._start + HEAD.size, self._length, digest.hex())
        self._end, self._start = end, aligned(end)
        self.begin()
        return place

    @property
    def end(self) -> int:
        """The byte after the last committed record (0 when there is none); what `Taken.end` wants."""
        return self._end

    def abandon(self) -> None:
        """Forget the current record; the next one takes its place."""
        self.begin()

    def close(self) -> None:
        """Cut the segment behind its last record; a segment without records is removed. May be called twice."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        self._buffer.close()
        try:
            cut(fd, self.path, self._end)
        finally:
            os.close(fd)

    def _flush(self, data: bytes | bytearray | memoryview) -> None:
        """Write what is buffered, and `data` behind it, into the file, so that big objects are not held in memory."""
        at = self._start + HEAD.size + self._flushed
        self._lost = True  # until it is known to be in the file
        self._reserve(self._start + HEAD.size + self._length)
        with memoryview(self._buffer) as buffer, buffer[HEAD.size : self._filled] as kept:
            write_at(self._fd, [kept, data], at, self.path)
        self._flushed = self._length
        self._filled = HEAD.size
        self._lost = False

    def _reserve(self, end: int) -> None:
        """See to it that the file has room up to `end`, a chunk at a time while there is space for chunks.

        A hundred associations take a hundred chunks at once: without the look they would take the reserve with them.
        """
        if end <= self._allocated:
            return
        wanted = -(-end // self._chunk_bytes) * self._chunk_bytes
        if free_bytes(self.path.parent) - (wanted - self._allocated) < self._reserve_bytes:
            wanted = aligned(end)
        try:
            allocate(self._fd, self._allocated, wanted, self.path)
        except DiskFull:
            wanted = aligned(end)
            allocate(self._fd, self._allocated, wanted, self.path)
        self._allocated = wanted

    def _sync(self) -> None:
        """After a failed sync the kernel may forget what it could not write: the segment takes nothing more."""
        try:
            sync(self._fd, self.path)
        except StorageError:
            self._failed = True
            raise
