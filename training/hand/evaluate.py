"""Measures a hand bundle through `models.hand`, on whole patients: the paper's mean IoU and what a node would say.

Three readings of the same six classes are reported (MODELS.md §5.2): each pixel's likeliest class, as the paper; each
region with the likeliest kind of all its voxels, as the node outlines it; and each region with the kind of the study.

Legend: stacks `(slices, rows, columns)`; logits have the classes in front; a confusion has a row per true class.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models.findings import Answer
from models.hand import Classes, HandModel, classes, examine
from models.hand_card import CLASSES, HandCalibration, HandCard
from models.hand_findings import SeriesAnswer, StudyAnswer, conclude, study_answer
from models.hand_fusion import Network, joined
from models.hand_input import Stack
from models.metrics import (
    Counts,
    confusion,
    counts,
    expected_calibration_error,
    least_calibration_error,
    macro_f1,
)
from models.slices import Plan
from models.surfaces import hausdorff95
from training.hand.dataset import Case, Scan
from training.hand.scores import Ints, binary, ious, mean_iou
from training.measures import Measure, Measures, intervals
from training.progress import over

log = logging.getLogger(__name__)

CONTESTED = 0.05
"""A pixel is contested when the network, uncalibrated, gives it this probability of a tumour: elsewhere calibration is
easy. What the pixel truly is has no say: a choice by the truth makes the best calibrated network look too sure."""
UNCALIBRATED = HandCalibration(temperature=1.0, study_temperature=1.0, study_bias=0.0, kind_temperature=1.0)
SAMPLED = 2000
"""Contested pixels of each sequence that calibration looks at."""
STRANGERS = 8
"""Sequences that are made strange."""
FOUND = 0.1
"""A tumour counts as found from this Dice on."""

Figures = dict[str, str | int | float | bool | list[str | int | float | bool]]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What the network says of one sequence."""

    case: Case
    scan: Scan
    way: Plan
    logits: npt.NDArray[np.float16]
    strangeness: float = 0.0

    def said(self, asked: HandCalibration) -> Classes:
        """The probabilities under a calibration."""
        return classes(self.way, self.logits.astype(np.float32), asked)

    @property
    def network(self) -> Network:
        """As the node has it."""
        return Network(self.way, self.logits.astype(np.float32), self.strangeness)

    @property
    def voxel_mm3(self) -> float:
        """Of the source."""
        return float(self.scan.spacing_mm**2 * self.scan.slice_mm)


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """What the node would say of one sequence, beside the truth."""

    answer: SeriesAnswer
    pixels: Ints
    """The confusion of each pixel's likeliest class."""
    regions: tuple[Ints, Ints]
    """The pixels' true classes within each region that the node outlines `(regions, 6)`, and within none `(6,)`."""
    overlap: float
    """Dice of any tumour; NaN where neither has one."""
    hd95_mm: float
    """Between the surfaces of all tumours and all regions; NaN where either has none."""


@dataclass(frozen=True, slots=True, eq=False)
class Patient:
    """One patient's sequences and what they say together."""

    case: Case
    series: tuple[Examined, ...]
    study: StudyAnswer


def look(model: HandModel, cases: Sequence[Case]) -> list[Looked]:
    """Run the network on every sequence of the patients."""
    found = []
    for place, case in enumerate(over(cases, "patients"), start=1):
        for scan, said in zip(case.scans, model.look([scan.input for scan in case.scans]), strict=True):
            found.append(Looked(case, scan, said.way, said.logits.astype(np.float16), said.strangeness))
        if place % 20 == 0:
            log.info("Looked at %d of %d patients.", place, len(cases))
    return found


def together(looked: Sequence[Looked], card: HandCard) -> list[Looked]:
    """The same as a card has the series of each patient answer together."""
    if not card.calibration.fusion:
        return list(looked)
    made: list[Looked] = []
    for mine in _by_patient(looked):
        asked = card.calibration.fusion, card.thresholds.unlike
        pairs = zip(
            mine, joined([each.scan.input for each in mine], [each.network for each in mine], *asked), strict=True
        )
        made += [replace(each, logits=said.logits.astype(np.float16)) for each, said in pairs]
    return made


def strangers(model: HandModel, cases: Sequence[Case]) -> Figures:
    """The shares of sequences not assessed where they are noise, or the same sequences with grey values reversed."""
    limit = model.card.thresholds.unlike
    if limit is None:
        return {}
    rng = np.random.default_rng(1)
    scans = [scan for case in cases for scan in case.scans][:STRANGERS]
    ways = {
        "noise": [rng.uniform(0.0, 255.0, scan.stack.shape).astype(np.float32) for scan in scans],
        "reversed": [np.float32(255.0) - scan.stack.astype(np.float32) for scan in scans],
    }
    made: Figures = {}
    for name, stacks in ways.items():
        seen = [
            said.strangeness
            for scan, stack in zip(scans, stacks, strict=True)
            for said in model.look([Stack(stack, (scan.spacing_mm, scan.spacing_mm))])
        ]
        made[f"{name}_not_assessed"] = round(float(np.mean([each > limit for each in seen])), 3)
    return made


def judge(looked: Sequence[Looked], card: HandCard, *, measures_distance: bool = True) -> list[Patient]:
    """What a card decides of what the network, or the series `together`, said; without distances of surfaces faster."""
    made = []
    for mine in _by_patient(looked):
        series = tuple(_examined(each, card, measures_distance) for each in mine)
        made.append(Patient(mine[0].case, series, conclude([each.answer for each in series], card)))
    return made


def _examined(each: Looked, card: HandCard, measures_distance: bool) -> Examined:
    said = each.said(card.calibration)
    answer = replace(examine(said, each.voxel_mm3, card), strangeness=each.strangeness)
    truth = each.scan.mask.astype(np.int64)
    best, likeliest = said.of(0), np.zeros(truth.shape, dtype=np.int64)
    for number in range(1, len(CLASSES)):
        chance = said.of(number)
        likeliest[chance > best] = number
        best = np.maximum(best, chance)
    inside = np.zeros((len(answer.bodies), len(CLASSES)), dtype=np.int64)
    outlined = np.zeros(truth.shape, dtype=bool)
    for place, body in enumerate(answer.bodies):
        inside[place] = np.bincount(truth[body.mass.box][body.mass.mask], minlength=len(CLASSES))
        outlined[body.mass.box] |= body.mass.mask
    outside = np.bincount(truth[~outlined], minlength=len(CLASSES)).astype(np.int64)
    both, sizes = int((outlined & (truth > 0)).sum()), int(outlined.sum()) + int((truth > 0).sum())
    pixels = confusion(truth.ravel(), likeliest.ravel(), len(CLASSES))
    spacing = each.scan.slice_mm, each.scan.spacing_mm, each.scan.spacing_mm
    distance = hausdorff95(truth > 0, outlined, spacing) if measures_distance else float("nan")
    return Examined(answer, pixels, (inside, outside), 2.0 * both / sizes if sizes else float("nan"), distance)


def _by_patient(looked: Sequence[Looked]) -> list[list[Looked]]:
    by_case: dict[str, list[Looked]] = {}
    for each in looked:
        by_case.setdefault(each.case.name, []).append(each)
    return list(by_case.values())


def contested(looked: Sequence[Looked]) -> tuple[Floats, Ints]:
    """Logits `(n, 6)` and true classes `(n,)` of pixels on the network's grid that it does not call plainly normal."""
    logits, truths = [], []
    for number, each in enumerate(looked):
        truth = np.zeros(each.logits.shape[1:], dtype=np.int64)
        for kind in np.unique(each.scan.mask):
            if kind:
                truth[each.way.resampled((each.scan.mask == kind).astype(np.float32)) >= 0.5] = kind
        places = np.flatnonzero(1.0 - each.said(UNCALIBRATED).values[0] >= CONTESTED)
        if places.size > SAMPLED:
            places = np.random.default_rng((7, number)).choice(places, SAMPLED, replace=False)
        logits.append(each.logits.reshape(len(CLASSES), -1)[:, places].T.astype(np.float64))
        truths.append(truth.ravel()[places])
    return np.concatenate(logits), np.concatenate(truths)


def softmax(logits: Floats, temperature: float = 1.0, bias: float = 0.0) -> Floats:
    """Over the last axis, of logits divided by the temperature; `bias` is added to the first."""
    moved = logits / temperature
    moved[..., 0] += bias
    grown = np.exp(moved - moved.max(axis=-1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=-1, keepdims=True))


def measures(patients: Sequence[Patient], card: HandCard) -> Measures:
    """The figures that have an interval, by patient.

    `study_precision`, `study_sensitivity` (recall), `study_specificity` and `study_f1` are of the answer "tumour" that
    the node gives a study, with the thresholds of `card`: undecided and not assessed are no such answer. The accuracy
    and the macro F1 are of its likeliest class of six.
    """
    said = study_probabilities(patients)
    kinds = np.array([patient.case.kind for patient in patients])
    everyone = np.arange(len(patients))
    by_pixel = np.array([sum(each.pixels for each in patient.series) for patient in patients])
    by_region = np.array([regions_confusion(patient, by_study=False) for patient in patients])
    by_study = np.array([regions_confusion(patient, by_study=True) for patient in patients])
    overlaps = [np.array([each.overlap for each in patient.series]) for patient in patients]
    answered = said.argmax(axis=1)
    is_tumour = np.array([_study_answer(patient, card) is Answer.TUMOUR for patient in patients])

    def rates(chosen: npt.NDArray[np.integer]) -> Counts:
        return counts(kinds[chosen] > 0, is_tumour[chosen])

    def of(statistic: Callable[[npt.NDArray[np.integer]], float]) -> Measure:
        return Measure(statistic, everyone, draws=500)

    def sick(chosen: npt.NDArray[np.integer], values: Sequence[Floats]) -> Floats:
        """Of each sequence of the chosen patients with a tumour; one NaN where there is none."""
        mine = np.concatenate([np.empty(0), *(values[place] for place in chosen if kinds[place])])
        known = mine[np.isfinite(mine)]
        return known if known.size else np.array([np.nan])

    distances = [np.array([each.hd95_mm for each in patient.series]) for patient in patients]
    false = np.array([_false_regions(patient) for patient in patients])
    sequences = np.array([len(patient.series) for patient in patients])
    return {
        "miou_6_pixels": of(lambda i: mean_iou(by_pixel[i].sum(axis=0))),
        "miou_6_regions": of(lambda i: mean_iou(by_region[i].sum(axis=0))),
        "miou_6_study": of(lambda i: mean_iou(by_study[i].sum(axis=0))),
        "miou_binary_pixels": of(lambda i: mean_iou(binary(by_pixel[i].sum(axis=0)))),
        "miou_binary_regions": of(lambda i: mean_iou(binary(by_region[i].sum(axis=0)))),
        "dice_mean_per_sequence": of(lambda i: float(sick(i, overlaps).mean())),
        "dice_median_per_sequence": of(lambda i: float(np.median(sick(i, overlaps)))),
        "hd95_mm_median_of_outlined": of(lambda i: float(np.median(sick(i, distances))))._replace(is_of_its_own=True),
        "sequences_found": of(lambda i: float((sick(i, overlaps) > FOUND).mean())),
        "false_regions_per_sequence": of(lambda i: float(false[i].sum() / sequences[i].sum())),
        "study_precision": of(lambda i: rates(i).precision),
        "study_sensitivity": of(lambda i: rates(i).recall),
        "study_specificity": of(lambda i: rates(i).specificity),
        "study_f1": of(lambda i: rates(i).f1),
        "study_accuracy_6": of(lambda i: float((answered[i] == kinds[i]).mean())),
        "study_macro_f1_6": of(lambda i: macro_f1(confusion(kinds[i], answered[i], len(CLASSES)))),
    }


def figures(looked: Sequence[Looked], patients: Sequence[Patient], card: HandCard) -> Figures:
    """The figures of a card, those with an interval as [value, low, high] (95 %, bootstrap over patients)."""
    kinds = np.array([patient.case.kind for patient in patients])
    logits, truth = contested(looked)
    scaled = softmax(logits, card.calibration.temperature, card.calibration.background_bias)
    by_pixel = sum(each.pixels for patient in patients for each in patient.series)
    by_study = sum(regions_confusion(patient, by_study=True) for patient in patients)
    return {
        "patients": len(patients),
        "sequences": len(looked),
        "patients_by_kind": [int(number) for number in np.bincount(kinds, minlength=len(CLASSES))],
        **intervals(measures(patients, card)),
        "iou_by_class_pixels": [round(float(each), 4) for each in ious(np.asarray(by_pixel))],
        "iou_by_class_study": [round(float(each), 4) for each in ious(np.asarray(by_study))],
        "sequences_not_assessed": round(
            float(np.mean([each.answer.is_strange(card) for patient in patients for each in patient.series])), 4
        ),
        **_fell(patients, card),
        "study_ece_6": round(expected_calibration_error(study_probabilities(patients), kinds), 4),
        "study_ece_6_of_so_many_if_calibrated": round(least_calibration_error(study_probabilities(patients)), 4),
        "pixel_ece_before": round(expected_calibration_error(softmax(logits), truth), 4),
        "pixel_ece_after": round(expected_calibration_error(scaled, truth), 4),
    }


def _fell(patients: Sequence[Patient], card: HandCard) -> Figures:
    """How many patients got each answer of a study: those without a tumour, and those with one."""
    said = [(_study_answer(patient, card), patient.case.kind > 0) for patient in patients]
    return {
        f"answered_{answer}_without_and_with_a_tumour": [said.count((answer, is_ill)) for is_ill in (False, True)]
        for answer in (Answer.NORMAL, Answer.TUMOUR, Answer.UNDECIDED, Answer.NOT_ASSESSED)
    }


def _study_answer(patient: Patient, card: HandCard) -> Answer:
    """What the node says of a study."""
    return study_answer(patient.study, [each.answer for each in patient.series], card)


def study_probabilities(patients: Sequence[Patient]) -> Floats:
    """`(patients, 6)`: no tumour, or which; a tumour without an outline is of any kind."""
    even = np.full(len(CLASSES) - 1, 1.0 / (len(CLASSES) - 1))
    rows = []
    for patient in patients:
        kinds = even if patient.study.kinds is None else patient.study.kinds
        rows.append(np.concatenate([[1.0 - patient.study.chance], patient.study.chance * kinds]))
    return np.array(rows)


def regions_confusion(patient: Patient, *, by_study: bool) -> Ints:
    """The confusion of pixels whose answer is that of their region, or of the study."""
    total = np.zeros((len(CLASSES), len(CLASSES)), dtype=np.int64)
    for each in patient.series:
        inside, outside = each.regions
        total[:, 0] += outside
        for body, truth in zip(each.answer.bodies, inside, strict=True):
            kinds = patient.study.kinds if by_study and patient.study.kinds is not None else body.kinds
            total[:, int(kinds.argmax()) + 1] += truth
    return total


def _false_regions(patient: Patient) -> int:
    """Regions without a pixel of a tumour in them."""
    return sum(int((each.regions[0][:, 1:].sum(axis=1) == 0).sum()) for each in patient.series)
