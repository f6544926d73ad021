"""Phantom diffusion-weighted studies as DICOM, in the dialects in which vendors state b-values (DICOM.md §3.2).

Slices go from feet to head, rows from front to back, columns from the patient's right to the left (axial, PS3.3
C.7.6.2). Every person in them is made up. The truth lies beside: `truth.npz`, tumours by slice from feet to head, and
`truth/lesions.dcm`, the same as a DICOM Segmentation; who has no tumour is named in `normals.txt` of the folder.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage

from training.phantoms.artefacts import named
from training.phantoms.dicom import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, save, uid
from training.phantoms.diffusion import DiffusionPatient
from training.phantoms.diffusion_enhanced import LEAST_TRACE, frame_groups, image_attributes, shared_groups
from training.phantoms.truth_seg import FILE, FOLDER, add_normal, segmentation

STUDY_DATE, STUDY_TIME = "20260115", "101500"
BODY_PARTS = {"pelvis": "PELVIS", "thighs": "THIGH", "thigh": "THIGH", "lower_leg": "LEG"}
"""Body Part Examined (0018,0015), PS3.16 CID 4031."""


class Dialect(StrEnum):
    """How a vendor states the b-value."""

    PUBLIC = "public"
    """*Diffusion b-value* (0018,9087) in every image, as Canon and newer systems of all vendors do."""
    SIEMENS = "siemens"
    """(0019,100C), private creator "SIEMENS MR HEADER"; all b-values in one series."""
    GE = "ge"
    """(0043,1039), private creator "GEMS_PARM_01", with the bias of 1e9 that marks some series."""
    PHILIPS = "philips"
    """(2001,1003), private creator "Philips Imaging DD 001"; all b-values in one series."""
    ENHANCED = "enhanced"
    """Enhanced MR Image Storage, one object per b-value, in MR Diffusion Sequence (0018,9117)."""


MANUFACTURERS = {
    Dialect.PUBLIC: "PHANTOM WORKS",
    Dialect.SIEMENS: "SIEMENS",
    Dialect.GE: "GE MEDICAL SYSTEMS",
    Dialect.PHILIPS: "Philips Medical Systems",
    Dialect.ENHANCED: "PHANTOM WORKS",
}


def datasets(patient: DiffusionPatient, dialect: Dialect = Dialect.PUBLIC) -> list[Dataset]:
    """Every object of the study; series by b-value, or one for all where the vendor does so."""
    if dialect is Dialect.ENHANCED:
        return [_enhanced(patient, place) for place in range(len(patient.images))]
    return [
        _single(patient, dialect, place, index)
        for place in range(len(patient.images))
        for index in range(len(patient.lesions))
    ]


def write(patient: DiffusionPatient, folder: Path, dialect: Dialect | None = None) -> Path:
    """Write a patient's study and its truth into a folder of their own; without a dialect the seed chooses one."""
    told = dialect or list(Dialect)[patient.seed % len(Dialect)]
    home = folder / f"diffusion-{patient.seed:05d}-{told}"
    objects = datasets(patient, told)
    for number, ds in enumerate(objects, start=1):
        save(ds, home / f"{number:03d}.dcm")
    _write_truth(patient, objects, home)
    facts = {"adc_1e-3_mm2_s": patient.adc, "kinds": patient.kinds, "b_values": patient.told.b_values}
    (home / "truth.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    np.savez_compressed(home / "truth.npz", lesions=patient.lesions)
    return home


def _write_truth(patient: DiffusionPatient, objects: Sequence[Dataset], home: Path) -> None:
    """Outlined where readers do it: on the images of the highest b-value."""
    if not patient.adc:
        add_normal(home)
        return
    outlined = objects[-1:] if len(objects) == len(patient.images) else objects[-len(patient.lesions) :]
    save(segmentation(outlined, patient.lesions, [str(kind) for kind in patient.kinds]), home / FOLDER / FILE)


def _key(patient: DiffusionPatient, dialect: Dialect) -> str:
    shape = "x".join(map(str, patient.lesions.shape))
    key = f"diffusion {patient.seed} {patient.region} {len(patient.adc)} {shape} {dialect}"
    return named(key, patient.artefact)


def _single(patient: DiffusionPatient, dialect: Dialect, place: int, index: int) -> Dataset:
    """One slice of one b-value as MR Image Storage."""
    ds = _header(patient, dialect, place)
    ds.SOPClassUID = MRImageStorage
    ds.SOPInstanceUID = uid("image", _key(patient, dialect), str(place), str(index))
    ds.InstanceNumber = place * len(patient.lesions) + index + 1
    _MARKS[dialect](ds, patient.told.b_values[place])
    _add_plane(ds, ds, ds, patient, index)
    ds.SliceLocation = f"{_height(patient, index):.4f}"
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = "1", "0", "US"
    _add_pixels(ds, patient, place, slice(index, index + 1))
    return _finished(ds)


def _enhanced(patient: DiffusionPatient, place: int) -> Dataset:
    """One b-value as a multi-frame object (PS3.3 A.36)."""
    dialect, b = Dialect.ENHANCED, patient.told.b_values[place]
    ds = _header(patient, dialect, place)
    ds.SOPClassUID = EnhancedMRImageStorage
    ds.SOPInstanceUID = uid("image", _key(patient, dialect), str(place))
    ds.InstanceNumber = place + 1
    ds.NumberOfFrames = len(patient.lesions)
    moment = STUDY_DATE + STUDY_TIME
    ds.update(image_attributes(moment, uid("dimensions", _key(patient, dialect))))
    measures, frames = Dataset(), []
    for index in range(len(patient.lesions)):
        position, orientation = Dataset(), Dataset()
        _add_plane(position, orientation, measures, patient, index)
        frames.append(frame_groups(index + 1, position, orientation, moment))
    averages = patient.told.averages[place]
    ds.SharedFunctionalGroupsSequence = [shared_groups(patient.told, b, averages, patient.region, measures)]
    ds.PerFrameFunctionalGroupsSequence = frames
    _add_pixels(ds, patient, place, slice(None))
    return _finished(ds)


def _header(patient: DiffusionPatient, dialect: Dialect, place: int) -> Dataset:
    key, b = _key(patient, dialect), patient.told.b_values[place]
    together = dialect in (Dialect.SIEMENS, Dialect.PHILIPS, Dialect.ENHANCED)
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName, ds.PatientID = "Phantom^Diffusion", f"PD{patient.seed:08d}"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19700101", "O", "056Y"
    ds.StudyInstanceUID, ds.StudyID = uid("study", key), str(patient.seed % 10**6)
    ds.StudyDate, ds.StudyTime, ds.ReferringPhysicianName = STUDY_DATE, STUDY_TIME, ""
    ds.AccessionNumber = f"D{patient.seed % 10**7:07d}"
    ds.StudyDescription = f"MR {patient.region.replace('_', ' ')}"
    ds.Modality, ds.SeriesNumber = "MR", 1 if together else place + 1
    ds.SeriesInstanceUID = uid("series", key, "" if together else str(place))
    ds.SeriesDate, ds.SeriesTime = STUDY_DATE, STUDY_TIME
    ds.SeriesDescription = "ep2d diff tra" if together else f"DWI tra b{b:g}"
    ds.ProtocolName = "dwi tra"
    ds.BodyPartExamined, ds.PatientPosition = BODY_PARTS[patient.region], "FFS"
    if dialect is not Dialect.ENHANCED and patient.region != "pelvis":
        ds.ImageLaterality = "B" if patient.region == "thighs" else "R"
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = uid("frame", key), ""
    ds.Manufacturer, ds.InstitutionName = MANUFACTURERS[dialect], "House of Phantoms"
    ds.ManufacturerModelName, ds.DeviceSerialNumber, ds.SoftwareVersions = "Body of formulas", "1", "1"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]
    ds.AcquisitionDate, ds.AcquisitionTime, ds.AcquisitionNumber = STUDY_DATE, STUDY_TIME, 1
    ds.ContentDate, ds.ContentTime = STUDY_DATE, STUDY_TIME
    ds.MagneticFieldStrength = "1.5"
    if dialect is not Dialect.ENHANCED:
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = ["SE", "EP"], "SK", "FS"
        ds.MRAcquisitionType, ds.EchoTrainLength, ds.FlipAngle = "2D", 63, "90"
        ds.RepetitionTime, ds.EchoTime = f"{patient.told.tr:.1f}", f"{patient.told.te:.1f}"
    return ds


def _height(patient: DiffusionPatient, index: int) -> float:
    return (index - (len(patient.lesions) - 1) / 2) * patient.spacing[0]


def _add_plane(
    position: Dataset, orientation: Dataset, measures: Dataset, patient: DiffusionPatient, index: int
) -> None:
    _, rows, columns = patient.lesions.shape
    thick, row_mm, column_mm = patient.spacing
    corner = (-(columns - 1) / 2 * column_mm, -(rows - 1) / 2 * row_mm, _height(patient, index))
    orientation.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    position.ImagePositionPatient = [f"{value:.4f}" for value in corner]
    measures.SliceThickness = f"{0.9 * thick:.4f}"
    measures.SpacingBetweenSlices = f"{thick:.4f}"
    measures.PixelSpacing = [f"{row_mm:.6f}", f"{column_mm:.6f}"]


def _public(ds: Dataset, b: float) -> None:
    ds.DiffusionBValue = b
    ds.DiffusionDirectionality = "ISOTROPIC" if b >= LEAST_TRACE else "NONE"


def _siemens(ds: Dataset, b: float) -> None:
    block = ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", str(int(b)))
    ds.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION", "TRACEW" if b >= LEAST_TRACE else "NONE", "ND"]
    ds.SequenceName = f"*ep_b{b:g}"


def _ge(ds: Dataset, b: float) -> None:
    block = ds.private_block(0x0043, "GEMS_PARM_01", create=True)
    block.add_new(0x39, "IS", [str(int(1e9 + b)), "8", "0", "0"])
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]


def _philips(ds: Dataset, b: float) -> None:
    block = ds.private_block(0x2001, "Philips Imaging DD 001", create=True)
    block.add_new(0x03, "FL", b)
    block.add_new(0x04, "CS", "I" if b >= LEAST_TRACE else "N")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"]


_MARKS: Mapping[Dialect, Callable[[Dataset, float], None]] = {
    Dialect.PUBLIC: _public,
    Dialect.SIEMENS: _siemens,
    Dialect.GE: _ge,
    Dialect.PHILIPS: _philips,
}


def _add_pixels(ds: Dataset, patient: DiffusionPatient, place: int, which: slice) -> None:
    image = patient.images[place][which]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = image.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    top = int(np.percentile(patient.images[place], 99.5))
    if ds.SOPClassUID == MRImageStorage:
        ds.WindowCenter, ds.WindowWidth = str(top // 2), str(max(2, top))
    ds.PixelData = np.ascontiguousarray(image.astype("<u2")).tobytes()
    ds["PixelData"].VR = "OW"


def _finished(ds: Dataset) -> Dataset:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    ds.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return ds
