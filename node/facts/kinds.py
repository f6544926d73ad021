"""What kind of object an instance is, by its SOP class first and its *Modality* (0008,0060) second (DICOM.md §3.1)."""

import re
from enum import StrEnum

from pydicom import config
from pydicom.uid import UID

from node.facts.values import Reader

_UID = re.compile(r"[0-9.]{1,64}")


class Kind(StrEnum):
    """What an instance is to us."""

    CR = "cr"
    """A radiograph from an imaging plate."""
    DX = "dx"
    """A radiograph from a detector, for presentation."""
    DX_FOR_PROCESSING = "dx_for_processing"
    """Raw-like detector data, not meant to be looked at."""
    MR = "mr"
    """One slice."""
    ENHANCED_MR = "enhanced_mr"
    """Several slices in one object."""
    SECONDARY_CAPTURE = "secondary_capture"
    """A picture of a picture: screen shots, scanned films."""
    OTHER_IMAGE = "other_image"
    """An image that no model here looks at: CT, mammography, dental, ultrasound ..."""
    NOT_AN_IMAGE = "not_an_image"
    """Segmentations, reports, presentation states, key objects, raw data."""


XRAY = frozenset({Kind.CR, Kind.DX, Kind.DX_FOR_PROCESSING})
MR = frozenset({Kind.MR, Kind.ENHANCED_MR})

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_KIND_OF_CLASS = {
    "1": Kind.CR, "1.1": Kind.DX, "1.1.1": Kind.DX_FOR_PROCESSING, "4": Kind.MR, "4.1": Kind.ENHANCED_MR,
    "4.4": Kind.ENHANCED_MR, "7": Kind.SECONDARY_CAPTURE, "7.1": Kind.SECONDARY_CAPTURE,
    "7.2": Kind.SECONDARY_CAPTURE, "7.3": Kind.SECONDARY_CAPTURE, "7.4": Kind.SECONDARY_CAPTURE,
}  # fmt: skip
_NOT_IMAGES = ("4.2", "9.", "11.", "66", "67", "68.", "78.", "79.", "88.", "104.", "200.", "481.")
"""Beginnings of classes without pixels to analyse; 66.4 and 66.7 (segmentations) are results, ours or others'."""
_DENTAL_CLASSES = frozenset({f"{_STORAGE}1.3", f"{_STORAGE}1.3.1"})
_DENTAL_MODALITIES = frozenset({"IO", "PX"})
_KIND_OF_MODALITY = {"CR": Kind.CR, "DX": Kind.DX, "MR": Kind.MR}
_FITTING = {
    Kind.CR: frozenset({"CR", "DX", "RG", ""}),
    Kind.DX: frozenset({"CR", "DX", "RG", ""}),
    Kind.DX_FOR_PROCESSING: frozenset({"CR", "DX", "RG", ""}),
    Kind.MR: frozenset({"MR", ""}),
    Kind.ENHANCED_MR: frozenset({"MR", ""}),
}
_MODALITY_TERMS = """
    AR AU BDUS BI BMD CR CT DG DOC DX ECG EPS ES FID GM HD IO IVOCT IVUS KO LEN LS M3D MG MR NM OAM OCT OP OPT OT PLAN
    PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTPLAN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TG US VA XA XC
"""
_MODALITIES = frozenset(_MODALITY_TERMS.split())
"""Defined terms of PS3.3 C.7.3.1.1.1."""
_OUR_NAME = "OSTEON"


def kind_of(reader: Reader) -> Kind:
    """The kind of an instance; a contradiction between class and modality is noted, and never makes it analysable."""
    sop_class_uid, modality = reader.text("SOPClassUID"), reader.term("Modality")
    if not sop_class_uid:
        kind = _KIND_OF_MODALITY.get(modality, Kind.OTHER_IMAGE if reader.has("Rows") else Kind.NOT_AN_IMAGE)
        reader.notes.add("SOPClassUID is missing; Modality was used instead.")
        return kind
    kind = kind_of_class(sop_class_uid)
    if not _registered_name(sop_class_uid) and reader.has("Rows"):
        return Kind.OTHER_IMAGE
    if modality not in _FITTING.get(kind, {modality}):
        reader.notes.add(
            f"The storage class is {class_name(sop_class_uid)}, but Modality is {_plain_code(modality)}: not analysed."
        )
        return Kind.OTHER_IMAGE
    if kind is Kind.DX and reader.term("PresentationIntentType") == "FOR PROCESSING":
        reader.notes.add("The storage class says for presentation, PresentationIntentType says for processing.")
        return Kind.DX_FOR_PROCESSING
    return kind


def kind_of_class(sop_class_uid: str) -> Kind:
    """The kind by SOP class alone."""
    if not sop_class_uid.startswith(_STORAGE):
        return Kind.OTHER_IMAGE if "Image" in _registered_name(sop_class_uid) else Kind.NOT_AN_IMAGE
    ending = sop_class_uid.removeprefix(_STORAGE)
    if ending in _KIND_OF_CLASS:
        return _KIND_OF_CLASS[ending]
    return Kind.NOT_AN_IMAGE if ending.startswith(_NOT_IMAGES) else Kind.OTHER_IMAGE


def class_name(sop_class_uid: str) -> str:
    """The name of a storage class for a sentence; never the UID itself, which may hold anything."""
    name = _registered_name(sop_class_uid).replace(" Storage", "")
    return name or ("unknown to DICOM" if sop_class_uid else "not given")


def _registered_name(uid: str) -> str:
    """The name in the registry of PS3.6, "" for a UID that is not in it."""
    if not _UID.fullmatch(uid):
        return ""  # pydicom would name it by what is left when blanks are cut off
    name = UID(uid, config.IGNORE).name
    return "" if name == uid else name


def is_dental(reader: Reader) -> bool:
    """Whether class or modality say teeth."""
    return reader.text("SOPClassUID") in _DENTAL_CLASSES or reader.term("Modality") in _DENTAL_MODALITIES


def is_own_result(reader: Reader) -> bool:
    """Whether we made it: results come back from a PACS that routes everything (DICOM.md §6, line 51)."""
    makers = (reader.term("Manufacturer"), reader.term("ManufacturerModelName"))
    return any(maker == _OUR_NAME or maker.startswith(f"{_OUR_NAME} ") for maker in makers)


def _plain_code(modality: str) -> str:
    """A modality for a sentence, if it is a defined term; a sender may have written anything."""
    return modality if modality in _MODALITIES else "no defined term"
