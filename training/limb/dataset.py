"""The patients of a folder: nifti/NAME_t1.nii.gz and nifti/NAME_mask.nii.gz as in sts-mr, or labelled DICOM studies."""

from pathlib import Path

import numpy as np

from training import nifti, sources
from training.archive.cases import cases, one_series
from training.archive.folder import holds_dicom
from training.errors import DataFault
from training.stacks.case import Case, numbered

IMAGE, MASK = "_t1.nii.gz", "_mask.nii.gz"
LEAST_PATIENTS = 3


def read(folder: Path) -> tuple[Case, ...]:
    """Every patient of a folder, by name.

    Raises
    ------
    DataFault
        Neither layout, fewer than three patients, a mask on another grid, or values that are no numbers.
    """
    found = sources.read(folder, SOURCES)
    if len(found) < LEAST_PATIENTS:
        raise DataFault(f"{folder} holds {len(found)} patients; three at least. Name another folder.")
    return found


def _holds_nifti(folder: Path) -> bool:
    return any((folder / "nifti").glob(f"*{IMAGE}"))


def _read_nifti(folder: Path) -> tuple[Case, ...]:
    return tuple(_case(path) for path in sorted((folder / "nifti").glob(f"*{IMAGE}")))


def _read_dicom(folder: Path) -> tuple[Case, ...]:
    return cases(folder, lambda study: one_series(study, "t1"))


SOURCES = (
    sources.Source(f"nifti/NAME{IMAGE} with nifti/NAME{MASK}", _holds_nifti, _read_nifti),
    sources.Source("DICOM files of MR studies, each with a SEG or an RTSTRUCT", holds_dicom, _read_dicom),
)


def _case(path: Path) -> Case:
    name = path.name.removesuffix(IMAGE)
    image, mask = nifti.read(path), nifti.read(path.with_name(name + MASK))
    if image.voxels.shape != mask.voxels.shape or not np.allclose(image.spacing, mask.spacing, rtol=1e-3):
        raise DataFault(f"{path} and its mask lie on different grids. Resample the mask.")
    if not np.isfinite(image.voxels).all():
        raise DataFault(f"{path} holds values that are no numbers. Fetch it again.")
    return Case(name, {"t1": image.voxels}, numbered(mask.voxels > 0.5), image.spacing)
