"""The patient and study of a source, laid into a result byte for byte.

An archive recognises a patient by bytes: a name that was decoded and encoded again may come back as another patient's.
So the attributes of the Patient, General Study, Patient Study and Clinical Trial modules (PS3.3 C.7.1, C.7.2) never
pass through the library that builds the objects; their values are cut out of the source as they are, under the
character set that the source declares, or under none, and every string of our own is ASCII, which all sets contain.

Repaired is only what would make the result invalid and is no identity: malformed dates and times, a sex that is none
of M, F and O, over-long texts, private and repeating groups inside sequences, NULs inside codes.
"""

import re
import warnings
from collections.abc import Iterator

from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_keyword, dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.tag import BaseTag, Tag

CHARACTER_SET = Tag(0x0008, 0x0005)
TIMEZONE = Tag(0x0008, 0x0201)

# Type 1 and 2: present in every result, empty where the source says nothing
_REQUIRED = """
    StudyDate StudyTime AccessionNumber ReferringPhysicianName PatientName PatientID PatientBirthDate PatientSex
    StudyInstanceUID StudyID
"""
# Copied where present
_OPTIONAL = """
    IssuerOfAccessionNumberSequence StudyDescription ProcedureCodeSequence PhysiciansOfRecord
    NameOfPhysiciansReadingStudy IssuerOfPatientID TypeOfPatientID IssuerOfPatientIDQualifiersSequence
    PatientBirthTime OtherPatientIDs OtherPatientNames OtherPatientIDsSequence PatientAge PatientSize PatientWeight
    MedicalAlerts Allergies EthnicGroup Occupation SmokingStatus AdditionalPatientHistory PregnancyStatus
    PatientSpeciesDescription PatientSpeciesCodeSequence PatientSexNeutered PatientBreedDescription
    PatientBreedCodeSequence BreedRegistrationSequence ResponsiblePerson ResponsiblePersonRole
    ResponsibleOrganization PatientComments PatientIdentityRemoved DeidentificationMethod
    DeidentificationMethodCodeSequence AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence AdmissionID
    IssuerOfAdmissionIDSequence ReasonForVisit PatientState ClinicalTrialSponsorName ClinicalTrialProtocolID
    ClinicalTrialProtocolName ClinicalTrialSiteID ClinicalTrialSiteName ClinicalTrialSubjectID
    ClinicalTrialSubjectReadingID ClinicalTrialTimePointID ClinicalTrialTimePointDescription
"""
REQUIRED = tuple(_REQUIRED.split())
OPTIONAL = tuple(_OPTIONAL.split())
IDENTITY = frozenset(
    {"PatientName", "PatientID", "IssuerOfPatientID", "AccessionNumber", "OtherPatientIDs", "StudyInstanceUID"}
)
"""Never repaired: another value would be another patient or order."""

_LONGEST = {"SH": 16, "LO": 64}  # characters, PS3.5 6.2
_TEXT_VRS = frozenset({"SH", "LO", "PN", "ST", "LT", "DA", "TM", "AS", "DS", "IS", "CS", "UI"})
_SHAPES = {
    "AS": re.compile(rb"\d{3}[DWMY]"),
    "DS": re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"),
    "IS": re.compile(rb"[+-]?\d{1,12}"),
    "CS": re.compile(rb"[A-Z0-9_ ]{1,16}"),
}
_DATE = re.compile(rb"(\d{4})[-./]?(\d{2})[-./]?(\d{2})")
_TIME = re.compile(rb"(\d{2}):?(\d{2})?:?(\d{2})?(\.\d{1,6})?")


def carried(source: Dataset) -> dict[BaseTag, bytes]:
    """The encoded elements (Explicit VR Little Endian) that a result takes over from a source, by tag.

    Besides patient and study: the character set and the time zone, present only where the source has them.
    """
    elements: dict[BaseTag, bytes] = {}
    for keyword in (*REQUIRED, *OPTIONAL):
        element = _element(source, keyword)
        if element is not None:
            elements[_tag(keyword)] = element
        elif keyword in REQUIRED:
            elements[_tag(keyword)] = short_element(_tag(keyword), dictionary_VR(_tag(keyword)), b"")
    character_set = _declared(source)
    if character_set.strip(b" \0"):
        elements[CHARACTER_SET] = short_element(CHARACTER_SET, "CS", character_set)
    offset = timezone_of(source)
    if offset:
        elements[TIMEZONE] = short_element(TIMEZONE, "SH", offset.encode("ascii"))
    return elements


def bytes_of(source: Dataset, keyword: str) -> bytes:
    """The bytes of a text element as they stood in the source; empty when absent or unreadable."""
    return _raw_value(source, _tag(keyword)) or b""


def character_sets(source: Dataset) -> tuple[str, ...]:
    """The values of *Specific Character Set* (0008,0005) of a source; empty when undeclared."""
    declared = _declared(source).decode("ascii", errors="replace").strip(" \0")
    return tuple(each.strip() for each in declared.split("\\")) if declared else ()


def text_of(source: Dataset, keyword: str) -> str:
    """The value of an ASCII element, stripped; empty when absent, not ASCII or unreadable."""
    value = _raw_value(source, _tag(keyword))
    try:
        return "" if value is None else value.strip(b" \0").decode("ascii")
    except UnicodeDecodeError:
        return ""


def timezone_of(source: Dataset) -> str:
    """*Timezone Offset From UTC* (0008,0201) as `+0100`; empty when absent or malformed."""
    value = text_of(source, "TimezoneOffsetFromUTC")
    return value if re.fullmatch(r"[+-](0\d|1[0-4])[0-5]\d", value) else ""


def private_or_repeating(tag: BaseTag) -> bool:
    """True for private groups and the repeating groups 50xx and 60xx, which no result may hold."""
    return tag.is_private or tag.group & 0xFF00 in (0x5000, 0x6000)


def cleaned(item: Dataset) -> Dataset:
    """A copy of a sequence item without private and repeating groups, and without NULs inside its strings."""
    copy = Dataset()
    for element in _readable(item):
        if private_or_repeating(element.tag):
            continue
        if element.VR == "SQ":
            copy.add_new(element.tag, "SQ", [cleaned(each) for each in element.value or ()])
        elif isinstance(element.value, str) and "\0" in element.value:
            copy.add_new(element.tag, element.VR, element.value.replace("\0", ""))
        else:
            copy.add(element)
    return copy


def _readable(item: Dataset) -> Iterator[DataElement]:
    """The elements of an item that can be decoded at all."""
    for tag in sorted(item.keys()):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield item[tag]
        except (ValueError, TypeError, KeyError, NotImplementedError, AttributeError):
            continue


def _tag(keyword: str) -> BaseTag:
    number = tag_for_keyword(keyword)
    if number is None:
        raise KeyError(keyword)
    return Tag(number)


def _element(source: Dataset, keyword: str) -> bytes | None:
    """The encoded element, repaired where allowed; None when absent or beyond repair."""
    tag = _tag(keyword)
    vr = dictionary_VR(tag)
    if vr == "SQ":
        return _sequence(source, tag)
    if vr not in _TEXT_VRS:
        return _typed(source, tag)
    value = _raw_value(source, tag)
    if value is None:
        return None
    if keyword not in IDENTITY:
        repaired = _repaired(keyword, vr, value, source)
        if repaired is None:
            return None
        value = repaired
    return short_element(tag, vr, value) if len(value) < 0xFFFE else None


def _repaired(keyword: str, vr: str, value: bytes, source: Dataset) -> bytes | None:
    plain = value.strip(b" \0")
    if not plain:
        return b""
    if vr == "DA":
        match = _DATE.fullmatch(plain)
        return b"".join(match.groups()) if match else None
    if vr == "TM":
        return _time(plain)
    if keyword == "PatientSex":
        return plain if plain in (b"M", b"F", b"O") else None
    if vr in _SHAPES:
        return plain if all(_SHAPES[vr].fullmatch(part.strip()) for part in plain.split(b"\\")) else None
    if vr in _LONGEST and b"\\" not in plain:
        return _shortened(value, _LONGEST[vr], source)
    return value.rstrip(b"\0")


def _time(plain: bytes) -> bytes | None:
    match = _TIME.fullmatch(plain)
    if not match:
        return None
    hours, minutes, seconds, fraction = match.groups()
    if int(hours) > 23 or int(minutes or 0) > 59 or int(seconds or 0) > 60:
        return None
    if minutes is None:
        return hours if seconds is None and fraction is None else None
    return hours + minutes + (seconds or b"") + ((fraction or b"") if seconds else b"")


def _shortened(value: bytes, longest: int, source: Dataset) -> bytes:
    """At most `longest` characters, counted in the character set of the source."""
    value = value.rstrip(b"\0")
    if len(value.strip(b" ")) <= longest:
        return value
    if value.isascii() and b"\x1b" not in value:
        return value.strip(b" ")[:longest]
    first, *_ = _encodings(source)
    text = value.decode(first, errors="ignore")
    return value if len(text) <= longest else text[:longest].encode(first, errors="ignore")


def _raw_value(source: Dataset, tag: BaseTag) -> bytes | None:
    """The bytes of a text value as they stood in the source; None when absent."""
    if tag not in source:
        return None
    element = source.get_item(tag)
    if isinstance(element, RawDataElement) and isinstance(element.value, bytes):
        return element.value
    try:
        return _encoded(source[tag], _encodings(source))[8:]
    except (ValueError, TypeError, AttributeError, NotImplementedError, UnicodeError):
        return None


def _sequence(source: Dataset, tag: BaseTag) -> bytes | None:
    try:
        items = source[tag].value if tag in source else None
    except (ValueError, TypeError, KeyError, NotImplementedError):
        return None
    kept = [item for item in map(cleaned, items or ()) if len(item)]
    if "Code" in dictionary_keyword(tag):
        kept = [item for item in kept if _is_code(item)]
    if not kept:
        return None
    return _encoded(DataElement(tag, "SQ", kept), _encodings(source))


def _is_code(item: Dataset) -> bool:
    """A code item says all three things that PS3.3 Table 8.8-1 demands."""
    coded = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue")
    scheme = item.get("CodingSchemeDesignator") or item.get("URNCodeValue")
    return bool(coded and scheme and item.get("CodeMeaning"))


def _typed(source: Dataset, tag: BaseTag) -> bytes | None:
    """Numbers: decoded, because their bytes depend on the byte order of the source."""
    try:
        return _encoded(source[tag], ["ascii"]) if tag in source else None
    except (ValueError, TypeError, KeyError, NotImplementedError, OverflowError):
        return None


def _declared(source: Dataset) -> bytes:
    """*Specific Character Set* as it stands in the source, empty when undeclared."""
    if CHARACTER_SET not in source:
        return b""
    element = source.get_item(CHARACTER_SET)
    if isinstance(element, RawDataElement):
        return element.value or b""
    values = source[CHARACTER_SET].value or ""
    return ("\\".join([values] if isinstance(values, str) else values)).encode("ascii", errors="ignore")


def _encodings(source: Dataset) -> list[str]:
    """Python's names for the declared character sets; what is unknown counts as Latin 1, byte for byte."""
    names = character_sets(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return list(convert_encodings(list(names) or [""]))
        except LookupError:
            return ["iso8859"]


def _encoded(element: DataElement, encodings: list[str]) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_data_element(buffer, element, encodings)
    return bytes(buffer.getvalue())


def short_element(tag: BaseTag, vr: str, value: bytes) -> bytes:
    """An element with a 16-bit length (PS3.5 7.1.2), padded to even length."""
    if len(value) % 2:
        value += b"\0" if vr == "UI" else b" "
    return (
        tag.group.to_bytes(2, "little")
        + tag.element.to_bytes(2, "little")
        + vr.encode("ascii")
        + len(value).to_bytes(2, "little")
        + value
    )
