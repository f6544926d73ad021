"""Phantom hands as DICOM: a right hand, its fingertips up, its palm to the front.

Columns of axial and coronal slices run from the thumb to the left of the patient, rows of coronal and sagittal ones
from the fingertips to the feet (PS3.3 C.7.6.2). The truth lies beside: `truth.npz`, the number of the kind per voxel
for each series, `truth.json`, and for each series that shows the tumour a DICOM Segmentation in `truth`.
"""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from training.phantoms.artefacts import named
from training.phantoms.dicom import save
from training.phantoms.hand import HandPatient, HandSeries, Plane
from training.phantoms.mr_dicom import Examination, add_place, image, series_uid
from training.phantoms.truth_seg import FOLDER, add_normal, segmentation

_PLANES = {Plane.AXIAL: "TRA", Plane.CORONAL: "COR", Plane.SAGITTAL: "SAG"}


def datasets(patient: HandPatient) -> list[list[Dataset]]:
    """Every sequence of a patient as data sets, slice by slice."""
    return [_series(patient, series, number) for number, series in enumerate(patient.series, start=1)]


def write(patient: HandPatient, folder: Path) -> Path:
    """Write a patient's study and its truth into a folder of their own."""
    kind = "normal" if patient.kind is None else patient.kind.name.lower().replace("_", "-")
    home = folder / f"hand-{patient.seed:05d}-{kind}"
    if patient.kind is None:
        add_normal(home)
    for number, slices in enumerate(datasets(patient), start=1):
        told = patient.series[number - 1]
        if told.truth.any():
            truth = segmentation(slices, (told.truth > 0).astype(np.uint8), [kind])
            save(truth, home / FOLDER / f"{number:02d}.dcm")
        for place, ds in enumerate(slices, start=1):
            save(ds, home / f"{number:02d}-{told.told.weight.value}-{told.plane.value}" / f"{place:03d}.dcm")
    of = _examination(patient)
    numbers: dict[str, npt.NDArray[np.generic]] = {
        series_uid(of, number): series.truth for number, series in enumerate(patient.series, start=1)
    }
    np.savez_compressed(home / "truth.npz", **numbers)  # type: ignore[arg-type]  # a UID is none of its options
    told_of = {"kind": kind, "region": patient.region, "distractors": list(patient.distractors)}
    (home / "truth.json").write_text(json.dumps(told_of, indent=1), encoding="utf-8")
    return home


def _examination(patient: HandPatient) -> Examination:
    shapes = " ".join(str(series.pixels.shape) for series in patient.series)
    key = f"hand {patient.seed} {patient.kind} {shapes}"
    return Examination(named(key, patient.artefact), "hand", "D", patient.seed, 45, "MR hand right", "HAND", "R")


def _series(patient: HandPatient, series: HandSeries, number: int) -> list[Dataset]:
    of, top = _examination(patient), float(np.percentile(series.pixels, 99.5))
    grid = series.grid
    _, down, right = grid.directions
    made = []
    for place, pixels in enumerate(series.pixels):
        ds = image(of, series.told, number, place, _PLANES[series.plane], pixels, top)
        add_place(ds, grid.point(np.array([place, 0.0, 0.0])), (right, down), grid.spacing)
        made.append(ds)
    return made
