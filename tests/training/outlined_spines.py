"""A phantom spine whose boxes became segments."""

from pathlib import Path

import numpy as np

from training.phantoms import spine_dicom
from training.phantoms.dicom import save
from training.phantoms.spine import Kind, SpinePatient, spine_patient
from training.phantoms.truth_seg import segmentation


def write(folder: Path) -> SpinePatient:
    """A patient with a metastasis in every series, as DICOM with a segmentation of each."""
    patient = next(
        made
        for made in (spine_patient(seed, kind=Kind.MALIGNANT, side=96) for seed in range(40))
        if all(series.boxes for series in made.series)
    )
    study = spine_dicom.write(patient, folder)
    for number, (slices, series) in enumerate(zip(spine_dicom.datasets(patient), patient.series, strict=True), start=1):
        lesions = np.zeros(series.pixels.shape, dtype=np.uint8)
        for box in series.boxes:
            edges = slice(int(box.top), int(box.bottom)), slice(int(box.left), int(box.right))
            lesions[box.slice][edges] = box.lesion
        labels = [f"metastasis {place}" for place in range(1, int(lesions.max()) + 1)]
        save(segmentation(slices, lesions, labels), study / "truth" / f"{number:02d}.dcm")
    return patient
