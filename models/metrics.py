"""Numbers that say how good a model is: classes, regions, calibration, and how sure we are of each.

What the papers call "MeanIoU" is mostly a Dice (knee-seg-unet A9 is 100 minus 100 times a Dice); here `iou`, `dice` and
`dice_with_background`, which A9 most likely means, carry their true names. Surfaces are measured in models/surfaces.py.

Legend: labels and masks are integer or boolean arrays; a confusion matrix has a row per true class and a column per
answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.stats

Ints = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Counts:
    """Right and wrong answers about one class."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def precision(self) -> float:
        """A8; NaN without a positive answer."""
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """A8, also called sensitivity; NaN without a positive case."""
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float:
        """Recall of the negatives."""
        return _ratio(self.true_negative, self.true_negative + self.false_positive)

    @property
    def accuracy(self) -> float:
        """A7: the share of right answers."""
        right = self.true_positive + self.true_negative
        return _ratio(right, right + self.false_positive + self.false_negative)

    @property
    def f1(self) -> float:
        """A7: the harmonic mean of precision and recall."""
        return _ratio(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)

    @property
    def kappa(self) -> float:
        """Cohen's agreement beyond chance."""
        matrix = np.array([[self.true_negative, self.false_positive], [self.false_negative, self.true_positive]])
        return kappa(matrix)


def counts(truth: Mask, answer: Mask) -> Counts:
    """Compare two boolean arrays of one shape."""
    return Counts(
        int((truth & answer).sum()),
        int((~truth & answer).sum()),
        int((truth & ~answer).sum()),
        int((~truth & ~answer).sum()),
    )


def confusion(truth: Ints, answer: Ints, classes: int) -> npt.NDArray[np.int64]:
    """`(classes, classes)`: how often each true class got each answer."""
    return np.bincount(truth * classes + answer, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def accuracy(matrix: npt.NDArray[np.int64]) -> float:
    """The share of right answers, over all classes."""
    return _ratio(int(np.trace(matrix)), int(matrix.sum()))


def kappa(matrix: npt.NDArray[np.int64]) -> float:
    """Cohen's kappa of a confusion matrix."""
    whole = float(matrix.sum())
    agreed = float(np.trace(matrix)) / whole
    by_chance = float(matrix.sum(axis=0) @ matrix.sum(axis=1)) / whole**2
    return _ratio(agreed - by_chance, 1.0 - by_chance)


def recalls(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The recall of each class; NaN for a class without a case."""
    cases = matrix.sum(axis=1)
    return np.array([_ratio(int(right), int(all_of)) for right, all_of in zip(np.diag(matrix), cases, strict=True)])


def f1s(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The F1 of each class against all others (A7); NaN for a class that is neither there nor answered."""
    either = matrix.sum(axis=0) + matrix.sum(axis=1)
    return np.array([_ratio(2 * int(right), int(both)) for right, both in zip(np.diag(matrix), either, strict=True)])


def macro_f1(matrix: npt.NDArray[np.int64]) -> float:
    """The mean of `f1s`, a rare class as much as a frequent one; NaN without a case."""
    each = f1s(matrix)
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")


def weighted_f1(matrix: npt.NDArray[np.int64]) -> float:
    """The mean of `f1s` weighted by the cases of each class, as the numbers in table 4 of knee-seg-unet are."""
    cases = matrix.sum(axis=1)
    return _ratio(float((np.nan_to_num(f1s(matrix)) * cases).sum()), int(cases.sum()))


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean with both readings of its standard deviation."""

    mean: float
    population: float
    """Divided by n, as the formula of A7 is written."""
    sample: float
    """Divided by n - 1, as the numbers in the paper's table 4 are."""


def mean_accuracy(matrix: npt.NDArray[np.int64]) -> Spread:
    """A7: mean and spread of the per-class recalls, in per cent."""
    percent = 100.0 * recalls(matrix)
    return Spread(float(percent.mean()), float(percent.std()), float(percent.std(ddof=1)))


def dice(truth: Mask, answer: Mask) -> float:
    """2 |T and A| / (|T| + |A|); NaN when both are empty, so that callers skip and count it."""
    return _ratio(2 * int((truth & answer).sum()), int(truth.sum()) + int(answer.sum()))


def iou(truth: Mask, answer: Mask) -> float:
    """|T and A| / |T or A|; NaN when both are empty."""
    return _ratio(int((truth & answer).sum()), int((truth | answer).sum()))


def dice_with_background(truth: Mask, answer: Mask) -> float:
    """A9, the "MeanIoU" of knee-seg-unet: the mean of the Dice of the tumour and of the background, and no IoU.

    As printed A9 is 1 less this mean, a loss that falls as masks improve; the paper's 84.84 % is to be set beside the
    mean itself. NaN when both tumours, or both backgrounds, are empty.
    """
    return (dice(truth, answer) + dice(~truth, ~answer)) / 2.0


def roc_auc(scores: Floats, positive: Mask) -> float:
    """The chance that a positive scores above a negative, ties counting half; NaN when one side is empty."""
    wins = int(positive.sum())
    losses = int(positive.size - wins)
    ranks = scipy.stats.rankdata(scores)
    return _ratio(float(ranks[positive].sum()) - wins * (wins + 1) / 2.0, wins * losses)


def average_precision(scores: Floats, is_hit: Mask, objects: int) -> float:
    """The area under precision over recall of scored detections, every point interpolated from the right.

    Parameters
    ----------
    scores, is_hit
        `(detections,)`: the score, and whether it met an object that none with a higher score had met.
    objects
        How many objects there were.
    """
    return float(_average_precisions(scores, is_hit[None], objects)[0])


class Detections(NamedTuple):
    """What was found of one class, over all images."""

    scores: Floats
    """`(detections,)`"""
    is_hit: Mask
    """`(limits, detections)`: by each limit of overlap, whether it met an object that none before it had met."""
    objects: int
    """How many objects of the class there were."""


def mean_average_precision(classes: Sequence[Detections]) -> float:
    """mAP: `average_precision` averaged over limits of overlap, then over the classes that have an object.

    With the one limit 0.5 it is what is called mAP50, with 0.5, 0.55 to 0.95 the measure of COCO (mAP50-95; Lin et al.
    2014), but for the interpolation, which COCO samples at 101 recalls. NaN where no class has an object.
    """
    each = [float(_average_precisions(*one).mean()) for one in classes if one.objects]
    return float(np.mean(each)) if each else float("nan")


def _average_precisions(scores: Floats, is_hit: Mask, objects: int) -> npt.NDArray[np.float64]:
    """`(limits,)` of `is_hit` `(limits, detections)`; NaN without an object."""
    if not objects:
        return np.full(len(is_hit), np.nan)
    met = is_hit[:, np.argsort(-scores, kind="stable")]
    precision = met.cumsum(axis=1) / np.arange(1, scores.size + 1)
    highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(np.where(met, highest, 0.0).sum(axis=1) / objects)


def false_positives_per_image(scores: Floats, is_hit: Mask, objects: int, images: int, recall: float) -> float:
    """False detections per image at the highest threshold that reaches `recall`; NaN when none does."""
    order = np.argsort(-scores, kind="stable")
    reached = np.flatnonzero(np.cumsum(is_hit[order]) >= recall * objects - 1e-9)
    if not reached.size or not objects:
        return float("nan")
    return float((~is_hit[order][: reached[0] + 1]).sum()) / images


def roc_curve(scores: Floats, positive: Mask) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The false and the true positive rate at every threshold, from the strictest on; both begin at 0 and end at 1."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), scores.size - 1)
    wins, losses = np.cumsum(positive[order])[last], np.cumsum(~positive[order])[last]
    false = np.append(0.0, losses / max(int(losses[-1]), 1))
    return false, np.append(0.0, wins / max(int(wins[-1]), 1))


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers of one stretch of confidence."""

    sure: float
    """The mean probability of the answer."""
    right: float
    """The share that was right."""
    share: float
    """Of all answers."""


def reliability(probabilities: Floats, truth: Ints, bins: int = 15) -> list[Bin]:
    """How sure the answers were and how often they were right, over equal bins of confidence; empty bins are left out.

    Parameters
    ----------
    probabilities
        `(n, classes)`.
    truth
        `(n,)` class numbers.
    """
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    places = np.minimum((sure * bins).astype(np.int64), bins - 1)
    chosen = [places == place for place in np.unique(places)]
    return [Bin(float(sure[one].mean()), float(right[one].mean()), float(one.mean())) for one in chosen]


def expected_calibration_error(probabilities: Floats, truth: Ints, bins: int = 15) -> float:
    """The mean gap of `reliability`, weighted by the bins' shares; NaN without answers."""
    if not len(truth):
        return float("nan")
    return float(sum(each.share * abs(each.sure - each.right) for each in reliability(probabilities, truth, bins)))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def least_calibration_error(probabilities: Floats, draws: int = 200) -> float:
    """What `expected_calibration_error` is on average where each answer is right as often as it says.

    It is not 0: a bin of few cases is seldom right by its mean. What is measured on few cases is to be set beside it.

    Parameters
    ----------
    probabilities
        `(cases, classes)`, rows that sum to 1.
    """
    rng = np.random.default_rng(1)
    bounds = probabilities.cumsum(axis=1)[:, :-1]
    drawn = [(rng.random((len(bounds), 1)) > bounds).sum(axis=1) for _ in range(draws)]
    return float(np.mean([expected_calibration_error(probabilities, truth) for truth in drawn]))


def bootstrap(statistic: Callable[[Ints], float], groups: Ints, *, draws: int = 2000, seed: int = 20210413) -> Estimate:
    """A 95 % percentile interval that draws whole groups with replacement: neighbours of one group are not independent.

    Parameters
    ----------
    statistic
        The figure of a selection of cases, given their indices; draws for which it is NaN are left out.
    groups
        `(n,)`: the group of each case.
    """
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        chosen = np.concatenate([members[place] for place in rng.integers(0, len(members), len(members))])
        values.append(statistic(chosen))
    low, high = np.nanpercentile(values, (2.5, 97.5))
    return Estimate(statistic(np.arange(groups.size)), float(low), float(high))


def difference(one: Callable[[Ints], float], other: Callable[[Ints], float], groups: Ints) -> tuple[Estimate, float]:
    """How much better one model is than another on the same cases, and the two-sided p-value, by paired bootstrap.

    Both statistics take the same draws of whole groups (patients, blocks), so that what is hard for both cancels out.
    However large the difference, n groups cannot tell it from chance with a p below 2 ** (1 - n), that of n coins which
    all fall alike.
    """
    draws: list[float] = []

    def gap(chosen: Ints) -> float:
        draws.append(one(chosen) - other(chosen))
        return draws[-1]

    estimate = bootstrap(gap, groups)
    drawn = np.array(draws[:-1])  # the last one is of all cases
    drawn = drawn[np.isfinite(drawn)]
    beyond = min(int((drawn <= 0.0).sum()), int((drawn >= 0.0).sum()))
    p = max(2.0 * (beyond + 1) / (drawn.size + 1), 2.0 ** (1 - len(np.unique(groups))))
    return estimate, min(1.0, p)


def _ratio(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")
