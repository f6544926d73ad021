"""A set of spinal examinations: one file per patient, `NAME.npz`, whatever it was made of; the split is by patient.

`cases_of` makes it from phantoms, and the file says what any other source must give: for each sequence the stack,
already scaled (models.slices.normalise) to 8 bit, its boxes, and where the spine runs.

Legend: stacks `(slices, rows, columns)` uint8; boxes `(n, 4)`: left, top, right, bottom in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.slices import normalise
from training import patients
from training.patients import Parts
from training.phantoms.spine import Series, SpinePatient
from training.spine.cutmix import Band

FOLDS = 4
"""Of the paper's cross-validation within its training part."""
KINDS = ("normal", "benign", "malignant")


@dataclass(frozen=True, slots=True)
class Scan:
    """One sequence of a patient."""

    weighting: str
    stack: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float32]
    slices: npt.NDArray[np.int64]
    """`(n,)`: the slice of each box."""
    lesions: npt.NDArray[np.int64]
    """`(n,)`: the lesion of each box, from 1; the same in every sequence of a patient."""
    band: Band
    spacing_mm: float
    slice_mm: float


@dataclass(frozen=True, slots=True)
class Case:
    """One patient."""

    name: str
    kind: int
    """Into `KINDS`: the class of every box of the patient."""
    age: float | None
    detail: str
    """The kind of tumour, where it is known."""
    scans: tuple[Scan, ...]


def case_of(patient: SpinePatient) -> Case:
    """A phantom as a case."""
    detail = patient.tumours[0] if patient.tumours else ""
    scans = tuple(_scan(series) for series in patient.series)
    return Case(f"spine-{patient.seed:07d}", KINDS.index(patient.kind.value), patient.age, detail, scans)


def _scan(series: Series) -> Scan:
    edges = [(box.left, box.top, box.right, box.bottom) for box in series.boxes]
    return Scan(
        series.told.weight.value,
        np.rint(normalise(series.pixels.astype(np.float32)) * 255.0).astype(np.uint8),
        np.array(edges, dtype=np.float32).reshape(-1, 4),
        np.array([box.slice for box in series.boxes], dtype=np.int64),
        np.array([box.lesion for box in series.boxes], dtype=np.int64),
        Band(series.middle, series.reach),
        series.row_mm,
        series.slice_mm,
    )


def write(case: Case, folder: Path) -> Path:
    """Write one patient."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for place, scan in enumerate(case.scans):
        arrays |= {f"{place}_stack": scan.stack, f"{place}_boxes": scan.boxes, f"{place}_slices": scan.slices}
        arrays |= {f"{place}_lesions": scan.lesions, f"{place}_middle": scan.band.middle}
    told = {
        "name": case.name,
        "kind": KINDS[case.kind],
        "age": case.age,
        "detail": case.detail,
        "scans": [[scan.weighting, scan.band.reach, scan.spacing_mm, scan.slice_mm] for scan in case.scans],
    }
    return patients.write(case.name, told, arrays, folder, is_packed=False)


def read(folder: Path) -> tuple[Case, ...]:
    """Every patient of a folder, by name.

    Raises
    ------
    DataFault
        A folder without patients, or a file that is none.
    """
    return patients.read(folder, "spine", _case)


def _case(told: Any, arrays: patients.Arrays) -> Case:
    scans = tuple(
        Scan(
            weighting,
            arrays[f"{place}_stack"],
            arrays[f"{place}_boxes"],
            arrays[f"{place}_slices"],
            arrays[f"{place}_lesions"],
            Band(arrays[f"{place}_middle"], reach),
            spacing_mm,
            slice_mm,
        )
        for place, (weighting, reach, spacing_mm, slice_mm) in enumerate(told["scans"])
    )
    return Case(told["name"], KINDS.index(told["kind"]), told["age"], told["detail"], scans)


def split(cases: Sequence[Case]) -> Parts[Case]:
    """Who trains, who calibrates, who tests."""
    return patients.split(cases)


def folds(cases: Sequence[Case], count: int = FOLDS) -> tuple[tuple[Case, ...], ...]:
    """The parts of a cross-validation."""
    return patients.folds(cases, count)
