"""What the two networks of the spine system see of a sequence: one set of functions for training and service. Pure.

Grey values are those of models.slices.normalise. The detector sees each slice, brought as a whole to the input's size
with its proportions kept and zeros around it. The classifier sees one box cut out of several slices, stretched to a
square (spine-wff, "Sequence classification model").

Legend: stacks are `(slices, rows, columns)`; a box is left, top, right, bottom in pixels, 0 the outer edge of the first
pixel.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.pixels import resize

Float = npt.NDArray[np.float32]
Box = npt.NDArray[np.float64]

CROP = 112
"""Rows and columns of what the classifier sees."""
SLICES = 16
"""N of the paper."""
LEAST_SIDE_PX = 2.0
"""A box is widened to this before it is cut out."""


class Fit(NamedTuple):
    """How an image lies in an input: pixels of the input per pixel of the image, and where the image begins."""

    scale: float
    left: float
    top: float

    def into(self, boxes: npt.NDArray[np.floating]) -> Box:
        """Boxes `(n, 4)` of the image as boxes of the input."""
        return np.asarray(boxes, dtype=np.float64) * self.scale + (self.left, self.top, self.left, self.top)

    def back(self, boxes: npt.NDArray[np.floating], shape: tuple[int, int]) -> Box:
        """Boxes `(n, 4)` of the input as boxes of the image of `shape`, cut at its borders."""
        found = (np.asarray(boxes, dtype=np.float64) - (self.left, self.top, self.left, self.top)) / self.scale
        return np.clip(found, 0.0, (shape[1], shape[0], shape[1], shape[0]))


def fit_of(shape: tuple[int, int], size: tuple[int, int]) -> Fit:
    """How an image of `shape` lies in an input of `size`, rows and columns: as large as it can, in the middle."""
    scale = min(size[0] / shape[0], size[1] / shape[1])
    rows, columns = _whole(shape, scale)
    return Fit(scale, (size[1] - columns) // 2, (size[0] - rows) // 2)


def fitted(image: Float, size: tuple[int, int]) -> Float:
    """One slice as the detector sees it."""
    fit = fit_of((image.shape[0], image.shape[1]), size)
    rows, columns = _whole((image.shape[0], image.shape[1]), fit.scale)
    seen = np.zeros(size, dtype=np.float32)
    seen[int(fit.top) : int(fit.top) + rows, int(fit.left) : int(fit.left) + columns] = resize(image, (rows, columns))
    return seen


def repeated(slices: Sequence[int], wanted: int = SLICES) -> tuple[int, ...]:
    """`wanted` of the given slices, in their order: the middle ones of more, each repeated of fewer."""
    if not slices:
        raise ValueError("no slice was given, so none can be repeated")
    if len(slices) > wanted:
        first = (len(slices) - wanted) // 2
        return tuple(slices[first : first + wanted])
    return tuple(slices[place * len(slices) // wanted] for place in range(wanted))


def crop(stack: npt.NDArray[np.number], box: Sequence[float] | Box, slices: Sequence[int]) -> Float:
    """`(len(slices), 112, 112)`: one box cut out of the given slices and stretched, its borders cut at the image's."""
    rows, columns = stack.shape[1:]
    left, right = _edges(float(box[0]), float(box[2]), columns)
    top, bottom = _edges(float(box[1]), float(box[3]), rows)
    pieces = {place: stack[place, top:bottom, left:right].astype(np.float32) for place in set(slices)}
    cut = {place: resize(piece, (CROP, CROP)) for place, piece in pieces.items()}
    return np.stack([cut[place] for place in slices])


def grown(box: Sequence[float] | Box, margin: float) -> Box:
    """A box `margin` times as wide and as tall, about the same middle."""
    low, high = np.asarray(box[:2], dtype=np.float64), np.asarray(box[2:], dtype=np.float64)
    middle, half = (low + high) / 2, (high - low) / 2 * margin
    return np.concatenate((middle - half, middle + half))


def largest(boxes: npt.NDArray[np.floating]) -> int:
    """Which of the boxes `(n, 4)` covers most; the first of equals."""
    return int(np.argmax((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])))


def _edges(low: float, high: float, count: int) -> tuple[int, int]:
    middle, half = (low + high) / 2, max(high - low, LEAST_SIDE_PX) / 2
    first = int(np.clip(np.floor(middle - half), 0, count - 1))
    return first, int(np.clip(np.ceil(middle + half), first + 1, count))


def _whole(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
