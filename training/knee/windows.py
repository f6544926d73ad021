"""Draws the windows of the patch model from the images themselves, at their own resolution (knee-seg-unet §2.3).

A window comes with as much of the image around it as half its side, so that a view that is turned or shrunk shows the
image there and not black. Beyond the image it is black, as the node pads it (`models.patches.cut`).

Legend: images and masks `(rows, columns)`.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.pixels import content_range, stretch
from training.knee.dataset import Radiographs
from training.knee.layouts import Grey

STRAY = 0.4
"""A point of the tumour lies at most so many sides of a window from the middle of one that is drawn around it."""


class Surroundings(NamedTuple):
    """A square of twice the side of a window, which lies in its middle."""

    image: Grey
    """0..1"""
    mask: Grey
    """0 or 1."""


def surroundings(
    data: Radiographs, index: int, window_px: int, around_tumour: float, rng: np.random.Generator
) -> Surroundings:
    """A random window of an image, of `window_px` x `window_px` of its pixels.

    Parameters
    ----------
    around_tumour
        The chance that a window of a tumour image is drawn around its tumour.

    Raises
    ------
    DataFault
        The image or its mask cannot be read.
    """
    pixels, mask = data.original(index)
    top, left = start_of(data.masks[index], pixels.shape, window_px, around_tumour, rng) - window_px // 2
    ends = content_range(pixels)
    image = stretch(pixels[max(0, top) : top + 2 * window_px, max(0, left) : left + 2 * window_px], ends)
    part = mask[max(0, top) : top + 2 * window_px, max(0, left) : left + 2 * window_px]
    before = (max(0, -top), max(0, -left))
    return Surroundings(_padded(image, before, 2 * window_px), _padded(part, before, 2 * window_px))


def start_of(
    squeezed: npt.NDArray[np.uint8],
    shape: tuple[int, int],
    window_px: int,
    around_tumour: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """First row and column of a random window, within the image; 0 along an axis that is shorter than a window.

    Parameters
    ----------
    squeezed
        The mask on any grid that covers the image.
    shape
        Rows and columns of the image.
    """
    last = np.maximum(0, np.array(shape) - window_px)
    start = rng.uniform(0.0, 1.0, 2) * last
    spots = np.argwhere(squeezed)
    if len(spots) and rng.random() < around_tumour:
        spot = (spots[rng.integers(len(spots))] + 0.5) / squeezed.shape * shape
        start = np.clip(spot - window_px * (0.5 + rng.uniform(-STRAY, STRAY, 2)), 0.0, last)
    return np.asarray(np.rint(start), dtype=np.int64)


def _padded(part: npt.NDArray[np.generic], before: tuple[int, int], side: int) -> Grey:
    padded = np.zeros((side, side), dtype=np.float32)
    padded[before[0] : before[0] + part.shape[0], before[1] : before[1] + part.shape[1]] = part
    return padded
