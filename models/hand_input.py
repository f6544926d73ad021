"""The series of a hand on their way into the network: one preparation for training and for the node (MODELS.md §5.2).

Grey values are stretched by the percentiles of the stack, planes are resampled to one spacing, and each slice is
equalised by CLAHE. What is larger than the network's input is tiled with half overlap, what is smaller is padded; the
paper cuts at random and says that resizing does not matter, which at inference would lose tumours and sizes.

A network may be shown beside a series its companions: the other series of the hand, by their weighting, where they lie
at the place of this one. A tumour that one weighting hides another shows, and which kind it is only several say.

Legend: volumes `(slices, rows, columns)` float32; channels `(channels, slices, rows, columns)`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.clahe import clahe
from models.hand_card import BEFORE, BEHIND, CLAHE, PLAIN, HandPreprocess
from models.slices import Plan, normalise, plan
from models.volume import Grid

Float = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """One series as it comes."""

    voxels: Float
    """Any range, finite."""
    spacing: tuple[float, float]
    """Between rows and between columns, mm."""
    role: str = ""
    """Its weighting, by the name of the model's input (`models.hand_card.COMPANIONS`)."""
    grid: Grid | None = None
    """Where it lies; None where nobody knows: then it is alone."""
    frame: str = ""
    """Frame of Reference UID: the places of stacks of different frames say nothing of each other."""


def plan_of(asked: HandPreprocess, shape: tuple[int, int], spacing: tuple[float, float]) -> Plan:
    """How planes of `shape` at `spacing` (rows, columns; mm) become inputs.

    Raises
    ------
    GeometryError
        The planes would become larger than any network's.
    """
    return plan(shape, spacing, asked.spacing_mm, asked.size)


def prepared(asked: HandPreprocess, stacks: Sequence[Stack]) -> Iterator[tuple[Plan, Float]]:
    """The channels of each of the series of a hand, on the grid of the network, padded.

    Yields
    ------
    The plan of its planes, and `(channels, slices, rows, columns)` in 0..1; the padding is 0.

    Raises
    ------
    GeometryError
        As `plan_of`.
    """
    moved = [_moved(asked, each) for each in stacks]
    for own in moved:
        yield own.way, np.stack([_channel(name, asked, own, moved) for name in asked.channels])


def with_neighbours(slices: int) -> range:
    """The slices of a stack that have one on either side; all of a stack without such.

    How strange the others are is not asked: in place of the neighbour that they lack they see themselves.
    """
    return range(1, slices - 1) if slices > 2 else range(slices)


@dataclass(frozen=True, slots=True, eq=False)
class _Moved:
    """A series on the grid of the network."""

    stack: Stack
    way: Plan
    values: Float


def _moved(asked: HandPreprocess, stack: Stack) -> _Moved:
    way = plan_of(asked, (stack.voxels.shape[1], stack.voxels.shape[2]), stack.spacing)
    return _Moved(stack, way, way.resampled(normalise(stack.voxels)))


def _channel(name: str, asked: HandPreprocess, own: _Moved, everyone: Sequence[_Moved]) -> Float:
    """One channel of every slice; beyond the ends of the stack the outermost slice is repeated."""
    values = own.values
    if name == CLAHE:
        return _equalised(asked, values, own.way)
    if name == PLAIN or name == own.stack.role:
        return values
    if name == BEFORE:
        return np.concatenate([values[:1], values[:-1]])
    if name == BEHIND:
        return np.concatenate([values[1:], values[-1:]])
    return _companion(name, own, everyone)


def _companion(role: str, own: _Moved, everyone: Sequence[_Moved]) -> Float:
    """The mean of the series of a weighting where this one lies; 0 where none of them lies, or there is none."""
    total, shares = np.zeros(own.values.shape, dtype=np.float32), np.zeros(own.values.shape, dtype=np.float32)
    for other in everyone:
        if other.stack.role != role or own.stack.frame != other.stack.frame:
            continue
        if own.stack.grid is None or other.stack.grid is None:
            continue
        matrix, offset = between(own.way, own.stack.grid, other.way, other.stack.grid)
        for values, sum_ in ((other.values, total), (shown(other.way, len(other.values)).astype(np.float32), shares)):
            sum_ += ndimage.affine_transform(
                values, matrix, offset, output_shape=total.shape, order=1, mode="grid-constant"
            )
    return np.asarray(np.where(shares > 0.5, total / np.maximum(shares, 0.5), 0.0), dtype=np.float32)


def shown(way: Plan, slices: int) -> npt.NDArray[np.bool_]:
    """Where the padded grid of the network shows the series: not in its padding."""
    (top, left), (rows, columns) = way.corner, way.plane
    inside = np.zeros((slices, *way.padded), dtype=np.bool_)
    inside[:, top : top + rows, left : left + columns] = True
    return inside


def between(way: Plan, grid: Grid, other_way: Plan, other: Grid) -> tuple[Matrix, Matrix]:
    """The linear map from voxels of one network's grid to those of another's, `matrix @ index + offset`."""
    scale, shift = _to_source(way)
    back, back_shift = _to_source(other_way)
    spacing, other_spacing = np.array(grid.spacing), np.array(other.spacing)
    turn = (other.directions @ grid.directions.T) * spacing / other_spacing[:, None]
    start = other.directions @ (grid.origin - other.origin) / other_spacing
    matrix = turn * scale / back[:, None]
    offset = (turn @ shift + start - back_shift) / back
    return matrix, offset


def _to_source(way: Plan) -> tuple[Matrix, Matrix]:
    """Scale and shift from voxels of the network's padded grid to those of the source: `scale * index + shift`."""
    scale = np.array([1.0, *(whole / part for whole, part in zip(way.source, way.plane, strict=True))])
    corner = np.array([0.0, *way.corner])
    return scale, np.array([0.0, *((0.5 - corner[1:]) * scale[1:] - 0.5)])


def _equalised(asked: HandPreprocess, moved: Float, placed: Plan) -> Float:
    """Each slice equalised within its own borders: padding is no tissue."""
    (top, left), (rows, columns) = placed.corner, placed.plane
    result = np.zeros(moved.shape, dtype=np.float32)
    for index, image in enumerate(moved[:, top : top + rows, left : left + columns]):
        equal = clahe(image, (asked.tile_px, asked.tile_px), asked.clip)
        result[index, top : top + rows, left : left + columns] = equal
    return result
