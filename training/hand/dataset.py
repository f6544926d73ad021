"""A set of hand examinations: one file per patient, `NAME.npz`, whatever it was made of; splits and folds by patient.

`case_of` makes a case of a phantom, training/hand/labelme.py of annotated pictures; any other source must give the
same: for each sequence the stack on its own grid, stretched by models.slices.normalise and rounded to 8 bit, and the
number of the kind per voxel.

Legend: stacks and masks `(slices, rows, columns)` uint8.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.hand_card import CLASSES
from models.slices import normalise
from training.errors import DataFault
from training.phantoms.hand import HandPatient

SHARES = (0.70, 0.15)
"""Of the patients: those that train, and those that validate; the others test."""
FOLDS = 5
"""Of the paper's cross-validation (section 4)."""


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


@dataclass(frozen=True, slots=True)
class Case:
    """One patient."""

    name: str
    kind: int
    """Into `CLASSES`; 0 for a hand without a tumour."""
    scans: tuple[Scan, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """Who trains, who calibrates, who tests."""

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]


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
        )
        for series in patient.series
    )
    return Case(f"hand-{patient.seed:07d}", int(patient.kind or 0), scans)


def write(case: Case, folder: Path) -> Path:
    """Write one patient."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for place, scan in enumerate(case.scans):
        arrays |= {f"{place}_stack": scan.stack, f"{place}_mask": scan.mask}
    told = {
        "name": case.name,
        "kind": CLASSES[case.kind],
        "scans": [[scan.weighting, scan.plane, scan.spacing_mm, scan.slice_mm] for scan in case.scans],
    }
    path = folder / f"{case.name}.npz"
    with path.with_suffix(".partial").open("wb") as file:
        np.savez_compressed(file, told=np.array(json.dumps(told)), **arrays)  # type: ignore[arg-type]  # no option
    path.with_suffix(".partial").replace(path)
    return path


def read(folder: Path) -> tuple[Case, ...]:
    """Every patient of a folder, by name.

    Raises
    ------
    DataFault
        A folder without patients, or a file that is none.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise DataFault(
            f"{folder} holds no patients (NAME.npz): training.hand.dataset.write makes them of training.phantoms.hand"
        )
    return tuple(_read(path) for path in paths)


def _read(path: Path) -> Case:
    try:
        with np.load(path) as arrays:
            told = json.loads(str(arrays["told"]))
            scans = tuple(
                Scan(weighting, plane, arrays[f"{place}_stack"], arrays[f"{place}_mask"], spacing_mm, slice_mm)
                for place, (weighting, plane, spacing_mm, slice_mm) in enumerate(told["scans"])
            )
        return Case(told["name"], CLASSES.index(told["kind"]), scans)
    except (OSError, KeyError, ValueError) as exc:
        raise DataFault(f"{path} is no patient: {exc}. Write it again.") from exc


def split(cases: Sequence[Case]) -> Parts:
    """Divide patients; the draw is a hash of the name, in each kind apart, so that no library's version changes it."""
    train, validation, test = [], [], []
    for kind in range(len(CLASSES)):
        mine = _ordered(cases, kind)
        first, second = round(SHARES[0] * len(mine)), round(sum(SHARES) * len(mine))
        train += mine[:first]
        validation += mine[first:second]
        test += mine[second:]
    return Parts(tuple(train), tuple(validation), tuple(test))


def folds(cases: Sequence[Case], count: int = FOLDS) -> tuple[tuple[Case, ...], ...]:
    """`count` parts of equal size and equal kinds; no patient in two of them, every patient in one.

    The paper's own script draws the images of each fold apart, so that its folds overlap and patients leak between
    training and validation (MODELS.md §5.2).
    """
    made: list[list[Case]] = [[] for _ in range(count)]
    for kind in range(len(CLASSES)):
        for place, case in enumerate(_ordered(cases, kind)):
            made[(place + kind) % count].append(case)
    return tuple(tuple(fold) for fold in made)


def _ordered(cases: Sequence[Case], kind: int) -> list[Case]:
    mine = [case for case in cases if case.kind == kind]
    return sorted(mine, key=lambda case: hashlib.sha256(case.name.encode()).digest())
