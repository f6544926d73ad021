"""Made volumes in the layout of sts-mr: a bright ball in a grey body with air around it."""

import gzip
import struct
from pathlib import Path

import numpy as np

from training.stacks.case import Case

SPACING = (3.0, 1.0, 1.0)


def case(number, slices=8, rows=40, columns=36):
    rng = np.random.default_rng(number)
    grid = np.mgrid[:slices, :rows, :columns]
    centre = (slices / 2, rng.uniform(14, rows - 14), rng.uniform(12, columns - 12))
    far = sum(((axis - middle) * mm) ** 2 for axis, middle, mm in zip(grid, centre, SPACING, strict=True))
    lesions = (far < 8.0**2).astype(np.uint8)
    noise = 30.0 * rng.standard_normal(lesions.shape)
    voxels = np.where((grid[2] > 2) & (grid[2] < columns - 3), 200.0 + 600.0 * lesions, 5.0) + noise
    return Case(f"P{number:02d}", {"t1": voxels.astype(np.float32)}, lesions, SPACING)


def write(folder: Path, cases) -> Path:
    """As osteon-train reads them."""
    (folder / "nifti").mkdir(parents=True)
    for each in cases:
        _nifti(folder / "nifti" / f"{each.name}_t1.nii.gz", np.rint(each.volumes["t1"]).astype("<i2"), 4)
        _nifti(folder / "nifti" / f"{each.name}_mask.nii.gz", each.lesions, 2)
    return folder


def _nifti(path: Path, voxels, kind: int) -> None:
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *voxels.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<h", header, 70, kind)
    struct.pack_into("<8f", header, 76, 1, *SPACING[::-1], 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, 352.0, 0.0, 0.0)
    header[344:348] = b"n+1\0"
    path.write_bytes(gzip.compress(bytes(header) + voxels.tobytes(), 1))
