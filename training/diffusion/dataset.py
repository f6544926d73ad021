"""A set of diffusion-weighted studies: one file per patient, `NAME.npz`, or DICOM with segmentations (SEG, RTSTRUCT).

`case_of` makes a file from phantoms, and it says what any other source must give: the images of the low and the high
b-value as the scanner has them, the tumours by number, and how far apart voxels lie.
"""

import json
from pathlib import Path

import numpy as np

from models.stack_card import HIGH, LOW
from training import sources
from training.archive.cases import cases, pair_of_b_values
from training.archive.folder import holds_dicom
from training.diffusion.needs import HIGH_B, LOW_B
from training.errors import DataFault
from training.phantoms.diffusion import DiffusionPatient
from training.stacks.case import Case

LEAST_PATIENTS = 3


def case_of(patient: DiffusionPatient) -> Case:
    """A phantom as a case."""
    told = patient.told.b_values
    return Case(
        f"diffusion-{patient.seed:07d}",
        {LOW: patient.images[0], HIGH: patient.images[-1]},
        patient.lesions,
        patient.spacing,
        {LOW: told[0], HIGH: told[-1]},
        patient.adc,
    )


def write(case: Case, folder: Path) -> Path:
    """Write one patient."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"name": case.name, "spacing": case.spacing, "b_values": dict(case.b_values), "adc": case.adc}
    path = folder / f"{case.name}.npz"
    with path.with_suffix(".partial").open("wb") as file:
        np.savez(
            file, told=np.array(json.dumps(told)), lesions=case.lesions, low=case.volumes[LOW], high=case.volumes[HIGH]
        )
    path.with_suffix(".partial").replace(path)
    return path


def read(folder: Path) -> tuple[Case, ...]:
    """Every patient of a folder, by name.

    Raises
    ------
    DataFault
        Neither layout, fewer than three patients, or a file that is none.
    """
    found = sources.read(folder, SOURCES)
    if len(found) < LEAST_PATIENTS:
        raise DataFault(
            f"{folder} holds {len(found)} patients; {LEAST_PATIENTS} at least. Make some: osteon-train phantoms --part "
            "diffusion --layout arrays"
        )
    return found


def _holds_arrays(folder: Path) -> bool:
    return any(folder.glob("*.npz"))


def _read_arrays(folder: Path) -> tuple[Case, ...]:
    return tuple(_read(path) for path in sorted(folder.glob("*.npz")))


def _read_dicom(folder: Path) -> tuple[Case, ...]:
    return cases(folder, lambda study: pair_of_b_values(study, LOW_B, HIGH_B))


SOURCES = (
    sources.Source(
        "NAME.npz, one per patient (osteon-train phantoms --part diffusion --layout arrays)",
        _holds_arrays,
        _read_arrays,
    ),
    sources.Source("DICOM files of MR studies, each with a SEG or an RTSTRUCT", holds_dicom, _read_dicom),
)


def _read(path: Path) -> Case:
    try:
        with np.load(path) as arrays:
            told = json.loads(str(arrays["told"]))
            case = Case(
                told["name"],
                {LOW: arrays["low"], HIGH: arrays["high"]},
                arrays["lesions"],
                (float(told["spacing"][0]), float(told["spacing"][1]), float(told["spacing"][2])),
                {name: float(value) for name, value in told["b_values"].items()},
                tuple(told["adc"]),
            )
    except (OSError, KeyError, ValueError, IndexError) as exc:
        raise DataFault(f"{path} is no patient: {exc}. Write it again.") from exc
    if any(volume.shape != case.lesions.shape for volume in case.volumes.values()):
        raise DataFault(f"{path}: images and tumours lie on different grids. Write it again.")
    return case
