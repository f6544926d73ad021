"""The CSA header of Siemens ("SV10"), in which scanners before XA keep what the private attributes leave out."""

import struct
from collections.abc import Iterator

from node.facts.values import Reader

_TAGS = 512
_ITEMS = 128


def csa_header(reader: Reader) -> bytes:
    """That of an image, b"" of one that has none."""
    tag = reader.private(0x0029, "SIEMENS CSA HEADER", 0x10)
    raw = reader.raw(tag) if tag is not None else b""
    return raw if raw.startswith(b"SV10") else b""


def csa_value(raw: bytes, name: str) -> float | None:
    """The first number of one entry, None when it is not there or damaged."""
    return next(iter(csa_values(raw, name)), None)


def csa_values(raw: bytes, name: str) -> tuple[float, ...]:
    """All numbers of one entry, () when it is not there or damaged."""
    try:
        return tuple(_numbers(raw, name.encode("ascii")))
    except (struct.error, ValueError):
        return ()


def _numbers(raw: bytes, name: bytes) -> Iterator[float]:
    """After "SV10" and the number of tags: per tag a name of 64 bytes, then items of four lengths and a text."""
    (count,) = struct.unpack_from("<I", raw, 8)
    place = 16
    for _ in range(min(count, _TAGS)):
        tag_name = raw[place : place + 64].split(b"\x00")[0]
        (items,) = struct.unpack_from("<i", raw, place + 76)
        place += 84
        for _ in range(min(max(items, 0), _ITEMS)):
            (length,) = struct.unpack_from("<i", raw, place)
            if not 0 <= length <= len(raw) - place - 16:
                return
            text = raw[place + 16 : place + 16 + length].split(b"\x00")[0].strip()
            if tag_name == name and text:
                yield float(text)
            place += 16 + (length + 3) // 4 * 4
