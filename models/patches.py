"""The windows of the patch model and how their answers become one (knee-seg-unet §2.3, appendix B.3).

A card has one of two kinds of windows. Nine windows of half the sides show any image at twice the resolution of the
global network. Windows of so many pixels slide over the image at its own resolution, as the paper's of 416 do, and
where a side of the image is shorter than a window, black is put behind its end. The paper has windows overlap and
gives no stride; both kinds overlap by half.

Legend: maps are `(rows, columns)` probabilities of tumour; classes are `(windows, 3)`: normal, benign, malignant.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.pixels import Float, resize

Window = tuple[int, int, int, int]
"""First row, end row, first column, end column; ends excluded, and beyond the image where it is padded."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """Which windows the patch network sees of an image, and the grid on which its maps of them meet."""

    places: tuple[Window, ...]
    """In pixels of the image."""
    grid: tuple[int, int]
    """Rows and columns; the grid covers the image."""
    on_grid: tuple[Window, ...]
    """The same windows, in cells of the grid."""


def tiling(shape: tuple[int, int], size: tuple[int, int], window_px: int | None) -> Tiling:
    """The windows of an image of `shape` for a network of the input `size`.

    Parameters
    ----------
    window_px
        The side of windows that slide over the image, whose own grid is then that of the maps; None for windows of half
        the sides, whose maps meet on a grid of twice the input.
    """
    if window_px is not None:
        places = tuple(sliding(*shape, window_px))
        return Tiling(places, shape, places)
    grid = (2 * size[0], 2 * size[1])
    return Tiling(tuple(windows(*shape)), grid, tuple(windows(*grid)))


def windows(rows: int, columns: int) -> list[Window]:
    """Windows of half the side with half overlap, left to right and top to bottom, every pixel in at least one.

    The last of a row or column is shifted back to the edge. From 4 pixels on there are always 3 x 3, so the windows of
    an image and those of a coarser grid of it correspond one to one.
    """
    height, width = (rows + 1) // 2, (columns + 1) // 2
    return _places((rows, columns), (height, width), (_half(rows - height), _half(columns - width)))


def sliding(rows: int, columns: int, side: int) -> list[Window]:
    """Windows of `side` x `side` pixels with half overlap, in the same order, the last shifted back to the edge.

    Along an axis that is shorter than a window there is one, which reaches beyond the end of the image.
    """
    return _places((rows, columns), (side, side), (_half(side), _half(side)))


def cut(image: Float, place: Window, size: tuple[int, int]) -> Float:
    """What a window shows, black beyond the image, brought to the input size of a network."""
    top, bottom, left, right = place
    part = image[top:bottom, left:right]
    short = (bottom - top - part.shape[0], right - left - part.shape[1])
    return resize(np.pad(part, ((0, short[0]), (0, short[1]))) if any(short) else part, size)


def lay(canvas: Float, one: Float, place: Window) -> None:
    """Raise the canvas to the map of a window, of any size, where that is higher; what is beyond the canvas is lost."""
    top, bottom, left, right = place
    part = canvas[top:bottom, left:right]
    spread = resize(one, (bottom - top, right - left))
    np.maximum(part, spread[: part.shape[0], : part.shape[1]], out=part)


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


def _places(shape: tuple[int, int], size: tuple[int, int], steps: tuple[int, int]) -> list[Window]:
    (height, width), (down, across) = size, steps
    return [
        (top, top + height, left, left + width)
        for top in _starts(shape[0], height, down)
        for left in _starts(shape[1], width, across)
    ]


def _half(length: int) -> int:
    return max(1, (length + 1) // 2)


def _starts(length: int, size: int, step: int) -> list[int]:
    last = max(0, length - size)
    return [*range(0, last, step), last]
