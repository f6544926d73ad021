"""How good boxes are: AP50, mAP, and false boxes per image.

The matching is models.boxes.hits, the curves are those of models.metrics. AP50 asks whether a box is on a tumour of
whatever class; mAP asks of each class apart, so that a benign tumour that is called malignant is missed by the one
class and false in the other.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models import metrics
from models.boxes import hits
from models.metrics import Detections

OVERLAPS = tuple(hundredths / 100 for hundredths in range(50, 100, 5))
"""The limits of mAP50-95 (COCO; Lin et al. 2014): 0.5, 0.55 to 0.95. The first one alone makes mAP50."""
CLASSES = (1, 2)
"""Benign and malignant; 0 is background, and no box."""


class Detected(NamedTuple):
    """One image: found boxes `(n, 4)` with scores `(n,)`, and true ones `(m, 4)`."""

    boxes: npt.NDArray[np.floating]
    scores: npt.NDArray[np.floating]
    truth: npt.NDArray[np.floating]


def average_precision(images: Sequence[Detected], least: float = 0.5) -> float:
    """The area under precision over recall, of all boxes whatever their class; 0 where nothing was found."""
    met = [hits(image.boxes, image.scores, image.truth, least) for image in images]
    scores = np.concatenate([image.scores for image in images])
    if not scores.size:
        return 0.0
    return metrics.average_precision(scores, np.concatenate(met), sum(len(image.truth) for image in images))


def false_boxes(images: Sequence[Detected], recall: float, least: float = 0.5) -> float:
    """False boxes per image where `recall` of the true ones are found; NaN where that is never reached."""
    met = [hits(image.boxes, image.scores, image.truth, least) for image in images]
    return metrics.false_positives_per_image(
        np.concatenate([image.scores for image in images]),
        np.concatenate(met),
        sum(len(image.truth) for image in images),
        len(images),
        recall,
    )


class Classified(NamedTuple):
    """One image with the classes of its boxes."""

    boxes: npt.NDArray[np.floating]
    """`(n, 4)`"""
    probabilities: npt.NDArray[np.floating]
    """`(n, 3)`: background, benign, malignant."""
    truth: npt.NDArray[np.floating]
    """`(m, 4)`"""
    classes: npt.NDArray[np.integer]
    """`(m,)`, each one of `CLASSES`."""


def by_class(images: Sequence[Classified], overlaps: Sequence[float] = OVERLAPS) -> tuple[Detections, ...]:
    """What was found of each of `CLASSES`, matched at each limit of overlap.

    A box is a detection of the likelier class alone, benign where both are as likely, and its probability of that class
    is its score: on a tumour of the other class it is false, however sure it is that there is one.
    """
    return tuple(_of_class(images, number, overlaps) for number in CLASSES)


def mean_average_precision(parts: Sequence[Sequence[Detections]], limits: int = len(OVERLAPS)) -> float:
    """`models.metrics.mean_average_precision` of what `by_class` gave for parts of a set, patients, taken together.

    Parameters
    ----------
    limits
        How many limits of overlap count, from the lowest on: 1 makes mAP50 of what was matched at `OVERLAPS`.
    """
    return metrics.mean_average_precision(
        [
            Detections(
                np.concatenate([each.scores for each in mine]),
                np.concatenate([each.is_hit[:limits] for each in mine], axis=1),
                sum(each.objects for each in mine),
            )
            for mine in zip(*parts, strict=True)
        ]
    )


def _of_class(images: Sequence[Classified], number: int, overlaps: Sequence[float]) -> Detections:
    scores, met, objects = [np.zeros(0)], [np.zeros((len(overlaps), 0), dtype=np.bool_)], 0
    for image in images:
        mine = image.probabilities[:, CLASSES].argmax(axis=1) == CLASSES.index(number)
        score, truth = image.probabilities[mine, number], image.truth[image.classes == number]
        scores.append(score)
        met.append(np.stack([hits(image.boxes[mine], score, truth, least) for least in overlaps]))
        objects += len(truth)
    return Detections(np.concatenate(scores), np.concatenate(met, axis=1), objects)
