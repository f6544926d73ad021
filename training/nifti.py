"""Reads single-file NIfTI-1 volumes (.nii, .nii.gz): header, scale, data. Not for 4D, colour or separate headers.

Format: NIfTI-1.1, nifti1.h (348-byte header; dim at 40, datatype 70, pixdim 76, vox_offset 108, scl_slope 112).
Legend: volumes `(slices, rows, columns)`; spacing in mm in that order.
"""

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.errors import DataFault

HEADER = 348
MAX_VOXELS = 2**29
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}


@dataclass(frozen=True, slots=True, eq=False)
class Nifti:
    """A volume and the distance of its voxels."""

    voxels: npt.NDArray[np.float32]
    spacing: tuple[float, float, float]


def read(path: Path) -> Nifti:
    """The volume in a file.

    Raises
    ------
    DataFault
        The file is missing, damaged, or of a form that is not read here.
    """
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as exc:
        raise DataFault(f"{path} cannot be read: {exc}. Fetch it again.") from exc
    order = "<" if raw[:4] == struct.pack("<i", HEADER) else ">"
    if len(raw) < HEADER or raw[:4] != struct.pack(f"{order}i", HEADER) or raw[344:347] != b"n+1":
        raise DataFault(f"{path} is no single-file NIfTI-1. Convert it.")
    dim = struct.unpack_from(f"{order}8h", raw, 40)
    kind = struct.unpack_from(f"{order}h", raw, 70)[0]
    pixdim = struct.unpack_from(f"{order}8f", raw, 76)
    offset, slope, intercept = struct.unpack_from(f"{order}3f", raw, 108)
    if not 3 <= dim[0] <= 7 or min(dim[1:4]) < 1 or any(n > 1 for n in dim[4 : dim[0] + 1]) or kind not in _TYPES:
        raise DataFault(
            f"{path} has dimensions {dim[1 : dim[0] + 1]} and data type {kind}; one plain 3D volume is read."
        )
    columns, rows, slices = dim[1:4]
    count, of = columns * rows * slices, np.dtype(order + _TYPES[kind])
    if count > MAX_VOXELS or offset < HEADER or len(raw) < int(offset) + count * of.itemsize:
        raise DataFault(f"{path} says {count} voxels and holds {len(raw)} bytes. Fetch it again.")
    voxels = np.frombuffer(raw, of, count, int(offset)).reshape(slices, rows, columns).astype(np.float32)
    if slope:
        voxels = voxels * np.float32(slope) + np.float32(intercept)
    return Nifti(voxels, (abs(pixdim[3]), abs(pixdim[2]), abs(pixdim[1])))
