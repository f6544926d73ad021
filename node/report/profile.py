"""What a receiver gets: which objects, in which form; the ready-made profiles by name.

A profile is a value, chosen for a peer by its name (`osteon peers add --profile`). What viewers and archives really
show decided the ready-made ones. The transfer syntax is none of its choices: every object is kept and sent in Explicit
VR Little Endian, the same bytes to everybody on every attempt, so that one hash tells that a peer has what was made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

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
    WHOLE_BYTES = "BINARY or FRACTIONAL"
    """BINARY, but FRACTIONAL of a volume whose rows times columns are no multiple of 8: frames of single bits then
    begin inside a byte (PS3.5 8.1.1), and OHIF 3.13 draws all but the first in the wrong place. Chosen for each source;
    no object says so."""


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
    fallbacks: Mapping[Kind, tuple[Form, ...]] = field(default_factory=dict)
    """By kind, what goes instead where the peer refuses its storage class, one after the other."""


_SHOW_OTHERWISE = {Kind.SEG: (Form(Kind.GSPS), Form(Kind.SC)), Kind.GSPS: (Form(Kind.SC),)}
_REPORT_OTHERWISE = {
    Kind.SR: (Form(Kind.SR, report=ReportClass.COMPREHENSIVE), Form(Kind.SR, report=ReportClass.ENHANCED))
}
_MAP_OTHERWISE = {Kind.MAP: (Form(Kind.MAP, map=MapType.FRACTIONAL),)}
_ALL_OTHERWISE: dict[Kind, tuple[Form, ...]] = {**_SHOW_OTHERWISE, **_REPORT_OTHERWISE, **_MAP_OTHERWISE}
_ALWAYS = frozenset({Kind.ADC, Kind.SR})
"""MR images, which everything shows, and the report, which says it all."""

DEFAULT = Profile(fallbacks=_SHOW_OTHERWISE)
"""Something for every viewer, all of it sent. No reports of older classes are held ready: a PACS that needs those is
better served by `classic-pacs`."""
OHIF = Profile(
    name="ohif",
    kinds=_ALWAYS | {Kind.SEG, Kind.SC},
    segmentation=SegmentationType.WHOLE_BYTES,
    fallbacks={**_REPORT_OTHERWISE, Kind.SEG: (Form(Kind.SC),)},
)
"""OHIF 3.13: draws a SEG whose frames are whole bytes, of a radiograph with a nominal plane only; the outlines of the
SR; Secondary Capture and MR series. It lists a GSPS with a warning sign and does not draw it, shows no PDF, and a
report that refers to segments turns its viewport black (VIEWERS.md §0, §3)."""
SLICER = Profile(name="slicer", kinds=_ALWAYS | {Kind.SEG}, fallbacks=_ALL_OTHERWISE)
"""3D Slicer and software built on dcmqi, which reads a BINARY SEG and every form of TID 1500 (VIEWERS.md §1): what can
be computed with, and no pictures of it. A radiograph's SEG needs the nominal plane here too."""
WEASIS = Profile(name="weasis", kinds=_ALWAYS | {Kind.SEG, Kind.GSPS, Kind.SC}, fallbacks=_ALL_OTHERWISE)
"""Weasis and other desktop viewers: they draw GSPS as well as SEG, and of older ones the picture is all that shows.
Not seen by us; so it gets each of the three."""
CLASSIC_PACS = Profile(
    name="classic-pacs",
    kinds=_ALWAYS | {Kind.GSPS, Kind.SC},
    report=ReportClass.COMPREHENSIVE,
    fallbacks=_ALL_OTHERWISE,
)
"""A PACS from before segmentations: outlines and picture, and the report in a class that has been there since 2000
(PS3.3 A.35.3); Comprehensive 3D came in 2012 and many refuse it."""
EVERYTHING = Profile(name="everything", kinds=KINDS_OF_A_RUN, fallbacks=_ALL_OTHERWISE)
"""Every kind of object, for archives, research and integration tests. OHIF goes black on the report that refers to
segments, so it is no profile for OHIF."""
LABELMAP = Profile(
    name="labelmap",
    kinds=_ALWAYS | {Kind.SEG, Kind.SC},
    segmentation=SegmentationType.LABELMAP,
    fallbacks={**_REPORT_OTHERWISE, Kind.SEG: (Form(Kind.SEG), Form(Kind.SC))},
)
"""For receivers that ask for the label map of Supplement 243: OHIF and dcmqi read it; dwv, DCMTK's archive and Orthanc
as delivered refuse it (VIEWERS.md §0.3), and then get the BINARY SEG."""
FRACTIONAL = Profile(
    name="fractional",
    kinds=_ALWAYS | {Kind.SEG, Kind.MAP},
    segmentation=SegmentationType.FRACTIONAL,
    map=MapType.FRACTIONAL,
    fallbacks=_ALL_OTHERWISE,
)
"""For software that computes with shares: mask and probability map as FRACTIONAL SEG. OHIF draws the mask, whose pixels
are full or empty, and loads the map for ever."""
STRICT = Profile(name="strict", nominal_plane=False, omit_empty_frames=False, fallbacks=_ALL_OTHERWISE)
"""For archives that check every object against the standard's text: no place is made up for a radiograph, and every
slice has its frame. The SEG of a radiograph then takes OHIF 3.13 down (VIEWERS.md §0.1)."""

_READY_MADE = (DEFAULT, OHIF, SLICER, WEASIS, CLASSIC_PACS, EVERYTHING, LABELMAP, FRACTIONAL, STRICT)
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
