"""Chooses the thresholds and the calibration of a spine card on the validation patients, through the node's pipeline.

In this order: the score from which on a box counts (the lowest that keeps false findings rare), temperature and bias
of the patient's malignant share (least negative log-likelihood), and by split conformal prediction the least
probability of a class that may be the answer, so that nine patients of ten keep their true class among those possible.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.optimize

from models.metrics import expected_calibration_error
from models.spine import SpineNets, SpineRules, calibrated
from training.conformal import least_possible
from training.errors import DataFault
from training.familiarity import FAMILIAR, SLACK
from training.spine.evaluate import Judged, Looked, judge

log = logging.getLogger(__name__)

BOX_THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
FALSE_FINDINGS = 0.5
"""Per patient, at most, where a threshold allows it."""
TIMID = 1e-2
"""Keeps temperature and bias finite where a few validation patients are all told right."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and what the calibration error was before and after."""

    box: float
    temperature: float
    bias: float
    certain: float
    false_findings: float
    ece_before: float
    ece_after: float
    unlike: float | None = None
    strangeness: tuple[float, ...] = ()
    """Quartiles over the validation sequences, and the quantile that the limit comes from; empty where nobody says."""


def choose(nets: SpineNets, looked: Sequence[Looked], rules: SpineRules) -> Choice:
    """Thresholds and calibration, from patients that nobody trained on.

    Raises
    ------
    DataFault
        No benign or no malignant patient among those with a box.
    """
    box, said = _box(nets, looked, rules)
    voting = [each for each in said if each.case.kind and each.answer.vote]
    scores = np.array([each.score for each in voting])
    truth = np.array([each.case.kind - 1 for each in voting])
    if len(np.unique(truth)) < 2:
        raise DataFault("Calibration needs benign and malignant patients in whom a box was found.")
    temperature, bias = fit_calibration(scores, truth)
    told = replace(rules, temperature=temperature, bias=bias)
    probabilities = np.array([calibrated(score, told) for score in scores])
    return Choice(
        box,
        temperature,
        bias,
        least_possible(np.where(truth == 1, probabilities, 1.0 - probabilities)),
        round(float(np.mean([each.false_findings for each in said])), 4),
        round(expected_calibration_error(_pairs(scores), truth, bins=10), 4),
        round(expected_calibration_error(_pairs(probabilities), truth, bins=10), 4),
        *_limit(looked),
    )


def _limit(looked: Sequence[Looked]) -> tuple[float | None, tuple[float, ...]]:
    """From which strangeness on a sequence is not assessed, and what it comes from."""
    each = [strange for one in looked for strange in one.strangeness]
    if not each:
        return None, ()
    quantiles = tuple(np.quantile(each, (0.25, 0.5, 0.75, FAMILIAR)).round(4).tolist())
    return round(SLACK * quantiles[-1], 4), quantiles


def _box(nets: SpineNets, looked: Sequence[Looked], rules: SpineRules) -> tuple[float, list[Judged]]:
    """The lowest threshold with few enough false findings; else the highest that leaves both classes a vote."""
    best: tuple[float, list[Judged]] | None = None
    for box in BOX_THRESHOLDS:
        said = judge(nets, looked, replace(rules, box=box))
        false = float(np.mean([each.false_findings for each in said]))
        met = sum(each.met_lesions for each in said) / max(1, sum(each.true_lesions for each in said))
        log.info("Boxes from %.2f on: %.2f false findings per patient, %.2f of lesions met.", box, false, met)
        if best is None or len({each.case.kind for each in said if each.case.kind and each.answer.vote}) == 2:
            best = box, said
        if false <= FALSE_FINDINGS:
            break
    assert best is not None  # there are thresholds
    return best


def fit_calibration(scores: npt.NDArray[np.float64], truth: npt.NDArray[np.integer]) -> tuple[float, float]:
    """Temperature and bias with the least negative log-likelihood."""
    held = np.clip(scores, 1e-6, 1.0 - 1e-6)
    logits = np.log(held / (1.0 - held))

    def loss(parameters: npt.NDArray[np.float64]) -> float:
        shifted = logits * np.exp(-parameters[0]) + parameters[1]
        misfit = np.logaddexp(0.0, np.where(truth == 1, -shifted, shifted)).mean()
        return float(misfit + TIMID * np.square(parameters).sum())

    found = scipy.optimize.minimize(loss, np.zeros(2), method="Nelder-Mead")
    temperature = float(np.clip(np.exp(found.x[0]), 0.02, 50.0))
    return round(temperature, 4), round(float(found.x[1]), 4)


def _pairs(malignant: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.column_stack((1.0 - malignant, malignant))
