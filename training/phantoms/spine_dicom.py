"""Phantom spines as DICOM: slices go from the patient's right to the left, rows downwards, columns backwards.

PS3.3 C.7.6.2. The truth lies beside: `truth.json`, boxes by SOP Instance UID, and for each series that shows a tumour a
DICOM Segmentation in `truth`, whose labels say benign or malignant, and the kind.
"""

import json
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from training.phantoms.artefacts import named
from training.phantoms.dicom import save
from training.phantoms.mr_dicom import Examination, add_place, image, image_uid
from training.phantoms.spine import Kind, Series, SpinePatient
from training.phantoms.truth_seg import FOLDER, add_normal, numbered, segmentation

BODY_PARTS = {"cervical": "CSPINE", "thoracic": "TSPINE", "lumbar": "LSPINE"}
"""Body Part Examined (0018,0015), PS3.16 CID 4031."""
_COLUMNS, _ROWS = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, -1.0])


def datasets(patient: SpinePatient) -> list[list[Dataset]]:
    """Every sequence of a patient as data sets, slice by slice."""
    return [_series(patient, series, number) for number, series in enumerate(patient.series, start=1)]


def truth(patient: SpinePatient) -> dict[str, object]:
    """What the patient has, and where: boxes are left, top, right, bottom in pixels."""
    of = _examination(patient)
    boxes: dict[str, list[list[float]]] = {}
    for number, series in enumerate(patient.series, start=1):
        for box in series.boxes:
            edges = [round(edge, 2) for edge in (box.left, box.top, box.right, box.bottom)]
            boxes.setdefault(image_uid(of, number, box.slice), []).append(edges)
    tumours: list[str] = list(patient.tumours)
    return {"kind": patient.kind.value, "age": patient.age, "tumours": tumours, "boxes": boxes}


def write(patient: SpinePatient, folder: Path) -> Path:
    """Write a patient's study and its truth into a folder of their own."""
    home = folder / f"spine-{patient.seed:05d}-{patient.kind.value}"
    if patient.kind is Kind.NORMAL:
        add_normal(home)
    for number, slices in enumerate(datasets(patient), start=1):
        if patient.series[number - 1].boxes:
            save(_outlined(patient, patient.series[number - 1], slices), home / FOLDER / f"{number:02d}.dcm")
        for place, ds in enumerate(slices, start=1):
            save(ds, home / f"{number:02d}-{patient.series[number - 1].told.weight.value}" / f"{place:03d}.dcm")
    (home / "truth.json").write_text(json.dumps(truth(patient), indent=1), encoding="utf-8")
    return home


def _outlined(patient: SpinePatient, series: Series, slices: list[Dataset]) -> Dataset:
    """The tumours that a series shows; one that lies beside its field of view is no segment."""
    lesions, labels = numbered(
        series.lesions, lambda number: f"{patient.kind.value} {patient.tumours[number - 1]} {number}"
    )
    return segmentation(slices, lesions, labels)


def _examination(patient: SpinePatient) -> Examination:
    rows = patient.series[0].pixels.shape[1] if patient.series else 0
    key = f"spine {patient.seed} {patient.kind.value} {rows}"
    described, part = f"MR {patient.region} spine", BODY_PARTS[patient.region]
    return Examination(named(key, patient.artefact), "spine", "S", patient.seed, int(patient.age), described, part)


def _series(patient: SpinePatient, series: Series, number: int) -> list[Dataset]:
    of, top = _examination(patient), float(np.percentile(series.pixels, 99.5))
    slices, rows, columns = series.pixels.shape
    y, z = -(columns - 1) / 2 * series.column_mm, (rows - 1) / 2 * series.row_mm
    made = []
    for place, pixels in enumerate(series.pixels):
        ds = image(of, series.told, number, place, "SAG", pixels, top)
        position = np.array([(place - (slices - 1) / 2) * series.slice_mm, y, z])
        add_place(ds, position, (_COLUMNS, _ROWS), (series.slice_mm, series.row_mm, series.column_mm))
        made.append(ds)
    return made
