"""A patient with a stack of MR slices and its tumours, whatever it was read from; and who trains, validates and tests.

What the network sees is made by `models.stack.prepared`, as the node does it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from models.findings import ImageRef
from models.slices import Plan, plan
from models.stack import Stack, prepared
from models.stack_card import StackCard
from models.volume import Grid, Volume

LEAST_VOXELS = 10
"""A speck of a mask with fewer is a slip of the pen, and no tumour of its own."""
TESTED, VALIDATED = 0.2, 0.13
"""Shares of the patients: of 30, 6 test and 4 validate."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One patient."""

    name: str
    volumes: Mapping[str, npt.NDArray[np.generic]]
    """`(slices, rows, columns)` by the name of the need ("t1"; "low", "high"), as the scanner or the file has them."""
    lesions: npt.NDArray[np.uint8]
    """`(slices, rows, columns)`: 0 where nothing is, else the number of the tumour, from 1."""
    spacing: tuple[float, float, float]
    """Between slices, rows and columns, mm."""
    b_values: Mapping[str, float] = field(default_factory=dict)
    adc: tuple[float, ...] = ()
    """The true mean of each tumour, 1e-3 mm2/s, where it is known."""
    patient: str = ""
    """Who it is of, where one patient may have several studies; splits go by it, and the name stands for it."""

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Where a tumour is."""
        return self.lesions > 0


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A patient on the grid of the network, without padding."""

    image: npt.NDArray[np.float16]
    """`(channels, slices, rows, columns)`."""
    mask: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Parts:
    """Who trains, who validates, who tests; disjoint."""

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]


def numbered(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """A mask without numbers as `Case.lesions`: what is connected, corners included, is one tumour; specks are none."""
    labels, count = scipy.ndimage.label(mask, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    numbers = np.zeros(count + 1, dtype=np.uint8)
    whole = [number for number in range(1, count + 1) if sizes[number] >= LEAST_VOXELS][:255]
    numbers[whole] = np.arange(1, len(whole) + 1)
    return np.asarray(numbers[labels])


def split(cases: Sequence[Case]) -> Parts:
    """Divide patients by a hash of their names, so that no state and no library version changes who tests.

    All studies of a patient are in one part.
    """
    ordered = _by_patient(cases)
    tests = max(1, round(TESTED * len(ordered)))
    validated = tests + max(1, round(VALIDATED * len(ordered)))
    return Parts(_all(ordered[validated:]), _all(ordered[tests:validated]), _all(ordered[:tests]))


def folds(cases: Sequence[Case], count: int) -> tuple[tuple[Case, ...], ...]:
    """`count` parts of equal size for a cross-validation; no patient in two of them, every patient in one."""
    ordered = _by_patient(cases)
    return tuple(_all(ordered[place::count]) for place in range(count))


def _by_patient(cases: Sequence[Case]) -> list[list[Case]]:
    """The studies of each patient, the patients in the order of a hash."""
    groups: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda each: each.name):
        groups.setdefault(case.patient or case.name, []).append(case)
    ordered = sorted(groups, key=lambda patient: hashlib.sha256(f"patient {patient}".encode()).digest())
    return [groups[patient] for patient in ordered]


def _all(patients: Sequence[Sequence[Case]]) -> tuple[Case, ...]:
    return tuple(case for patient in patients for case in patient)


def stack_of(case: Case, card: StackCard) -> Stack:
    """What the node would make of the patient's images."""
    grid = Grid(np.zeros(3), np.eye(3)[::-1], case.spacing, case.lesions.shape)
    refs = tuple(ImageRef(f"{case.name}.{index}") for index in range(len(case.lesions)))
    volumes = {
        name: Volume(np.asarray(voxels, dtype=np.float32), grid, refs, case.name)
        for name, voxels in case.volumes.items()
    }
    return prepared(card, volumes, case.b_values)


def way_of(case: Case, card: StackCard, size: tuple[int, int]) -> Plan:
    """How its planes reach the grid of the network."""
    shape = case.lesions.shape
    return plan((shape[1], shape[2]), case.spacing[1:], card.preprocess.spacing_mm, size)


def prepared_case(case: Case, card: StackCard) -> Prepared:
    """Scaled and resampled as the node does it."""
    stack, way = stack_of(case, card), way_of(case, card, (1, 1))
    channels = np.stack([way.resampled(channel) for channel in stack.channels])
    return Prepared(channels.astype(np.float16), way.resampled(case.mask.astype(np.float32)) > 0.5)
