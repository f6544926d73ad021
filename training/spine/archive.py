"""Labelled DICOM studies of spines: sagittal MR series with a segmentation (SEG) or a structure set (RTSTRUCT).

A lesion's box is the rectangle around its voxels in each slice. Whether tumours are benign or malignant the labels must
say (training/archive/verdicts.py). Series without a label are left out, for nobody looked; a study named in
normals.txt shows no tumour in any.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from training.archive.cases import patients
from training.archive.folder import Study
from training.archive.stacks import Labelled, labelled, square_mm, weighting
from training.archive.verdicts import kind_of
from training.errors import DataFault
from training.spine.cutmix import Band
from training.spine.dataset import KINDS, Case, Scan

SAME_MM = 15.0
"""Lesions of two series whose middles lie nearer than this are one."""

Points = list[npt.NDArray[np.float64]]


def read_studies(folder: Path) -> tuple[Case, ...]:
    """Every patient of a folder; the studies of one patient are one case, so that no split divides them.

    Raises
    ------
    DataFault
    """
    return patients(folder, _case, lambda held, more: replace(held, scans=(*held.scans, *more.scans)), KINDS)


def age_of(ds: Dataset) -> float | None:
    """*Patient's Age* (0010,1010) in years; None where it is not told."""
    told = re.fullmatch(r"(\d{3})([DWMY])", str(ds.get("PatientAge", "") or "").strip())
    return float(told[1]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[told[2]] if told else None


def boxes_of(
    lesions: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The boxes `(n, 4)` of a stack's lesions, slice by slice, with the slice and the lesion of each."""
    edges, slices, numbers = [], [], []
    for place in np.flatnonzero(lesions.any(axis=(1, 2))):
        for number in np.unique(lesions[place][lesions[place] > 0]):
            rows, columns = np.nonzero(lesions[place] == number)
            edges.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
            slices.append(place)
            numbers.append(number)
    return (
        np.array(edges, dtype=np.float32).reshape(-1, 4),
        np.array(slices, dtype=np.int64),
        np.array(numbers, dtype=np.int64),
    )


def _case(study: Study) -> Case:
    found, said = labelled(study)
    sagittal = [each for each in found if each.plane == "sagittal"]
    if not sagittal:
        raise DataFault("None of its labelled series is sagittal, and the spine is looked at in sagittal slices.")
    known: Points = []
    scans = tuple(_scan(each, known) for each in sagittal)
    kind = 0 if study.is_normal else kind_of(said)
    return Case(study.name, kind, age_of(sagittal[0].header), "; ".join(dict.fromkeys(said)), scans)


def _scan(each: Labelled, known: Points) -> Scan:
    grid = each.stack.grid
    boxes, slices, _ = boxes_of(each.lesions)
    _, _, lesions = boxes_of(_renumbered(each, known))
    return Scan(
        weighting(each.header),
        each.grey,
        boxes,
        slices,
        lesions,
        _band(boxes, grid.shape[1:]),
        square_mm(grid),
        float(grid.spacing[0]),
    )


def _renumbered(each: Labelled, known: Points) -> npt.NDArray[np.uint8]:
    """Its lesions by the numbers that they have in the series before; new ones are added to the `known` middles, mm."""
    grid, table = each.stack.grid, np.zeros(256, dtype=np.uint8)
    for number in np.unique(each.lesions[each.lesions > 0]):
        middle = np.argwhere(each.lesions == number).mean(axis=0)
        place = grid.origin + (middle * grid.spacing) @ grid.directions
        near = [float(np.linalg.norm(place - other)) for other in known]
        if not near or min(near) > SAME_MM:
            known.append(place)
            near.append(0.0)
        table[number] = 1 + int(np.argmin(near))
    return np.asarray(table[each.lesions])


def _band(boxes: npt.NDArray[np.float32], shape: tuple[int, int]) -> Band:
    """Where the spine runs: through the middles of the tumours' boxes; down the middle of an image without one."""
    rows, columns = shape
    if not len(boxes):
        return Band(np.full(rows, columns / 2.0, dtype=np.float32), columns / 8.0)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    order = np.argsort(middles[:, 1])
    middle = np.interp(np.arange(rows), middles[order, 1], middles[order, 0]).astype(np.float32)
    return Band(middle, float((boxes[:, 2] - boxes[:, 0]).max()))
