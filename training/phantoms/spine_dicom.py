"""Phantom spines as DICOM: one MR Image Storage object per sagittal slice, with the tags that scanners send.

Slices go from the patient's right to the left, rows downwards, columns backwards (PS3.3 C.7.6.2). Every person in them
is made up. The truth lies beside: `truth.json`, boxes by SOP Instance UID.
"""

import json
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from training.phantoms.dicom import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, save, uid
from training.phantoms.spine import Series, SpinePatient
from training.phantoms.spine_tissue import Weight

STUDY_DATE, STUDY_TIME = "20260115", "101500"
BODY_PARTS = {"cervical": "CSPINE", "thoracic": "TSPINE", "lumbar": "LSPINE"}
"""Body Part Examined (0018,0015), PS3.16 CID 4031."""
DESCRIPTIONS = {
    Weight.T1: "T1 TSE SAG",
    Weight.T2: "T2 TSE SAG",
    Weight.FS: "T2 TSE FS SAG",
    Weight.STIR: "STIR SAG",
    Weight.T1C: "T1 TSE FS SAG +C",
}
ECHO_TRAINS = {Weight.T1: 3, Weight.T2: 17, Weight.FS: 15, Weight.STIR: 12, Weight.T1C: 3}


def datasets(patient: SpinePatient) -> list[list[Dataset]]:
    """Every sequence of a patient as data sets, slice by slice."""
    return [
        [_dataset(patient, series, number, place) for place in range(len(series.pixels))]
        for number, series in enumerate(patient.series, start=1)
    ]


def truth(patient: SpinePatient) -> dict[str, object]:
    """What the patient has, and where: boxes are left, top, right, bottom in pixels."""
    boxes: dict[str, list[list[float]]] = {}
    for number, series in enumerate(patient.series, start=1):
        for box in series.boxes:
            edges = [round(edge, 2) for edge in (box.left, box.top, box.right, box.bottom)]
            boxes.setdefault(_image_uid(patient, number, box.slice), []).append(edges)
    tumours: list[str] = list(patient.tumours)
    return {"kind": patient.kind.value, "age": patient.age, "tumours": tumours, "boxes": boxes}


def write(patient: SpinePatient, folder: Path) -> Path:
    """Write a patient's study and its truth into a folder of their own."""
    home = folder / f"spine-{patient.seed:05d}-{patient.kind.value}"
    for number, slices in enumerate(datasets(patient), start=1):
        for place, ds in enumerate(slices, start=1):
            save(ds, home / f"{number:02d}-{patient.series[number - 1].told.weight.value}" / f"{place:03d}.dcm")
    (home / "truth.json").write_text(json.dumps(truth(patient), indent=1), encoding="utf-8")
    return home


def _key(patient: SpinePatient) -> str:
    rows = patient.series[0].pixels.shape[1] if patient.series else 0
    return f"spine {patient.seed} {patient.kind.value} {rows}"


def _image_uid(patient: SpinePatient, number: int, place: int) -> str:
    return uid("image", _key(patient), str(number), str(place))


def _dataset(patient: SpinePatient, series: Series, number: int, place: int) -> Dataset:
    ds = Dataset()
    _add_patient_and_study(ds, patient)
    _add_series(ds, patient, series, number)
    _add_acquisition(ds, series)
    _add_plane(ds, patient, series, number, place)
    _add_pixels(ds, series, place)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    ds.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return ds


def _add_patient_and_study(ds: Dataset, patient: SpinePatient) -> None:
    key = _key(patient)
    years = int(patient.age)
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = "Phantom^Spine"
    ds.PatientID = f"PS{patient.seed:08d}"
    ds.PatientBirthDate = f"{int(STUDY_DATE[:4]) - years - 1}0701"
    ds.PatientSex = "O"
    ds.PatientAge = f"{years:03d}Y"
    ds.StudyInstanceUID = uid("study", key)
    ds.StudyDate, ds.StudyTime = STUDY_DATE, STUDY_TIME
    ds.ReferringPhysicianName = ""
    ds.StudyID = str(patient.seed % 10**6)
    ds.AccessionNumber = f"S{patient.seed % 10**7:07d}"
    ds.StudyDescription = f"MR {patient.region} spine"


def _add_series(ds: Dataset, patient: SpinePatient, series: Series, number: int) -> None:
    ds.Modality = "MR"
    ds.SeriesInstanceUID = uid("series", _key(patient), str(number))
    ds.SeriesNumber = number
    ds.SeriesDate, ds.SeriesTime = STUDY_DATE, STUDY_TIME
    ds.SeriesDescription = DESCRIPTIONS[series.told.weight]
    ds.ProtocolName = DESCRIPTIONS[series.told.weight]
    ds.BodyPartExamined = BODY_PARTS[patient.region]
    ds.PatientPosition = "HFS"
    ds.FrameOfReferenceUID = uid("frame", _key(patient))
    ds.PositionReferenceIndicator = ""
    ds.Manufacturer = "PHANTOM WORKS"
    ds.InstitutionName = "House of Phantoms"
    ds.ManufacturerModelName = "Spine of formulas"
    ds.DeviceSerialNumber, ds.SoftwareVersions = "1", "1"


def _add_acquisition(ds: Dataset, series: Series) -> None:
    """MR Image (PS3.3 C.8.3.1), and the agent that was given."""
    told = series.told
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


def _add_plane(ds: Dataset, patient: SpinePatient, series: Series, number: int, place: int) -> None:
    slices, rows, columns = series.pixels.shape
    x = (place - (slices - 1) / 2) * series.slice_mm
    y, z = -(columns - 1) / 2 * series.column_mm, (rows - 1) / 2 * series.row_mm
    ds.SOPInstanceUID = _image_uid(patient, number, place)
    ds.InstanceNumber = place + 1
    ds.AcquisitionNumber = 1
    ds.ImageOrientationPatient = ["0", "1", "0", "0", "0", "-1"]
    ds.ImagePositionPatient = [f"{value:.4f}" for value in (x, y, z)]
    ds.SliceLocation = f"{x:.4f}"
    ds.SliceThickness = f"{0.9 * series.slice_mm:.4f}"
    ds.SpacingBetweenSlices = f"{series.slice_mm:.4f}"
    ds.PixelSpacing = [f"{series.row_mm:.6f}", f"{series.column_mm:.6f}"]


def _add_pixels(ds: Dataset, series: Series, place: int) -> None:
    image = series.pixels[place]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = image.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    top = int(np.percentile(series.pixels, 99.5))
    ds.WindowCenter, ds.WindowWidth = str(top // 2), str(max(2, top))
    ds.PixelData = np.ascontiguousarray(image.astype("<u2")).tobytes()
    ds["PixelData"].VR = "OW"
