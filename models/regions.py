"""Connected regions of a mask: which there are, how large they are, and their outlines.

Decisions, each with its test:
* Pixels that touch by a corner belong together (8-connected), as MODELS.md §5.3.3 takes them.
* Holes are filled, and what lies in a hole is swallowed: the mask, the area and the single closed outline of a report
  then describe the same surface.
* Sizes are those of the union of the pixels' squares. The long axis is the largest distance between two of its points,
  the short axis its width across the long axis; both in millimetres when the spacing is known, else in
  widths of a pixel; pixels may be square or not.

Arrays are `(rows, columns)`; points are `(column, row)` with (0.5, 0.5) at the centre of the first pixel
(PS3.3 C.18.6.1.2). The same mask always gives the same answer, point for point.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.findings import Measurement, MeasurementKind, Spacing, SpacingSource, Unit

MAX_REGIONS = 255
"""A mask numbers its regions in uint8."""
MAX_POINTS = 300
"""Of an outline: what a viewer drags along without pain."""
TOLERANCE_PX = 1.0
SLICE_TOLERANCE_PX = 0.5
THIN_TOLERANCE_PX = 0.4
"""By how much an outline may leave the traced one: of a radiograph a pixel is less than one of the screen, of a slice
it is four; below 0.5 a line one pixel wide keeps its surface."""

Points = npt.NDArray[np.float64]

_EIGHT = np.ones((3, 3), dtype=bool)
_EAST, _SOUTH, _WEST, _NORTH = range(4)


@dataclass(frozen=True, slots=True)
class Region:
    """One connected region without holes; `mask` is the part of the image at (`row`, `column`) that holds it."""

    row: int
    column: int
    mask: npt.NDArray[np.bool_]
    pixels: int

    @property
    def box(self) -> tuple[slice, slice]:
        """Where `mask` lies in the image."""
        rows, columns = self.mask.shape
        return slice(self.row, self.row + rows), slice(self.column, self.column + columns)


def regions(mask: npt.NDArray[np.bool_], min_pixels: float) -> tuple[Region, ...]:
    """The regions of at least `min_pixels`, largest first; equal ones from top to bottom, then left to right."""
    window = _window(mask)
    if window is None:
        return ()
    labels, _ = ndimage.label(mask[window], structure=_EIGHT)
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        filled = without_holes(labels[box] == number)
        pixels = int(np.count_nonzero(filled))
        if pixels >= min_pixels:
            found.append(Region(window[0].start + box[0].start, window[1].start + box[1].start, filled, pixels))
    found.sort(key=lambda region: (-region.pixels, region.row, region.column))
    return _without_swallowed(found, mask.shape)[:MAX_REGIONS]


def paint(found: Sequence[Region], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The mask of a result: 0 where nothing is, else the number of the region, from 1 in the order given."""
    if len(found) > MAX_REGIONS:
        raise ValueError(f"{len(found)} regions do not fit a mask of {MAX_REGIONS} numbers")
    numbers = np.zeros(shape, dtype=np.uint8)
    for number, region in enumerate(found, start=1):
        numbers[region.box][region.mask] = number
    return numbers


def measurements(region: Region, spacing: Spacing) -> tuple[Measurement, ...]:
    """Area, long axis and short axis; in mm2 and mm when the spacing is known, else in pixels and their widths."""
    known = spacing.source is not SpacingSource.UNKNOWN
    length, surface = (Unit.MM, Unit.MM2) if known else (Unit.PIXELS, Unit.PIXELS)
    long_axis, short_axis = axes(region, spacing)
    area = region.pixels * (spacing.row_mm * spacing.column_mm if known else 1.0)
    return (
        Measurement(MeasurementKind.AREA, area, surface),
        Measurement(MeasurementKind.LONG_AXIS, long_axis, length),
        Measurement(MeasurementKind.SHORT_AXIS, short_axis, length),
    )


def axes(region: Region, spacing: Spacing) -> tuple[float, float]:
    """Long and short axis in the unit of `spacing`: largest distance, and width across it, of the convex hull."""
    hull = _hull(_row_corners(region.mask) * np.array([spacing.column_mm, spacing.row_mm]))
    gaps = hull[:, None, :] - hull[None, :, :]
    squared = np.einsum("ijk,ijk->ij", gaps, gaps)
    first, second = np.unravel_index(int(np.argmax(squared)), squared.shape)
    long_axis = float(np.sqrt(squared[first, second]))
    along = (hull[second] - hull[first]) / long_axis
    across = hull @ np.array([-along[1], along[0]])
    return long_axis, float(across.max() - across.min())


def outline(
    region: Region, max_points: int = MAX_POINTS, tolerance_px: float = TOLERANCE_PX
) -> npt.NDArray[np.float32]:
    """The outer border as a closed polygon, clockwise on the screen, the first point not repeated.

    Returns
    -------
    (points, 2) float32, `(column, row)`. It runs through the middles of the pixel edges and leaves them by at most
    `tolerance_px`; only where that would take more than `max_points` does it leave them further, by as little as it
    can.
    """
    corners = _trace(region.mask)
    middles = (corners + np.roll(corners, -1, axis=0)) / 2.0
    is_thin = region.pixels < 2 * len(corners)
    points = _simplified(middles, THIN_TOLERANCE_PX if is_thin else tolerance_px, max_points)
    points += np.array([region.column, region.row], dtype=np.float64)
    return points.astype(np.float32)


def _window(mask: npt.NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """The smallest part of the image that holds every pixel of the mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def without_holes(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """`mask` with the background that no path of edge neighbours leads out of filled."""
    labels, count = ndimage.label(np.pad(~mask, 1, constant_values=True))
    if count == 1:
        return mask
    filled: npt.NDArray[np.bool_] = labels[1:-1, 1:-1] != labels[0, 0]
    return filled


def _without_swallowed(found: list[Region], shape: tuple[int, ...]) -> tuple[Region, ...]:
    """Leave out what lies in the filled hole of a larger region."""
    taken = np.zeros(shape, dtype=bool)
    kept = []
    for region in found:
        part = taken[region.box]
        if not (part & region.mask).any():
            part |= region.mask
            kept.append(region)
    return tuple(kept)


def _row_corners(mask: npt.NDArray[np.bool_]) -> Points:
    """Corners of the first and last pixel of every row, without those that can be no corner of the hull."""
    rows = np.flatnonzero(mask.any(axis=1))
    heights = np.stack([rows, rows + 1], axis=1).ravel()
    first = np.repeat(mask[rows].argmax(axis=1), 2)
    last = np.repeat(mask.shape[1] - mask[rows, ::-1].argmax(axis=1), 2)
    left, right = np.stack([first, heights], axis=1), np.stack([last, heights], axis=1)
    return np.concatenate([_without_bays(left, 1), _without_bays(right, -1)]).astype(np.float64)


def _without_bays(chain: npt.NDArray[np.intp], side: int) -> npt.NDArray[np.intp]:
    """A chain from top to bottom without the points that lie between their two neighbours or behind them."""
    while len(chain) > 2:
        before, behind = chain[1:-1] - chain[:-2], chain[2:] - chain[1:-1]
        stands_out = side * (before[:, 0] * behind[:, 1] - before[:, 1] * behind[:, 0]) < 0
        if stands_out.all():
            break
        chain = chain[np.concatenate([[True], stands_out, [True]])]
    return chain


def _hull(points: Points) -> Points:
    """Convex hull by Andrew's monotone chain."""
    ordered = sorted({(float(x), float(y)) for x, y in points})
    halves = []
    for sequence in (ordered, ordered[::-1]):
        chain: list[tuple[float, float]] = []
        for x, y in sequence:
            while len(chain) >= 2 and _turn(chain[-2], chain[-1], (x, y)) <= 0:
                chain.pop()
            chain.append((x, y))
        halves.append(chain[:-1])
    return np.array(halves[0] + halves[1])


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _exits(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Per pixel corner, a bit for each direction in which a border edge leaves it with the region on its right."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    exits = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), dtype=np.uint8)
    exits[:-1, :-1] |= (inside & ~padded[:-2, 1:-1]).astype(np.uint8) << _EAST
    exits[:-1, 1:] |= (inside & ~padded[1:-1, 2:]).astype(np.uint8) << _SOUTH
    exits[1:, 1:] |= (inside & ~padded[2:, 1:-1]).astype(np.uint8) << _WEST
    exits[1:, :-1] |= (inside & ~padded[1:-1, :-2]).astype(np.uint8) << _NORTH
    return exits


def _next_direction(exits: int, direction: int) -> int:
    """Left before straight on before right, so that pixels touching by a corner stay in one outline."""
    for turn in (-1, 0, 1):
        candidate = (direction + turn) % 4
        if exits >> candidate & 1:
            return candidate
    return direction


_TURNS = tuple(tuple(_next_direction(exits, direction) for direction in range(4)) for exits in range(16))


def _trace(mask: npt.NDArray[np.bool_]) -> Points:
    """Every corner on the way around a region without holes, from the top left one."""
    exits = _exits(mask)
    width = exits.shape[1]
    start = int(np.argmax(exits.ravel() != 0))
    bits = exits.tobytes()
    step = (1, width, -1, -width)
    direction, position = _EAST, start
    visited = []
    while True:
        visited.append(position)
        position += step[direction]
        if position == start:
            break
        direction = _TURNS[bits[position]][direction]
    rows, columns = np.divmod(np.array(visited), width)
    return np.stack([columns, rows], axis=1).astype(np.float64)


def _simplified(points: Points, tolerance: float, max_points: int) -> Points:
    """Douglas-Peucker on a closed polygon, worst piece first, until all are within `tolerance` or points run out."""
    far = int(np.argmax(np.sum((points - points[0]) ** 2, axis=1)))
    closed = np.concatenate([points, points[:1]])
    kept = {0, far}
    pieces = [_piece(closed, 0, far), _piece(closed, far, len(points))]
    heapq.heapify(pieces)
    while len(kept) < max_points and -pieces[0][0] > tolerance:
        _, first, worst, last = heapq.heappop(pieces)
        kept.add(worst)
        heapq.heappush(pieces, _piece(closed, first, worst))
        heapq.heappush(pieces, _piece(closed, worst, last))
    return points[sorted(kept)]


def _piece(closed: Points, first: int, last: int) -> tuple[float, int, int, int]:
    """Minus the largest distance of the points between `first` and `last` from their chord, and where it is."""
    if last - first < 2:
        return 0.0, first, first, last
    x, y = (closed[first + 1 : last] - closed[first]).T
    along_x, along_y = (closed[last] - closed[first]).tolist()
    squared = along_x * along_x + along_y * along_y
    if squared:
        share = np.clip((x * along_x + y * along_y) / squared, 0.0, 1.0)
        x, y = x - share * along_x, y - share * along_y
    distance = x * x + y * y
    worst = int(distance.argmax())
    return -math.sqrt(distance[worst]), first, first + 1 + worst, last
