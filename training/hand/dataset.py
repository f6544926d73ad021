"""A set of hand examinations: one file per patient, `NAME.npz`, whatever it was made of; splits and folds by patient.

`case_of` makes a case of a phantom, training/hand/labelme.py of annotated pictures; any other source must give the
same: for each sequence the stack on its own grid, stretched by models.slices.normalise and rounded to 8 bit, and the
number of the kind per voxel.

Legend: stacks and masks `(slices, rows, columns)` uint8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.hand_card import CLASSES
from models.hand_input import Stack
from models.slices import normalise
from models.volume import Grid
from training import patients
from training.errors import DataFault
from training.patients import Parts
from training.phantoms.hand import HandPatient

FOLDS = 5
"""Of the paper's cross-validation (section 4)."""
ROLES = {"t1": "t1", "t2": "t2", "fs": "fs", "stir": "fs", "t1c": "contrast"}
"""The model's input for each weighting, as the node chooses it."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One sequence of a patient."""

    weighting: str
    plane: str
    stack: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.uint8]
    """0, or the number of the kind."""
    spacing_mm: float
    slice_mm: float
    grid: Grid | None = None
    """Where it lies in the patient, beside the other sequences; None where nobody knows."""
    frame: str = ""
    """In whose terms it lies there: sequences of different ones say nothing of each other's places."""

    @property
    def input(self) -> Stack:
        """As the preparation takes it."""
        spacing = (self.spacing_mm, self.spacing_mm)
        return Stack(self.stack.astype(np.float32), spacing, ROLES.get(self.weighting, ""), self.grid, self.frame)


@dataclass(frozen=True, slots=True)
class Case:
    """One patient."""

    name: str
    kind: int
    """Into `CLASSES`; 0 for a hand without a tumour."""
    scans: tuple[Scan, ...]


def case_of(patient: HandPatient) -> Case:
    """A phantom as a case."""
    scans = tuple(
        Scan(
            series.told.weight.value,
            series.plane.value,
            np.rint(normalise(series.pixels.astype(np.float32)) * 255.0).astype(np.uint8),
            series.truth,
            series.spacing_mm,
            series.slice_mm,
            series.grid,
        )
        for series in patient.series
    )
    return Case(f"hand-{patient.seed:07d}", int(patient.kind or 0), scans)


def write(case: Case, folder: Path) -> Path:
    """Write one patient."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for place, scan in enumerate(case.scans):
        arrays |= {f"{place}_stack": scan.stack, f"{place}_mask": scan.mask}
    told = {
        "name": case.name,
        "kind": CLASSES[case.kind],
        "scans": [[scan.weighting, scan.plane, scan.spacing_mm, scan.slice_mm] for scan in case.scans],
        "places": [_place(scan.grid) for scan in case.scans],
        "frames": [scan.frame for scan in case.scans],
    }
    return patients.write(case.name, told, arrays, folder, is_packed=True)


def read(folder: Path) -> tuple[Case, ...]:
    """Every patient of a folder, by name.

    Raises
    ------
    DataFault
        A folder without patients, or a file that is none.
    """
    return patients.read(folder, "hand", _case)


def _place(grid: Grid | None) -> list[list[float]] | None:
    """Origin, directions and spacing of a grid; its shape is that of the stack."""
    return None if grid is None else [grid.origin.tolist(), grid.directions.ravel().tolist(), list(grid.spacing)]


def _grid(place: list[list[float]] | None, stack: npt.NDArray[np.uint8]) -> Grid | None:
    if place is None:
        return None
    origin, directions, (between, down, across) = place
    slices, rows, columns = stack.shape
    turned = np.array(directions).reshape(3, 3)
    return Grid(np.array(origin), turned, (between, down, across), (slices, rows, columns))


def _case(told: Any, arrays: patients.Arrays) -> Case:
    scans = []
    for number, (weighting, plane, spacing_mm, slice_mm) in enumerate(told["scans"]):
        stack, mask = arrays[f"{number}_stack"], arrays[f"{number}_mask"]
        grid = _grid(told["places"][number], stack) if "places" in told else None
        frame = told.get("frames", {number: ""})[number]
        scans.append(Scan(weighting, plane, stack, mask, spacing_mm, slice_mm, grid, frame))
    return Case(told["name"], CLASSES.index(told["kind"]), tuple(scans))


def split(cases: Sequence[Case]) -> Parts[Case]:
    """Who trains, who calibrates, who tests.

    Raises
    ------
    DataFault
        A part would be empty.
    """
    parts = patients.split(cases)
    if not (parts.train and parts.validation and parts.test):
        raise DataFault(
            f"Of {len(cases)} patients {len(parts.train)} would train, {len(parts.validation)} calibrate and "
            f"{len(parts.test)} test: too few. Add patients, seven or more of each class."
        )
    return parts


def folds(cases: Sequence[Case], count: int = FOLDS) -> tuple[tuple[Case, ...], ...]:
    """The parts of a cross-validation.

    The paper's own script draws the images of each fold apart, so that its folds overlap and patients leak between
    training and validation (MODELS.md §5.2).
    """
    return patients.folds(cases, count)
