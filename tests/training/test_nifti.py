"""Files are written by hand, byte by byte, after nifti1.h."""

import gzip
import struct

import numpy as np
import pytest

from training.errors import DataFault
from training.nifti import read


def written(path, voxels, code, *, order="<", slope=0.0, intercept=0.0, dims=None):
    header = bytearray(352)
    columns, rows, slices = voxels.shape[::-1]
    struct.pack_into(f"{order}i", header, 0, 348)
    struct.pack_into(f"{order}8h", header, 40, *(dims or (3, columns, rows, slices, 1, 1, 1, 1)))
    struct.pack_into(f"{order}h", header, 70, code)
    struct.pack_into(f"{order}8f", header, 76, 1.0, 0.5, 0.75, 3.0, 0, 0, 0, 0)
    struct.pack_into(f"{order}3f", header, 108, 352.0, slope, intercept)
    header[344:348] = b"n+1\0"
    path.write_bytes(gzip.compress(bytes(header) + voxels.tobytes()))
    return path


@pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])
def test_columns_run_fastest_and_spacing_is_in_the_order_of_the_axes(tmp_path, order):
    voxels = np.arange(24, dtype=f"{order}i2").reshape(2, 3, 4)
    read_back = read(written(tmp_path / "a.nii.gz", voxels, 4, order=order))
    assert read_back.spacing == (3.0, 0.75, 0.5)
    assert np.array_equal(read_back.voxels, voxels)


def test_the_scale_is_applied(tmp_path):
    voxels = np.full((1, 1, 2), 10, dtype="<i2")
    assert np.array_equal(
        read(written(tmp_path / "a.nii.gz", voxels, 4, slope=2.0, intercept=1.0)).voxels, [[[21, 21]]]
    )


@pytest.mark.parametrize(
    "spoil",
    [lambda raw: raw[:200], lambda raw: raw[:-1], lambda raw: b"\0" * len(raw)],
    ids=["short header", "short data", "zeros"],
)
def test_a_damaged_file_is_refused(tmp_path, spoil):
    path = written(tmp_path / "a.nii.gz", np.zeros((2, 2, 2), dtype="<i2"), 4)
    path.write_bytes(gzip.compress(spoil(gzip.decompress(path.read_bytes()))))
    with pytest.raises(DataFault):
        read(path)


def test_four_dimensions_are_refused(tmp_path):
    path = written(tmp_path / "a.nii.gz", np.zeros((2, 2, 2), dtype="<i2"), 4, dims=(4, 2, 2, 1, 2, 1, 1, 1))
    with pytest.raises(DataFault, match="one plain 3D volume"):
        read(path)
