"""Sets of patients that are drawn or annotated: one file each, `NAME.npz`, divided by patient and never by image.

What a patient holds is for the data set of each system (training/hand/dataset.py, training/spine/dataset.py).
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from training.errors import DataFault

SHARES = (0.70, 0.15)
"""Of the patients: those that train, and those that validate; the others test."""

Arrays = Mapping[str, npt.NDArray[Any]]


class Patient(Protocol):
    """What dividing must know."""

    @property
    def name(self) -> str:
        """Different for each."""

    @property
    def kind(self) -> int:
        """Their class."""


P = TypeVar("P", bound=Patient)


@dataclass(frozen=True, slots=True)
class Parts(Generic[P]):
    """Who trains, who calibrates, who tests."""

    train: tuple[P, ...]
    validation: tuple[P, ...]
    test: tuple[P, ...]


def split(patients: Sequence[P]) -> Parts[P]:
    """Divide patients; the draw is a hash of the name, in each class apart, so that no library's version changes it."""
    train: list[P] = []
    validation: list[P] = []
    test: list[P] = []
    for mine in _by_kind(patients):
        first, second = round(SHARES[0] * len(mine)), round(sum(SHARES) * len(mine))
        train += mine[:first]
        validation += mine[first:second]
        test += mine[second:]
    return Parts(tuple(train), tuple(validation), tuple(test))


def folds(patients: Sequence[P], count: int) -> tuple[tuple[P, ...], ...]:
    """`count` parts of equal size and equal classes; no patient in two of them, every patient in one."""
    made: list[list[P]] = [[] for _ in range(count)]
    for mine in _by_kind(patients):
        for place, patient in enumerate(mine):
            made[(place + patient.kind) % count].append(patient)
    return tuple(tuple(fold) for fold in made)


def _by_kind(patients: Sequence[P]) -> list[list[P]]:
    kinds = sorted({patient.kind for patient in patients})
    ordered = sorted(patients, key=lambda patient: hashlib.sha256(patient.name.encode()).digest())
    return [[patient for patient in ordered if patient.kind == kind] for kind in kinds]


def write(name: str, told: Mapping[str, object], arrays: Arrays, folder: Path, *, is_packed: bool) -> Path:
    """Write one patient: `told` as JSON beside the arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npz"
    save = np.savez_compressed if is_packed else np.savez
    with path.with_suffix(".partial").open("wb") as file:
        save(file, told=np.array(json.dumps(told)), **arrays)  # type: ignore[arg-type]  # names are not its options
    path.with_suffix(".partial").replace(path)
    return path


def read(folder: Path, part: str, made_of: Callable[[Any, Arrays], P]) -> tuple[P, ...]:
    """Every patient of a folder, by name.

    Parameters
    ----------
    part
        Of the body, for the advice on how to make phantoms.
    made_of
        A patient of what was told and of the arrays.

    Raises
    ------
    DataFault
        A folder without patients, or a file that is none.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        advice = f"osteon-train phantoms --part {part} --layout arrays --count 40 --out {folder}"
        raise DataFault(f"{folder} holds no patients (NAME.npz). Make some: {advice}")
    return tuple(_read(path, made_of) for path in paths)


def _read(path: Path, made_of: Callable[[Any, Arrays], P]) -> P:
    try:
        with np.load(path) as arrays:
            return made_of(json.loads(str(arrays["told"])), arrays)
    except (OSError, KeyError, ValueError) as exc:
        raise DataFault(f"{path} is no patient: {exc}. Write it again.") from exc
