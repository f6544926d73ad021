"""Sliding windows of the patch model and how their answers become one (knee-seg-unet, appendix B.3).

Legend: maps are `(windows, rows, columns)` probabilities of tumour; classes are `(windows, 3)`: normal, benign,
malignant.
"""

import numpy as np
import numpy.typing as npt

from models.pixels import Float, resize

Window = tuple[int, int, int, int]
"""First row, end row, first column, end column; ends excluded."""


def windows(rows: int, columns: int) -> list[Window]:
    """Windows of half the side with half overlap, left to right and top to bottom, every pixel in at least one.

    The last of a row or column is shifted back to the edge. From 4 pixels on there are always 3 x 3, so the windows of
    an image and those of a coarser grid of it correspond one to one.
    """
    tops, height = _starts(rows)
    lefts, width = _starts(columns)
    return [(top, top + height, left, left + width) for top in tops for left in lefts]


def merge(maps: Float, shape: tuple[int, int]) -> Float:
    """The highest tumour probability that any window gives a pixel.

    Parameters
    ----------
    maps
        `(windows, rows, columns)`, one for each of `windows(*shape)`, on any grid. On a grid of 512 x 512 the maps of a
        256 x 256 network fit without resampling.
    shape
        Rows and columns of the result.

    Raises
    ------
    ValueError
        When there are not as many maps as windows.
    """
    places = windows(*shape)
    if len(places) != len(maps):
        raise ValueError(
            f"{len(maps)} maps for the {len(places)} windows of {shape[0]} x {shape[1]} pixels; give one each."
        )
    canvas = np.zeros(shape, dtype=np.float32)
    for one, (top, bottom, left, right) in zip(maps, places, strict=True):
        part = canvas[top:bottom, left:right]
        np.maximum(part, resize(one, (bottom - top, right - left)), out=part)
    return canvas


def merge_classes(classes: npt.NDArray[np.floating], holds_tumour: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The classes of the whole image: per class the highest over windows that hold tumour, or over all if none does.

    Parameters
    ----------
    classes
        `(windows, 3)` probabilities.
    holds_tumour
        `(windows,)`: whether the window's mask has a tumour in it.

    Returns
    -------
    `(3,)`, sums to 1.
    """
    chosen = classes[holds_tumour] if holds_tumour.any() else classes
    highest: npt.NDArray[np.float64] = chosen.max(axis=0).astype(np.float64)
    highest /= highest.sum()
    return highest


def _starts(length: int) -> tuple[list[int], int]:
    size = (length + 1) // 2
    last = length - size
    step = max(1, (last + 1) // 2)
    starts = list(range(0, last, step))
    return [*starts, last], size
