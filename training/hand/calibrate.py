"""Chooses what the card of a hand bundle decides by, on the validation patients, through the node's own pipeline.

First one temperature of the pixels' logits (least negative log-likelihood over contested pixels). Then the mask
threshold with the highest IoU of any tumour. Then, on whole studies, temperature and bias of "there is a tumour", and
the temperature of the kinds.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize

from models.hand import conclude
from models.hand_card import HandCalibration, HandCard, HandThresholds
from models.metrics import expected_calibration_error
from training.familiarity import FAMILIAR, SLACK
from training.hand.evaluate import Floats, Looked, Patient, contested, judge, softmax, study_probabilities
from training.hand.scores import Ints

log = logging.getLogger(__name__)

MASK_THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
TIMID = 1e-2
"""Keeps temperature and bias finite where a few validation patients are all told right."""
_HELD = 1e-6


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and the calibration error of studies before and after."""

    thresholds: HandThresholds
    calibration: HandCalibration
    pixel_ece: tuple[float, float]
    study_ece: tuple[float, float]
    strangeness: tuple[float, ...] = ()
    """Quartiles over the validation series, and the quantile that the limit comes from; empty where nobody says."""


def choose(looked: Sequence[Looked], card: HandCard) -> Choice:
    """Thresholds and calibration from what the network says of the validation patients."""
    logits, truth = contested(looked)
    temperature = pixel_temperature(logits, truth)
    card = replace(card, calibration=HandCalibration(temperature, 1.0, 0.0, 1.0))
    card = replace(card, thresholds=replace(card.thresholds, mask=_mask_threshold(looked, temperature)))
    patients = judge(looked, card)
    calibration = study_calibration(patients, temperature)
    after = [
        replace(each, study=conclude([series.answer for series in each.series], replace(card, calibration=calibration)))
        for each in patients
    ]
    kinds = np.array([patient.case.kind for patient in patients])
    errors = [round(expected_calibration_error(study_probabilities(each), kinds), 4) for each in (patients, after)]
    before, now = (round(expected_calibration_error(softmax(logits, each), truth), 4) for each in (1.0, temperature))
    thresholds, strange = card.thresholds, tuple[float, ...]()
    if thresholds.unlike is not None:
        strange = tuple(np.quantile([one.strangeness for one in looked], (0.25, 0.5, 0.75, FAMILIAR)).round(4).tolist())
        thresholds = replace(thresholds, unlike=round(SLACK * strange[-1], 4))
    return Choice(thresholds, calibration, (before, now), (errors[0], errors[1]), strange)


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


def study_calibration(patients: Sequence[Patient], temperature: float) -> HandCalibration:
    """Temperature and bias of a study's tumour, and the temperature of its kinds, from uncalibrated answers."""
    sick = np.array([patient.case.kind > 0 for patient in patients])
    chance = np.clip([patient.study.chance for patient in patients], _HELD, 1.0 - _HELD)
    logits = np.log(chance / (1.0 - chance))

    def loss(parameters: Floats) -> float:
        said = 1.0 / (1.0 + np.exp(-np.clip(logits / np.exp(parameters[0]) + parameters[1], -50.0, 50.0)))
        right = np.where(sick, said, 1.0 - said)
        return float(-np.log(np.maximum(right, _HELD)).mean() + TIMID * np.square(parameters).sum())

    found = scipy.optimize.minimize(loss, np.zeros(2), method="Nelder-Mead")
    told = [(patient.study.kinds, patient.case.kind - 1) for patient in patients if patient.case.kind]
    known = [(np.log(kinds), kind) for kinds, kind in told if kinds is not None]
    kinds = 1.0
    if known:
        kinds = pixel_temperature(np.array([logs for logs, _ in known]), np.array([kind for _, kind in known]))
    return HandCalibration(temperature, round(float(np.exp(found.x[0])), 4), round(float(found.x[1]), 4), kinds)


def _mask_threshold(looked: Sequence[Looked], temperature: float) -> float:
    """The threshold with the highest IoU of any tumour over all voxels."""
    both, either = np.zeros(len(MASK_THRESHOLDS)), np.zeros(len(MASK_THRESHOLDS))
    for each in looked:
        tumour, truth = each.said(temperature).tumour, each.scan.mask > 0
        for place, threshold in enumerate(MASK_THRESHOLDS):
            found = tumour >= threshold
            both[place] += float((found & truth).sum())
            either[place] += float((found | truth).sum())
    scores = both / np.maximum(either, 1.0)
    for threshold, score in zip(MASK_THRESHOLDS, scores, strict=True):
        log.info("Mask threshold %.2f: IoU of any tumour %.3f.", threshold, score)
    return MASK_THRESHOLDS[int(scores.argmax())]


def _least(loss: Callable[[float], float]) -> float:
    """The temperature between 0.2 and 20 with the least loss of its logarithm."""
    found = scipy.optimize.minimize_scalar(loss, bounds=(np.log(0.2), np.log(20.0)), method="bounded")
    return round(float(np.exp(found.x)), 4)
