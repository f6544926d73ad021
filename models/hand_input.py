"""A stack of a hand on its way into the network: one preparation for training and for the node (MODELS.md §5.2).

Grey values are stretched by the percentiles of the stack, planes are resampled to one spacing, and each slice is
equalised by CLAHE. What is larger than the network's input is tiled with half overlap, what is smaller is padded; the
paper cuts at random and says that resizing does not matter, which at inference would lose tumours and sizes.

Legend: volumes `(slices, rows, columns)` float32; channels `(channels, slices, rows, columns)`.
"""

import numpy as np
import numpy.typing as npt

from models.clahe import clahe
from models.hand_card import BEFORE, BEHIND, CLAHE, HandPreprocess
from models.slices import Plan, normalise, plan

Float = npt.NDArray[np.float32]


def plan_of(asked: HandPreprocess, shape: tuple[int, int], spacing: tuple[float, float]) -> Plan:
    """How planes of `shape` at `spacing` (rows, columns; mm) become inputs.

    Raises
    ------
    GeometryError
        The planes would become larger than any network's.
    """
    return plan(shape, spacing, asked.spacing_mm, asked.size)


def prepared(asked: HandPreprocess, volume: Float, placed: Plan) -> Float:
    """The channels of a stack on the grid of the network, padded.

    Parameters
    ----------
    volume
        Any range, finite.

    Returns
    -------
    `(channels, slices, rows, columns)` in 0..1; the padding is 0.
    """
    moved = placed.resampled(normalise(volume))
    return np.stack([_channel(name, asked, moved, placed) for name in asked.channels])


def with_neighbours(slices: int) -> range:
    """The slices of a stack that have one on either side; all of a stack without such.

    How strange the others are is not asked: in place of the neighbour that they lack they see themselves.
    """
    return range(1, slices - 1) if slices > 2 else range(slices)


def _channel(name: str, asked: HandPreprocess, moved: Float, placed: Plan) -> Float:
    """One channel of every slice; beyond the ends of the stack the outermost slice is repeated."""
    if name == CLAHE:
        return _equalised(asked, moved, placed)
    if name == BEFORE:
        return np.concatenate([moved[:1], moved[:-1]])
    if name == BEHIND:
        return np.concatenate([moved[1:], moved[-1:]])
    return moved


def _equalised(asked: HandPreprocess, moved: Float, placed: Plan) -> Float:
    """Each slice equalised within its own borders: padding is no tissue."""
    (top, left), (rows, columns) = placed.corner, placed.plane
    result = np.zeros(moved.shape, dtype=np.float32)
    for index, image in enumerate(moved[:, top : top + rows, left : left + columns]):
        equal = clahe(image, (asked.tile_px, asked.tile_px), asked.clip)
        result[index, top : top + rows, left : left + columns] = equal
    return result
