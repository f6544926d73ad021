"""Chooses the thresholds and the calibration of a card on the validation patients, through the node's own pipeline.

In this order: temperature and bias of voxels (least negative log-likelihood), the probability from which on a voxel is
tumour (highest mean Dice per patient), then the smallest region and its least mean probability (most tumours met less
regions that are none); the last three twice. A choice that gains nothing worth the name leaves the plain value: there
are few patients. Where a cross-validation was made, its networks answer for more of them (crossed.py).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.optimize

from models.stack import StackModel
from models.stack_card import StackCalibration, StackThresholds
from training.errors import DataFault
from training.familiarity import FAMILIAR
from training.stacks.case import Case
from training.stacks.crossed import Judges
from training.stacks.evaluate import Judged, Seen, judge, look, sampled, voxel_error

log = logging.getLogger(__name__)

MASKS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
PLAIN_MASK, PLAIN_MM3 = 0.5, 200.0
ROUNDS = 2
SMALLEST_MM3 = (100.0, 200.0, 500.0, 1000.0, 2000.0)
TUMOURS = (0.5, 0.6, 0.7, 0.8)
WORTH = 0.003
"""By how much another threshold must be better than the plain one."""
SLACK = 2.0
"""Of the limit of strangeness, where others have 1.5: four validation patients, as limb has, tell too little of what
the hundredth would be like."""
FALSE_WEIGHT = 0.5
"""What a false region costs, where a tumour that is met is worth 1."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and what the calibration error was before and after."""

    thresholds: StackThresholds
    calibration: StackCalibration
    ece_before: float
    ece_after: float
    strangeness: tuple[float, ...] = ()
    """Quartiles over the validation patients, and the quantile that the limit comes from; empty where nobody says."""


def choose(model: StackModel, cases: Sequence[Case], by: Judges | None = None) -> Choice:
    """Thresholds and calibration, from patients that nobody trained on.

    Parameters
    ----------
    by
        Models that were trained alike, each with patients that it did not learn from (crossed.py): these choose all but
        what is strange, which the network itself must say.

    Raises
    ------
    DataFault
        None of them has a tumour.
    """
    groups = by or [(model, cases)]
    if not any(case.mask.any() for _, held in groups for case in held):
        raise DataFault("Calibration needs validation patients with a tumour. Give a larger set.")
    raw = sampled(_looked(groups, StackCalibration(1.0, 0.0)))
    calibration = fit_calibration(raw.probability, raw.truth)
    seen = _looked(groups, calibration)
    sample = sampled(seen)
    told = with_parts(model, replace(model.card.thresholds, mask=PLAIN_MASK, tumour=PLAIN_MASK), calibration)
    thresholds, strange = _thresholds(told, seen), tuple[float, ...]()
    if model.card.thresholds.unlike is not None:
        own = look(told, cases) if by else seen
        strange = tuple(np.quantile([each.strangeness for each in own], (0.25, 0.5, 0.75, FAMILIAR)).round(4).tolist())
        thresholds = replace(thresholds, unlike=round(SLACK * strange[-1], 4))
    return Choice(
        thresholds,
        calibration,
        round(voxel_error(raw.probability, raw.truth), 4),
        round(voxel_error(sample.probability, sample.truth), 4),
        strange,
    )


def _looked(groups: Judges, calibration: StackCalibration) -> list[Seen]:
    """What each model says of its patients, calibrated so."""
    pairs = [(with_parts(model, model.card.thresholds, calibration), cases) for model, cases in groups]
    return [seen for model, cases in pairs for seen in look(model, cases)]


def with_parts(model: StackModel, thresholds: StackThresholds, calibration: StackCalibration) -> StackModel:
    """The same network behind another card."""
    return model.behind(replace(model.card, thresholds=thresholds, calibration=calibration))


def fit_calibration(probability: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_]) -> StackCalibration:
    """Temperature and bias with the least negative log-likelihood."""
    held = np.clip(probability.astype(np.float64), 1e-6, 1.0 - 1e-6)
    logits, sign = np.log(held / (1.0 - held)), np.where(truth, -1.0, 1.0)

    def loss(parameters: npt.NDArray[np.float64]) -> float:
        return float(np.logaddexp(0.0, sign * (logits * np.exp(-parameters[0]) + parameters[1])).mean())

    found = scipy.optimize.minimize(loss, np.zeros(2), method="Nelder-Mead", options={"maxiter": 120})
    temperature = float(np.clip(np.exp(found.x[0]), 0.1, 10.0))
    return StackCalibration(round(temperature, 4), round(float(found.x[1]), 4))


def _thresholds(model: StackModel, seen: Sequence[Seen]) -> StackThresholds:
    """From plain values, whatever the card had before; the second round knows which regions the first one drops."""
    chosen = replace(model.card.thresholds, mask=PLAIN_MASK, tumour=PLAIN_MASK, region_min_mm3=PLAIN_MM3)
    for _ in range(ROUNDS):
        masks = [replace(chosen, mask=mask, tumour=max(mask, chosen.tumour)) for mask in MASKS]
        chosen = _best(model, seen, masks, chosen, _mean_dice, "mask")
        smallest = [replace(chosen, region_min_mm3=mm3) for mm3 in SMALLEST_MM3]
        chosen = _best(model, seen, smallest, chosen, _worth, "region_min_mm3")
        surest = [replace(chosen, tumour=tumour) for tumour in (chosen.mask, *TUMOURS) if tumour >= chosen.mask]
        chosen = _best(model, seen, surest, chosen, _worth, "tumour")
    return chosen


def _best(
    model: StackModel,
    seen: Sequence[Seen],
    candidates: Sequence[StackThresholds],
    plain: StackThresholds,
    score_of: Callable[[Sequence[Judged]], float],
    name: str,
) -> StackThresholds:
    """The best candidate, or the plain one where none is better by what is worth it."""

    def score(thresholds: StackThresholds) -> float:
        value = score_of(judge(with_parts(model, thresholds, model.card.calibration), seen))
        log.info("%s %g: %.4f.", name, getattr(thresholds, name), value)
        return value

    scored = [(score(candidate), candidate) for candidate in candidates]
    best = max(scored, key=lambda pair: pair[0])
    held = next((value for value, candidate in scored if candidate == plain), -np.inf)
    return best[1] if best[0] > held + WORTH else plain


def _mean_dice(said: Sequence[Judged]) -> float:
    """NaN, where nothing is and nothing was found, is left out."""
    return float(np.nanmean([each.dice for each in said]))


def _worth(said: Sequence[Judged]) -> float:
    """Tumours met, less what false regions cost, of all tumours; overlap decides between equals."""
    tumours = max(1, sum(each.tumours for each in said))
    met, false = sum(each.met for each in said), sum(each.false_regions for each in said)
    return (met - FALSE_WEIGHT * false) / tumours + 0.1 * _mean_dice(said)
