"""Display shutters (PS3.3 C.7.6.11): the part of a radiograph that is open.

Edges and vertices are counted from 1. A pixel on an edge is open; of several shapes, what all of them leave open.
A shutter that would hide nearly everything, or that is no shape at all, is not believed.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models.encoded import READING_FAULTS

MIN_OPEN = 0.01
"""A shutter that leaves less than this share of the image open is an error of the writer."""

Mask = npt.NDArray[np.bool_]


def open_area(ds: Dataset, rows: int, columns: int, notes: list[str]) -> Mask | None:
    """True where the shutters leave the image open; None when there is no usable shutter."""
    shapes = {"RECTANGULAR": _rectangle, "CIRCULAR": _circle, "POLYGONAL": _polygon}
    area: Mask | None = None
    for name in _texts(ds, "ShutterShape"):
        if name not in shapes:
            continue
        try:
            shape = shapes[name](ds, rows, columns)
        except READING_FAULTS:
            notes.append(f"The {name} shutter (0018,1600) was not used: its edges are no usable numbers.")
            continue
        area = shape if area is None else area & shape
    if area is None or area.all():
        return None
    if np.count_nonzero(area) < MIN_OPEN * area.size:
        notes.append("The shutter (0018,1600) was not used: it would hide nearly the whole image.")
        return None
    return area


def _rectangle(ds: Dataset, rows: int, columns: int) -> Mask:
    left, right = _number(ds, "ShutterLeftVerticalEdge"), _number(ds, "ShutterRightVerticalEdge")
    upper, lower = _number(ds, "ShutterUpperHorizontalEdge"), _number(ds, "ShutterLowerHorizontalEdge")
    inside = np.zeros((rows, columns), dtype=bool)
    inside[max(0, upper - 1) : max(0, lower), max(0, left - 1) : max(0, right)] = True
    return inside


def _circle(ds: Dataset, rows: int, columns: int) -> Mask:
    row, column = _numbers(ds, "CenterOfCircularShutter")
    radius = _number(ds, "RadiusOfCircularShutter")
    down, across = np.ogrid[1.0 : rows + 1, 1.0 : columns + 1]
    return np.asarray((down - row) ** 2 + (across - column) ** 2 <= float(radius) ** 2)


def _polygon(ds: Dataset, rows: int, columns: int) -> Mask:
    """Even-odd fill; vertices are `row, column` pairs."""
    flat = _numbers(ds, "VerticesOfThePolygonalShutter")
    if len(flat) < 6 or len(flat) % 2:
        raise ValueError("a polygon has at least three vertices")
    vertices = np.array(flat, dtype=np.float64).reshape(-1, 2)
    down, across = vertices[:, 0], vertices[:, 1]
    next_down, next_across = np.roll(down, -1), np.roll(across, -1)
    inside = np.zeros((rows, columns), dtype=bool)
    grid = np.arange(1, columns + 1)
    for row in range(1, rows + 1):
        cut = (down <= row) != (next_down <= row)
        share = (row - down[cut]) / (next_down[cut] - down[cut])
        edges = np.sort(across[cut] + share * (next_across[cut] - across[cut]))
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            inside[row - 1] |= (grid >= first) & (grid <= last)
    return inside


def _number(ds: Dataset, keyword: str) -> int:
    (value,) = _numbers(ds, keyword)
    return value


def _numbers(ds: Dataset, keyword: str) -> list[int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = ds.get(keyword)
    several = isinstance(value, Sequence) and not isinstance(value, str)
    return [int(each) for each in (value if several else [value])]


def _texts(ds: Dataset, keyword: str) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = ds.get(keyword) or []
        except READING_FAULTS:
            return []
    several = isinstance(value, Sequence) and not isinstance(value, str)
    return [str(each).strip().upper() for each in (value if several else [value])]
