"""Pictures as DX or CR data sets with the attributes that radiography systems send: phantoms, and wrapped pictures.

Every person in them is made up. Nothing here needs a network or torch.
"""

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from training.phantoms.knee import Phantom

IMPLEMENTATION_CLASS_UID = "2.25.301277063404211590230541478263846071441"
IMPLEMENTATION_VERSION_NAME = "OSTEON_PHANTOM"  # at most 16 characters, PS3.7 D.3.3.2.3

SYNTAXES: dict[str, UID] = {
    "explicit": ExplicitVRLittleEndian,
    "jpeg-ls": JPEGLSLossless,
    "jpeg-2000": JPEG2000Lossless,
    "rle": RLELossless,
}
"""Transfer syntaxes that a data set can be written in, all lossless, by the name the command line uses."""


class System(StrEnum):
    """Which kind of system made the image."""

    DX = "DX"
    """A flat detector; DX Image Storage - For Presentation."""
    CR = "CR"
    """A storage plate; Computed Radiography."""


@dataclass(frozen=True, slots=True)
class BodyPart:
    """What was imaged, as Body Part Examined (0018,0015) and as SNOMED CT code (PS3.16 CID 4031)."""

    name: str
    code: str
    meaning: str


KNEE = BodyPart("KNEE", "72696002", "Knee")
CHEST = BodyPart("CHEST", "51185008", "Chest")

VIEWS: dict[str, tuple[str, str, str]] = {
    "AP": ("399348003", "antero-posterior", "AP"),
    "PA": ("272479007", "postero-anterior", "PA"),
    "LL": ("399260004", "medio-lateral", "LL"),
}
"""View Position (0018,5101) to SNOMED CT code, meaning (PS3.16 CID 4010) and word for a description."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says apart from the pixels; identifiers follow from `key`, so that the same key gives the same."""

    key: str
    """Anything unique to the image; the study is named by `study_key`."""
    study_key: str = ""
    system: System = System.DX
    body_part: BodyPart = KNEE
    view: str = "AP"
    laterality: str = ""
    """"L", "R" or "" when not known or not paired."""
    spacing_mm: float = 0.15
    patient_name: str = "Phantom^Knee"
    patient_id: str = ""
    sex: str = "O"
    birth_date: str = "19700101"
    study_date: str = "20260115"
    study_time: str = "101500"
    instance_number: int = 1
    monochrome1: bool = False
    burned_in: bool = False
    comment: str = ""
    manufacturer: str = "PHANTOM WORKS"
    extra: dict[str, str] = field(default_factory=dict)
    """More attributes by keyword, put last."""


def uid(*parts: str) -> str:
    """A UID under 2.25 (PS3.5 B.2) that depends on the parts alone."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()[:16]
    return f"2.25.{int.from_bytes(digest, 'big')}"


def image_dataset(pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], bits: int, header: Header) -> Dataset:
    """A whole data set, Explicit VR Little Endian, with file meta information.

    Parameters
    ----------
    pixels
        `(rows, columns)`, bone bright, values below `2**bits`.
    """
    if pixels.ndim != 2:
        raise ValueError(f"pixels have the shape {pixels.shape}; a radiograph is (rows, columns)")
    ds = Dataset()
    _add_patient_and_study(ds, header)
    _add_series_and_equipment(ds, header)
    _add_image(ds, header)
    if header.system is System.DX:
        _add_dx(ds, header)
    else:
        _add_cr(ds, header)
    _add_pixels(ds, pixels, bits, header)
    for keyword, value in header.extra.items():
        setattr(ds, keyword, value)
    ds.file_meta = _file_meta(ds, ExplicitVRLittleEndian)
    return ds


def knee_dataset(phantom: Phantom, header: Header) -> Dataset:
    """A phantom as a data set; view, laterality and spacing are the phantom's."""
    told = replace(header, view=phantom.view.value, laterality=phantom.laterality, spacing_mm=phantom.spacing_mm)
    return image_dataset(phantom.pixels, phantom.bits, told)


def picture_dataset(path: Path, header: Header, *, shape: tuple[int, int] | None = None) -> Dataset:
    """A PNG or JPEG wrapped as a data set.

    Parameters
    ----------
    shape
        `(rows, columns)` to enlarge to, by bicubic interpolation, as 12 bit; None keeps size and 8 bit. A picture
        carries no spacing: `header.spacing_mm` is the caller's assumption.
    """
    with Image.open(path) as picture:
        grey = picture.convert("L")
        if shape is None:
            return image_dataset(np.asarray(grey, dtype=np.uint8), 8, header)
        enlarged = grey.convert("F").resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    values = np.clip(np.asarray(enlarged, dtype=np.float32), 0, 255) * np.float32(4095 / 255)
    return image_dataset(np.rint(values).astype(np.uint16), 12, header)


def compressed(ds: Dataset, syntax: str) -> Dataset:
    """The same data set in another transfer syntax of `SYNTAXES`, in place."""
    wanted = SYNTAXES[syntax]
    if wanted != ExplicitVRLittleEndian:
        ds.compress(wanted, generate_instance_uid=False)
        ds.file_meta = _file_meta(ds, wanted)
    return ds


def save(ds: Dataset, path: Path) -> Path:
    """Write the data set as a DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _file_meta(ds: Dataset, syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta


def _add_patient_and_study(ds: Dataset, header: Header) -> None:
    study = header.study_key or header.key
    number = int(hashlib.sha256(study.encode()).hexdigest()[:8], 16)
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = header.patient_name
    ds.PatientID = header.patient_id or f"PH{number % 10**8:08d}"
    ds.PatientBirthDate = header.birth_date
    ds.PatientSex = header.sex
    ds.PatientAge = f"{int(header.study_date[:4]) - int(header.birth_date[:4]):03d}Y" if header.birth_date else ""
    ds.StudyInstanceUID = uid("study", study)
    ds.StudyDate, ds.StudyTime = header.study_date, header.study_time
    ds.ReferringPhysicianName = ""
    ds.StudyID = str(number % 10**6)
    ds.AccessionNumber = f"A{number % 10**7:07d}"
    side = {"L": " left", "R": " right"}.get(header.laterality, "")
    ds.StudyDescription = f"XR {header.body_part.meaning}{side}"


def _add_series_and_equipment(ds: Dataset, header: Header) -> None:
    ds.Modality = header.system.value
    ds.SeriesInstanceUID = uid("series", header.study_key or header.key, header.key)
    ds.SeriesNumber = header.instance_number
    ds.SeriesDate, ds.SeriesTime = header.study_date, header.study_time
    ds.SeriesDescription = f"{header.body_part.meaning} {VIEWS[header.view][2]}"
    ds.BodyPartExamined = header.body_part.name
    ds.Manufacturer = header.manufacturer
    ds.InstitutionName = "House of Phantoms"
    ds.ManufacturerModelName = "Knee of formulas"
    ds.DeviceSerialNumber = "1"
    ds.SoftwareVersions = "1"


def _add_image(ds: Dataset, header: Header) -> None:
    classes = {System.DX: DigitalXRayImageStorageForPresentation, System.CR: ComputedRadiographyImageStorage}
    ds.SOPClassUID = classes[header.system]
    ds.SOPInstanceUID = uid("image", header.study_key or header.key, header.key)
    ds.InstanceNumber = header.instance_number
    ds.ImageType = ["ORIGINAL", "PRIMARY", ""]
    ds.ContentDate, ds.ContentTime = header.study_date, header.study_time
    ds.AcquisitionDate, ds.AcquisitionTime = header.study_date, header.study_time
    ds.AcquisitionNumber = 1
    front = header.view in ("AP", "PA")
    ds.PatientOrientation = ["L", "F"] if front else ["A", "F"]
    ds.BurnedInAnnotation = "YES" if header.burned_in else "NO"
    ds.LossyImageCompression = "00"
    ds.ViewPosition = header.view
    ds.KVP, ds.ExposureTime, ds.XRayTubeCurrent, ds.Exposure = "60", 8, 500, 4
    ds.DistanceSourceToDetector = "1150"
    if header.comment:
        ds.ImageComments = header.comment


def _add_dx(ds: Dataset, header: Header) -> None:
    """DX Series, Anatomy Imaged, Image, Detector and Positioning (PS3.3 C.8.11)."""
    ds.PresentationIntentType = "FOR PRESENTATION"
    ds.ImageLaterality = header.laterality or "U"
    region = _code(header.body_part.code, "SCT", header.body_part.meaning)
    ds.AnatomicRegionSequence = [region]
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", -1 if header.monochrome1 else 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    ds.PresentationLUTShape = "INVERSE" if header.monochrome1 else "IDENTITY"
    ds.DetectorType, ds.DetectorConfiguration, ds.DetectorID = "SCINTILLATOR", "AREA", "FD1"
    ds.ImagerPixelSpacing = [header.spacing_mm, header.spacing_mm]
    ds.PositionerType = "NONE"
    view = _code(VIEWS[header.view][0], "SCT", VIEWS[header.view][1])
    view.ViewModifierCodeSequence = []
    ds.ViewCodeSequence = [view]
    ds.AcquisitionContextSequence = []
    ds.FieldOfViewShape = "RECTANGLE"


def _add_cr(ds: Dataset, header: Header) -> None:
    """CR Series and Image (PS3.3 C.8.1)."""
    ds.Laterality = header.laterality
    ds.PlateType, ds.CassetteSize = "Standard", "24CMX30CM"
    ds.ImagerPixelSpacing = [header.spacing_mm, header.spacing_mm]


def _add_pixels(ds: Dataset, pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], bits: int, header: Header) -> None:
    top = 2**bits - 1
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME1" if header.monochrome1 else "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated = 8 if bits <= 8 else 16
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, 0
    ds.WindowCenter, ds.WindowWidth = str(2 ** (bits - 1)), str(2**bits)
    values = top - pixels if header.monochrome1 else pixels
    raw = np.ascontiguousarray(values.astype("<u1" if bits <= 8 else "<u2")).tobytes()
    ds.PixelData = raw + b"\0" * (len(raw) % 2)
    ds["PixelData"].VR = "OB" if bits <= 8 else "OW"
