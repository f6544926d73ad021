"""How good boxes are: AP50, and false boxes per image. The matching is models.boxes.hits, the curves models.metrics."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models import metrics
from models.boxes import hits


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
