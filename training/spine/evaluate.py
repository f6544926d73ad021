"""Measures a spine bundle through `models.spine`: boxes, votes, fusion and calibration, as the node runs them.

Boxes are counted on slices: AP50 whatever their class, mAP50 and mAP50-95 class by class. What a reader would have to
look at for nothing is counted per patient: false boxes of neighbouring slices, and those at the same place in several
sequences, are one false finding. A patient whose tumour was not detected has no class; in the AUC such a patient scores
one half, in the rates the answer is wrong.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models import metrics
from models.boxes import hits, overlap
from models.findings import Answer
from models.metrics import expected_calibration_error, roc_auc
from models.spine import (
    Found,
    PatientAnswer,
    SequenceAnswer,
    SpineNets,
    SpineRules,
    answered,
    calibrated,
    classify,
    conclude,
    detect,
    is_familiar,
    strangeness,
)
from training.measures import Measures, among, intervals
from training.progress import over
from training.spine.dataset import Case, Scan
from training.spine.detection import OVERLAPS, Classified, by_class, mean_average_precision

log = logging.getLogger(__name__)

TOUCHES = 0.1
"""A box with less overlap (IoU) with every true box of its slice is false."""
SAME_MM = 12.0
"""Two false findings of different sequences that are nearer to one another are one."""
UNKNOWN_SCORE = 0.5
DRAWS = 1000
RECALL = 0.5
"""At which false boxes are counted."""
NOTHING = 2.0
"""No box has such a probability."""
STRANGERS = 8
"""Sequences that are made strange."""

Figures = dict[str, str | int | float | bool | list[str | int | float | bool]]
Ints = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """One patient with every box above the floor, before any threshold."""

    case: Case
    grey: tuple[npt.NDArray[np.float32], ...]
    found: tuple[Found, ...]
    strangeness: tuple[float, ...] = ()
    """Of each sequence; nothing where nobody says."""

    def is_strange(self, place: int, rules: SpineRules) -> bool:
        """Whether nothing may be said of a sequence."""
        return bool(self.strangeness) and is_familiar(self.strangeness[place], rules.unlike) is not None


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One patient as the pipeline answered."""

    case: Case
    answer: PatientAnswer
    score: float
    """The malignant share before calibration; one half without a box."""
    false_findings: int
    true_lesions: int
    met_lesions: int


def look(nets: SpineNets, cases: Sequence[Case], size: tuple[int, int]) -> list[Looked]:
    """Run the detector on every sequence of every patient."""
    looked = []
    for place, case in enumerate(over(cases, "patients"), start=1):
        grey = tuple(scan.stack.astype(np.float32) / np.float32(255.0) for scan in case.scans)
        found = tuple(detect(nets, each, size) for each in grey)
        strange = tuple(strangeness(nets, each, size) for each in grey) if nets.familiar else ()
        looked.append(Looked(case, grey, found, strange))
        if place % 20 == 0:
            log.info("Looked at %d of %d patients.", place, len(cases))
    return looked


def strangers(nets: SpineNets, looked: Sequence[Looked], rules: SpineRules) -> Figures:
    """The shares of sequences that are not assessed: as they are, as noise, and with grey values reversed."""
    if rules.unlike is None or nets.familiar is None:
        return {}
    rng = np.random.default_rng(1)
    stacks = [grey for each in looked for grey in each.grey][:STRANGERS]
    ways = {
        "noise": [rng.random(grey.shape, dtype=np.float32) for grey in stacks],
        "reversed": [np.float32(1.0) - grey for grey in stacks],
    }
    own = [each.is_strange(place, rules) for each in looked for place in range(len(each.grey))]
    made: Figures = {"sequences_not_assessed": round(float(np.mean(own)), 4)}
    for name, changed in ways.items():
        strange = [strangeness(nets, grey, rules.size) > rules.unlike for grey in changed]
        made[f"{name}_not_assessed"] = round(float(np.mean(strange)), 3)
    return made


def judge(nets: SpineNets, looked: Sequence[Looked], rules: SpineRules) -> list[Judged]:
    """Threshold, classifier, Eq. 1 and votes, for every patient."""
    return [_judged(nets, each, rules) for each in looked]


def _judged(nets: SpineNets, looked: Looked, rules: SpineRules) -> Judged:
    found = [
        each.above(NOTHING if looked.is_strange(place, rules) else rules.box) for place, each in enumerate(looked.found)
    ]
    classified = [classify(nets, grey, each, rules) for grey, each in zip(looked.grey, found, strict=True)]
    return judged(looked.case, conclude(found, classified, looked.case.age, rules))


def judged(case: Case, answer: PatientAnswer) -> Judged:
    """An answer beside the truth."""
    pairs = list(zip(case.scans, answer.sequences, strict=True))
    met = {lesion for scan, said in pairs for lesion in _met(scan, said.found)}
    return Judged(
        case,
        answer,
        answer.vote.score if answer.vote else UNKNOWN_SCORE,
        _false_findings(pairs),
        len({int(lesion) for scan in case.scans for lesion in scan.lesions}),
        len(met),
    )


def _met(scan: Scan, found: Found) -> set[int]:
    """The lesions of a sequence that some box meets by half."""
    met: set[int] = set()
    for place in np.unique(found.slices):
        mine = scan.slices == place
        shared = overlap(found.boxes[found.slices == place], scan.boxes[mine])
        met |= {
            int(lesion)
            for lesion, best in zip(scan.lesions[mine], shared.max(axis=0, initial=0.0), strict=True)
            if best >= 0.5
        }
    return met


def _false_findings(pairs: Sequence[tuple[Scan, SequenceAnswer]]) -> int:
    centres: list[npt.NDArray[np.float64]] = []
    for scan, said in pairs:
        for places in said.lesions:
            chosen = list(places)
            if any(_touches(scan, int(said.found.slices[place]), said.found.boxes[place]) for place in chosen):
                continue
            boxes, shape = said.found.boxes[chosen], np.array(scan.stack.shape[2:0:-1])
            middle = ((boxes[:, :2] + boxes[:, 2:]).mean(axis=0) / 2 - shape / 2) * scan.spacing_mm
            centre = np.array([float(np.mean(said.found.slices[chosen])) * scan.slice_mm, *middle])
            if all(np.linalg.norm(centre - other) > SAME_MM for other in centres):
                centres.append(centre)
    return len(centres)


def _touches(scan: Scan, place: int, box: npt.NDArray[np.float64]) -> bool:
    truth = scan.boxes[scan.slices == place]
    return bool(len(truth) and overlap(box[None], truth).max() >= TOUCHES)


@dataclass(frozen=True, slots=True, eq=False)
class _Matched:
    """The boxes of one patient, on all slices of all sequences."""

    scores: npt.NDArray[np.float64]
    met: npt.NDArray[np.bool_]
    truth: int
    slices: int


def _matched(looked: Looked, weighting: str | None = None) -> _Matched:
    scores, met, truth, slices = [np.zeros(0)], [np.zeros(0, dtype=np.bool_)], 0, 0
    for scan, found in zip(looked.case.scans, looked.found, strict=True):
        if weighting is not None and scan.weighting != weighting:
            continue
        truth, slices = truth + len(scan.boxes), slices + len(scan.stack)
        for place in np.unique(found.slices):
            mine = found.slices == place
            scores.append(found.scores[mine])
            met.append(hits(found.boxes[mine], found.scores[mine], scan.boxes[scan.slices == place]))
    return _Matched(np.concatenate(scores), np.concatenate(met), truth, slices)


def _classified(looked: Looked) -> list[Classified]:
    """The slices of one patient on which a box was found, or is."""
    made = []
    for scan, found in zip(looked.case.scans, looked.found, strict=True):
        for place in np.union1d(found.slices, scan.slices):
            mine, true = found.slices == place, scan.boxes[scan.slices == place]
            classes = np.full(len(true), looked.case.kind)
            made.append(Classified(found.boxes[mine], found.probabilities[mine], true, classes))
    return made


def measures(looked: Sequence[Looked], said: Sequence[Judged]) -> Measures:
    """The figures that have an interval, by patient.

    Of the patients with a tumour, malignant is what precision, sensitivity (recall) and F1 are about; a tumour that was
    not detected is called neither malignant nor benign.
    """
    kinds = np.array([each.case.kind for each in said])
    tumours = np.flatnonzero(kinds > 0)
    matched, classed = [_matched(each) for each in looked], [by_class(_classified(each)) for each in looked]
    answers = np.array([_class(each.answer) for each in said])
    false = np.array([each.false_findings for each in said])
    lesions = np.array([(each.met_lesions, each.true_lesions) for each in said])
    everyone = np.arange(len(said))

    def malignant(chosen: Ints) -> metrics.Counts:
        return metrics.counts(kinds[chosen] == 2, answers[chosen] == 2)

    def mean_precision(chosen: Ints, limits: int) -> float:
        return mean_average_precision([classed[place] for place in chosen], limits)

    return {
        "patient_auc": among(tumours, lambda i: _auc(said, i), DRAWS),
        "accuracy": among(tumours, lambda i: float(np.mean(answers[i] == kinds[i])), DRAWS),
        "kappa": among(tumours, lambda i: metrics.kappa(metrics.confusion(kinds[i], answers[i], 3)), DRAWS),
        "sensitivity": among(tumours, lambda i: share(answers[i] == 2, kinds[i] == 2), DRAWS),
        "specificity": among(tumours, lambda i: share(answers[i] == 1, kinds[i] == 1), DRAWS),
        "precision": among(tumours, lambda i: malignant(i).precision, DRAWS),
        "f1": among(tumours, lambda i: malignant(i).f1, DRAWS),
        "ap50": among(everyone, lambda i: _precision(matched, i), DRAWS),
        "map50": among(everyone, lambda i: mean_precision(i, 1), DRAWS),
        "map50_95": among(everyone, lambda i: mean_precision(i, len(OVERLAPS)), DRAWS),
        "false_boxes_per_image_at_recall_0.5": among(everyone, lambda i: _false_boxes(matched, i), DRAWS),
        "false_findings_per_patient": among(everyone, lambda i: float(false[i].mean()), DRAWS),
        "lesions_met": among(everyone, lambda i: float(lesions[i, 0].sum() / max(1, lesions[i, 1].sum())), DRAWS),
    }


def figures(looked: Sequence[Looked], said: Sequence[Judged], rules: SpineRules) -> Figures:
    """The figures of a card, those with an interval as [value, low, high] (95 %, bootstrap over patients)."""
    kinds = np.array([each.case.kind for each in said])
    tumours, everyone = np.flatnonzero(kinds > 0), np.arange(len(said))
    answers = np.array([_class(each.answer) for each in said])
    made: Figures = {
        "patients": len(said),
        "normal_benign_malignant": [int(number) for number in np.bincount(kinds, minlength=3)],
        "sequences": sum(len(each.case.scans) for each in said),
        "slices": sum(len(scan.stack) for each in looked for scan in each.case.scans),
        **intervals(measures(looked, said)),
        "tumour_patients_without_a_box": int((answers[tumours] == 0).sum()),
        "normal_patients_with_a_box": int((answers[kinds == 0] != 0).sum()),
        "box_threshold": rules.box,
    }
    for weighting in sorted({scan.weighting for each in looked for scan in each.case.scans}):
        of_one = [_matched(each, weighting) for each in looked]
        made[f"ap50_{weighting}"] = round(_precision(of_one, everyone), 4)
    return made | _calibration(said, rules)


def _calibration(said: Sequence[Judged], rules: SpineRules) -> Figures:
    voting = [each for each in said if each.case.kind and each.answer.vote]
    truth = np.array([each.case.kind - 1 for each in voting])
    before = np.array([(1.0 - each.score, each.score) for each in voting])
    after = np.array([(1.0 - p, p) for p in (calibrated(each.score, rules) for each in voting)])
    fell: Figures = {}
    for answer in (Answer.NORMAL, Answer.BENIGN, Answer.MALIGNANT, Answer.UNDECIDED):
        fell[f"answered_{answer}"] = [
            sum(each.case.kind == kind and answered(each.answer.vote, rules)[0] is answer for each in said)
            for kind in range(3)
        ]
    return {
        "ece_before": round(expected_calibration_error(before, truth, bins=10), 4),
        "ece_after": round(expected_calibration_error(after, truth, bins=10), 4),
        **fell,
    }


def _auc(said: Sequence[Judged], chosen: Ints) -> float:
    scores = np.array([said[place].score for place in chosen])
    return roc_auc(scores, np.array([said[place].case.kind == 2 for place in chosen]))


def _precision(matched: Sequence[_Matched], chosen: Ints) -> float:
    mine = [matched[place] for place in chosen]
    scores = np.concatenate([each.scores for each in mine])
    if not scores.size:
        return 0.0
    return metrics.average_precision(
        scores, np.concatenate([each.met for each in mine]), sum(each.truth for each in mine)
    )


def _false_boxes(matched: Sequence[_Matched], chosen: Ints) -> float:
    """Per slice, at the threshold where half of the true boxes are met; NaN where they never are."""
    mine = [matched[place] for place in chosen]
    scores, met = np.concatenate([each.scores for each in mine]), np.concatenate([each.met for each in mine])
    truth, slices = sum(each.truth for each in mine), sum(each.slices for each in mine)
    return metrics.false_positives_per_image(scores, met, truth, slices, RECALL)


def _class(answer: PatientAnswer) -> int:
    """0 without a box, 1 benign, 2 malignant: the vote, as the paper has it."""
    if answer.vote is None:
        return 0
    return 2 if answer.vote.answer is Answer.MALIGNANT else 1


def share(right: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> float:
    """How many of some are right; NaN of none."""
    return float(right[among].mean()) if among.any() else float("nan")
