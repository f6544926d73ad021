"""The judges of others: dicom3tools, DCMTK and dcmqi, run on files."""

import gzip
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

PACKAGES = {
    "dciodvfy": "apt install dicom3tools",
    "dsrdump": "apt install dcmtk",
    "dcmpschk": "apt install dcmtk",
    "segimage2itkimage": "pip install dcmqi",
    "tid1500reader": "pip install dcmqi",
}


class Volume(NamedTuple):
    """An image as dcmqi writes it: voxels `(slices, rows, columns)` and where they are."""

    voxels: npt.NDArray[np.integer]
    origin: npt.NDArray[np.float64]
    directions: npt.NDArray[np.float64]
    """One vector per axis of columns, rows, slices, in mm, LPS."""

    def points(self, label: int) -> npt.NDArray[np.float64]:
        """The places of all voxels of a label, mm, sorted."""
        slices, rows, columns = np.nonzero(self.voxels == label)
        places = self.origin + np.stack([columns, rows, slices], axis=1) @ self.directions
        return in_order(places)


def in_order(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Points sorted by their coordinates to a thousandth of a millimetre."""
    rounded = np.round(places, 3)
    return rounded[np.lexsort(rounded.T)] + 0.0


def said_of(tool: str, *arguments: str | Path) -> tuple[int, list[str]]:
    """The exit status of a tool that is installed, and the lines that it said."""
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, errors="replace", timeout=120)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def ran(tool: str, *arguments: str | Path) -> tuple[int, str]:
    """The exit status of a validator and all it said; a validator that is not there fails the test."""
    found = shutil.which(tool, path=str(Path(sys.executable).parent)) or shutil.which(tool)
    if found is None:
        pytest.fail(f"{tool} is not installed, so nothing was validated: {PACKAGES[tool]}")
    done = subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, errors="replace", timeout=60)
    return done.returncode, done.stdout + done.stderr


def errors_of(path: Path) -> list[str]:
    """What dciodvfy calls an error."""
    _, said = ran("dciodvfy", "-new", path)
    assert said.strip(), f"dciodvfy said nothing of {path.name}, not even its kind"
    return [line for line in said.splitlines() if line.startswith("Error")]


def volume_of(seg: Path, folder: Path) -> Volume:
    """A Segmentation as dcmqi reads it, all segments in one volume."""
    status, said = ran(
        "segimage2itkimage", "--inputDICOM", seg, "--outputDirectory", folder, "--mergeSegments", "-t", "nrrd"
    )
    assert status == 0, said
    (path,) = folder.glob("*.nrrd")
    return _nrrd(path.read_bytes())


def _nrrd(data: bytes) -> Volume:
    head, _, body = data.partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in head.decode("ascii").splitlines() if ": " in line)
    cells = {"short": "<i2", "unsigned short": "<u2", "unsigned char": "u1"}[fields["type"]]
    assert (fields["encoding"], fields.get("endian", "little")) == ("gzip", "little")
    sizes = [int(each) for each in fields["sizes"].split()]
    voxels = np.frombuffer(gzip.decompress(body), cells).reshape(sizes[::-1])
    directions = np.array([_vector(each) for each in fields["space directions"].split()])
    return Volume(voxels, _vector(fields["space origin"]), directions)


def _vector(text: str) -> npt.NDArray[np.float64]:
    return np.array([float(each) for each in text.strip("()").split(",")])
