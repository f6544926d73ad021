"""Chooses what the card of a hand bundle decides by, on the validation patients, through the node's own pipeline.

First the limit of strangeness, because a series beyond it has no say in what follows. Then, for each weight of the
other series in a voxel, the pixels' logits, one temperature and a bias of the background, and the mask threshold; kept
is the least weight that has nearly the highest IoU of any tumour. Then, on whole studies, temperature and bias of
"there is a tumour", and the temperature of the kinds; and the threshold of a region, for which that is done anew: of
those with nearly the highest Dice of the sequences the one whose studies are calibrated best.

What is fitted has the least negative log-likelihood; what is kept, of that and of nothing at all, has the least
calibration error. A fit follows the few answers that are surely wrong, and can be worse for all the others than none.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize

from models.hand_card import HandCalibration, HandCard, HandThresholds
from models.hand_findings import conclude
from models.metrics import expected_calibration_error
from training.familiarity import FAMILIAR
from training.hand.evaluate import (
    UNCALIBRATED,
    Floats,
    Looked,
    Patient,
    contested,
    judge,
    softmax,
    study_probabilities,
    together,
)
from training.hand.scores import Ints

log = logging.getLogger(__name__)

MASK_THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
FUSIONS = (0.0, 0.5, 1.0)
REGION_THRESHOLDS = (0.3, 0.4, 0.5)
TIMID = 1e-2
"""Keeps temperature and bias finite where a few validation patients are all told right."""
LEVEL = 0.01
"""Of the mean Dice of sequences, or of the IoU of any tumour: choices that differ by less are equally good outlines."""
GAIN = 0.005
"""Of the calibration error: what is fitted must save so much of it, else nothing is scaled."""
SLACK = 1.1
"""Of the limit of strangeness, where others have 1.5: the validation part of a hand has hundreds of series, so its 99th
percentile is well known, and noise lies only 1.1 to 1.4 times as far away as that."""
FITTED = 200_000
"""Pixels that a scale is fitted on, drawn of all; its error is taken over all of them."""
_HELD = 1e-6

Scale = tuple[float, float]
"""A temperature, and what is added to the logit of the background after it."""
AS_IT_IS: Scale = (1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and the calibration error of studies before and after."""

    thresholds: HandThresholds
    calibration: HandCalibration
    pixel_ece: tuple[float, float]
    study_ece: tuple[float, float]
    strangeness: tuple[float, ...] = ()
    """Quartiles over the validation series, and the quantile that the limit comes from; empty where nobody says."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """What one weight of the other series gives."""

    card: HandCard
    """With that weight, its pixels scaled, with the mask threshold that is best."""
    overlap: float
    """IoU of any tumour, over all voxels."""
    errors: tuple[float, float]
    """The calibration error of pixels before and after."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What one threshold of a region gives."""

    card: HandCard
    """With that threshold, and calibrated for it."""
    dice: float
    """Mean of all sequences, 1 where neither truth nor answer has a tumour."""
    errors: tuple[float, float]
    """The calibration error of studies before and after."""


def choose(looked: Sequence[Looked], card: HandCard) -> Choice:
    """Thresholds and calibration from what the network says of the validation patients, each series alone."""
    strange = tuple[float, ...]()
    if card.thresholds.unlike is not None:
        strange = tuple(np.quantile([one.strangeness for one in looked], (0.25, 0.5, 0.75, FAMILIAR)).round(4).tolist())
        card = replace(card, thresholds=replace(card.thresholds, unlike=round(SLACK * strange[-1], 4)))
    pixels = least_of([_scaled(looked, card, weight) for weight in FUSIONS])
    joint = together(looked, pixels.card)
    best = best_of([_tried(joint, pixels.card, threshold) for threshold in REGION_THRESHOLDS])
    return Choice(best.card.thresholds, best.card.calibration, pixels.errors, best.errors, strange)


def _scaled(looked: Sequence[Looked], card: HandCard, fusion: float) -> Pixels:
    """What comes of one weight of the other series."""
    card = replace(card, calibration=replace(UNCALIBRATED, fusion=fusion))
    joined = together(looked, card)
    logits, truth = contested(joined)
    scale = pixel_scale(logits, truth)
    asked = replace(card.calibration, temperature=scale[0], background_bias=scale[1])
    threshold, overlap = _mask_threshold(joined, asked)
    log.info("Other series weigh %.1f: IoU of any tumour %.3f.", fusion, overlap)
    errors = tuple(round(pixel_error(logits, truth, each), 4) for each in (AS_IT_IS, scale))
    decided = replace(card, calibration=asked, thresholds=replace(card.thresholds, mask=threshold))
    return Pixels(decided, overlap, (errors[0], errors[1]))


def least_of(tried: Sequence[Pixels]) -> Pixels:
    """Of those that outline nearly as well as the best, the one that trusts least that the hand lay still.

    In phantoms it always did.
    """
    best = max(each.overlap for each in tried)
    return min((each for each in tried if each.overlap > best - LEVEL), key=lambda each: each.card.calibration.fusion)


def pixel_scale(logits: Floats, truth: Ints) -> Scale:
    """Temperature and bias of pixels: the best of a temperature alone, of both together, and of neither.

    Parameters
    ----------
    logits
        `(n, classes)`, the background first.
    truth
        `(n,)` class numbers.
    """

    some = np.random.default_rng(9).permutation(truth.size)[:FITTED]
    seen, known = logits[some], truth[some]

    def loss(parameters: Floats) -> float:
        said = softmax(seen, float(np.exp(parameters[0])), float(parameters[1]))[np.arange(known.size), known]
        return float(-np.log(np.maximum(said, _HELD)).mean())

    found = scipy.optimize.minimize(loss, np.zeros(2), method="Nelder-Mead", bounds=((-1.6, 3.0), (-20.0, 20.0)))
    fitted = [
        (pixel_temperature(seen, known), 0.0),
        (round(float(np.exp(found.x[0])), 4), round(float(found.x[1]), 4)),
    ]
    errors = [pixel_error(logits, truth, each) for each in fitted]
    best = int(np.argmin(errors))
    return fitted[best] if errors[best] < pixel_error(logits, truth, AS_IT_IS) - GAIN else AS_IT_IS


def pixel_error(logits: Floats, truth: Ints, scale: Scale) -> float:
    """The calibration error of pixels, scaled so."""
    return expected_calibration_error(softmax(logits, *scale), truth)


def study_error(patients: Sequence[Patient], card: HandCard) -> float:
    """The calibration error of studies, concluded by a card from series that were examined before."""
    said = [replace(each, study=conclude([one.answer for one in each.series], card)) for each in patients]
    return expected_calibration_error(study_probabilities(said), np.array([each.case.kind for each in patients]))


def pixel_temperature(logits: Floats, truth: Ints) -> float:
    """The temperature with the least negative log-likelihood.

    Parameters
    ----------
    logits
        `(n, classes)`.
    truth
        `(n,)` class numbers.
    """

    def loss(value: float) -> float:
        said = softmax(logits, float(np.exp(value)))[np.arange(truth.size), truth]
        return float(-np.log(np.maximum(said, _HELD)).mean())

    return _least(loss)


def study_calibration(patients: Sequence[Patient], card: HandCard) -> HandCalibration:
    """The card's calibration with temperature and bias of a study's tumour, and the temperature of its kinds.

    Each is kept only where it makes the calibration error of studies less.

    Parameters
    ----------
    patients
        As judged by `card`, which scales pixels and not yet studies.
    """
    tumour, bias = _tumour_scale(patients)
    kinds = _kind_temperature(patients)
    plain = card.calibration
    fitted = [
        replace(plain, kind_temperature=kinds),
        replace(plain, study_temperature=tumour, study_bias=bias),
        replace(plain, study_temperature=tumour, study_bias=bias, kind_temperature=kinds),
    ]
    errors = [study_error(patients, replace(card, calibration=each)) for each in fitted]
    best = int(np.argmin(errors))
    return fitted[best] if errors[best] < study_error(patients, card) - GAIN else plain


def _tumour_scale(patients: Sequence[Patient]) -> Scale:
    """Temperature and bias of the chance that a study has a tumour."""
    sick = np.array([patient.case.kind > 0 for patient in patients])
    chance = np.clip([patient.study.chance for patient in patients], _HELD, 1.0 - _HELD)
    logits = np.log(chance / (1.0 - chance))

    def loss(parameters: Floats) -> float:
        said = 1.0 / (1.0 + np.exp(-np.clip(logits / np.exp(parameters[0]) + parameters[1], -50.0, 50.0)))
        right = np.where(sick, said, 1.0 - said)
        return float(-np.log(np.maximum(right, _HELD)).mean() + TIMID * np.square(parameters).sum())

    found = scipy.optimize.minimize(loss, np.zeros(2), method="Nelder-Mead")
    return round(float(np.exp(found.x[0])), 4), round(float(found.x[1]), 4)


def _kind_temperature(patients: Sequence[Patient]) -> float:
    """The temperature of the kinds, over the patients with a tumour of whom a kind was said."""
    told = [(patient.study.kinds, patient.case.kind - 1) for patient in patients if patient.case.kind]
    known = [(np.log(kinds), kind) for kinds, kind in told if kinds is not None]
    if not known:
        return 1.0
    return pixel_temperature(np.array([logs for logs, _ in known]), np.array([kind for _, kind in known]))


def _mask_threshold(looked: Sequence[Looked], asked: HandCalibration) -> tuple[float, float]:
    """The threshold with the highest IoU of any tumour over all voxels, and that."""
    both, either = np.zeros(len(MASK_THRESHOLDS)), np.zeros(len(MASK_THRESHOLDS))
    for each in looked:
        tumour, truth = each.said(asked).tumour, each.scan.mask > 0
        for place, threshold in enumerate(MASK_THRESHOLDS):
            found = tumour >= threshold
            both[place] += float((found & truth).sum())
            either[place] += float((found | truth).sum())
    scores = both / np.maximum(either, 1.0)
    for threshold, score in zip(MASK_THRESHOLDS, scores, strict=True):
        log.info("Mask threshold %.2f: IoU of any tumour %.3f.", threshold, score)
    return MASK_THRESHOLDS[int(scores.argmax())], float(scores.max())


def _tried(looked: Sequence[Looked], card: HandCard, region: float) -> Tried:
    """What comes of one threshold of a region."""
    card = replace(card, thresholds=replace(card.thresholds, region=region))
    patients = judge(looked, card, measures_distance=False)
    overlaps = [each.overlap for patient in patients for each in patient.series]
    done = replace(card, calibration=study_calibration(patients, card))
    errors = tuple(round(study_error(patients, each), 4) for each in (card, done))
    tried = Tried(done, float(np.nan_to_num(overlaps, nan=1.0).mean()), (errors[0], errors[1]))
    log.info("Region threshold %.2f: mean Dice %.3f, calibration error %.4f.", region, tried.dice, errors[1])
    return tried


def best_of(tried: Sequence[Tried]) -> Tried:
    """Of those whose outlines are as good as the best, the one whose studies are calibrated best."""
    best = max(each.dice for each in tried)
    return min((each for each in tried if each.dice > best - LEVEL), key=lambda each: each.errors[1])


def _least(loss: Callable[[float], float]) -> float:
    """The temperature between 0.2 and 20 with the least loss of its logarithm."""
    found = scipy.optimize.minimize_scalar(loss, bounds=(np.log(0.2), np.log(20.0)), method="bounded")
    return round(float(np.exp(found.x)), 4)
