"""Images to series, and MR series to stacks of parallel slices (DICOM.md §3.5). Pure.

Slices are sorted by their position along the normal, never by InstanceNumber. What the pixels hold is not looked at.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from models.repetition import by_repetition
from node.directions import by_direction, joined, repeated
from node.facts.diffusion import DiffusionFacts, FrameDiffusion
from node.facts.directions import Direction
from node.facts.geometry import Geometry, Vector, same_direction
from node.facts.kinds import MR
from node.facts.mr import Weighting
from node.headers import ImageFacts
from node.stack import Stack, depth_of_frame, stack_of

_SAME_PLANE = 0.866
"""Cosine of 30 degrees: the tilted groups of slices of a spine are no localizer, three planes are."""
FrameKey = tuple[Weighting, float | None, str]
"""What the frames of one stack share: weighting, b-value, directionality."""


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
        stacks=tuple(
            sorted(joined(_stacks(mr)), key=lambda stack: (-stack.slices, stack.weighting, stack.b_value or 0.0))
        ),
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
            weighting = Weighting(str(key[0]))
            if weighting is Weighting.DWI and _is_one_baseline(
                [image.mr.diffusion if image.mr else None for image in parallel]
            ):
                yield _unweighted(parallel)
                continue
            for alike in by_direction(parallel, _direction, _depth):
                yield stack_of(alike, weighting)


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
        None if mr.diffusion.direction else mr.temporal_position,
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


def _unweighted(images: Sequence[ImageFacts]) -> Stack:
    """The stack of b = 0, however often it was taken."""
    times = [stack_of(time, Weighting.DWI) for time in by_repetition(images, _depth)]
    return repeated(times, stack_of(images, Weighting.DWI))


def _is_one_baseline(each: Sequence[DiffusionFacts | FrameDiffusion | None]) -> bool:
    """Whether all say b = 0 themselves, and were taken alike: what says nothing may be of any b-value, and magnitude
    and phase, or two echo times, have no average."""
    return all(one and one.b_value == 0.0 and one.taken == (each[0] and each[0].taken) for one in each)


def _depth(image: ImageFacts) -> float | None:
    return image.geometry.along_normal


def _direction(image: ImageFacts) -> Direction | None:
    return image.mr.diffusion.direction if image.mr else None


def _of_frames(image: ImageFacts, weighting: Weighting) -> Iterable[Stack]:
    """The stacks of one multi-frame object: one, or of a diffusion series one for each b-value, direction and map."""
    told = image.mr.diffusion.frames[: image.pixels.frames] if image.mr else ()
    groups: dict[FrameKey, list[int]] = defaultdict(list)
    if weighting is Weighting.DWI:
        for number, frame in enumerate(told, start=1):
            groups[_frame_key(frame)].append(number)
    stacks = [stack for key, numbers in groups.items() for stack in _alike(image, key, numbers, told)]
    if len(stacks) > 1 or any(stack.parts for stack in stacks):
        yield from stacks
    else:
        yield stack_of([image], weighting, told=_said(image, told))


def _alike(image: ImageFacts, key: FrameKey, numbers: Sequence[int], told: Sequence[FrameDiffusion]) -> Iterable[Stack]:
    """The stacks of the frames of one b-value: one for each direction, or one of all times that b = 0 was taken."""

    def depth(number: int) -> float | None:
        return depth_of_frame(image, number)

    def stack(frames: Sequence[int]) -> Stack:
        said = replace(told[frames[0] - 1], b_value=b_value, directionality=directionality)
        return stack_of([image], kind, tuple(frames), said)

    kind, b_value, directionality = key
    if kind is Weighting.DWI and _is_one_baseline([told[number - 1] for number in numbers]):
        return [repeated([stack(time) for time in by_repetition(numbers, depth)], stack(numbers))]
    return [stack(alike) for alike in by_direction(numbers, lambda number: told[number - 1].direction, depth)]


def _said(image: ImageFacts, told: Sequence[FrameDiffusion]) -> FrameDiffusion | None:
    """What an object of one stack says of diffusion, with the direction that its frames state."""
    if image.mr is None or not told:
        return None
    diffusion = image.mr.diffusion
    directionality = told[0].directionality or diffusion.directionality
    return replace(told[0], b_value=diffusion.b_value, directionality=directionality)


def _frame_key(frame: FrameDiffusion) -> FrameKey:
    """What the frames of one stack share. A map among diffusion-weighted frames has no b-value; those without are 0."""
    if frame.is_adc:
        return Weighting.ADC, None, ""
    return Weighting.DWI, frame.b_value or 0.0, frame.directionality if frame.b_value else ""
