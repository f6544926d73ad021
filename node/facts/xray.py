"""What matters of a radiograph: the view, what kind of picture it is, and every field that millimetres come from."""

from dataclasses import dataclass
from enum import StrEnum

from node.facts.values import Reader
from node.lexicon import words_of


class View(StrEnum):
    """How the beam went through the body part."""

    AP = "AP"
    PA = "PA"
    FRONTAL = "frontal"
    """AP or PA, not said which."""
    LATERAL = "lateral"
    OBLIQUE = "oblique"
    AXIAL = "axial"
    """Along the limb: skyline, sunrise, tangential."""
    UNKNOWN = "unknown"


FRONTAL_VIEWS = frozenset({View.AP, View.PA, View.FRONTAL})

_VIEW_CODES = {  # CID 4010, SNOMED CT and the retired SNOMED-RT values
    "399348003": View.AP, "R-10206": View.AP, "272479007": View.PA, "R-10214": View.PA, "R-40888": View.PA,
    "399033003": View.FRONTAL, "R-10202": View.FRONTAL, "399067008": View.LATERAL, "R-102CD": View.LATERAL,
    "399173006": View.LATERAL, "R-10236": View.LATERAL, "399198007": View.LATERAL, "R-10232": View.LATERAL,
    "399352003": View.LATERAL, "R-10228": View.LATERAL, "399260004": View.LATERAL, "R-10224": View.LATERAL,
    "399182000": View.OBLIQUE, "R-102C1": View.OBLIQUE, "399312000": View.OBLIQUE, "R-10208": View.OBLIQUE,
    "399059000": View.OBLIQUE, "260427002": View.OBLIQUE, "R-40783": View.OBLIQUE, "260426006": View.OBLIQUE,
    "R-40782": View.OBLIQUE, "399061009": View.AXIAL, "R-10241": View.AXIAL, "399110001": View.AXIAL,
    "R-102C2": View.AXIAL, "399335002": View.AP, "399071006": View.PA,
}  # fmt: skip
_VIEW_TERMS = {  # PS3.3 C.8.1.2.1.1 and what is found beside it
    "AP": View.AP, "PA": View.PA, "LL": View.LATERAL, "RL": View.LATERAL, "LLD": View.LATERAL, "RLD": View.LATERAL,
    "LLO": View.OBLIQUE, "RLO": View.OBLIQUE, "LAT": View.LATERAL, "LATERAL": View.LATERAL, "ML": View.LATERAL,
    "LM": View.LATERAL, "OBL": View.OBLIQUE, "OBLIQUE": View.OBLIQUE, "LPO": View.OBLIQUE, "RPO": View.OBLIQUE,
    "LAO": View.OBLIQUE, "RAO": View.OBLIQUE, "AXIAL": View.AXIAL, "AX": View.AXIAL, "TAN": View.AXIAL,
    "SKYLINE": View.AXIAL, "SUNRISE": View.AXIAL, "FRONTAL": View.FRONTAL,
}  # fmt: skip
_VIEW_WORDS = {
    View.AP: "ap, a p, antero posterior, anteroposterior, dp, dorsoplantar",
    View.PA: "pa, p a, postero anterior, posteroanterior, rosenberg",
    View.LATERAL: "lat, lateral, laterale, lateralis, profil, seitlich, seitl, ll, perfil, cross table, frog",
    View.OBLIQUE: "obl, oblique, obliques, schrag, schraeg, oblicua, obliqua, obliquo, trois quarts, mortise",
    View.AXIAL: "axial, skyline, sunrise, merchant, tangential, defile, axiale, tunnel",
    View.FRONTAL: "frontal, frontale, face, faccia",
}
_EAST_VIEWS = {
    View.LATERAL: "侧位 側位 側面 侧面 측면",
    View.OBLIQUE: "斜位 斜",
    View.AXIAL: "軸位 轴位 軸射 スカイライン",
    View.FRONTAL: "正位 正面 전후",
}
_SCANNED = frozenset({"DF", "SI", "SD"})  # Conversion Type (0008,0064): digitised film, scanned image or document
_DIGITISERS = ("VIDAR", "LUMISYS", "HOWTEK", "FILM DIGIT", "FILMDIGIT")


@dataclass(frozen=True, slots=True)
class SpacingFields:
    """Every field that millimetres may come from, row before column, None where absent or not positive."""

    pixel_mm: tuple[float, float] | None = None
    """*Pixel Spacing* (0028,0030)."""
    calibration: str = ""
    """*Pixel Spacing Calibration Type* (0028,0A02)."""
    imager_mm: tuple[float, float] | None = None
    """*Imager Pixel Spacing* (0018,1164), in the detector plane."""
    magnification: float | None = None
    """*Estimated Radiographic Magnification Factor* (0018,1114)."""
    nominal_scanned_mm: tuple[float, float] | None = None
    """*Nominal Scanned Pixel Spacing* (0018,2010), of a digitised film."""


@dataclass(frozen=True, slots=True)
class XrayFacts:
    """A radiograph."""

    view: View
    view_source: str
    is_scanned_film: bool


def xray_facts(reader: Reader) -> XrayFacts:
    """Read what only radiographs have."""
    view, source = _view(reader)
    return XrayFacts(view, source, _is_scanned_film(reader))


def spacing_fields(reader: Reader) -> SpacingFields:
    """Read the spacing fields; models/spacing.py decides between them."""
    magnification = reader.number("EstimatedRadiographicMagnificationFactor")
    return SpacingFields(
        pixel_mm=_pair(reader, "PixelSpacing"),
        calibration=reader.term("PixelSpacingCalibrationType"),
        imager_mm=_pair(reader, "ImagerPixelSpacing"),
        magnification=magnification if magnification and magnification > 0 else None,
        nominal_scanned_mm=_pair(reader, "NominalScannedPixelSpacing"),
    )


def view_in(text: str) -> View:
    """The view that a description names; UNKNOWN when it names none or several."""
    named = {view for view, words in _EAST_VIEWS.items() if any(word in text for word in words.split())}
    tokens = f" {' '.join(words_of(text))} "
    for view, words in _VIEW_WORDS.items():
        if any(f" {word.strip()} " in tokens for word in words.split(",")):
            named.add(view)
    if named <= FRONTAL_VIEWS and len(named) == 2:
        named.discard(View.FRONTAL)
    return named.pop() if len(named) == 1 else View.UNKNOWN


def _view(reader: Reader) -> tuple[View, str]:
    found = list(_view_evidence(reader))
    if not found:
        return View.UNKNOWN, ""
    view, source = found[0]
    for other, other_source in found[1:]:
        if other is not view and not {view, other} <= FRONTAL_VIEWS:
            reader.notes.add(f"{source} says {view}, {other_source} says {other}; the first is used.")
            break
    return view, source


def _view_evidence(reader: Reader) -> list[tuple[View, str]]:
    found = [
        (_VIEW_CODES[code.value], "ViewCodeSequence")
        for code in reader.codes("ViewCodeSequence")
        if code.value in _VIEW_CODES
    ]
    position = reader.term("ViewPosition")
    if position in _VIEW_TERMS:
        found.append((_VIEW_TERMS[position], "ViewPosition"))
    for name in ("SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription", "ViewName"):
        for text in reader.readings(name):
            view = view_in(text)
            if view is not View.UNKNOWN:
                found.append((view, name))
                break
    return found or _view_by_orientation(reader)


def _view_by_orientation(reader: Reader) -> list[tuple[View, str]]:
    """By *Patient Orientation* (0020,0020) of the row: front or back in a lateral view, a side in a frontal one."""
    row = reader.term("PatientOrientation")[:1]
    view = {"A": View.LATERAL, "P": View.LATERAL, "L": View.FRONTAL, "R": View.FRONTAL}.get(row)
    return [(view, "PatientOrientation")] if view else []


def _is_scanned_film(reader: Reader) -> bool:
    maker = f"{reader.term('Manufacturer')} {reader.term('ManufacturerModelName')}"
    if reader.term("ConversionType") in _SCANNED or any(name in maker for name in _DIGITISERS):
        return True
    detector = reader.has("ImagerPixelSpacing") or reader.has("PixelSpacing")
    return reader.has("NominalScannedPixelSpacing") and not detector


def _pair(reader: Reader, name: str) -> tuple[float, float] | None:
    values = reader.numbers(name)
    if not values:
        return None
    if len(values) == 2 and min(values) > 0:
        return (values[0], values[1])
    reader.notes.add(f"{name} is not two positive numbers; it is ignored.")
    return None
