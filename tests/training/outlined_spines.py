"""A phantom spine that shows its tumours in every series, each in one piece, as DICOM with the truth beside."""

from pathlib import Path

import numpy as np

from training.phantoms import spine_dicom
from training.phantoms.spine import Kind, Series, SpinePatient, spine_patient
from training.stacks.case import numbered


def write(folder: Path) -> SpinePatient:
    """A patient with a malignant tumour, and a segmentation of each series."""
    patient = next(
        made
        for made in (spine_patient(seed, kind=Kind.MALIGNANT, side=96) for seed in range(40))
        if all(_is_whole(series) for series in made.series)
    )
    spine_dicom.write(patient, folder)
    return patient


def _is_whole(series: Series) -> bool:
    """Whether each tumour is connected, as what a structure set outlines must be to count as one."""
    each = [series.lesions == number for number in np.unique(series.lesions[series.lesions > 0])]
    return bool(each) and all(np.array_equal(numbered(mask), mask) for mask in each)
