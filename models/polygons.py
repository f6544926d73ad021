"""Fills polygons: a pixel is inside where its centre is, and holes are what an even number of outlines surround.

Legend: polygons `(points, 2)` of (column, row), in units of pixels, with the centre of the first pixel at (0, 0).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


def filled(polygons: Sequence[Points], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The pixels inside, by the even-odd rule over all polygons together.

    An outline within another one cuts a hole; one that goes to a hole and back along the same line does so too. A
    centre on an outline belongs to the pixel right of and below it, so that neighbours share no pixel and leave none.

    Parameters
    ----------
    shape
        `(rows, columns)` of the plane; what lies outside of it is cut off.
    """
    mask = np.zeros(shape, dtype=np.bool_)
    starts = [points for points in polygons if len(points) >= 3]
    if not starts:
        return mask
    begin = np.concatenate(starts)
    end = np.concatenate([np.roll(points, -1, axis=0) for points in starts])
    low, high = np.minimum(begin[:, 1], end[:, 1]), np.maximum(begin[:, 1], end[:, 1])
    columns = np.arange(shape[1])
    first, last = max(0, int(np.ceil(low.min()))), min(shape[0] - 1, int(np.floor(high.max())))
    for row in range(first, last + 1):
        crossed = (low <= row) & (row < high)
        one, other = begin[crossed], end[crossed]
        share = (row - one[:, 1]) / (other[:, 1] - one[:, 1])
        places = np.sort(one[:, 0] + share * (other[:, 0] - one[:, 0]))
        mask[row] = np.searchsorted(places, columns, side="right") % 2 == 1
    return mask
