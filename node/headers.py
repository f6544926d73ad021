"""The attributes that decisions are made on, read once from a header into values; it never raises.

What each answer rests on lies in node/facts/ (one file per question); contradictions are kept as sentences in `notes`.
Sentences and values never hold text that a sender typed: it may name the patient.
"""

import hashlib
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from node.facts.bodypart import BodyPart, body_part, is_animal, laterality
from node.facts.frames import Frames
from node.facts.geometry import Geometry, geometry
from node.facts.kinds import MR, XRAY, Kind, is_dental, is_own_result, kind_of
from node.facts.mr import MrFacts, WeightingRules, mr_facts
from node.facts.origin import derived_reason, localizer_reason
from node.facts.pixels import PixelFacts, pixel_facts
from node.facts.values import Notes, Reader
from node.facts.xray import SpacingFields, XrayFacts, spacing_fields, xray_facts

MAX_HEADER_BYTES = 256 * 1024 * 1024
"""What a deflated header may unpack to."""
_PIXEL_GROUP = 0x7FE00008
_PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)


@dataclass(frozen=True, slots=True)
class Header:
    """A data set without its pixels."""

    dataset: Dataset
    has_pixel_data: bool | None
    """None when nobody looked."""
    fault: str = ""
    """Why the header could not be read to its end."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What one instance's header says."""

    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    sop_class_uid: str
    kind: Kind
    modality: str
    series_number: int | None
    instance_number: int | None
    patient_key: str
    is_own_result: bool
    image_type: tuple[str, ...]
    pixels: PixelFacts
    body_part: BodyPart
    laterality: str
    """"L", "R", "B", "U" (unpaired) or ""."""
    geometry: Geometry
    spacing: SpacingFields
    localizer: str
    """Why it is a localizer, "" when it is none."""
    derived: str
    """What it was made into, "" when it is an image as acquired."""
    is_dental: bool
    is_animal: bool
    is_burned_in: bool
    """*Burned In Annotation* (0028,0301) is YES: text of any kind in the pixels."""
    manufacturer: str
    """In capitals; who wrote the header, not to be shown."""
    xray: XrayFacts | None
    mr: MrFacts | None
    fault: str
    notes: tuple[str, ...]

    @property
    def is_localizer(self) -> bool:
        """Whether it only serves to plan others."""
        return bool(self.localizer)

    @property
    def is_derived(self) -> bool:
        """Whether it was made from other images."""
        return bool(self.derived)


def read_header(data: bytes, transfer_syntax_uid: str) -> Header:
    """Read a data set as it came over the network, up to its pixels.

    Parameters
    ----------
    data
        The data set without file meta information.
    transfer_syntax_uid
        As accepted for the presentation context.

    Returns
    -------
    Header
        With what could be read; `fault` says what could not.
    """
    implicit, little = transfer_syntax_uid == ImplicitVRLittleEndian, transfer_syntax_uid != ExplicitVRBigEndian
    seen: list[int] = []

    def at_pixels(tag: int, _vr: str | None, _length: int) -> bool:
        if tag >= _PIXEL_GROUP:
            seen.append(int(tag))
            return True
        return False

    try:
        if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, MAX_HEADER_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = read_dataset(BytesIO(data), implicit, little, stop_when=at_pixels)
    except Exception as exc:  # noqa: BLE001  pydicom raises whatever hostile bytes provoke
        return Header(Dataset(), None, f"the header cannot be read ({type(exc).__name__})")
    return Header(dataset, bool(seen) and seen[0] in _PIXEL_TAGS)


def read_header_of_file(path: Path) -> Header:
    """Read a DICOM file up to its pixels, with or without preamble."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path, stop_before_pixels=True, force=True)
    except Exception as exc:  # noqa: BLE001  pydicom raises whatever hostile bytes provoke
        return Header(Dataset(), None, f"the file cannot be read as DICOM ({type(exc).__name__})")
    return Header(dataset, None)


def facts_of(
    header: Header | Dataset, patient_key: str | None = None, rules: WeightingRules | None = None
) -> ImageFacts:
    """What a header says.

    Parameters
    ----------
    header
        From `read_header`, or a data set.
    patient_key
        The key under which the patient is stored; made from the header where it is not given.
    rules
        The numbers that tell MR weightings apart.
    """
    if isinstance(header, Dataset):
        header = Header(header, "PixelData" in header or None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, about values that we judge ourselves
        return _facts(header, patient_key, rules or WeightingRules())


def _facts(header: Header, patient_key: str | None, rules: WeightingRules) -> ImageFacts:
    notes = Notes()
    reader = Reader(header.dataset, notes)
    kind = kind_of(reader)
    image_type = reader.terms("ImageType")
    part = body_part(reader)
    frames = Frames(reader)
    return ImageFacts(
        sop_instance_uid=reader.text("SOPInstanceUID"),
        series_instance_uid=reader.text("SeriesInstanceUID"),
        study_instance_uid=reader.text("StudyInstanceUID"),
        sop_class_uid=reader.text("SOPClassUID"),
        kind=kind,
        modality=reader.term("Modality"),
        series_number=reader.integer("SeriesNumber"),
        instance_number=reader.integer("InstanceNumber"),
        patient_key=_patient_key(reader) if patient_key is None else patient_key,
        is_own_result=is_own_result(reader),
        image_type=image_type,
        pixels=pixel_facts(reader, header.has_pixel_data),
        body_part=part,
        laterality=laterality(reader, part.regions),
        geometry=geometry(frames, part.regions),
        spacing=spacing_fields(reader),
        localizer=localizer_reason(reader, kind, image_type),
        derived=derived_reason(reader, kind, image_type),
        is_dental=is_dental(reader),
        is_animal=is_animal(reader),
        is_burned_in=reader.term("BurnedInAnnotation") == "YES",
        manufacturer=reader.term("Manufacturer"),
        xray=xray_facts(reader) if kind in XRAY else None,
        mr=mr_facts(frames, image_type, rules) if kind in MR else None,
        fault=header.fault,
        notes=notes.all(),
    )


def _patient_key(reader: Reader) -> str:
    """A number that is the same for the same *Patient ID* (0010,0020) and issuer, and tells neither."""
    parts = (reader.text("PatientID"), reader.text("IssuerOfPatientID"))
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
