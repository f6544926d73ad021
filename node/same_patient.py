"""Whether an archive records a study under the patient whom a result names. Pure.

Compared are Patient ID and, where both sides state one, its issuer (PS3.3 C.7.1.1): they identify. Names are not
compared: they change with marriage, transliteration and character set while the patient stays the same.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag

_LAST = Tag(0x0020, 0x000D)  # StudyInstanceUID


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a patient is; None for a text that cannot be read, for nobody knows its character set."""

    patient_id: str | None
    issuer: str | None = ""


class Match(Enum):
    """What the archive's record says of the patient whom a result names."""

    SAME = "same"
    """The archive has the study under this patient."""
    OTHER = "other"
    """The archive has the study under another patient: nothing may be sent."""
    UNKNOWN_STUDY = "unknown study"
    """The archive does not have the study: there is no record that the result could contradict."""
    NOT_SAID = "not said"
    """The archive gives no Patient ID, or one of the two cannot be read."""


def identity(patient_id: object, issuer: object = "") -> Identity:
    """An identity as texts give it; spaces around them say nothing (PS3.5 6.2, LO)."""
    return Identity(_normal(patient_id), _normal(issuer))


def identity_of(ds: Dataset) -> Identity:
    """The identity that a data set states."""
    is_declared = bool(ds.get("SpecificCharacterSet"))
    return Identity(_text(ds, "PatientID", is_declared), _text(ds, "IssuerOfPatientID", is_declared))


def study_and_patient(data: bytes) -> tuple[str, Identity]:
    """Study Instance UID and identity of an object of ours: a data set in Explicit VR Little Endian."""

    def is_past(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        return bool(tag > _LAST)

    ds = read_dataset(BytesIO(data), is_implicit_VR=False, is_little_endian=True, stop_when=is_past)
    return str(ds.StudyInstanceUID), identity_of(ds)


def match(named: Identity, recorded: Iterable[Identity]) -> Match:
    """Compare whom the result names with whom the archive records for its study."""
    known = list(recorded)
    if not known:
        return Match.UNKNOWN_STUDY
    if any(_is_same(named, each) for each in known):
        return Match.SAME
    if named.patient_id is None or any(not each.patient_id for each in known):
        return Match.NOT_SAID
    return Match.OTHER


def _is_same(one: Identity, other: Identity) -> bool:
    if one.patient_id is None or one.patient_id != other.patient_id:
        return False
    return not one.issuer or not other.issuer or one.issuer == other.issuer


def _text(ds: Dataset, keyword: str, is_declared: bool) -> str | None:
    try:
        value = str(ds.get(keyword) or "")
    except Exception:  # noqa: BLE001  # foreign bytes in a foreign decoder, which raises what it likes
        return None
    return _normal(value) if value.isascii() or (is_declared and "\ufffd" not in value) else None


def _normal(value: object) -> str:
    return unicodedata.normalize("NFC", str(value or "")).strip(" \0")
