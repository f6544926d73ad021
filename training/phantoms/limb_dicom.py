"""Phantom limbs as DICOM: axial slices from feet to head (PS3.3 C.7.6.2), their truth beside them.

The truth is `truth.json` and, of a patient with a tumour, the DICOM Segmentation `truth/lesions.dcm`; who has none is
named in `normals.txt` of the folder.
"""

import json
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from training.phantoms.artefacts import named
from training.phantoms.dicom import save
from training.phantoms.limb import LimbPatient
from training.phantoms.mr_dicom import Examination, add_place, image
from training.phantoms.truth_seg import FILE, FOLDER, add_normal, segmentation

BODY_PARTS = {"thigh": "THIGH", "lower_leg": "LEG"}
"""Body Part Examined (0018,0015), PS3.16 CID 4031."""


def datasets(patient: LimbPatient) -> list[Dataset]:
    """The series of a patient, slice by slice."""
    words = patient.region.replace("_", " ")
    key = f"limb {patient.seed} {patient.region} {len(patient.kinds)} {patient.pixels.shape}"
    key = named(key, patient.artefact)
    of = Examination(key, "limb", "L", patient.seed, 55, f"MR {words} right", BODY_PARTS[patient.region], "R")
    top = float(np.percentile(patient.pixels, 99.5))
    thick, row_mm, column_mm = patient.spacing
    rows, columns = patient.pixels.shape[1:]
    made = []
    for place, pixels in enumerate(patient.pixels):
        ds = image(of, patient.told, 1, place, "TRA", pixels, top)
        corner = np.array([-(columns - 1) * column_mm / 2, -(rows - 1) * row_mm / 2, place * thick])
        add_place(ds, corner, (np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])), patient.spacing)
        made.append(ds)
    return made


def write(patient: LimbPatient, folder: Path) -> Path:
    """Write a patient's study and its truth into a folder of their own."""
    home = folder / f"limb-{patient.seed:05d}"
    slices = datasets(patient)
    if patient.kinds:
        save(segmentation(slices, patient.lesions, [str(kind) for kind in patient.kinds]), home / FOLDER / FILE)
    else:
        add_normal(home)
    for place, ds in enumerate(slices, start=1):
        save(ds, home / f"{place:03d}.dcm")
    told = {"region": patient.region, "kinds": patient.kinds, "distractors": patient.distractors}
    (home / "truth.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    return home
