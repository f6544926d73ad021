"""In which direction an image is weighted for diffusion, in the dialects of the vendors (DICOM.md §3.2).

A direction is a unit vector. In which coordinates, differs between vendors and is of no consequence here: directions of
one series are only compared with one another.
"""

import math
from collections.abc import Iterator, Sequence

from node.facts.csa import csa_header, csa_values
from node.facts.values import Reader

Direction = tuple[float, float, float]

SAME = 0.999
"""Cosine between two measurements of one direction; 256 directions on half a sphere lie three times as far apart."""
LEAST = 3
"""Directions that an average needs."""
_LENGTH = 0.1
"""By which a unit vector may be too long or too short; GE keeps other numbers in its elements where none is weighted.
"""
_LEAST_EVENNESS = 0.1
_GE, _PHILIPS = (0xBB, 0xBC, 0xBD), (0xB0, 0xB1, 0xB2)
_AXES = {"M": (1.0, 0.0, 0.0), "P": (0.0, 1.0, 0.0), "S": (0.0, 0.0, 1.0)}
"""Philips: along measurement, preparation (phase) and slice."""


def direction_of(reader: Reader, is_epi: bool) -> Direction | None:
    """The direction that an image or a functional group states: the public one, else that of the vendor."""
    return next((found for numbers in _stated(reader, is_epi) if (found := _unit(numbers))), None)


def directionality_of(reader: Reader) -> str:
    """What vendors say in place of *Diffusion Directionality* (0018,9075): ISOTROPIC, DIRECTIONAL, NONE or nothing."""
    letter = _philips_letter(reader)
    if letter:
        return {"I": "ISOTROPIC", "N": "NONE"}.get(letter, "DIRECTIONAL")
    siemens = reader.private(0x0019, "SIEMENS MR HEADER", 0x0D, "SIEMENS")
    return reader.term(siemens) if siemens is not None else ""


def is_same(one: Direction, other: Direction) -> bool:
    """Whether both are one direction, measured twice; the opposite one is another."""
    return sum(a * b for a, b in zip(one, other, strict=True)) >= SAME


def are_even(directions: Sequence[Direction]) -> bool:
    """Whether an average over them tells of the whole space, and not of a plane or a line in it.

    Of directions that lie evenly the mean of their squares (g times g transposed) is a third of the unit matrix, with a
    determinant of 1/27; the share of that is asked.
    """
    a, b, c, d, e, f = (
        sum(g[row] * g[column] for g in directions) / len(directions)
        for row, column in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    )
    determinant = a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)
    return 27.0 * determinant >= _LEAST_EVENNESS


def _stated(reader: Reader, is_epi: bool) -> Iterator[tuple[float, ...]]:
    yield from _public(reader)
    if diffusion := reader.item("MRDiffusionSequence"):
        yield from _public(diffusion)
    for group, creator, element, maker in (
        (0x0019, "SIEMENS MR HEADER", 0x0E, "SIEMENS"),
        (0x0065, "Image Private Header", 0x37, "UIH"),
    ):
        tag = reader.private(group, creator, element, maker)
        if tag is not None:
            yield reader.numbers(tag, "FD")
    yield csa_values(csa_header(reader), "DiffusionGradientDirection")
    yield _parts(reader, 0x2005, "Philips MR Imaging DD 001", _PHILIPS, "FL", "PHILIPS")
    if is_epi:
        yield _parts(reader, 0x0019, "GEMS_ACQU_01", _GE, "DS", "GE ")
    yield _AXES.get(_philips_letter(reader), ())


def _public(reader: Reader) -> Iterator[tuple[float, ...]]:
    """*Diffusion Gradient Orientation* (0018,9089): of a single-frame image, and of the MR Diffusion macro (PS3.3
    C.8.13.5.9)."""
    yield reader.numbers("DiffusionGradientOrientation")
    if item := reader.item("DiffusionGradientDirectionSequence"):
        yield item.numbers("DiffusionGradientOrientation")


def _parts(reader: Reader, group: int, creator: str, elements: Sequence[int], vr: str, maker: str) -> tuple[float, ...]:
    """A vector of which each number has an element of its own."""
    tags = [reader.private(group, creator, element, maker) for element in elements]
    found = [None if tag is None else reader.number(tag, vr) for tag in tags]
    return tuple(number for number in found if number is not None)


def _philips_letter(reader: Reader) -> str:
    """(2001,1004): I is isotropic, N none, the rest (P, M, S, O) are directions."""
    tag = reader.private(0x2001, "Philips Imaging DD 001", 0x04)
    return reader.term(tag)[:1] if tag is not None else ""


def _unit(numbers: Sequence[float]) -> Direction | None:
    """A vector of length 1; None of none, as b = 0 has it."""
    length = math.hypot(*numbers) if len(numbers) == 3 else 0.0
    if abs(length - 1.0) > _LENGTH:
        return None
    x, y, z = numbers
    return x / length, y / length, z / length
