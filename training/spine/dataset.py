"""A set of spinal examinations: one file per patient, `NAME.npz`, whatever it was made of; the split is by patient.

`cases_of` makes it from phantoms, and the file says what any other source must give: for each sequence the stack,
already scaled (models.slices.normalise) to 8 bit, its boxes, and where the spine runs.

Legend: stacks `(slices, rows, columns)` uint8; boxes `(n, 4)`: left, top, right, bottom in pixels.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.slices import normalise
from training.errors import DataFault
from training.phantoms.spine import Series, SpinePatient
from training.spine.cutmix import Band

KINDS = ("normal", "benign", "malignant")
SHARES = (0.70, 0.15)
"""Of the patients: those that train, and those that validate; the others test."""


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


@dataclass(frozen=True, slots=True)
class Parts:
    """Who trains, who calibrates, who tests."""

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]


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
    folder.mkdir(parents=True, exist_ok=True)
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
    path = folder / f"{case.name}.npz"
    with path.with_suffix(".partial").open("wb") as file:
        np.savez(file, told=np.array(json.dumps(told)), **arrays)  # type: ignore[arg-type]  # names are not its options
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
            f"{folder} holds no patients (NAME.npz). Make some: osteon-train phantoms --part spine --layout arrays"
        )
    return tuple(_read(path) for path in paths)


def _read(path: Path) -> Case:
    try:
        with np.load(path) as arrays:
            told = json.loads(str(arrays["told"]))
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
    except (OSError, KeyError, ValueError) as exc:
        raise DataFault(f"{path} is no patient: {exc}. Write it again.") from exc


def split(cases: Sequence[Case]) -> Parts:
    """Divide patients; the draw is a hash of the name, in each class apart, so that it does not change with the set."""
    train, validation, test = [], [], []
    for kind in range(len(KINDS)):
        mine = [case for case in cases if case.kind == kind]
        mine.sort(key=lambda case: hashlib.sha256(case.name.encode()).digest())
        first, second = round(SHARES[0] * len(mine)), round(sum(SHARES) * len(mine))
        train += mine[:first]
        validation += mine[first:second]
        test += mine[second:]
    return Parts(tuple(train), tuple(validation), tuple(test))


def folds(cases: Sequence[Case], count: int = 4) -> tuple[tuple[Case, ...], ...]:
    """`count` parts of equal size and equal classes, without a patient in two of them (the paper has four)."""
    made: list[list[Case]] = [[] for _ in range(count)]
    for kind in range(len(KINDS)):
        mine = [case for case in cases if case.kind == kind]
        mine.sort(key=lambda case: hashlib.sha256(case.name.encode()).digest())
        for place, case in enumerate(mine):
            made[(place + kind) % count].append(case)
    return tuple(tuple(fold) for fold in made)
