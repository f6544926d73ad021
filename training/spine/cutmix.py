"""MultiScale-SelfCutMix: a lesion of an image is pasted into the same image once more, smaller, near the spine.

spine-wff, "Detection model": labelled regions are drawn at random, their width and height scaled by a factor from 0.5
to 1, and placed at random near the spinal region. Width and height are scaled apart, as the text says.

Legend: images `(rows, columns)`; boxes `(n, 4)`: left, top, right, bottom in pixels.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.pixels import resize

Float = npt.NDArray[np.float32]

SCALES = (0.5, 1.0)
TRIES = 12
"""Places that are tried before an image is left as it is: a paste must not hide what is there."""
LEAST_PX = 3
"""A smaller paste teaches noise."""


class Band(NamedTuple):
    """Where the spine runs in an image."""

    middle: Float
    """`(rows,)`: the column of the vertebral bodies, in pixels."""
    reach: float
    """How far to both sides of it is near."""


@dataclass(frozen=True, slots=True)
class Pasted:
    """An image with one lesion more."""

    image: Float
    boxes: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]


def self_cutmix(
    image: Float, boxes: npt.NDArray[np.float32], classes: npt.NDArray[np.int64], band: Band, rng: np.random.Generator
) -> Pasted:
    """One lesion pasted once more; the image as it is when it has none, or when no free place was found."""
    if not len(boxes):
        return Pasted(image, boxes, classes)
    which = int(rng.integers(len(boxes)))
    left, top, right, bottom = _whole(boxes[which], (image.shape[0], image.shape[1]))
    wide, tall = (round(side * rng.uniform(*SCALES)) for side in (right - left, bottom - top))
    if min(wide, tall) < LEAST_PX:
        return Pasted(image, boxes, classes)
    place = _place(wide, tall, boxes, band, (image.shape[0], image.shape[1]), rng)
    if place is None:
        return Pasted(image, boxes, classes)
    at_left, at_top = place
    mixed = image.copy()
    mixed[at_top : at_top + tall, at_left : at_left + wide] = resize(image[top:bottom, left:right], (tall, wide))
    made = np.array([[at_left, at_top, at_left + wide, at_top + tall]], dtype=np.float32)
    return Pasted(mixed, np.concatenate((boxes, made)), np.append(classes, classes[which]))


def _place(
    wide: int,
    tall: int,
    boxes: npt.NDArray[np.float32],
    band: Band,
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[int, int] | None:
    """A left and top edge whose box lies in the image, has its middle near the spine, and hides no lesion."""
    for _ in range(TRIES):
        top = int(rng.integers(0, max(1, shape[0] - tall)))
        middle = float(band.middle[min(shape[0] - 1, top + tall // 2)]) + rng.uniform(-band.reach, band.reach)
        left = int(np.floor(middle - wide / 2))
        if not 0 <= left <= shape[1] - wide:
            continue
        apart = (
            (boxes[:, 2] <= left) | (boxes[:, 0] >= left + wide) | (boxes[:, 3] <= top) | (boxes[:, 1] >= top + tall)
        )
        if apart.all():
            return left, top
    return None


def _whole(box: npt.NDArray[np.float32], shape: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top = (int(np.floor(max(0.0, float(edge)))) for edge in box[:2])
    right, bottom = min(shape[1], int(np.ceil(box[2]))), min(shape[0], int(np.ceil(box[3])))
    return left, top, right, bottom
