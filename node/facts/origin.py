"""Whether an image is one to analyse by its origin: a localizer, or made from other images (DICOM.md §3.1)."""

import re

from node.facts.kinds import MR, XRAY, Kind
from node.facts.values import Reader
from node.identity import MANUFACTURER, MODEL_NAME
from node.lexicon import fold

_LOCALIZER_WORDS = re.compile(
    r"(?<![a-z])(?:aah?)?(?:loc(?![a-z]| ref)|loca(?:l[iy][sz]|to)|scout|survey|smart ?brain|plan scan)|"
    r"3[ -]?(?:plane|pl(?![a-z])|ebenen)|定位|ロケ|位置決め|로컬"
)
_GE_THREE_PLANES = 256
_MADE_FROM_OTHERS = {  # values of Image Type (0008,0008) that say so when the first value is DERIVED
    "MIP": "a maximum intensity projection", "MAX_IP": "a maximum intensity projection",
    "MINIP": "a minimum intensity projection", "MIN_IP": "a minimum intensity projection", "MPR": "a reformatted image",
    "CSA MPR": "a reformatted image", "CPR": "a reformatted image", "REFORMATTED": "a reformatted image",
    "PROJECTION IMAGE": "a projection", "PROJECTION": "a projection", "VOLREN": "a rendering",
    "VOLUME RENDER": "a rendering", "RENDERED": "a rendering", "SUBTRACTION": "a subtraction",
    "SUB": "a subtraction", "SUBTRACT": "a subtraction", "FA": "an anisotropy map", "TENSOR": "a tensor image",
    "EADC": "an exponential ADC map",
    "SCREEN SAVE": "a screen shot", "SCREENSHOT": "a screen shot", "STDDEV": "a map of standard deviations",
    "TTEST": "a statistical map", "RELCBV": "a perfusion map", "T1 MAP": "a map of relaxation times",
    "T2 MAP": "a map of relaxation times", "T2_STAR MAP": "a map of relaxation times",
    "CAD": "a picture with CAD marks",
    "BONE SUPPRESSED": "an image without bone", "SOFT_TISSUE": "a dual-energy image", "COMPOSED": "a composed image",
}  # fmt: skip
_XRAY_KEEPS = frozenset({"COMPOSED"})
"""A long-leg radiograph is composed of several exposures and still a radiograph."""
_DERIVED_WORDS = re.compile(r"(?<![a-z])(?:mip|mpr|subtra\w*|subtrak\w*|tensor|fa map|colfa|t[12]\*? ?map)(?![a-z])")


def localizer_reason(reader: Reader, kind: Kind, image_type: tuple[str, ...]) -> str:
    """Why the image is a localizer, "" when it is none."""
    if "LOCALIZER" in image_type or "SCOUT" in image_type:
        return "ImageType says localizer"
    if kind not in MR:
        return ""
    if any(_LOCALIZER_WORDS.search(fold(text[:512])) for text in reader.readings("SeriesDescription")[:3]):
        return "SeriesDescription says localizer"
    tag = reader.private(0x0019, "GEMS_ACQU_01", 0x17)
    if tag is not None and reader.number(tag, "SS") == _GE_THREE_PLANES:
        return "the private series plane of GE says three planes"
    return ""


def derived_reason(reader: Reader, kind: Kind, image_type: tuple[str, ...]) -> str:
    """What the image was made into from others, "" when it is an image as acquired (or merely compressed again).

    A result of a node is no source, whichever node made it: this one may have lost the database that knew it.
    """
    if (reader.text("Manufacturer"), reader.text("ManufacturerModelName")) == (MANUFACTURER, MODEL_NAME):
        return f"a result of {MANUFACTURER}"
    if image_type[:1] != ("DERIVED",):
        return ""
    for part in image_type[1:]:
        if part in _MADE_FROM_OTHERS and not (kind in XRAY and part in _XRAY_KEEPS):
            return _MADE_FROM_OTHERS[part]
    if kind in MR and _DERIVED_WORDS.search(re.sub(r"[_\s]+", " ", fold(reader.text("SeriesDescription")[:512]))):
        return "a derived image by its SeriesDescription"
    return ""
