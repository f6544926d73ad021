"""Chooses the thresholds and the calibration of a card on the validation blocks, through the node's own pipeline.

For each candidate of the mask threshold: T of A6, temperature and bias (least negative log-likelihood), and the
decision threshold (see `deciding`). Of the candidates the one with the highest mean Dice of tumours, where an image
that does not read as tumour counts zero. Then the bias by which a map is set right before each image is cut where the
highest Dice may be expected (models/cut.py), none where a cut at the mask threshold fits better. Where an image reads
as normal, the lowest threshold at which few normal ones are outlined, or with a bias, the least that must be expected
of an outline for that. Last what became of outlines of which little was to be expected.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.optimize

from models.card import Bundle, Calibration, KneeCard, Thresholds
from models.findings import ModelIdentity
from models.fusion import calibrate
from models.knee import Knee
from models.metrics import expected_calibration_error
from models.session import Session
from training.conformal import least_possible
from training.familiarity import FAMILIAR, SLACK
from training.knee.dataset import Radiographs
from training.knee.evaluate import ROUGH, Case, examine, rough_and_other
from training.knee.judges import Judge

log = logging.getLogger(__name__)

MASK_THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
PIXEL_BIASES = (-3.5, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0)
ALONE = tuple(round(0.01 * step, 2) for step in range(10, 100))
OUTLINED_NORMALS = 0.05
"""Of the normal images that read as normal, at most this share may have a region, which makes them undecided."""
FEW = 10
"""Of fewer rough outlines no mean is told."""
REMEMBERED = 24
"""Batches of windows: those of an image of up to 72 windows, in 300 MB where a window is 416 x 416."""
TIMID = 1e-3
"""Keeps temperature and bias finite where a few validation images are all told right."""
NORMAL_TOTALS = (1.0, 0.9, 0.8, 0.6, 0.4, 0.2)
"""1.0 switches the rule of A6 off; it stays off unless another value is better."""

Array = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and what the calibration error was before and after."""

    thresholds: Thresholds
    calibration: Calibration
    ece_before: float
    ece_after: float
    strangeness: tuple[float, ...] = ()
    """Quartiles over the validation images, and the quantile that the limit comes from."""
    strange_cases: int = 0
    """How many of these images the network that tells it has not learned from."""


class _Remembering(Session):
    """A session that answers the latest batches from memory: candidates differ in thresholds only."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._latest: dict[bytes, dict[str, Array]] = {}
        self.provider = session.provider

    def run(self, images: Array) -> dict[str, Array]:
        """As `Session.run`."""
        key = hashlib.sha256(images.tobytes()).digest()
        if key not in self._latest:
            if len(self._latest) == REMEMBERED:
                del self._latest[next(iter(self._latest))]
            self._latest[key] = self._session.run(images)
        return self._latest[key]


class Bench:
    """A bundle before its judges (judges.py)."""

    def __init__(self, bundle: Bundle[KneeCard], data: Radiographs, judges: Sequence[Judge]) -> None:
        self._data = data
        self._judges = [
            each._replace(whole=_Remembering(each.whole), patch=_Remembering(each.patch)) for each in judges
        ]
        self.card = bundle.card
        self._weights_sha256 = bundle.weights_sha256

    @property
    def has_outlines(self) -> bool:
        """Whether somebody has outlined a tumour on one of the images."""
        data, indices = self._data, [index for judge in self._judges for index in judge.indices]
        return any(data.labels[index] and data.masks[index].any() for index in indices)

    def examine(self, cards: Sequence[KneeCard]) -> list[list[Case]]:
        """The cases of each card, all images judged."""
        made: list[list[Case]] = [[] for _ in cards]
        for judge in self._judges:
            knees = [Knee(card, self._identity(judge), judge.whole, judge.patch) for card in cards]
            for mine, cases in zip(made, examine(knees, self._data, self._data.folder, judge.indices), strict=True):
                mine += cases
        return made

    def _identity(self, judge: Judge) -> ModelIdentity:
        card = self.card
        named = card.system, card.name, card.version, self._weights_sha256
        return ModelIdentity(*named, judge.whole.provider, card.training_kind)


def choose(bench: Bench) -> Choice:
    """Thresholds and calibration for a bundle."""
    base = replace(bench.card.thresholds, normal_total=NORMAL_TOTALS[0], pixel_bias=None, alone=None, rough=None)
    cards = [_card(bench.card, replace(base, mask=mask, mask_alone=mask)) for mask in MASK_THRESHOLDS]
    examined = bench.examine(cards)
    choices = [_calibrated(card.thresholds, cases) for card, cases in zip(cards, examined, strict=True)]
    return _outlining(pick(choices, examined), bench)


def pick(choices: Sequence[Choice], examined: Sequence[Sequence[Case]]) -> Choice:
    """The best of choices that differ by their mask threshold, lowest first, each with its cases."""
    scores = [_mean_overlap(choice, cases) for choice, cases in zip(choices, examined, strict=True)]
    for choice, score in zip(choices, scores, strict=True):
        log.info("Mask threshold %.2f: mean Dice of tumours %.3f.", choice.thresholds.mask, score)
    best = int(np.argmax(scores))
    known = [case.strangeness for case in examined[best] if np.isfinite(case.strangeness)]
    strange = np.quantile(known, (0.25, 0.5, 0.75, FAMILIAR)).round(4).tolist()
    decided = replace(choices[best].thresholds, unlike=round(SLACK * strange[-1], 4))
    return replace(choices[best], thresholds=decided, strangeness=tuple(strange), strange_cases=len(known))


def _outlining(choice: Choice, bench: Bench) -> Choice:
    """With the pixel bias at which tumours that somebody outlined are outlined best, the first of equals; with what
    makes few normal images that read as normal have an outline, and with what became of rough outlines then."""
    plain, biases = choice.thresholds, PIXEL_BIASES if bench.has_outlines else ()
    plains = [replace(plain, mask_alone=mask) for mask in MASK_THRESHOLDS if mask >= plain.mask]
    biased = [replace(plain, pixel_bias=bias, alone=0.0) for bias in biases]
    cards = [replace(bench.card, thresholds=each, calibration=choice.calibration) for each in (*plains, *biased)]
    examined = bench.examine(cards)
    quiet = [place for place in range(len(plains)) if _is_quiet(choice, examined[place])]
    tried = [_Tried(plains[(quiet or [-1])[0]], examined[(quiet or [len(plains) - 1])[0]])]
    for each, cases in zip(biased, examined[len(plains) :], strict=True):
        alone = _alone(choice, cases)
        kept = replace(each, alone=alone, mask_alone=tried[0].thresholds.mask_alone)
        tried.append(_Tried(kept, [_outlined_from(alone, choice, case) for case in cases]))
    for one in tried:
        log.info(
            "Pixel bias %s, alone from %s: mean Dice %.3f.", one.thresholds.pixel_bias, one.thresholds.alone, one.fit
        )
    best = max(tried, key=lambda one: one.fit)
    rough, _ = rough_and_other(best.cases)
    told = (ROUGH, round(float(rough.mean()), 2)) if rough.size >= FEW else None
    return replace(choice, thresholds=replace(best.thresholds, rough=told))


class _Tried(NamedTuple):
    """Thresholds, and what the pipeline says with them."""

    thresholds: Thresholds
    cases: list[Case]

    @property
    def fit(self) -> float:
        """The mean Dice of tumours that somebody outlined; 0 where nobody did."""
        fits = [case.overlap for case in self.cases if case.label and case.share]
        return float(np.mean(fits)) if fits else 0.0


def _is_quiet(choice: Choice, cases: Sequence[Case]) -> bool:
    """Whether few normal images that read as normal are outlined."""
    outlined = [case.regions > 0 for case in cases if not case.label and not _reads_as_tumour(choice, case)]
    return float(np.mean(outlined or [False])) <= OUTLINED_NORMALS


def _alone(choice: Choice, cases: Sequence[Case]) -> float:
    """The lowest Dice to be expected from which few normal images that read as normal are outlined."""
    quiet = [case for case in cases if not case.label and not _reads_as_tumour(choice, case)]
    expected = np.array([case.expected for case in quiet])
    return next((alone for alone in ALONE if np.sum(expected >= alone) <= OUTLINED_NORMALS * len(quiet)), 1.0)


def _outlined_from(alone: float, choice: Choice, case: Case) -> Case:
    """What a case would have been, where an image that reads as normal has an outline only from so much on."""
    if _reads_as_tumour(choice, case) or not case.expected < alone:
        return case
    nothing = float("nan")
    return replace(case, regions=0, overlap=0.0 if case.share else nothing, expected=nothing)


def _mean_overlap(choice: Choice, cases: Sequence[Case]) -> float:
    """Mean Dice over tumour images as the node would outline them, which is nothing where it reads normal."""
    return float(np.mean([case.overlap if _reads_as_tumour(choice, case) else 0.0 for case in cases if case.label]))


def _reads_as_tumour(choice: Choice, case: Case) -> bool:
    raw = with_rule(case, choice.thresholds.normal_total)
    said = calibrate(raw, choice.calibration.temperature, choice.calibration.bias)
    return bool(1.0 - said[0] >= choice.thresholds.tumour)


def _calibrated(thresholds: Thresholds, cases: Sequence[Case]) -> Choice:
    labels = np.array([case.label for case in cases])
    fitted = {}
    for total in NORMAL_TOTALS:
        raw = np.array([with_rule(case, total) for case in cases])
        fitted[total] = fit_calibration(raw, labels)
        log.info("T %.1f: negative log-likelihood %.4f.", total, fitted[total][1])
    total = min(NORMAL_TOTALS, key=lambda each: fitted[each][1])
    calibration, raw = fitted[total][0], np.array([with_rule(case, total) for case in cases])
    said = calibrate(raw, calibration.temperature, calibration.bias)
    chosen = replace(
        thresholds, normal_total=total, tumour=deciding(1.0 - said[:, 0], labels > 0), certain=certain(said, labels)
    )
    before, after = expected_calibration_error(raw, labels), expected_calibration_error(said, labels)
    return Choice(chosen, calibration, round(before, 4), round(after, 4))


def fit_calibration(raw: Vector, labels: npt.NDArray[np.integer]) -> tuple[Calibration, float]:
    """Temperature and bias with the least negative log-likelihood, and that; the bias of normal is 0."""

    def loss(parameters: Vector) -> float:
        said = calibrate(raw, float(np.exp(parameters[0])), np.array([0.0, parameters[1], parameters[2]]))
        misfit = -np.log(np.maximum(said[np.arange(labels.size), labels], 1e-6)).mean()
        return float(misfit + TIMID * np.square(parameters).sum())

    found = scipy.optimize.minimize(loss, np.zeros(3), method="Nelder-Mead")
    temperature = round(float(np.exp(found.x[0])), 4)
    bias = (0.0, round(float(found.x[1]), 4), round(float(found.x[2]), 4))
    return Calibration(temperature, bias), float(found.fun)


def certain(said: Vector, labels: npt.NDArray[np.integer]) -> tuple[float, float]:
    """For benign and malignant: the least share of that class at which nine of ten such tumours stay possible."""
    shares = said[:, 1:] / np.maximum(said[:, 1:].sum(axis=1, keepdims=True), 1e-12)
    benign, malignant = (least_possible(shares[labels == label, label - 1]) for label in (1, 2))
    return benign, malignant


def deciding(score: Vector, positive: npt.NDArray[np.bool_]) -> float:
    """The threshold of a tumour: halfway between Youden's and the share of tumours.

    Where probabilities are exact, the highest sum of sensitivity and specificity lies at the share of tumours; where
    they are not, only Youden's threshold knows, but some hundreds of images fix it badly: one half of the validation
    blocks of btxrd256, judged by what the other half chose, does better with the middle.
    """
    return round((youden(score, positive) + float(positive.mean())) / 2.0, 4)


def youden(score: Vector, positive: npt.NDArray[np.bool_]) -> float:
    """The threshold with the highest sum of sensitivity and specificity, halfway to the next lower score."""
    order = np.unique(score)
    gains = [float((score[positive] >= cut).mean() - (score[~positive] >= cut).mean()) for cut in order]
    best = int(np.argmax(gains))
    below = order[best - 1] if best else 0.0
    return round(float(order[best] + below) / 2.0, 4)


def with_rule(case: Case, total: float) -> Vector:
    """The fused classes under another T, from those with the rule off (A6)."""
    if case.whole[1] + case.whole[2] - case.whole[0] <= total:
        return case.raw
    fused = case.raw * (0.0, 1.0, 1.0)
    return np.asarray(fused / fused.sum())


def _card(card: KneeCard, thresholds: Thresholds) -> KneeCard:
    return replace(card, thresholds=thresholds, calibration=Calibration(1.0, (0.0, 0.0, 0.0)))
