"""In which plane an image lies, and where (PS3.3 C.7.6.2). Patient coordinates: x to the left, y to the back, z up."""

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from node.facts.frames import Frames
from node.facts.regions import Region, spans
from node.facts.values import Reader
from node.lexicon import fold

PURE = 0.9
"""Cosine between the normal and an axis from which a plane is not oblique (DICOM.md §3.1)."""
CLEAR = 0.75
"""Cosine below which the nearest axis says nothing."""
_UNIT_TOLERANCE = 0.05  # of a direction's length, and of the cosine between row and column
_SAME_DIRECTION = 1e-3  # DICOM.md §3.5

Vector = tuple[float, float, float]
Orientation = tuple[float, float, float, float, float, float]

_ROTATED = frozenset({Region.HAND, Region.WRIST, Region.FOREARM, Region.ELBOW})
"""Limbs that lie in the scanner in any direction: the planes of the patient are not those of the limb."""

_PLANE_WORDS = (
    ("sagittal", r"(?<![a-z])sag(?![a-z])|sagit|矢状|시상"),
    ("coronal", r"(?<![a-z])cor(?![a-z])|coron(?!ar[iy])|(?<![a-z])kor(?![a-z])|koronar|frontal|冠状|冠狀|관상"),
    (
        "axial",
        r"(?<![a-z])(?:ax|tra|trans)(?![a-z])|axial|transvers|(?<![a-z])ax[eis](?![a-z])|横断|橫斷|轴位|軸位|水平断|축상|횡단",
    ),
)


class Plane(StrEnum):
    """The plane of an image as a radiologist names it."""

    AXIAL = "axial"
    SAGITTAL = "sagittal"
    CORONAL = "coronal"
    AMBIGUOUS = "ambiguous"
    """Too far from every axis, or several planes in one object, and no word says which is meant."""
    UNKNOWN = "unknown"
    """The header does not say."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where an image lies."""

    plane: Plane = Plane.UNKNOWN
    plane_source: str = ""
    is_oblique: bool = False
    orientations: tuple[Orientation, ...] = ()
    """The different ones of all frames; one for a single-frame image."""
    position: Vector | None = None
    """Of a single-frame image."""
    positions: tuple[Vector, ...] = ()
    """Of the frames of a multi-frame image."""
    frame_of_reference_uid: str = ""

    @property
    def normal(self) -> Vector | None:
        """Row direction x column direction, of length 1."""
        return _normal(self.orientations[0]) if self.orientations else None

    @property
    def normals(self) -> tuple[Vector, ...]:
        """The same for every different orientation."""
        return tuple(map(_normal, self.orientations))

    @property
    def along_normal(self) -> float | None:
        """Position along the normal in mm: what slices are sorted by."""
        if self.normal is None or self.position is None:
            return None
        return sum(a * b for a, b in zip(self.normal, self.position, strict=True))


def geometry(frames: Frames, regions: tuple[Region, ...]) -> Geometry:
    """Read the geometry; where a limb lies rotated, the words of the description come before the patient's axes."""
    reader = frames.reader
    orientations = _orientations(frames)
    position = _vector(reader, "ImagePositionPatient")
    positions = [_vector(group, "ImagePositionPatient") for group in frames.groups("PlanePositionSequence")]
    said = plane_in(" ".join((*reader.readings("SeriesDescription"), *reader.readings("ProtocolName"))))
    measured, oblique = plane_of(orientations[0]) if len(orientations) == 1 else (Plane.UNKNOWN, False)
    if len(orientations) > 1:
        measured = Plane.AMBIGUOUS
    plane, source = _decide(reader, said, measured, regions)
    return Geometry(
        plane=plane,
        plane_source=source,
        is_oblique=oblique,
        orientations=orientations,
        position=position,
        positions=tuple(place for place in positions if place is not None),
        frame_of_reference_uid=reader.text("FrameOfReferenceUID"),
    )


def plane_of(orientation: Orientation) -> tuple[Plane, bool]:
    """The plane nearest to the normal, and whether it is oblique."""
    cosines = [abs(part) for part in _normal(orientation)]
    largest = max(cosines)
    if largest < CLEAR:
        return Plane.AMBIGUOUS, True
    return (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)[cosines.index(largest)], largest < PURE


def plane_in(text: str) -> Plane:
    """The plane that a description names; UNKNOWN when it names none or several."""
    text = fold(text[:512])
    named = [plane for plane, pattern in _PLANE_WORDS if re.search(pattern, text)]
    return Plane(named[0]) if len(named) == 1 else Plane.UNKNOWN


def same_direction(one: Orientation, other: Orientation) -> bool:
    """Whether two orientations are the same within 1e-3 (DICOM.md §3.5)."""
    return all(abs(a - b) <= _SAME_DIRECTION for a, b in zip(one, other, strict=True))


def _decide(reader: Reader, said: Plane, measured: Plane, regions: tuple[Region, ...]) -> tuple[Plane, str]:
    rotated = bool(regions) and all(not spans(region).isdisjoint(_ROTATED) for region in regions)
    if said is not Plane.UNKNOWN:
        if rotated:
            return said, "the description, because this limb lies in any direction"
        if measured in (Plane.AMBIGUOUS, Plane.UNKNOWN):
            return said, "the description"
        if measured is not said:
            reader.notes.add(
                f"The description says {said}, ImageOrientationPatient says {measured}; the latter is used."
            )
    return measured, "ImageOrientationPatient" if measured is not Plane.UNKNOWN else ""


def _orientations(frames: Frames) -> tuple[Orientation, ...]:
    found: list[Orientation] = []
    holders = [frames.reader] if frames.reader.has("ImageOrientationPatient") else []
    for holder in (*holders, *frames.groups("PlaneOrientationSequence")):
        orientation = _orientation(holder)
        if orientation and not any(same_direction(orientation, known) for known in found):
            found.append(orientation)
    return tuple(found)


def _orientation(reader: Reader) -> Orientation | None:
    """Row and column direction, if they are two directions at a right angle."""
    values = reader.numbers("ImageOrientationPatient")
    if not values:
        return None
    if len(values) == 6:
        row, column = values[:3], values[3:]
        lengths = (math.hypot(*row), math.hypot(*column))
        if all(abs(length - 1) <= _UNIT_TOLERANCE for length in lengths):
            cosine = sum(a * b for a, b in zip(row, column, strict=True))
            if abs(cosine) <= _UNIT_TOLERANCE:
                return (values[0], values[1], values[2], values[3], values[4], values[5])
    reader.notes.add("ImageOrientationPatient is not two directions at a right angle; it is ignored.")
    return None


def _vector(reader: Reader, name: str) -> Vector | None:
    values = reader.numbers(name)
    if len(values) == 3:
        return (values[0], values[1], values[2])
    if values:
        reader.notes.add(f"{name} has {len(values)} values instead of 3; it is ignored.")
    return None


def _normal(orientation: Orientation) -> Vector:
    a, b, c, d, e, f = orientation
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    length = math.hypot(*normal) or 1.0
    return (normal[0] / length, normal[1] / length, normal[2] / length)
