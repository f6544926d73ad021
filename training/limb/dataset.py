"""The patients of a folder in the layout of sts-mr: nifti/NAME_t1.nii.gz and nifti/NAME_mask.nii.gz."""

from pathlib import Path

import numpy as np
import scipy.ndimage

from training import nifti
from training.errors import DataFault
from training.stacks.case import Case

IMAGE, MASK = "_t1.nii.gz", "_mask.nii.gz"
LEAST_VOXELS = 10
"""A speck of a mask with fewer is a slip of the pen, and no tumour of its own."""


def read(folder: Path) -> tuple[Case, ...]:
    """Every patient of a folder, by name.

    Raises
    ------
    DataFault
        Fewer than three patients, a mask on another grid, or values that are no numbers.
    """
    paths = sorted((folder / "nifti").glob(f"*{IMAGE}"))
    if len(paths) < 3:
        raise DataFault(f"{folder} holds {len(paths)} files nifti/NAME{IMAGE}; three at least. Name another folder.")
    return tuple(_case(path) for path in paths)


def _case(path: Path) -> Case:
    name = path.name.removesuffix(IMAGE)
    image, mask = nifti.read(path), nifti.read(path.with_name(name + MASK))
    if image.voxels.shape != mask.voxels.shape or not np.allclose(image.spacing, mask.spacing, rtol=1e-3):
        raise DataFault(f"{path} and its mask lie on different grids. Resample the mask.")
    if not np.isfinite(image.voxels).all():
        raise DataFault(f"{path} holds values that are no numbers. Fetch it again.")
    labels, count = scipy.ndimage.label(mask.voxels > 0.5, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    numbers = np.zeros(count + 1, dtype=np.uint8)
    whole = [number for number in range(1, count + 1) if sizes[number] >= LEAST_VOXELS][:255]
    numbers[whole] = np.arange(1, len(whole) + 1)
    return Case(name, {"t1": image.voxels}, numbers[labels], image.spacing)
