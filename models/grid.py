"""From the coarse grid of a network back to the source grid, exactly as large as the source.

A probability is interpolated linearly between the centres of the coarse cells and then cut, so that a border does not
show the cells. Done in strips and only where a cell reaches the threshold: an image of 12 million pixels needs no map
of 12 million numbers.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_STRIP_PIXELS = 1 << 20

Float = npt.NDArray[np.float32]


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
    hit = probability >= threshold
    rows = _reached(np.flatnonzero(hit.any(axis=1)), shape[0] / len(hit), shape[0])
    columns = _reached(np.flatnonzero(hit.any(axis=0)), shape[1] / hit.shape[1], shape[1])
    if rows is None or columns is None:
        return mask
    above, below, down = _neighbours(probability.shape[0], shape[0], rows)
    left, right, across = _neighbours(probability.shape[1], shape[1], columns)
    height = max(1, _STRIP_PIXELS // len(across))
    for first in range(0, len(down), height):
        part = slice(first, first + height)
        share = down[part, None]
        lines = probability[above[part]] * (1 - share) + probability[below[part]] * share
        values = lines[:, left] * (1 - across) + lines[:, right] * across
        mask[rows[0] + first : rows[0] + first + len(values), columns[0] : columns[1]] = values >= threshold
    return mask


def spread_on(coarse: Float, shape: tuple[int, int]) -> Float:
    """A map of the coarse grid interpolated as `mask_on` does, on every pixel of the source."""
    spread = np.empty(shape, dtype=np.float32)
    for part in _strips(shape):
        spread[part] = _interpolated(coarse, shape, part)
    return spread


def likeliest_on(coarse: Float, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """For every pixel of the source, which of several interpolated maps is highest; the first of equals.

    Parameters
    ----------
    coarse
        `(maps, rows, columns)`.
    """
    likeliest = np.zeros(shape, dtype=np.uint8)
    for part in _strips(shape):
        highest = _interpolated(coarse[0], shape, part)
        for number, one in enumerate(coarse[1:], start=1):
            values = _interpolated(one, shape, part)
            likeliest[part][values > highest] = number
            np.maximum(highest, values, out=highest)
    return likeliest


def _strips(shape: tuple[int, int]) -> Iterator[slice]:
    height = max(1, _STRIP_PIXELS // shape[1])
    return (slice(first, min(first + height, shape[0])) for first in range(0, shape[0], height))


def _interpolated(coarse: Float, shape: tuple[int, int], part: slice) -> Float:
    """The source lines of `part`."""
    above, below, down = _neighbours(coarse.shape[0], shape[0], (part.start, part.stop))
    left, right, across = _neighbours(coarse.shape[1], shape[1], (0, shape[1]))
    lines = coarse[above] * (1 - down[:, None]) + coarse[below] * down[:, None]
    return np.asarray(lines[:, left] * (1 - across) + lines[:, right] * across, dtype=np.float32)


def _reached(cells: npt.NDArray[np.intp], scale: float, length: int) -> tuple[int, int] | None:
    """First and end index of the source that the hit cells can reach: interpolation looks one cell further."""
    if cells.size == 0:
        return None
    return max(0, int(np.floor((cells[0] - 1) * scale))), min(length, int(np.ceil((cells[-1] + 2) * scale)))


def _neighbours(
    cells: int, length: int, part: tuple[int, int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Float]:
    """For each source line of `part`: the coarse lines before and behind its centre, and the share of the second."""
    centres = (np.arange(*part) + 0.5) * (cells / length) - 0.5
    centres = np.clip(centres, 0.0, cells - 1.0)
    before = np.floor(centres).astype(np.intp)
    behind = np.minimum(before + 1, cells - 1)
    return before, behind, (centres - before).astype(np.float32)
