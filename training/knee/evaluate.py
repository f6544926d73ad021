"""Measures a knee bundle through `models.knee`: both networks, fusion, calibration, regions, as the node runs them."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.findings import Answer, ImageRef, Spacing, SpacingSource
from models.images import Radiograph
from models.knee import Examination, Knee, KneeImage
from models.metrics import (
    accuracy,
    confusion,
    counts,
    dice,
    expected_calibration_error,
    iou,
    macro_f1,
    mean_accuracy,
    recalls,
    roc_auc,
)
from models.surfaces import hausdorff95
from training.errors import RunFault
from training.knee.dataset import Radiographs
from training.knee.layouts import grey
from training.knee.nets import CLASSES
from training.measures import Measure, Measures, intervals
from training.progress import over

log = logging.getLogger(__name__)

STRANGERS = 50
"""Images that are made strange, about."""
FOUND = 0.1
"""A tumour counts as found from this Dice on (MODELS.md: missed below 0.1)."""
ROUGH = 0.7
"""An outline is rough of which a lower Dice may be expected: of validation outlines about half."""
MALIGNANT = CLASSES.index("malignant")
SIZES = {"small": (0.0, 0.005), "medium": (0.005, 0.03), "large": (0.03, 1.0)}
"""From which share of the image on, and below which, a tumour is called so: 0.005 of 256 x 256 are 328 pixels."""

Ints = npt.NDArray[np.integer]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What the pipeline said of one image, beside the truth."""

    name: str
    label: int
    block: int
    whole: Vector
    """The global network's classes."""
    raw: Vector
    """Fused classes before calibration."""
    probabilities: Vector
    answer: Answer
    regions: int
    overlap: float
    """Dice of the final mask; NaN where neither has a tumour."""
    iou: float
    hd95_px: float
    """Between the surfaces of truth and final mask, in pixels of the grid of the truth; NaN where either is empty."""
    pixels: tuple[int, int, int]
    """Of the intersection, of the truth, of the answer."""
    share: float
    """Of the image that the true tumour covers."""
    expected: float
    """The Dice that the pipeline expected of its outline; NaN where it has none, or had no expectation."""
    strangeness: float


def examine(knees: Sequence[Knee], data: Radiographs, folder: Path, indices: Sequence[int]) -> list[list[Case]]:
    """Run pipelines on images as they lie in the data set; the cases of each pipeline."""
    made: list[list[Case]] = [[] for _ in knees]
    for place, index in enumerate(over(indices, "images"), start=1):
        pixels = grey(folder, data.names[index])
        for knee, cases in zip(knees, made, strict=True):
            cases.append(_case(knee, data, index, pixels))
        if place % 100 == 0:
            log.info("Examined %d of %d images.", place, len(indices))
    return made


def _case(knee: Knee, data: Radiographs, index: int, pixels: npt.NDArray[np.float32]) -> Case:
    name = data.names[index]
    shown = np.clip(pixels, 0, 255).astype(np.uint8)
    done = knee.examine(KneeImage(ImageRef(name), name, Radiograph(pixels, shown, None, ()), UNKNOWN))
    if done.answer is None:
        raise RunFault(f"{name} was not assessed: {' '.join(done.findings.notes)}")
    wanted, found = data.masks[index] > 0, _on_grid(done.findings.mask[0] > 0, data.masks.shape[1:])
    return Case(
        name=name,
        label=int(data.labels[index]),
        block=int(data.blocks[index]),
        whole=done.answer.whole,
        raw=done.answer.raw,
        probabilities=done.answer.probabilities,
        answer=done.findings.answer,
        regions=len(done.findings.lesions),
        overlap=dice(wanted, found),
        iou=iou(wanted, found),
        hd95_px=hausdorff95(wanted, found, (1.0, 1.0)),
        pixels=(int((wanted & found).sum()), int(wanted.sum()), int(found.sum())),
        share=float(wanted.mean()),
        expected=_expected(knee, done),
        strangeness=done.answer.strangeness,
    )


def _expected(knee: Knee, done: Examination) -> float:
    if done.answer is None or not done.findings.lesions:
        return float("nan")
    expected = knee.cut(done.answer).expected
    return float("nan") if expected is None else expected


UNKNOWN = Spacing(1.0, 1.0, SpacingSource.UNKNOWN)

Figures = dict[str, str | int | float | bool | list[str | int | float | bool]]


def measures(cases: Sequence[Case], tumour: float) -> Measures:
    """The figures that have an interval, by blocks.

    Precision, sensitivity (recall) and F1 are of any tumour against normal; the macro F1 is of the three classes.

    Parameters
    ----------
    tumour
        The decision threshold of the card, on the calibrated probability of any tumour.
    """
    labels = np.array([case.label for case in cases])
    blocks = np.array([case.block for case in cases])
    said = np.array([case.probabilities for case in cases])
    score, is_tumour = 1.0 - said[:, 0], labels > 0
    answer = _classes(said, tumour)
    overlap, union = np.array([case.overlap for case in cases]), np.array([case.iou for case in cases])
    outlined = np.array([case.regions > 0 for case in cases])
    pixels = np.array([case.pixels for case in cases])
    distance = np.array([case.hd95_px for case in cases])
    sizes = _sizes(cases)

    def of(statistic: Callable[[Ints], float]) -> Measure:
        return Measure(statistic, blocks, draws=2000)

    def among(chosen: Ints, wanted: npt.NDArray[np.bool_]) -> Ints:
        return chosen[wanted[chosen]]

    def outlined_as(size: str) -> Measure:
        return of(lambda i: _mean(overlap[among(i, sizes == size)]))

    return {
        "tumour_auc": of(lambda i: roc_auc(score[i], is_tumour[i])),
        "malignant_auc": of(lambda i: roc_auc(said[i, MALIGNANT], labels[i] == MALIGNANT)),
        "malignant_among_tumours_auc": of(
            lambda i: roc_auc(_odds(said)[among(i, is_tumour)], labels[among(i, is_tumour)] == MALIGNANT)
        ),
        "sensitivity": of(lambda i: counts(is_tumour[i], score[i] >= tumour).recall),
        "specificity": of(lambda i: counts(is_tumour[i], score[i] >= tumour).specificity),
        "precision": of(lambda i: counts(is_tumour[i], score[i] >= tumour).precision),
        "f1": of(lambda i: counts(is_tumour[i], score[i] >= tumour).f1),
        "accuracy": of(lambda i: accuracy(confusion(labels[i], answer[i], len(CLASSES)))),
        "mean_accuracy": of(lambda i: float(recalls(confusion(labels[i], answer[i], len(CLASSES))).mean())),
        "macro_f1": of(lambda i: macro_f1(confusion(labels[i], answer[i], len(CLASSES)))),
        "dice_mean": of(lambda i: _mean(overlap[among(i, is_tumour)])),
        **{f"dice_mean_{size}": outlined_as(size) for size in SIZES},
        "dice_median": of(lambda i: _median(overlap[among(i, is_tumour)])),
        "dice_pooled": of(lambda i: _pooled(pixels[i])),
        "hd95_px_median_of_outlined": of(lambda i: _median(distance[i][np.isfinite(distance[i])]))._replace(
            is_of_its_own=True
        ),
        "iou_mean": of(lambda i: _mean(union[among(i, is_tumour)])),
        "tumours_found": of(lambda i: _mean(overlap[among(i, is_tumour)] > FOUND)),
        "normals_with_a_region": of(lambda i: _mean(outlined[among(i, ~is_tumour)])),
    }


def figures(cases: Sequence[Case], tumour: float, group: str = "blocks") -> Figures:
    """The figures of a card, those with an interval as [value, low, high] (95 %, bootstrap over groups).

    Parameters
    ----------
    tumour
        The decision threshold of the card, on the calibrated probability of any tumour.
    group
        What `Case.block` tells apart: blocks of ids, each of many patients, or patients.
    """
    labels, blocks = np.array([case.label for case in cases]), np.array([case.block for case in cases])
    said = np.array([case.probabilities for case in cases])
    matrix = confusion(labels, _classes(said, tumour), len(CLASSES))
    made: Figures = {
        "images": len(cases),
        "normal_benign_malignant": [int(number) for number in np.bincount(labels, minlength=len(CLASSES))],
        group: len(np.unique(blocks)),
        "_".join(SIZES): [int((_sizes(cases) == size).sum()) for size in SIZES],
        **intervals(measures(cases, tumour)),
        "mean_accuracy_sample_sd": round(mean_accuracy(matrix).sample / 100, 4),
        "confusion_rows_are_truth": [int(number) for number in matrix.ravel()],
        "ece_before": round(expected_calibration_error(np.array([case.raw for case in cases]), labels), 4),
        "ece_after": round(expected_calibration_error(said, labels), 4),
    }
    made.update(_answers(cases))
    made.update(_roughness(cases))
    if group == "blocks":  # of one patient alone an area under the curve says nothing
        made.update(_by_block(1.0 - said[:, 0], labels > 0, blocks))
    return made


def _classes(said: Vector, tumour: float) -> Ints:
    """Normal, or from the threshold on the likelier kind."""
    return np.where(1.0 - said[:, 0] >= tumour, 1 + (said[:, 2] >= said[:, 1]), 0)


def _sizes(cases: Sequence[Case]) -> npt.NDArray[np.str_]:
    """The name of each tumour's size; "" of a normal image, and of a tumour that nobody outlined."""

    def size(case: Case) -> str:
        fits = [name for name, (least, below) in SIZES.items() if least <= case.share < below]
        return fits[0] if case.label and case.share and fits else ""

    return np.array([size(case) for case in cases])


def _by_block(score: Vector, is_tumour: npt.NDArray[np.bool_], blocks: Ints) -> Figures:
    """The tumours of each block against all normal images: blocks differ by more than chance."""
    with_tumours = np.unique(blocks[is_tumour])
    each = [
        roc_auc(score[chosen], is_tumour[chosen]) for chosen in (~is_tumour | (blocks == one) for one in with_tumours)
    ]
    return {
        "blocks_with_tumours": [int(one) for one in with_tumours],
        "tumour_auc_of_each": [round(value, 3) for value in each],
    }


def strangers(knee: Knee, data: Radiographs, folder: Path, indices: Sequence[int]) -> Figures:
    """The shares of images that are not assessed where they are noise, or the same images with grey values reversed."""
    rng = np.random.default_rng(1)
    chosen = [grey(folder, data.names[index]) for index in indices[:: max(1, len(indices) // STRANGERS)]]
    noise = [rng.uniform(0.0, 255.0, pixels.shape).astype(np.float32) for pixels in chosen]
    return {
        "noise_not_assessed": _unlike(knee, noise),
        "reversed_not_assessed": _unlike(knee, [255.0 - pixels for pixels in chosen]),
    }


def _unlike(knee: Knee, pictures: Sequence[npt.NDArray[np.float32]]) -> float:
    limit = knee.card.thresholds.unlike
    return round(float(np.mean([knee.infer(pixels).strangeness > limit for pixels in pictures])), 3)


def _answers(cases: Sequence[Case]) -> Figures:
    """How often each answer of the node fell, per true class: normal, benign, malignant."""
    made: Figures = {}
    for answer in (Answer.NORMAL, Answer.BENIGN, Answer.MALIGNANT, Answer.UNDECIDED, Answer.NOT_ASSESSED):
        fell = [sum(case.answer is answer and case.label == label for case in cases) for label in range(len(CLASSES))]
        made[f"answered_{answer}"] = list(fell)
    return made


def rough_and_other(cases: Sequence[Case]) -> tuple[Vector, Vector]:
    """The Dice of outlines of which little may be expected, and of the others; 0 where there was no tumour."""
    expected, found = np.array([case.expected for case in cases]), np.array([case.overlap for case in cases])
    return found[expected < ROUGH], found[expected >= ROUGH]


def _roughness(cases: Sequence[Case]) -> Figures:
    parts = rough_and_other(cases)
    if not all(part.size for part in parts):
        return {}
    return {
        "rough_and_other_outlines": [len(part) for part in parts],
        "dice_mean_of_rough_and_other": [round(float(part.mean()), 4) for part in parts],
    }


def _mean(values: npt.NDArray[Any]) -> float:
    """NaN for a draw without a case, which the interval then leaves out."""
    return float(values.mean()) if values.size else float("nan")


def _median(values: npt.NDArray[Any]) -> float:
    return float(np.median(values)) if values.size else float("nan")


def _odds(said: Vector) -> Vector:
    return said[:, MALIGNANT] / np.maximum(said[:, 1] + said[:, MALIGNANT], 1e-12)


def _pooled(pixels: Ints) -> float:
    both, truth, found = pixels.sum(axis=0)
    return 2.0 * float(both) / float(truth + found) if truth + found else float("nan")


def _on_grid(mask: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    if mask.shape == shape:
        return mask
    rows = np.arange(shape[0]) * mask.shape[0] // shape[0]
    columns = np.arange(shape[1]) * mask.shape[1] // shape[1]
    return mask[np.ix_(rows, columns)]
