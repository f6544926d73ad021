"""From the coarse grid of a network back to the source grid, exactly as large as the source.

A probability is interpolated linearly between the centres of the coarse cells and then cut, so that a border does not
show the cells. Done in strips and only where a cell reaches the threshold: an image of 12 million pixels needs no map
of 12 million numbers.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_STRIP_PIXELS = 1 << 18

Float = npt.NDArray[np.float32]
Part = tuple[slice, slice]
"""Rows and columns of the source."""


def mask_on(probability: Float, shape: tuple[int, int], threshold: float) -> npt.NDArray[np.bool_]:
    """Where the interpolated probability is at least `threshold`.

    Parameters
    ----------
    probability
        `(rows, columns)` of the coarse grid; both grids cover the same surface.
    shape
        Rows and columns of the source.
    """
    mask = np.zeros(shape, dtype=bool)
    for part in _parts(probability >= threshold, shape):
        mask[part] = _interpolated(probability, shape, part) >= threshold
    return mask


def spread_on(coarse: Float, shape: tuple[int, int]) -> Float:
    """A map of the coarse grid interpolated as `mask_on` does, on every pixel of the source."""
    spread = np.empty(shape, dtype=np.float32)
    for part in _strips(shape):
        spread[part] = _interpolated(coarse, shape, part)
    return spread


def likeliest_on(coarse: Float, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """For every pixel of the source, which of several interpolated maps is highest; the first of equals.

    Where the first map is highest in all cells around a pixel it is so at the pixel, and nothing is interpolated.

    Parameters
    ----------
    coarse
        `(maps, rows, columns)`.
    """
    likeliest = np.zeros(shape, dtype=np.uint8)
    for part in _parts(coarse.argmax(axis=0) > 0, shape):
        highest = _interpolated(coarse[0], shape, part)
        for number, one in enumerate(coarse[1:], start=1):
            values = _interpolated(one, shape, part)
            likeliest[part][values > highest] = number
            np.maximum(highest, values, out=highest)
    return likeliest


def nearest_on(mask: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """A mask of the source at the centres of the cells of a grid of this shape."""
    down, across = (
        ((np.arange(cells) + 0.5) * length / cells).astype(np.intp)
        for cells, length in zip(shape, mask.shape, strict=True)
    )
    found: npt.NDArray[np.bool_] = mask[np.ix_(down, across)]
    return found


def _parts(hit: npt.NDArray[np.bool_], shape: tuple[int, int]) -> Iterator[Part]:
    """Strips of the source, each as wide as what the cells hit can reach in it."""
    for rows, columns in _strips(shape):
        above, below, _ = _neighbours(len(hit), shape[0], (rows.start, rows.stop))
        cells = np.flatnonzero(hit[above[0] : below[-1] + 1].any(axis=0))
        if cells.size:  # interpolation looks one cell further
            scale = shape[1] / hit.shape[1]
            first, end = int((cells[0] - 1) * scale), int(np.ceil((cells[-1] + 2) * scale))
            yield rows, slice(max(0, first), min(columns.stop, end))


def _strips(shape: tuple[int, int]) -> Iterator[Part]:
    height = max(1, _STRIP_PIXELS // shape[1])
    for first in range(0, shape[0], height):
        yield slice(first, min(first + height, shape[0])), slice(0, shape[1])


def _interpolated(coarse: Float, shape: tuple[int, int], part: Part) -> Float:
    """The pixels of the source in `part`."""
    down_part, across_part = part
    above, below, down = _neighbours(coarse.shape[0], shape[0], (down_part.start, down_part.stop))
    left, right, across = _neighbours(coarse.shape[1], shape[1], (across_part.start, across_part.stop))
    lines = coarse[above] * (1 - down[:, None]) + coarse[below] * down[:, None]
    return np.asarray(lines[:, left] * (1 - across) + lines[:, right] * across, dtype=np.float32)


def _neighbours(
    cells: int, length: int, part: tuple[int, int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Float]:
    """For each source line of `part`: the coarse lines before and behind its centre, and the share of the second."""
    centres = (np.arange(*part) + 0.5) * (cells / length) - 0.5
    centres = np.clip(centres, 0.0, cells - 1.0)
    before = np.floor(centres).astype(np.intp)
    behind = np.minimum(before + 1, cells - 1)
    return before, behind, (centres - before).astype(np.float32)
