"""The spine system: boxes on slices, a class per sequence, both weighed with the age (spine-wff; MODELS.md §5.4).

The detector finds boxes on each slice of each sequence. The largest box of a sequence is cut out of the slices of its
lesion, and the classifier tells benign from malignant. Eq. 1 joins both with the age, image by image; images vote in
their sequence, sequences in the patient (models/wff.py). Without any box no tumour was detected, which is not benign.

Legend: stacks `(slices, rows, columns)`; boxes `(n, 4)`: left, top, right, bottom in pixels of the source.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.boxes import area, chains
from models.findings import Answer, ImageRef, Spacing
from models.nonsense import Boxes as Said
from models.nonsense import refuse_boxes
from models.session import Session
from models.slices import has_tissue, normalise
from models.spine_input import crop, fit_of, fitted, grown, largest, repeated
from models.wff import (
    Pair,
    Vote,
    Weights,
    age_pair,
    fused,
    patient_vote,
    sequence_vote,
    without_background,
)

ROLES = ("detector", "classifier")
FAMILIAR = "familiar"
"""The role of a third file, which a bundle may have: how strange a slice is."""
DETECTED = ("background", "benign", "malignant")
BOXES = 8
"""Boxes per slice that a detector of this version gives."""
FLOOR = 0.02
"""No card asks for boxes with a lower score; they are dropped at once."""
BATCH = 8
"""Slices that the detector sees together: more need memory, fewer take longer."""
LEAST_SLICES, LEAST_SIDE_PX = 3, 64
"""A smaller stack is not assessed."""

Float = npt.NDArray[np.float32]
Boxes = npt.NDArray[np.float64]


class SpineSequence(NamedTuple):
    """One sagittal sequence of a study."""

    series_instance_uid: str
    images: tuple[ImageRef, ...]
    """In the order of the stack."""
    stack: Float
    """As stored or rescaled; any range."""
    spacing: Spacing
    notes: tuple[str, ...] = ()
    """Sentences about the sequence that a reader must see."""


@dataclass(frozen=True, slots=True)
class SpineRules:
    """What a card decides."""

    size: tuple[int, int]
    """Rows and columns of the detector's input."""
    margin: float
    """Of a crop, in sizes of its box."""
    box: float
    """From this probability of any tumour on, a box counts."""
    weights: Weights
    ages: tuple[float, ...]
    """The probability of malignancy by decade, from the patients of the training."""
    temperature: float
    bias: float
    certain: float
    """Least calibrated probability of a class that may be the answer (split conformal)."""
    unlike: float | None = None
    """A sequence stranger than this is not assessed."""


@dataclass(frozen=True, slots=True)
class Found:
    """The boxes of one sequence, the best of a slice first."""

    slices: npt.NDArray[np.intp]
    boxes: Boxes
    probabilities: npt.NDArray[np.float64]
    """`(n, 3)`: background, benign, malignant."""

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """The probability of any tumour."""
        return np.asarray(1.0 - self.probabilities[:, 0])

    def above(self, least: float) -> "Found":
        """Those whose score reaches `least`."""
        kept = self.scores >= least
        return Found(self.slices[kept], self.boxes[kept], self.probabilities[kept])


@dataclass(frozen=True, slots=True)
class SequenceAnswer:
    """What is said of one sequence."""

    found: Found
    lesions: tuple[tuple[int, ...], ...]
    """Places of the boxes that are one lesion, by slice."""
    voting: tuple[int, ...]
    """The place of the best box of each slice that has one."""
    detector: float | None
    """The mean malignant share of the voting boxes."""
    sequence: float | None
    """The classifier's probability of malignant."""
    vote: Vote | None


@dataclass(frozen=True, slots=True)
class PatientAnswer:
    """What is said of one patient."""

    sequences: tuple[SequenceAnswer, ...]
    vote: Vote | None
    """None: no tumour was detected."""
    age: float | None
    """The share of malignant tumours at the patient's age; None when the age is not known."""


class SpineNets(NamedTuple):
    """Both networks, open."""

    detector: Session
    classifier: Session
    familiar: Session | None = None
    """Says how strange a slice is."""


def is_assessable(stack: Float) -> str | None:
    """None, or the sentence that says why a stack cannot be looked at."""
    if stack.ndim != 3 or stack.shape[0] < LEAST_SLICES:
        return f"Not assessed: the sequence has {len(stack)} slices, the model needs {LEAST_SLICES}."
    if min(stack.shape[1:]) < LEAST_SIDE_PX:
        rows, columns = stack.shape[1:]
        return f"Not assessed: its images have {rows} x {columns} pixels, the model needs {LEAST_SIDE_PX}."
    if not np.isfinite(stack).all():
        return "Not assessed: the sequence holds numbers that are no numbers."
    if not normalise(stack).any():
        return "Not assessed: the images of the sequence hold no signal."
    return None


def strangeness(nets: SpineNets, grey: Float, size: tuple[int, int]) -> float:
    """How unlike the training images the slices of a sequence are: the middle one; 0 where nobody says.

    Parameters
    ----------
    grey
        The stack, as `slices.normalise` gives it.
    """
    if nets.familiar is None:
        return 0.0
    shown = [tile for image in grey if has_tissue(tile := fitted(image, size)[None])]
    parts = [nets.familiar.run(np.stack(shown[first : first + BATCH])) for first in range(0, len(shown), BATCH)]
    return float(np.median(np.concatenate([part["strangeness"] for part in parts]))) if parts else 0.0


def is_familiar(strangeness: float, unlike: float | None) -> str | None:
    """None, or the sentence that says that a sequence is too strange to be looked at."""
    if unlike is None or strangeness <= unlike:
        return None
    return (
        "Not assessed: the series is unlike those that the model was trained on (strangeness "
        f"{strangeness:.1f}, the limit is {unlike:.1f}). Read it without the model."
    )


def detect(nets: SpineNets, grey: Float, size: tuple[int, int]) -> Found:
    """Every box of a sequence above `FLOOR`.

    Parameters
    ----------
    grey
        The stack, as `slices.normalise` gives it.

    Raises
    ------
    InferenceError
        Boxes that a detector cannot mean (models/nonsense.py).
    """
    shape = (grey.shape[1], grey.shape[2])
    parts = [
        nets.detector.run(np.stack([fitted(image, size) for image in grey[first : first + BATCH]])[:, None])
        for first in range(0, len(grey), BATCH)
    ]
    boxes, probabilities = (np.concatenate([part[name] for part in parts]) for name in ("boxes", "probabilities"))
    refuse_boxes(Said(boxes, probabilities), grey, "The detector of the spine")
    real = 1.0 - probabilities[..., 0] >= FLOOR
    real &= probabilities.sum(axis=-1) > 0.5  # surplus places hold zeros
    places = np.nonzero(real)
    found = Found(places[0], fit_of(shape, size).back(boxes[places], shape), probabilities[places].astype(np.float64))
    sound = area(found.boxes) > 0.0
    return Found(found.slices[sound], found.boxes[sound], found.probabilities[sound])


def classify(nets: SpineNets, grey: Float, found: Found, rules: SpineRules) -> float | None:
    """The probability of malignant that the classifier gives to the largest box; None without a box."""
    if not len(found.boxes):
        return None
    best = largest(found.boxes)
    mine = next(chain for chain in chains(found.slices.tolist(), found.boxes) if best in chain)
    spanned = range(int(found.slices[mine[0]]), int(found.slices[mine[-1]]) + 1)
    seen = crop(grey, grown(found.boxes[best], rules.margin), repeated(spanned))
    logits = nets.classifier.run(seen[None])["class_logits"][0].astype(np.float64)
    return float(1.0 / (1.0 + np.exp(np.clip(logits[0] - logits[1], -50.0, 50.0))))


def conclude(
    found: Sequence[Found], classified: Sequence[float | None], age: float | None, rules: SpineRules
) -> PatientAnswer:
    """Eq. 1 and the votes, from the boxes that count and the classifier's word on each sequence. Pure."""
    known = age_pair(age, rules.ages)
    sequences = tuple(
        _concluded(each, malignant, known, rules.weights) for each, malignant in zip(found, classified, strict=True)
    )
    vote = patient_vote([sequence.vote for sequence in sequences])
    return PatientAnswer(sequences, vote, None if known is None else float(known[1]))


def examine(
    nets: SpineNets, stacks: Sequence[Float], age: float | None, rules: SpineRules, timings_s: dict[str, float]
) -> PatientAnswer:
    """Both networks and their fusion on the sequences of one study; `timings_s` gets the seconds of each stage."""
    marks = [time.perf_counter()]
    grey = [normalise(stack) for stack in stacks]
    marks.append(time.perf_counter())
    found = [detect(nets, each, rules.size).above(rules.box) for each in grey]
    marks.append(time.perf_counter())
    classified = [classify(nets, each, boxes, rules) for each, boxes in zip(grey, found, strict=True)]
    marks.append(time.perf_counter())
    answer = conclude(found, classified, age, rules)
    marks.append(time.perf_counter())
    stages = ("preprocess", "detection", "classification", "fusion")
    timings_s.update(zip(stages, np.diff(marks).tolist(), strict=True))
    return answer


def calibrated(score: float, rules: SpineRules) -> float:
    """A malignant share as a probability: the logit divided by the temperature, and shifted."""
    held = min(max(score, 1e-6), 1.0 - 1e-6)
    logit = np.log(held / (1.0 - held)) / rules.temperature + rules.bias
    return float(1.0 / (1.0 + np.exp(-np.clip(logit, -50.0, 50.0))))


def answered(vote: Vote | None, rules: SpineRules) -> tuple[Answer, Mapping[Answer, float], str | None]:
    """The answer for a vote, its calibrated probabilities, and the sentence that belongs to it.

    The answer is the vote's where that class, and no other, reaches the confidence of the card.
    """
    if vote is None:
        return Answer.NORMAL, {}, "No tumour was detected. That is not the finding of a benign one."
    malignant = calibrated(vote.score, rules)
    said = {Answer.BENIGN: 1.0 - malignant, Answer.MALIGNANT: malignant}
    possible = {answer for answer, probability in said.items() if probability >= rules.certain}
    if possible == {vote.answer}:
        return vote.answer, said, None
    return (
        Answer.UNDECIDED,
        said,
        (
            f"Votes: {vote.malignant} malignant, {vote.benign} benign; probability of malignant {malignant:.0%}. "
            "That is not sure enough to say which."
        ),
    )


def _concluded(found: Found, malignant: float | None, age: Pair | None, weights: Weights) -> SequenceAnswer:
    lesions = tuple(tuple(chain) for chain in chains(found.slices.tolist(), found.boxes))
    best: dict[int, int] = {}
    for place in np.argsort(-found.scores, kind="stable"):
        best.setdefault(int(found.slices[place]), int(place))
    voting = tuple(best[place] for place in sorted(best))
    if not voting or malignant is None:
        return SequenceAnswer(found, lesions, (), None, None, None)
    pairs = [without_background(found.probabilities[place]) for place in voting]
    sequence = np.array([1.0 - malignant, malignant])
    vote = sequence_vote([fused(pair, sequence, age, weights) for pair in pairs])
    return SequenceAnswer(found, lesions, voting, float(np.mean([pair[1] for pair in pairs])), malignant, vote)
