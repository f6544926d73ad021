"""Images to series, and MR series to stacks of parallel slices (DICOM.md §3.5). Pure.

Slices are sorted by their position along the normal, never by InstanceNumber. What the pixels hold is not looked at.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from node.facts.diffusion import FrameDiffusion
from node.facts.geometry import Geometry, Plane, Vector, same_direction
from node.facts.kinds import MR
from node.facts.mr import Weighting
from node.facts.values import MAX_ITEMS
from node.headers import ImageFacts

_SAME_PLACE_MM = 0.01
_SAME_PLANE = 0.866
"""Cosine of 30 degrees: the tilted groups of slices of a spine are no localizer, three planes are."""
_GAP_SHARE = 0.05
"""Share of the usual distance between slices by which one may differ."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Parallel slices of one kind: one volume, if nothing is missing."""

    images: tuple[ImageFacts, ...]
    """Sorted along the normal."""
    weighting: Weighting
    plane: Plane
    b_value: float | None
    slices: int
    spacing_mm: float | None
    """The usual distance between slices; None with fewer than two."""
    fault: str
    """Why the slices make no volume, "" when they do: missing or doubled slices, unknown positions."""
    frames: tuple[int, ...] = ()
    """Of a multi-frame object the frames that are its slices, from 1; none named means all."""
    is_directional: bool = False
    """Whether it is weighted for one direction of diffusion, which shows less of a tumour than their trace."""

    @property
    def positions(self) -> tuple[Vector | None, ...]:
        """Of its slices, sorted as `images`, or as the frames of the object."""
        first = self.images[0]
        if first.pixels.frames <= 1:
            return tuple(image.geometry.position for image in self.images)
        places = first.geometry.positions
        if not self.frames:
            return places
        if len(places) != first.pixels.frames:
            return (None,) * len(self.frames)
        return tuple(places[number - 1] for number in self.frames)


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """One series as received."""

    series_instance_uid: str
    study_instance_uid: str
    number: int | None
    """*Series Number* (0020,0011)."""
    images: tuple[ImageFacts, ...]
    """By InstanceNumber, as people count them; stacks have their own order."""
    stacks: tuple[Stack, ...]
    """Of an MR series, largest first."""
    localizer: str
    """Why the whole series is a localizer, "" when it is none."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the headers of its images contradict themselves in, each once."""
        return tuple(dict.fromkeys(note for image in self.images for note in image.notes))


def series_of(images: Iterable[ImageFacts]) -> tuple[SeriesFacts, ...]:
    """Group images by SeriesInstanceUID; series by their number. The order of arrival is of no consequence."""
    grouped: dict[tuple[str, str], list[ImageFacts]] = defaultdict(list)
    for image in images:
        grouped[(image.study_instance_uid, image.series_instance_uid)].append(image)
    series = [_series(group) for group in grouped.values()]
    return tuple(sorted(series, key=lambda one: (one.number is None, one.number or 0, one.series_instance_uid)))


def _series(images: list[ImageFacts]) -> SeriesFacts:
    ordered = sorted(images, key=_counting_order)
    first = ordered[0]
    mr = [image for image in ordered if image.kind in MR and not image.is_own_result]
    return SeriesFacts(
        series_instance_uid=first.series_instance_uid,
        study_instance_uid=first.study_instance_uid,
        number=next((image.series_number for image in ordered if image.series_number is not None), None),
        images=tuple(ordered),
        stacks=tuple(sorted(_stacks(mr), key=lambda stack: (-stack.slices, stack.weighting, stack.b_value or 0.0))),
        localizer=_localizer(ordered, mr),
    )


def _counting_order(image: ImageFacts) -> tuple[bool, int, str]:
    return image.instance_number is None, image.instance_number or 0, image.sop_instance_uid


def _localizer(images: Sequence[ImageFacts], mr: Sequence[ImageFacts]) -> str:
    """A series whose every image is a localizer, or whose few slices lie in different planes."""
    if images and all(image.is_localizer for image in images):
        return images[0].localizer
    normals = [normal for image in mr for normal in image.geometry.normals]
    if any(_angle_cosine(normals[0], normal) < _SAME_PLANE for normal in normals):
        return "its slices lie in different planes"
    return ""


def _angle_cosine(one: Vector, other: Vector) -> float:
    return abs(sum(a * b for a, b in zip(one, other, strict=True)))


def _stacks(images: Sequence[ImageFacts]) -> Iterable[Stack]:
    """Split by frame of reference, size, kind of contrast, b-value, echo and time, then by orientation."""
    diffusion = any(image.mr and image.mr.weighting is Weighting.DWI for image in images)
    groups: dict[tuple[object, ...], list[ImageFacts]] = defaultdict(list)
    for image in images:
        groups[_key(image, diffusion)].append(image)
    for key, group in groups.items():
        if group[0].pixels.frames > 1:
            yield from _of_frames(group[0], Weighting(str(key[0])))
            continue
        for parallel in _by_orientation(group):
            yield _stack(parallel, Weighting(str(key[0])))


def _key(image: ImageFacts, diffusion: bool) -> tuple[object, ...]:
    """What the slices of one stack share. In a diffusion series, images without a b-value are its b = 0."""
    mr = image.mr
    if mr is None:
        return (Weighting.UNKNOWN,)
    weighting = mr.weighting
    b_value = mr.diffusion.b_value
    if diffusion and weighting not in (Weighting.ADC, Weighting.OTHER):
        weighting = Weighting.DWI
        b_value = 0.0 if b_value is None and not mr.diffusion.frame_b_values else b_value
    return (
        weighting,
        b_value if weighting is Weighting.DWI else None,
        mr.diffusion.directionality if b_value else "",
        mr.dixon,
        mr.echo_number,
        mr.temporal_position,
        image.is_localizer,
        image.derived,
        image.geometry.frame_of_reference_uid,
        image.pixels.rows,
        image.pixels.columns,
        image.sop_instance_uid if image.pixels.frames > 1 else "",
    )


def _by_orientation(images: Sequence[ImageFacts]) -> Iterable[list[ImageFacts]]:
    groups: list[list[ImageFacts]] = []
    for image in images:
        for group in groups:
            if _are_parallel(group[0].geometry, image.geometry):
                group.append(image)
                break
        else:
            groups.append([image])
    return groups


def _are_parallel(one: Geometry, other: Geometry) -> bool:
    if len(one.orientations) != 1 or len(other.orientations) != 1:
        return one.orientations == other.orientations
    return same_direction(one.orientations[0], other.orientations[0])


def _of_frames(image: ImageFacts, weighting: Weighting) -> Iterable[Stack]:
    """The stacks of one multi-frame object: one, or of a diffusion series one for each b-value, direction and map."""
    told = image.mr.diffusion.frames[: image.pixels.frames] if image.mr else ()
    groups: dict[tuple[Weighting, float | None, str], list[int]] = defaultdict(list)
    if weighting is Weighting.DWI:
        for number, frame in enumerate(told, start=1):
            groups[_frame_key(frame)].append(number)
    if len(groups) < 2:
        yield _stack([image], weighting)
        return
    for (kind, b_value, direction), numbers in groups.items():
        yield _stack([image], kind, tuple(numbers), b_value, direction)


def _frame_key(frame: FrameDiffusion) -> tuple[Weighting, float | None, str]:
    """What the frames of one stack share. A map among diffusion-weighted frames has no b-value; those without are 0."""
    if frame.is_adc:
        return Weighting.ADC, None, ""
    return Weighting.DWI, frame.b_value or 0.0, frame.directionality if frame.b_value else ""


def _stack(
    images: list[ImageFacts],
    weighting: Weighting,
    frames: tuple[int, ...] = (),
    b_value: float | None = None,
    direction: str = "",
) -> Stack:
    """One stack; frames, b-value and direction are given where they are not those of the first image."""
    first, mr = images[0], images[0].mr
    if first.pixels.frames <= 1:
        images = sorted(images, key=lambda image: image.geometry.along_normal or 0.0)
    if not frames and mr:
        b_value, direction = mr.diffusion.b_value, mr.diffusion.directionality
        if weighting is Weighting.DWI and b_value is None:
            b_value = 0.0
    directional = direction == "DIRECTIONAL" and not (mr and mr.diffusion.is_trace)
    whole = Stack(tuple(images), weighting, first.geometry.plane, b_value, 0, None, "", frames, directional)
    depths = _depths(whole)
    spacing, fault = _distances(depths)
    if len(first.geometry.orientations) > 1:
        fault = "its frames lie in different planes"
    return replace(whole, slices=len(depths), spacing_mm=spacing, fault=fault)


def _depths(stack: Stack) -> list[float | None]:
    """Positions along the normal, sorted where they are known."""
    first = stack.images[0]
    if first.pixels.frames <= 1:
        return [image.geometry.along_normal for image in stack.images]
    normal = first.geometry.normal
    places = [place for place in stack.positions if place is not None]
    if normal is None or not places:
        return [None] * min(len(stack.frames) or first.pixels.frames, MAX_ITEMS)
    return [*sorted(sum(a * b for a, b in zip(normal, place, strict=True)) for place in places)]


def _distances(depths: Sequence[float | None]) -> tuple[float | None, str]:
    """The usual distance between slices, and what is wrong with the rest."""
    known = [depth for depth in depths if depth is not None]
    if len(known) < len(depths):
        return None, "the position of some slices is unknown"
    steps = [after - before for before, after in pairwise(known)]
    if not steps:
        return None, ""
    usual = statistics.median(steps)
    if min(steps) < _SAME_PLACE_MM:
        return usual, "several slices lie at one place"
    if any(abs(step - usual) > _GAP_SHARE * usual for step in steps):
        missing = sum(max(round(step / usual) - 1, 0) for step in steps)
        return usual, f"{missing} slice(s) are missing" if missing else "the distances between slices differ"
    return usual, ""
