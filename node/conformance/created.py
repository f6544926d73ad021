"""The objects that the node makes (PS3.2 N.8): which, for whom, what is in them and where it comes from."""

import warnings
from collections.abc import Iterator
from io import BytesIO
from types import ModuleType

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.tag import BaseTag

from node.conformance.markdown import table, uid_name
from node.conformance.sample import RADIOGRAPH, SERIES, all_made, source_header
from node.report import codes
from node.report.chain import own_form
from node.report.colours import COLOURS, LEVEL_COLOURS, OTHER_COLOUR
from node.report.encode import EncodedObject, part10
from node.report.kind import Kind
from node.report.patient import CHARACTER_SET, REQUIRED, TIMEZONE, carried
from node.report.profile import PROFILES, Form, Profile
from storage import peers

_CONFIGURED = {
    "DeviceSerialNumber": "configured: a UID made of `node.ae_title`, the same after every restart",
    "ContentQualification": "configured: by profile",
    "SoftwareVersions": "configured: version of the node, name and version of the model",
}
_OF_THE_NODE = frozenset({"Modality", "SamplesPerPixel", "PhotometricInterpretation", "PixelRepresentation"})
_SHORT = frozenset({"CS", "LO", "SH", "ST", "IS", "US", "DS"})
_LONGEST = 40
_VARYING = frozenset({"SeriesNumber", "InstanceNumber", "SeriesDescription", "Rows", "Columns", "ContentDescription"})
_TEMPLATES = (
    ("1500", "Measurement Report", "root of every report, (126000, DCM)"),
    ("1204", "Language of Content Item and Descendants", "reports"),
    ("1001, 1002, 1004", "Observation Context, Observer Context, Device Observer", "reports"),
    ("1410", "Planar ROI Measurements", "a lesion on one image"),
    ("1411", "Volumetric ROI Measurements", "a lesion on several images"),
    ("1501", "Measurement Group", "the answer for the study, and for an image or series"),
    ("300, 1419", "Measurement, ROI Measurements", "in groups"),
    ("4019", "Algorithm Identification", "in groups, with the hash of the weights"),
    ("2010", "Key Object Selection", "key images and rejection notes"),
)


def parts() -> tuple[str, ...]:
    """Chapters 8 and 9."""
    return (
        "## 8 Objects created",
        "Encoded once, in the study of their source, each alone in a series of its own (an ADC map is one series). "
        "UIDs are of root 2.25, and repeat for the same images, weights and settings. Private attributes, private SOP "
        "classes and private transfer syntaxes: none.",
        "### 8.1 Result profiles",
        table(("profile", "what for", "objects, in order", "instead, where a class is refused"), _profiles()),
        *(text for each in all_made() for text in _object(each)),
        f"### 8.{2 + len(all_made())} Colours",
        "That segments recommend (*Recommended Display CIELab Value*), and of answers also those of pictures. Those of "
        "distance levels can be told apart without seeing red, green or blue; words beside each say the same.",
        table(("of", "colour", "red, green, blue"), _colours()),
        "## 9 Codes and templates",
        table(("TID", "name", "where"), _TEMPLATES),
        "Private coding scheme, declared in every object that uses it: "
        f"`{codes.PRIVATE_SCHEME}`, {codes.PRIVATE_SCHEME_NAME}. All other codes are of DICOM, SNOMED CT, UCUM and "
        "LOINC.",
        table(("code", "meaning"), sorted({(code.value, code.meaning) for code in _private(codes)})),
    )


def _colours() -> Iterator[tuple[str, str, str]]:
    found = {f"lesion, {answer.value}": colour for answer, colour in COLOURS.items()}
    found["lesion of any other answer; probability map"] = OTHER_COLOUR
    found |= {f"distance level, {word}": colour for word, colour in LEVEL_COLOURS.items()}
    for whose, colour in found.items():
        yield whose, colour.name, ", ".join(map(str, colour.rgb))


def _profiles() -> Iterator[tuple[str, str, str, str]]:
    for name, profile in PROFILES.items():
        yield f"`{name}`", peers.PROFILES.get(name, ""), _kinds(profile), _fallbacks(profile)


def _kinds(profile: Profile) -> str:
    return ", ".join(_form(own_form(kind, profile)) for kind in Kind if kind in profile.kinds)


def _fallbacks(profile: Profile) -> str:
    chains = []
    for kind in profile.kinds & profile.fallbacks.keys():
        own = own_form(kind, profile)
        instead = [_form(form) for form in profile.fallbacks[kind] if form != own]
        chains.append(" → ".join([_form(own), *instead]))
    return "; ".join(sorted(chains)) or "nothing"


def _form(form: Form) -> str:
    words = {"seg": form.segmentation.value, "map": form.map.value, "sr": form.report.value}.get(form.kind.value)
    return f"{form.kind.value} {words}" if words else form.kind.value


def _object(made: EncodedObject) -> Iterator[str]:
    ds = pydicom.dcmread(BytesIO(part10(made)))
    is_projection = ds.StudyInstanceUID == source_header(RADIOGRAPH).StudyInstanceUID
    source = source_header(RADIOGRAPH if is_projection else SERIES)
    yield f"### 8.{2 + all_made().index(made)} {uid_name(made.sop_class_uid)} ({made.kind.value})"
    yield table(("attribute", "tag", "VR", "source"), _attributes(ds, source))


def _attributes(ds: Dataset, source: Dataset) -> Iterator[tuple[str, str, str, str]]:
    copied = carried(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for element in ds:
            yield element.keyword, str(element.tag), str(element.VR), _origin(element, source, copied)


def _origin(element: DataElement, source: Dataset, copied: dict[BaseTag, bytes]) -> str:
    if element.tag in (CHARACTER_SET, TIMEZONE):
        return "copied, absent where the source has none"
    if element.tag in copied:
        if element.keyword == "StudyInstanceUID":
            return "copied"
        return "copied, empty where the source has none" if element.keyword in REQUIRED else "copied where present"
    if element.keyword in _CONFIGURED:
        return _CONFIGURED[element.keyword]
    if element.keyword not in _OF_THE_NODE and source.get(element.keyword) == element.value != "":
        return "as the source"
    if element.VR in _SHORT and element.keyword not in _VARYING and element.value not in (None, ""):
        told = "\\".join(map(str, element.value)) if element.VM > 1 else str(element.value)
        if len(told) <= _LONGEST:
            return f"generated: {told}"
    return "empty" if element.is_empty else "generated"


def _private(module: ModuleType) -> Iterator[Code]:
    """Every code of our own scheme, wherever it lies in the tables."""
    for name, value in vars(module).items():
        if not name.startswith("__"):
            yield from _codes_in(value)


def _codes_in(value: object) -> Iterator[Code]:
    if isinstance(value, Code):
        if value.scheme_designator == codes.PRIVATE_SCHEME:
            yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _codes_in(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _codes_in(each)
