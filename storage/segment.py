"""The form of a segment on disk, and how it is read back, checked, and cut; `storage/journal.py` writes it.

Layout, all integers little-endian:

    segment  = file head, then records; each starts at a multiple of 4096, so no block of an acknowledged record is
               ever written again
    file head= magic (8), nonce (16), first 8 bytes of SHA-256(magic + nonce)
    record   = head: magic (4), nonce (16), length of the values (4), length of the payload (8), SHA-256 of it (32)
               payload
               values: JSON of `RecordMeta`
               seal: SHA-256(nonce + position of the head + head + values) (32)

The nonce is random for each segment and never leaves the disk: what a sender puts into pixels cannot pass for a record.
A bit that flips costs at most the record it lies in. This file knows nothing of DICOM or of the database.
"""

import fcntl
import hashlib
import json
import logging
import math
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from json.encoder import encode_basestring_ascii
from operator import attrgetter
from pathlib import Path

from storage.disk import translated
from storage.errors import Damaged

log = logging.getLogger(__name__)

SUFFIX = ".seg"
ALIGNMENT = 4096
BUFFER_BYTES = 1 << 20
FILE_MAGIC = b"OSTEONJ1"
RECORD_MAGIC = b"OREC"
ERASED_MAGIC = b"OGON"
"""In the place of the other, when all behind the head has been overwritten."""
NONCE_BYTES = 16
HEAD = struct.Struct("<4s16sIQ32s")
_SEAL_BYTES = 32
_MAX_META_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class RecordMeta:
    """The values of the row of one received instance; texts as the header and the association gave them."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    study_instance_uid: str
    series_instance_uid: str
    patient_key: str
    """SHA-256 (hex) of the raw bytes of PatientID and its issuer; never the identifier itself."""
    calling_ae: str
    called_ae: str
    address: str
    association: str
    """UUID (hex) of the association."""
    received_at: float
    """Unix seconds."""
    modality: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a payload lies: the segment's file name, its first byte, its length, and the SHA-256 (hex) of it."""

    segment: str
    offset: int
    length: int
    sha256: str


META_FIELDS = tuple(field.name for field in fields(RecordMeta))
# a template filled by C code: on the listener's path, an encoder takes four times as long
_NUMBER = "received_at"
_TEXTS: Callable[[RecordMeta], tuple[str, ...]] = attrgetter(*(name for name in META_FIELDS if name != _NUMBER))
_JSON = "{" + ",".join(f'"{name}":%s' for name in META_FIELDS if name != _NUMBER) + f',"{_NUMBER}":%r}}'


def head_of(place: Place) -> int:
    """Where the record of a payload begins."""
    return place.offset - HEAD.size


def next_head(end: int) -> int:
    """Where the record behind one that ends at `end` begins (the first one for 0)."""
    return max(aligned(end), ALIGNMENT)


def encode_meta(meta: RecordMeta) -> bytes:
    """The values as they are sealed: ASCII JSON, one key per field."""
    encoded = (_JSON % (*map(encode_basestring_ascii, _TEXTS(meta)), meta.received_at)).encode("ascii")
    if len(encoded) > _MAX_META_BYTES:
        raise ValueError(f"The values of a record take {len(encoded)} bytes, {_MAX_META_BYTES} are allowed.")
    return encoded


def records(path: Path, start: int = 0) -> Iterator[tuple[RecordMeta, Place, int]]:
    """Find the whole records of a segment, those of a crashed or still growing one too.

    Parameters
    ----------
    path : Path
        The segment.
    start : int
        0, or the end of a record found earlier.

    Yields
    ------
    tuple of RecordMeta, Place, int
        The values, the place, and the end from which to resume. A record is yielded only when its seal and the
        SHA-256 of its payload are right. An incomplete tail ends the scan; a damaged record that has whole ones
        behind it is left out and logged.
    """
    fd = _open(path, os.O_RDONLY)
    if fd is None:
        raise Damaged(f"{path} is gone. Restore it from a copy or send its studies again.")
    try:
        yield from _records(fd, path, start)
    except OSError as exc:
        raise translated(exc, path, "read") from exc
    finally:
        os.close(fd)


def _records(fd: int, path: Path, start: int) -> Iterator[tuple[RecordMeta, Place, int]]:
    size = os.fstat(fd).st_size
    nonce = nonce_of(fd, size)
    at, doubtful = next_head(start), 0
    while at + HEAD.size <= size:
        found = _record_at(fd, at, size, nonce, path.name)
        if found is None and (end := erased_end(fd, at, size, nonce)):
            at = aligned(end)
            continue
        if found is None:
            doubtful = doubtful or at
            at += ALIGNMENT
            continue
        if doubtful and (earlier := _record_at(fd, doubtful, size, nonce, path.name)):
            found = earlier  # the segment grew while it was read
        elif doubtful:
            log.error("Segment %s is damaged between byte %d and %d. Restore it from a copy.", path.name, doubtful, at)
        doubtful = 0
        yield found
        at = aligned(found[2])


def read(folder: Path, place: Place) -> bytes:
    """Read a payload back.

    Raises
    ------
    Damaged
        The segment is missing, too short, unreadable, or its bytes have another SHA-256.
    """
    path = folder / place.segment
    payload = b""
    try:
        with path.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size >= place.offset + place.length:
                payload = _pread(file.fileno(), place.offset, place.length)
    except OSError as exc:
        raise Damaged(
            f"{path} cannot be read: {exc.strerror}. Restore it from a copy or send the study again."
        ) from exc
    if len(payload) != place.length or hashlib.sha256(payload).hexdigest() != place.sha256:
        raise Damaged(
            f"{path}: the {place.length} bytes from byte {place.offset} on are not those that were received. "
            "Restore the file from a copy or send the study again."
        )
    return payload


def first_received_at(path: Path) -> float:
    """When the first record of a segment came, as its seal says (the payload is not read); infinity without one."""
    fd = _open(path, os.O_RDONLY)
    if fd is None:
        return math.inf
    try:
        size = os.fstat(fd).st_size
        sealed = sealed_at(fd, ALIGNMENT, size, nonce_of(fd, size))
    except OSError:
        return math.inf
    finally:
        os.close(fd)
    return float(json.loads(sealed[0])["received_at"]) if sealed else math.inf


def is_live(path: Path) -> bool:
    """Whether a journal still writes the segment (its process is alive and has not closed it)."""
    fd = _open(path, os.O_RDONLY)
    if fd is None:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def trim(path: Path, end: int) -> bool:
    """Cut a dead segment behind `end`, the end of its last record; remove it when `end` is 0.

    Returns False, and touches nothing, when a living journal still writes it, when it is gone, or when something
    sealed lies behind `end`: a record cut short by a power cut, or a damaged one, which a person may want to see.
    """
    fd = _open(path, os.O_RDWR)
    if fd is None:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _anything_sealed(fd, next_head(end)):
            return False
        cut(fd, path, end)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(fd)


def _anything_sealed(fd: int, at: int) -> bool:
    size = os.fstat(fd).st_size
    nonce = nonce_of(fd, size)
    return any(sealed_at(fd, place, size, nonce) for place in range(at, size - HEAD.size + 1, ALIGNMENT))


def cut(fd: int, path: Path, end: int) -> None:
    """Cut the file behind `end`, or remove it; not synced, because an uncut segment says the same."""
    try:
        if end:
            os.ftruncate(fd, end)
        else:
            path.unlink(missing_ok=True)
    except OSError as exc:
        raise translated(exc, path, "cut") from exc


def _open(path: Path, flags: int) -> int | None:
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise translated(exc, path, "opened") from exc


def _pread(fd: int, at: int, length: int) -> bytes:
    """All of it in one object, also where the kernel gives it in parts (it gives 2 GiB at most)."""
    pieces = []
    while length and (piece := os.pread(fd, length, at)):
        pieces.append(piece)
        at, length = at + len(piece), length - len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def aligned(at: int) -> int:
    return -(-at // ALIGNMENT) * ALIGNMENT


def file_head(nonce: bytes) -> bytes:
    return FILE_MAGIC + nonce + hashlib.sha256(FILE_MAGIC + nonce).digest()[:8]


def seal(nonce: bytes, at: int, head: bytes, values: bytes) -> bytes:
    return hashlib.sha256(nonce + at.to_bytes(8, "little") + head + values).digest()


def nonce_of(fd: int, size: int) -> bytes:
    """The segment's nonce: from the first record when that is sealed, so that a damaged file head costs nothing."""
    head = os.pread(fd, HEAD.size, ALIGNMENT)
    if len(head) == HEAD.size:
        nonce: bytes = HEAD.unpack(head)[1]
        if sealed_at(fd, ALIGNMENT, size, nonce):
            return nonce
    return os.pread(fd, len(FILE_MAGIC) + NONCE_BYTES, 0)[len(FILE_MAGIC) :]


def sealed_at(fd: int, at: int, size: int, nonce: bytes) -> tuple[bytes, int, bytes, int] | None:
    """What the sealed head at `at` says: values, length of the payload, its SHA-256, end. None without a seal."""
    head = os.pread(fd, HEAD.size, at)
    if len(head) < HEAD.size:
        return None
    magic, own_nonce, values_length, length, digest = HEAD.unpack(head)
    end = at + HEAD.size + length + values_length + _SEAL_BYTES
    if magic != RECORD_MAGIC or own_nonce != nonce or values_length > _MAX_META_BYTES or end > size:
        return None
    tail = os.pread(fd, values_length + _SEAL_BYTES, at + HEAD.size + length)
    values, found = tail[:values_length], tail[values_length:]
    return (values, length, digest, end) if found == seal(nonce, at, head, values) else None


def erased_end(fd: int, at: int, size: int, nonce: bytes) -> int:
    """The end of the record at `at` that was erased (storage/erasing.py); 0 when there is none."""
    head = os.pread(fd, HEAD.size, at)
    if len(head) < HEAD.size:
        return 0
    magic, own_nonce, values_length, length, _ = HEAD.unpack(head)
    end = at + HEAD.size + int(length) + int(values_length) + _SEAL_BYTES
    return end if magic == ERASED_MAGIC and own_nonce == nonce and end <= size else 0


def _record_at(fd: int, at: int, size: int, nonce: bytes, name: str) -> tuple[RecordMeta, Place, int] | None:
    sealed = sealed_at(fd, at, size, nonce)
    if sealed is None:
        return None
    values, length, digest, end = sealed
    offset = at + HEAD.size
    if _sha256(fd, offset, length) != digest:
        return None
    meta = RecordMeta(**{key: value for key, value in json.loads(values).items() if key in META_FIELDS})
    return meta, Place(name, offset, length, digest.hex()), end


def _sha256(fd: int, at: int, length: int) -> bytes:
    digest = hashlib.sha256()
    end = at + length
    while at < end and (piece := os.pread(fd, min(BUFFER_BYTES, end - at), at)):
        digest.update(piece)
        at += len(piece)
    return digest.digest()
