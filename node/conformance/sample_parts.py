"""What a sample study is made of: a header that tells a patient, an order and an image, and an outlined lesion.

The tests of the reports are made of the same. Every name and number is made up.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models.findings import Answer, ImageRef, Lesion, Measurement, MeasurementKind, Outline, Spacing, Unit
from models.regions import measurements, outline, regions

_ROOT = "1.2.826.0.1.3680043.8.498"


def header(sop_class: str, modality: str, number: int = 1, **told: Any) -> Dataset:
    """A valid header with everything that identifies a patient, an order and an image; `told` replaces by keyword,
    and takes away what it gives as None.
    """
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, f"{_ROOT}.1.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{_ROOT}.2", f"{_ROOT}.3"
    ds.PatientName, ds.PatientID, ds.IssuerOfPatientID = "Doe^Jane", "4711", "Clinic"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge, ds.PatientWeight = "19800102", "F", "045Y", "71.5"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20260301", "101112", "77", "A123"
    ds.StudyDescription, ds.ReferringPhysicianName = "Knee left", "Ref^Err"
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = modality, 1, number
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.BodyPartExamined, ds.Laterality, ds.PatientOrientation = "KNEE", "L", ["L", "F"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = "2000", "4000"
    for keyword, value in told.items():
        if value is None:
            ds.pop(keyword, None)
        else:
            setattr(ds, keyword, value)
    return ds


def lesion(
    number: int,
    answer: Answer,
    planes: Sequence[tuple[ImageRef, npt.NDArray[np.bool_]]],
    spacing: Spacing,
    gap_mm: float = 4.0,
) -> Lesion:
    """One lesion from its mask on each plane: measured on one as a radiograph is, on several by its volume."""
    found = [(image, regions(mask, 1)[0]) for image, mask in planes if mask.any()]
    sizes = measurements(found[0][1], spacing)
    if len(found) > 1:
        voxels = sum(int(mask.sum()) for _, mask in planes)
        volume_cm3 = voxels * spacing.row_mm * spacing.column_mm * gap_mm / 1000
        sizes = (Measurement(MeasurementKind.VOLUME, volume_cm3, Unit.CM3),)
    return Lesion(
        number=number,
        answer=answer,
        probability=0.93,
        malignant_probability=0.87 if answer is Answer.MALIGNANT else 0.12,
        measurements=sizes,
        outlines=tuple(Outline(image.sop_instance_uid, image.frame, outline(region)) for image, region in found),
    )
