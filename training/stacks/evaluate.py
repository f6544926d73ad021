"""Measures a bundle through `models.stack`: what the node would say of patients, beside the truth.

Dice is told three ways, because papers do not say which they mean: per patient (all voxels of a stack), per image
(slices that show a tumour), and pooled over all voxels. Slices and patients without a tumour are counted apart.
A tumour is met when a region of the answer overlaps it by a tenth (IoU); a region is false when it overlaps none.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models.findings import Answer, Measurement, MeasurementKind
from models.metrics import expected_calibration_error, iou
from models.stack import Stack, StackModel
from models.surfaces import hausdorff95
from training.measures import Measure, Measures, among, intervals
from training.progress import over
from training.stacks.case import Case, stack_of

log = logging.getLogger(__name__)

MET = 0.1
MISSED = 0.1
"""An image with a tumour and a Dice below this is missed (MODELS.md)."""
SLIVER_MM2 = 100.0
"""An image that shows less of a tumour, a disc of 11 mm, shows one of its ends more often than a small one. Such images
count like others in the mean per image, and its figure without them is told beside it."""
TISSUE = 0.02
"""Voxels of air are sure and say nothing of calibration: those brighter than this in the first channel count."""
DOUBTFUL = 0.02
"""From this probability on, or inside a tumour, a voxel is one over which there can be doubt."""
SAMPLE = 20_000
"""Voxels of a patient that calibration and its error look at."""
DRAWS = 1000
STRANGERS = 5
"""Patients whose images are made strange."""

Figures = dict[str, str | int | float | bool | list[str | int | float | bool]]
Ints = npt.NDArray[np.integer]
Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A patient, what the network is given of it, and the probability of every voxel."""

    case: Case
    stack: Stack
    probability: Probabilities
    seconds: float
    strangeness: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Voxels of some patients, equally many of each: how likely a tumour was said to be, and whether it is one."""

    probability: Probabilities
    truth: npt.NDArray[np.bool_]
    doubtful: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One patient as the pipeline answered."""

    name: str
    answer: Answer
    mask: npt.NDArray[np.bool_]
    pixels: Ints
    """`(slices, 3)`: of the intersection, of the truth, of the answer."""
    pixel_mm2: float
    volumes_ml: tuple[float, float]
    """True and found."""
    tumours: int
    met: int
    chance: float
    """Of a tumour, as the answer says it."""
    regions: int
    false_regions: int
    hd95_mm: float
    """Between the surfaces of all tumours and all regions; NaN where either has none."""
    adc_errors: tuple[float, ...]
    """Of each tumour that was met, found minus true mean, 1e-3 mm2/s."""
    seconds: float

    @property
    def dice(self) -> float:
        """Over the whole stack; NaN where neither has a tumour."""
        return pooled_dice(self.pixels)


def look(model: StackModel, cases: Sequence[Case]) -> list[Seen]:
    """Run the network over every patient."""
    seen = []
    for place, case in enumerate(over(cases, "patients"), start=1):
        begin = time.process_time()
        stack = stack_of(case, model.card)
        looked = model.look(stack)
        seen.append(Seen(case, stack, looked.probability, time.process_time() - begin, looked.strangeness))
        if place % 20 == 0:
            log.info("Looked at %d of %d patients.", place, len(cases))
    return seen


def strangers(model: StackModel, cases: Sequence[Case]) -> Figures:
    """The shares of stacks that are not assessed where they are noise, or the same stacks with grey values reversed."""
    limit = model.card.thresholds.unlike
    if limit is None:
        return {}
    rng = np.random.default_rng(1)
    some = [(case, {need: np.asarray(v, dtype=np.float32) for need, v in case.volumes.items()}) for case in cases]
    some = some[:STRANGERS]
    ways = {
        "noise": [{need: rng.uniform(0.0, 1000.0, v.shape) for need, v in told.items()} for _, told in some],
        "reversed": [{need: v.max() - v for need, v in told.items()} for _, told in some],
    }
    made: Figures = {}
    for name, changed in ways.items():
        stacks = [
            stack_of(replace(case, volumes=volumes), model.card)
            for (case, _), volumes in zip(some, changed, strict=True)
        ]
        made[f"{name}_not_assessed"] = round(_mean([model.look(each).strangeness > limit for each in stacks]), 3)
    return made


def sampled(seen: Sequence[Seen]) -> Sample:
    """Voxels to calibrate on, and to measure calibration by."""
    parts: list[tuple[Probabilities, npt.NDArray[np.bool_]]] = []
    for number, each in enumerate(seen):
        tissue = np.flatnonzero((each.stack.channels[0] > TISSUE) | each.case.mask)
        chosen = np.random.default_rng((20150701, number)).choice(tissue, min(SAMPLE, tissue.size), replace=False)
        parts.append((each.probability.ravel()[chosen], each.case.mask.ravel()[chosen]))
    probability = np.concatenate([part for part, _ in parts])
    truth = np.concatenate([part for _, part in parts])
    return Sample(probability, truth, truth | (probability >= DOUBTFUL))


def voxel_error(probability: Probabilities, truth: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error of voxels."""
    both = np.stack((1.0 - probability, probability), axis=1)
    return expected_calibration_error(both, truth.astype(np.int64))


def judge(model: StackModel, seen: Sequence[Seen]) -> list[Judged]:
    """Thresholds, regions and measurements, for every patient."""
    return [_judged(model, each) for each in seen]


def _judged(model: StackModel, seen: Seen) -> Judged:
    begin = time.process_time()
    findings = model.findings(seen.stack, seen.probability, seen.strangeness)
    seconds = seen.seconds + time.process_time() - begin
    case, numbers = seen.case, findings.mask
    truth, found = case.mask, numbers > 0
    axes = (1, 2)
    adc = [_adc_of(lesion.measurements) for lesion in findings.lesions]
    met, errors = 0, []
    for tumour in range(1, int(case.lesions.max()) + 1):
        overlaps = [iou(case.lesions == tumour, numbers == number) for number in range(1, int(numbers.max()) + 1)]
        if max(overlaps, default=0.0) >= MET:
            met += 1
            said = adc[int(np.argmax(overlaps))]
            if case.adc and said is not None:
                errors.append(said - case.adc[tumour - 1])
    touched = set(np.unique(numbers[truth])) - {0}
    voxel_ml = float(np.prod(case.spacing)) / 1000.0
    return Judged(
        name=case.name,
        answer=findings.answer,
        mask=found,
        pixels=np.stack([(truth & found).sum(axis=axes), truth.sum(axis=axes), found.sum(axis=axes)], axis=1),
        pixel_mm2=case.spacing[1] * case.spacing[2],
        volumes_ml=(float(truth.sum()) * voxel_ml, float(found.sum()) * voxel_ml),
        tumours=int(case.lesions.max()),
        met=met,
        chance=findings.probabilities.get(Answer.TUMOUR, 0.0),
        regions=len(findings.lesions),
        false_regions=len(findings.lesions) - len(touched),
        hd95_mm=hausdorff95(truth, found, case.spacing),
        adc_errors=tuple(errors),
        seconds=seconds,
    )


def _adc_of(measurements: Sequence[Measurement]) -> float | None:
    """In 1e-3 mm2/s."""
    found = [each.value for each in measurements if each.kind is MeasurementKind.MEAN_ADC]
    return found[0] / 1000.0 if found else None


def measures(said: Sequence[Judged]) -> Measures:
    """The figures that have an interval, by patient."""
    ill = np.flatnonzero([each.tumours > 0 for each in said])
    well = np.flatnonzero([each.tumours == 0 for each in said])

    def of(statistic: Callable[[Sequence[Judged]], float], whom: Ints, *, is_of_its_own: bool = False) -> Measure:
        return among(
            whom, lambda chosen: statistic([said[place] for place in chosen]), DRAWS, is_of_its_own=is_of_its_own
        )

    everyone = np.arange(len(said))
    made = {
        "dice_median_per_patient": of(lambda some: _median([each.dice for each in some]), ill),
        "dice_mean_per_patient": of(lambda some: _mean([each.dice for each in some]), ill),
        "dice_mean_per_image": of(lambda some: _mean(image_dices(some)), ill),
        "dice_mean_per_image_from_100_mm2": of(lambda some: _mean(image_dices(some, SLIVER_MM2)), ill),
        "dice_median_per_image": of(lambda some: _median(image_dices(some)), ill),
        "dice_pooled": of(lambda some: pooled_dice(np.concatenate([each.pixels for each in some])), everyone),
        "hd95_mm_median_of_outlined": of(
            lambda some: _nanmedian([each.hd95_mm for each in some]), ill, is_of_its_own=True
        ),
        "images_missed": of(lambda some: _mean([one < MISSED for one in image_dices(some)]), ill),
        "empty_images_with_a_region": of(_falsely_outlined, everyone),
        "tumours_met": of(lambda some: _share([each.met for each in some], [each.tumours for each in some]), ill),
        "false_regions_per_patient": of(lambda some: _mean([each.false_regions for each in some]), everyone),
        "volume_error_median": of(lambda some: _median([abs(_volume_error(each)) for each in some]), ill),
        "volume_error_mean_signed": of(lambda some: _mean([_volume_error(each) for each in some]), ill),
    }
    if any(each.adc_errors for each in said):
        made["adc_error_mean_1e-3_mm2_s"] = of(
            lambda some: _mean([abs(error) for each in some for error in each.adc_errors]), ill, is_of_its_own=True
        )
    if len(well):
        made["patients_without_a_tumour_and_without_a_region"] = of(
            lambda some: _mean([each.regions == 0 for each in some]), well
        )
    return made


def figures(said: Sequence[Judged], sample: Sample) -> Figures:
    """The figures of a card, those with an interval as [value, low, high] (95 %, bootstrap over patients)."""
    slices = np.concatenate([each.pixels for each in said])
    made: Figures = {
        "patients": len(said),
        "patients_with_a_tumour": sum(each.tumours > 0 for each in said),
        "images": len(slices),
        "images_with_a_tumour": int((slices[:, 1] > 0).sum()),
        "images_with_less_than_100_mm2_of_a_tumour": len(image_dices(said)) - len(image_dices(said, SLIVER_MM2)),
        **intervals(measures(said)),
        "dice_per_patient": sorted(round(each.dice, 3) for each in said if each.tumours),
        "cpu_seconds_per_patient_median": round(_median([each.seconds for each in said]), 3),
    }
    errors = [error for each in said for error in each.adc_errors]
    if errors:
        made["adc_error_mean_signed_1e-3_mm2_s"] = round(_mean(errors), 4)
    for answer in (Answer.NORMAL, Answer.TUMOUR, Answer.UNDECIDED, Answer.NOT_ASSESSED):
        made[f"answered_{answer}_without_and_with_a_tumour"] = [
            sum(each.answer is answer and bool(each.tumours) is is_ill for each in said) for is_ill in (False, True)
        ]
    made["ece_after"] = round(voxel_error(sample.probability, sample.truth), 4)
    made["ece_after_of_doubtful_voxels"] = round(
        voxel_error(sample.probability[sample.doubtful], sample.truth[sample.doubtful]), 4
    )
    return made


def pooled_dice(pixels: Ints) -> float:
    """Of the rows intersection, truth, answer; NaN where all are empty."""
    both, truth, found = pixels.sum(axis=0)
    return 2.0 * float(both) / float(truth + found) if truth + found else float("nan")


def image_dices(said: Sequence[Judged], least_mm2: float = 0.0) -> list[float]:
    """Of every slice that shows a tumour, and so much of it."""
    shown = [each.pixels[(each.pixels[:, 1] > 0) & (each.pixels[:, 1] * each.pixel_mm2 >= least_mm2)] for each in said]
    rows = np.concatenate(shown)
    return list(2.0 * rows[:, 0] / (rows[:, 1] + rows[:, 2]))


def _falsely_outlined(said: Sequence[Judged]) -> float:
    rows = np.concatenate([each.pixels for each in said])
    return _mean(list(rows[rows[:, 1] == 0, 2] > 0))


def _volume_error(said: Judged) -> float:
    """Found minus true volume, as a share of the true one."""
    true, found = said.volumes_ml
    return (found - true) / true


def _share(parts: Sequence[int], wholes: Sequence[int]) -> float:
    return sum(parts) / sum(wholes) if sum(wholes) else float("nan")


def _mean(values: Sequence[float]) -> float:
    """NaN for a draw without a case, which the interval then leaves out."""
    return float(np.mean(values)) if len(values) else float("nan")


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _nanmedian(values: Sequence[float]) -> float:
    return _median([value for value in values if not np.isnan(value)])
