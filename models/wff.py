"""The weighted fusion of the spine system: Eq. 1, the age statistics, and the votes (spine-wff; MODELS.md §5.4). Pure.

Each image with a box has a fused pair of probabilities, of benign and of malignant. Images vote within their sequence,
sequences within the patient. What has no box has no vote, and a patient without any box has no answer here: "no tumour
detected" is not benign.

The paper leaves open, and this file decides: weights need not sum to 1, so the answer is the larger of the two fused
values and never a comparison with one half; a tie goes to the higher mean probability, and then to malignant; a missing
age drops its term and the others carry its weight; the patient's score is the mean over sequences of the mean over
images of the malignant share.

Legend: a pair is `(2,)` float64: benign, malignant; ages are in years.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.findings import Answer

Pair = npt.NDArray[np.float64]

DECADES = 10
"""0-9, 10-19, ... 90 and older."""
SMOOTHING = 1.0
"""Laplace's: one more benign and one more malignant patient in every decade."""
_TIE = 1e-9
"""Means that differ by less are equal."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The lambdas of Eq. 1."""

    detector: float = 0.45
    sequence: float = 0.45
    age: float = 0.1


ABLATION = {
    "Det": Weights(0.45, 0.0, 0.0),
    "Det-Age": Weights(0.45, 0.0, 0.1),
    "Seq": Weights(0.0, 0.45, 0.0),
    "Seq-Age": Weights(0.0, 0.45, 0.1),
    "Det-Seq": Weights(0.45, 0.45, 0.0),
    "Det-Seq-Age": Weights(0.45, 0.45, 0.1),
}
"""The six rows of the paper's Table 3. The three rows whose weights it prints are as printed, the others follow."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What the voices of one sequence, or of one patient, come to."""

    answer: Answer
    """`BENIGN` or `MALIGNANT`."""
    benign: int
    malignant: int
    """How many voted for each."""
    score: float
    """The mean malignant share, 0..1."""


def age_table(ages: Sequence[float], malignant: Sequence[bool]) -> tuple[float, ...]:
    """The probability of a malignant tumour by decade of age, smoothed, from the patients that a model trained on."""
    counts = np.full((2, DECADES), SMOOTHING)
    for age, is_malignant in zip(ages, malignant, strict=True):
        counts[int(is_malignant), decade_of(age)] += 1.0
    return tuple(float(share) for share in counts[1] / counts.sum(axis=0))


def decade_of(age: float) -> int:
    """Which decade an age lies in; the last one has no end.

    Raises
    ------
    ValueError
        A negative age, or one that is no number.
    """
    if not age >= 0.0:
        raise ValueError(f"an age of {age} years is none")
    return int(min(age // 10, DECADES - 1))


def age_pair(age: float | None, table: Sequence[float]) -> Pair | None:
    """A of Eq. 1; None when the age is not known."""
    if age is None:
        return None
    malignant = table[decade_of(age)]
    return np.array([1.0 - malignant, malignant])


def without_background(probabilities: npt.NDArray[np.floating]) -> Pair:
    """D of Eq. 1 from the detector's three probabilities (background, benign, malignant)."""
    pair = np.asarray(probabilities[1:], dtype=np.float64)
    total = float(pair.sum())
    return pair / total if total > 0.0 else np.full(2, 0.5)


def fused(detector: Pair, sequence: Pair, age: Pair | None, weights: Weights) -> Pair:
    """Eq. 1 for one image: sums to the sum of the weights, whether the age is known or not."""
    if age is not None:
        return weights.detector * detector + weights.sequence * sequence + weights.age * age
    rest = weights.detector + weights.sequence
    grown = (rest + weights.age) / rest
    return grown * (weights.detector * detector + weights.sequence * sequence)


def malignant_share(pair: Pair) -> float:
    """The second of a pair as a share of both."""
    return float(pair[1] / pair.sum())


def sequence_vote(images: Sequence[Pair]) -> Vote | None:
    """The votes of the images of one sequence that have a box; None when none has one."""
    if not images:
        return None
    shares = [malignant_share(image) for image in images]
    malignant = sum(bool(image[1] >= image[0]) for image in images)
    return _counted(len(images) - malignant, malignant, float(np.mean(shares)))


def patient_vote(sequences: Sequence[Vote | None]) -> Vote | None:
    """The votes of the sequences that have one; None when none has: no tumour was detected."""
    voting = [vote for vote in sequences if vote is not None]
    if not voting:
        return None
    malignant = sum(vote.answer is Answer.MALIGNANT for vote in voting)
    return _counted(len(voting) - malignant, malignant, float(np.mean([vote.score for vote in voting])))


def _counted(benign: int, malignant: int, score: float) -> Vote:
    more = malignant - benign if malignant != benign else score - 0.5 + _TIE
    return Vote(Answer.MALIGNANT if more > 0 else Answer.BENIGN, benign, malignant, score)
