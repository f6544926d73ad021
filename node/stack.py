"""Parallel slices of one kind: one volume, if nothing is missing (DICOM.md §3.5). Pure.

Slices are sorted by their position along the normal, never by InstanceNumber. What the pixels hold is not looked at.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from node.facts.diffusion import FrameDiffusion
from node.facts.directions import Direction
from node.facts.geometry import Plane, Vector
from node.facts.mr import Weighting
from node.facts.values import MAX_ITEMS
from node.headers import ImageFacts

SAME_PLACE_MM = 0.01
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
    """Whether it is weighted for directions of diffusion, and no trace that the scanner made of them."""
    direction: Direction | None = None
    """The one that it is weighted for, where that is told."""
    parts: tuple["Stack", ...] = ()
    """One for each direction or repetition; their average is the volume. None of others."""
    directions: int = 0
    """Different ones among the parts; 0 where these are repetitions of b = 0."""

    @property
    def positions(self) -> tuple[Vector | None, ...]:
        """Of its slices, sorted as `images`, or as the frames of the object; of several parts those of the first."""
        if self.parts:
            return self.parts[0].positions
        first = self.images[0]
        if first.pixels.frames <= 1:
            return tuple(image.geometry.position for image in self.images)
        places = first.geometry.positions
        if not self.frames:
            return places
        if len(places) != first.pixels.frames:
            return (None,) * len(self.frames)
        return tuple(places[number - 1] for number in self.frames)


def stack_of(
    images: Sequence[ImageFacts],
    weighting: Weighting,
    frames: tuple[int, ...] = (),
    told: FrameDiffusion | None = None,
) -> Stack:
    """One stack.

    Parameters
    ----------
    frames
        Of a multi-frame object those that are its slices; all where none is named.
    told
        What these frames say of diffusion, where it is not what the first image says.
    """
    first, mr = images[0], images[0].mr
    if first.pixels.frames <= 1:
        images = sorted(images, key=lambda image: image.geometry.along_normal or 0.0)
    diffusion = told or (mr.diffusion if mr else FrameDiffusion())
    b_value = diffusion.b_value
    if weighting is Weighting.DWI and b_value is None:
        b_value = 0.0
    is_directional = diffusion.directionality == "DIRECTIONAL" and not (mr and mr.diffusion.is_trace)
    whole = Stack(
        images=tuple(images),
        weighting=weighting,
        plane=first.geometry.plane,
        b_value=b_value,
        slices=0,
        spacing_mm=None,
        fault="",
        frames=frames,
        is_directional=is_directional,
        direction=diffusion.direction if is_directional else None,
    )
    depths = _depths(whole)
    spacing, fault = _distances(depths)
    if len(first.geometry.orientations) > 1:
        fault = "its frames lie in different planes"
    return replace(whole, slices=len(depths), spacing_mm=spacing, fault=fault)


def depth_of_frame(image: ImageFacts, number: int) -> float | None:
    """Where a frame of a multi-frame object, from 1, lies along the normal; None where that is not told of each."""
    normal, places = image.geometry.normal, image.geometry.positions
    if normal is None or len(places) != image.pixels.frames:
        return None
    return sum(a * b for a, b in zip(normal, places[number - 1], strict=True))


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
    if min(steps) < SAME_PLACE_MM:
        return usual, "several slices lie at one place"
    if any(abs(step - usual) > _GAP_SHARE * usual for step in steps):
        missing = sum(max(round(step / usual) - 1, 0) for step in steps)
        return usual, f"{missing} slice(s) are missing" if missing else "the distances between slices differ"
    return usual, ""
