"""What every phantom MR image says as DICOM, whatever was drawn: one MR Image Storage object per slice.

Every person in them is made up. What is drawn, and where it lies in the patient, is for training/phantoms/hand_dicom.py
and training/phantoms/spine_dicom.py.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from training.phantoms.dicom import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, uid
from training.phantoms.spine_tissue import Sequence, Weight

STUDY_DATE, STUDY_TIME = "20260115", "101500"
WORDS = {
    Weight.T1: "T1 TSE",
    Weight.T2: "T2 TSE",
    Weight.FS: "T2 TSE FS",
    Weight.STIR: "STIR",
    Weight.T1C: "T1 TSE FS",
}
"""Of a series description."""
ECHO_TRAINS = {Weight.T1: 3, Weight.T2: 17, Weight.FS: 15, Weight.STIR: 12, Weight.T1C: 3}


@dataclass(frozen=True, slots=True)
class Examination:
    """Who was examined, and of what; identifiers follow from `key`, so that the same key gives the same."""

    key: str
    part: str
    """In words: "hand"."""
    letter: str
    """Before the number in the identifiers of this kind of phantom."""
    seed: int
    age: int
    description: str
    body_part: str
    """*Body Part Examined* (0018,0015), PS3.16 CID 4031."""
    laterality: str = ""
    """R or L; empty for a part without a side."""


def image(
    of: Examination, told: Sequence, number: int, place: int, plane: str, pixels: npt.NDArray[np.uint16], top: float
) -> Dataset:
    """One slice, but for where it lies.

    Parameters
    ----------
    number, place
        Of the series, from 1, and of the slice in it, from 0.
    plane
        TRA, SAG or COR, for the description.
    pixels
        `(rows, columns)`.
    top
        The grey value that a window ends at; the same for every slice of a series.
    """
    ds = Dataset()
    _add_patient_and_study(ds, of)
    _add_series(ds, of, told, number, plane)
    _add_acquisition(ds, told)
    ds.SOPInstanceUID = image_uid(of, number, place)
    ds.InstanceNumber, ds.AcquisitionNumber = place + 1, 1
    _add_pixels(ds, pixels, top)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    ds.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return ds


def add_place(
    ds: Dataset,
    position: npt.NDArray[np.float64],
    directions: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    spacing: tuple[float, float, float],
) -> None:
    """Image Plane (PS3.3 C.7.6.2).

    Parameters
    ----------
    position
        Of the centre of the first pixel, mm.
    directions
        From column to column, and from row to row.
    spacing
        Between slices, rows and columns, mm.
    """
    slice_mm, row_mm, column_mm = spacing
    ds.ImageOrientationPatient = [f"{value:g}" for direction in directions for value in direction + 0.0]
    ds.ImagePositionPatient = [f"{value:.4f}" for value in position]
    ds.SliceThickness = f"{0.9 * slice_mm:.4f}"
    ds.SpacingBetweenSlices = f"{slice_mm:.4f}"
    ds.PixelSpacing = [f"{row_mm:.6f}", f"{column_mm:.6f}"]


def series_uid(of: Examination, number: int) -> str:
    """Of a series, by its number."""
    return uid("series", of.key, str(number))


def image_uid(of: Examination, number: int, place: int) -> str:
    """Of a slice, by the number of its series and its place in it."""
    return uid("image", of.key, str(number), str(place))


def _add_patient_and_study(ds: Dataset, of: Examination) -> None:
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = f"Phantom^{of.part.capitalize()}"
    ds.PatientID = f"P{of.letter}{of.seed:08d}"
    ds.PatientBirthDate = f"{int(STUDY_DATE[:4]) - of.age - 1}0701"
    ds.PatientSex, ds.PatientAge = "O", f"{of.age:03d}Y"
    ds.StudyInstanceUID = uid("study", of.key)
    ds.StudyDate, ds.StudyTime = STUDY_DATE, STUDY_TIME
    ds.ReferringPhysicianName = ""
    ds.StudyID = str(of.seed % 10**6)
    ds.AccessionNumber = f"{of.letter}{of.seed % 10**7:07d}"
    ds.StudyDescription = of.description


def _add_series(ds: Dataset, of: Examination, told: Sequence, number: int, plane: str) -> None:
    ds.Modality = "MR"
    ds.SeriesInstanceUID = series_uid(of, number)
    ds.SeriesNumber = number
    ds.SeriesDate, ds.SeriesTime = STUDY_DATE, STUDY_TIME
    ds.SeriesDescription = f"{WORDS[told.weight]} {plane}{' +C' if told.weight is Weight.T1C else ''}"
    ds.ProtocolName = ds.SeriesDescription
    ds.BodyPartExamined = of.body_part
    if of.laterality:
        ds.Laterality = of.laterality
    ds.PatientPosition = "HFS"
    ds.FrameOfReferenceUID = uid("frame", of.key)
    ds.PositionReferenceIndicator = ""
    ds.Manufacturer = "PHANTOM WORKS"
    ds.InstitutionName = "House of Phantoms"
    ds.ManufacturerModelName = f"{of.part.capitalize()} of formulas"
    ds.DeviceSerialNumber, ds.SoftwareVersions = "1", "1"


def _add_acquisition(ds: Dataset, told: Sequence) -> None:
    """MR Image (PS3.3 C.8.3.1), and the agent that was given."""
    ds.SOPClassUID = MRImageStorage
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE" if not told.ti else "IR"]
    ds.ScanningSequence = ["SE", "IR"] if told.ti else "SE"
    ds.SequenceVariant = "SK"
    ds.ScanOptions = "FS" if told.weight in (Weight.FS, Weight.T1C) else ""
    ds.MRAcquisitionType = "2D"
    ds.RepetitionTime, ds.EchoTime = f"{told.tr:.1f}", f"{told.te:.1f}"
    if told.ti:
        ds.InversionTime = f"{told.ti:.1f}"
    ds.EchoTrainLength = ECHO_TRAINS[told.weight]
    ds.FlipAngle = "90"
    ds.MagneticFieldStrength = "1.5"
    ds.AcquisitionDate, ds.AcquisitionTime = STUDY_DATE, STUDY_TIME
    ds.ContentDate, ds.ContentTime = STUDY_DATE, STUDY_TIME
    if told.weight is Weight.T1C:
        ds.ContrastBolusAgent = "Gadolinium of formulas"


def _add_pixels(ds: Dataset, pixels: npt.NDArray[np.uint16], top: float) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.WindowCenter, ds.WindowWidth = f"{top / 2:.1f}", f"{max(2.0, top):.1f}"
    ds.PixelData = np.ascontiguousarray(pixels.astype("<u2")).tobytes()
    ds["PixelData"].VR = "OW"
