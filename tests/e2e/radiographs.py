"""Radiographs to send: real ones of shared/data wrapped as DX, phantoms where those are absent, and spoilt ones.

Every patient here is called CANARY, so that whatever leaks is found by that word.
"""

import csv
import functools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from tests.e2e.processes import SHARED_DATA

DX_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"
BTXRD = SHARED_DATA / "btxrd256"
CANARY = {
    "PatientName": "CANARY^SINGING",
    "PatientID": "CANARY-4711",
    "AccessionNumber": "CANARYACC",
    "StudyID": "CANARYSTUDY",
    "InstitutionName": "CANARY HOSPITAL",
    "ReferringPhysicianName": "CANARY^DOCTOR",
    "PatientComments": "CANARY comment",
}

Pixels = npt.NDArray[np.uint16]


def real_pixels(image: str, rows: int = 1536, columns: int = 1280) -> Pixels:
    """A radiograph of btxrd256, enlarged from its 256 × 256 pixels, as 12 bits; skips the test when it is absent."""
    path = BTXRD / "images" / f"{image}.jpg"
    if not path.is_file():
        pytest.skip(f"the real radiographs are absent (looked for {path.name} in ../shared/data/btxrd256)")
    picture = Image.open(path).convert("L").resize((columns, rows), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.uint16) * 16


def real_names(answer: str, count: int) -> list[str]:
    """Names of real radiographs of one class: normal (knees), benign or malignant; largest masks first."""
    with (BTXRD / "labels.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["cls"] == answer and row["site"] in ("", "Knee")]
    return [row["image_id"] for row in sorted(rows, key=lambda row: -int(row["mask_px"]))[:count]]


def any_pixels(rows: int, columns: int, made: int | None = None) -> Pixels:
    """A radiograph with a tumour: the real one with the largest mask where there is one, else a phantom.

    Parameters
    ----------
    made
        The seed of the phantom; FOUND if not given.
    """
    if BTXRD.is_dir():
        return real_pixels(real_names("malignant", 1)[0], rows, columns)
    return phantom_pixels(FOUND if made is None else made, rows, columns)


FOUND = 1
"""A made radiograph in which the shipped model finds the tumour, at 640 x 512 pixels and at 1024 x 848."""

SURE = 28
"""A made radiograph of which the shipped model is sure at 640 x 512 pixels: its answer has a probability."""


@functools.cache
def phantom_pixels(seed: int = FOUND, rows: int = 1024, columns: int = 848) -> Pixels:
    """A made radiograph of a knee with a tumour, 12 bits."""
    from models.findings import Answer
    from training.phantoms.knee import knee_phantom

    return knee_phantom(seed, answer=Answer.MALIGNANT, rows=rows, columns=columns).pixels


def radiograph(pixels: npt.NDArray[Any], *, bits: int = 12, study: str | None = None, **attributes: Any) -> Dataset:
    """A DX image (For Presentation) of a knee with these `(rows, columns)` pixels, white bone; attributes override."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.SOPClassUID = DX_FOR_PRESENTATION
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = dataset.AcquisitionDate = "20260102"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = dataset.AcquisitionTime = "101112"
    dataset.Modality, dataset.PresentationIntentType = "DX", "FOR PRESENTATION"
    dataset.Manufacturer = "TESTS"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "O"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study or generate_uid(), generate_uid()
    dataset.SeriesNumber, dataset.InstanceNumber = "1", "1"
    dataset.BodyPartExamined, dataset.ViewPosition = "KNEE", "AP"
    dataset.ImageLaterality = "R"
    dataset.PatientOrientation = ["L", "F"]
    dataset.AcquisitionContextSequence = []
    dataset.ImagerPixelSpacing = [0.15, 0.15]
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", -1
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.PositionerType, dataset.DetectorType = "NONE", "DIRECT"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    allocated = 8 if pixels.dtype == np.uint8 else 16
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = (
        allocated,
        bits,
        bits - 1,
        0,
    )
    dataset.WindowCenter, dataset.WindowWidth = str(2 ** (bits - 1)), str(2**bits)
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW" if allocated == 16 else "OB"
    for keyword, value in (CANARY | attributes).items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    return dataset


def saved(dataset: Dataset, path: Path, syntax: UID = ExplicitVRLittleEndian) -> Path:
    """The data set as a DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, enforce_file_format=True)
    return path
