"""What a receiver gets: which objects, in which form; the ready-made profiles by name.

A profile is a value, chosen for a peer by its name (`osteon peers add --profile`). What viewers and archives really
show decided the ready-made ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydicom.uid import ExplicitVRLittleEndian

from node.errors import ProfileUnknown
from node.report.kind import DEFAULT_KINDS, KINDS_OF_A_RUN, Kind


class SegmentationType(StrEnum):
    """*Segmentation Type* (0062,0001), PS3.3 C.8.20.2."""

    BINARY = "BINARY"
    """One bit per pixel: the one type that every viewer shows."""
    FRACTIONAL = "FRACTIONAL"
    """One byte per pixel, here full or empty, for software that computes with shares."""
    LABELMAP = "LABELMAP"
    """One frame per slice whose pixels are segment numbers (66.7): small, and refused by much that is in use."""


class MapType(StrEnum):
    """How the probability of every pixel of a volume is told; of a radiograph it is always FRACTIONAL."""

    PARAMETRIC = "parametric"
    """A Parametric Map (1.2.840.10008.5.1.4.1.1.30) in percent, which OHIF lays over the source in colours."""
    FRACTIONAL = "fractional"
    """A FRACTIONAL Segmentation of probability."""


class ReportClass(StrEnum):
    """The storage class of the report. The content tree is the same: all of it is allowed in each (PS3.3 A.35)."""

    COMPREHENSIVE_3D = "comprehensive-3d"
    COMPREHENSIVE = "comprehensive"
    ENHANCED = "enhanced"


@dataclass(frozen=True, slots=True)
class Form:
    """One way of saying something: a kind of object, and its encoding where the kind has several."""

    kind: Kind
    segmentation: SegmentationType = SegmentationType.BINARY
    report: ReportClass = ReportClass.COMPREHENSIVE_3D
    map: MapType = MapType.PARAMETRIC


@dataclass(frozen=True, slots=True)
class Profile:
    """What a receiver wants to get."""

    name: str = "default"
    kinds: frozenset[Kind] = DEFAULT_KINDS
    segmentation: SegmentationType = SegmentationType.BINARY
    nominal_plane: bool = True
    """Give the SEG of a radiograph a nominal plane and a Frame of Reference of its own; False for strict archives."""
    omit_empty_frames: bool = True
    """False: the SEG of a volume has a frame for every slice, also where a lesion is not on it."""
    report: ReportClass = ReportClass.COMPREHENSIVE_3D
    map: MapType = MapType.PARAMETRIC
    content_qualification: str = "RESEARCH"
    """PRODUCT, RESEARCH or SERVICE (PS3.3 C.12.1.1.13)."""
    report_not_assessed: bool = False
    """True: an SR also when nothing was assessed. It says so, and never reads like a negative result."""
    transfer_syntaxes: tuple[str, ...] = (str(ExplicitVRLittleEndian),)
    """Preferred first."""
    fallbacks: Mapping[Kind, tuple[Form, ...]] = field(default_factory=dict)
    """By kind, what goes instead where the peer refuses its storage class, one after the other."""


_NO_SEG = (Form(Kind.SEG), Form(Kind.GSPS), Form(Kind.SC))
_NO_3D = (Form(Kind.SR, report=ReportClass.COMPREHENSIVE), Form(Kind.SR, report=ReportClass.ENHANCED))
_FALLBACKS: dict[Kind, tuple[Form, ...]] = {
    Kind.SEG: _NO_SEG,
    Kind.GSPS: (Form(Kind.SC),),
    Kind.SR: _NO_3D,
    Kind.MAP: (Form(Kind.MAP, map=MapType.FRACTIONAL),),
}

_READY_MADE = (
    Profile(),
    Profile(name="ohif", kinds=frozenset({Kind.SEG, Kind.SC, Kind.SR}), fallbacks=_FALLBACKS),
    Profile(name="slicer", kinds=frozenset({Kind.SEG, Kind.SR}), fallbacks=_FALLBACKS),
    Profile(name="weasis", kinds=frozenset({Kind.SEG, Kind.GSPS, Kind.SC, Kind.SR}), fallbacks=_FALLBACKS),
    Profile(
        name="classic-pacs",
        kinds=frozenset({Kind.GSPS, Kind.SC, Kind.SR}),
        report=ReportClass.COMPREHENSIVE,
        fallbacks=_FALLBACKS,
    ),
    Profile(name="everything", kinds=KINDS_OF_A_RUN, fallbacks=_FALLBACKS),
)
PROFILES: dict[str, Profile] = {profile.name: profile for profile in _READY_MADE}


def profile_named(name: str) -> Profile:
    """The ready-made profile of that name.

    Raises
    ------
    ProfileUnknown
    """
    if name not in PROFILES:
        raise ProfileUnknown(
            f"There is no result profile {name!r}. Choose one of {', '.join(PROFILES)}: osteon peers add --profile."
        )
    return PROFILES[name]
