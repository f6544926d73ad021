"""Reads a PDF file of ours as a stranger would: by its table of objects and the operators of its page."""

import re
import zlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Told(NamedTuple):
    """One line of text on a page, and how large it is written."""

    words: str
    size: float
    left: float
    bottom: float


def objects_of(file: bytes) -> dict[int, bytes]:
    """The objects by number, each where the table says it is."""
    assert file.startswith(b"%PDF-1.4")
    start = int(file[file.rindex(b"startxref") :].split()[1])
    assert file[start:].startswith(b"xref\n0 ")
    lines = file[start:].split(b"\n")
    count = int(lines[1].split()[1])
    found = {}
    for number in range(1, count):
        place = int(lines[2 + number].split()[0])
        assert file[place:].startswith(b"%d 0 obj\n" % number)
        found[number] = file[place : file.index(b"\nendobj", place)].partition(b" obj\n")[2]
    return found


def stream_of(body: bytes) -> bytes:
    """What a stream holds."""
    length = int(re.search(rb"/Length (\d+)", body).group(1))  # type: ignore[union-attr]
    start = body.index(b"stream\n") + len(b"stream\n")
    return zlib.decompress(body[start : start + length])


def told(file: bytes) -> list[Told]:
    """Every line of text in the order in which it is drawn."""
    page = stream_of(objects_of(file)[4]).decode("cp1252")
    pattern = r"/F\d ([\d.]+) Tf ([-\d.]+) ([-\d.]+) Td \(((?:[^\\()]|\\.)*)\) Tj"
    return [
        Told(re.sub(r"\\(.)", r"\1", words), float(size), float(left), float(bottom))
        for size, left, bottom, words in re.findall(pattern, page)
    ]


def words(file: bytes) -> list[str]:
    """Only the words."""
    return [line.words for line in told(file)]


def pictures(file: bytes) -> list[npt.NDArray[np.uint8]]:
    """The pictures, `(rows, columns, 3)`."""
    found = []
    for body in objects_of(file).values():
        if b"/Subtype /Image" in body:
            columns, rows = (int(re.search(rb"/%s (\d+)" % key, body).group(1)) for key in (b"Width", b"Height"))  # type: ignore[union-attr]
            found.append(np.frombuffer(stream_of(body), np.uint8).reshape(rows, columns, 3))
    return found
