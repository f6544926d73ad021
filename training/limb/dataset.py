"""The patients of a folder in the layout of sts-mr: nifti/NAME_t1.nii.gz and nifti/NAME_mask.nii.gz.

Patients are divided by a hash of their name, so that no state and no library version changes who tests.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.slices import Plan, normalise, plan
from training import nifti
from training.errors import DataFault

IMAGE, MASK = "_t1.nii.gz", "_mask.nii.gz"
TESTED, VALIDATED = 0.2, 0.13
"""Shares of the patients: of 30, 6 test and 4 validate."""


@dataclass(frozen=True, slots=True, eq=False)
class Patient:
    """One T1 stack and its tumour."""

    name: str
    voxels: npt.NDArray[np.float32]
    """`(slices, rows, columns)` as the file holds them."""
    mask: npt.NDArray[np.bool_]
    spacing: tuple[float, float, float]

    def way(self, spacing_mm: float, size: tuple[int, int]) -> Plan:
        """How its planes reach the grid of the network."""
        return plan((self.mask.shape[1], self.mask.shape[2]), self.spacing[1:], spacing_mm, size)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A patient on the grid of the network, without padding."""

    image: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Parts:
    """Who trains, who validates, who tests; disjoint."""

    train: tuple[Patient, ...]
    validation: tuple[Patient, ...]
    test: tuple[Patient, ...]


def read(folder: Path) -> tuple[Patient, ...]:
    """Every patient of a folder, by name."""
    paths = sorted((folder / "nifti").glob(f"*{IMAGE}"))
    if len(paths) < 3:
        raise DataFault(f"{folder} holds {len(paths)} files nifti/NAME{IMAGE}; three at least. Name another folder.")
    return tuple(_patient(path) for path in paths)


def _patient(path: Path) -> Patient:
    name = path.name.removesuffix(IMAGE)
    image, mask = nifti.read(path), nifti.read(path.with_name(name + MASK))
    if image.voxels.shape != mask.voxels.shape or not np.allclose(image.spacing, mask.spacing, rtol=1e-3):
        raise DataFault(f"{path} and its mask lie on different grids. Resample the mask.")
    if not np.isfinite(image.voxels).all():
        raise DataFault(f"{path} holds values that are no numbers. Fetch it again.")
    return Patient(name, image.voxels, mask.voxels > 0.5, image.spacing)


def split(patients: Sequence[Patient]) -> Parts:
    """Divide by a hash of the names."""
    ordered = sorted(patients, key=lambda patient: hashlib.sha256(f"patient {patient.name}".encode()).digest())
    tests = max(1, round(TESTED * len(ordered)))
    validated = tests + max(1, round(VALIDATED * len(ordered)))
    return Parts(tuple(ordered[validated:]), tuple(ordered[tests:validated]), tuple(ordered[:tests]))


def prepared(patient: Patient, spacing_mm: float) -> Prepared:
    """Scaled and resampled as the node does it."""
    way = patient.way(spacing_mm, (1, 1))
    return Prepared(way.resampled(normalise(patient.voxels)), way.resampled(patient.mask.astype(np.float32)) > 0.5)
