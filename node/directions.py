"""Diffusion-weighted stacks of several directions and no trace: which of them make one volume, their average. Pure.

A scanner set to send no trace sends each direction for itself: as images of a series, as frames of one object, or as an
object each. A direction that was taken several times counts once for each time, and all as often as one another. What
is not weighted (b = 0) has no direction; taken several times, as for tensors, it is the average of all times.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from models.repetition import by_repetition
from node.facts.directions import LEAST, Direction, are_even, is_same
from node.facts.geometry import same_direction
from node.stack import Stack

_SAME_SLICE_MM = 0.1
UNEQUAL = "its slices do not all have the same directions of diffusion"
T = TypeVar("T")


def by_direction(
    items: Sequence[T], direction: Callable[[T], Direction | None], depth: Callable[[T], float | None]
) -> list[list[T]]:
    """Images or frames of one b-value, apart by direction and by how often it was taken; together where it is one.

    Parameters
    ----------
    direction, depth
        Of one of them; `depth` along the normal, in mm.
    """
    groups: list[tuple[Direction | None, list[T]]] = []
    for item in items:
        mine = direction(item)
        for theirs, group in groups:
            if theirs is mine or (theirs and mine and is_same(theirs, mine)):
                group.append(item)
                break
        else:
            groups.append((mine, [item]))
    if len(groups) < 2:
        return [list(items)]
    return [taken for _, group in groups for taken in by_repetition(group, depth)]


def repeated(times: Sequence[Stack], undivided: Stack) -> Stack:
    """The stacks of one b = 0 as one with parts; as it came where it was taken once, or not of all slices as often."""
    first = times[0]
    if len(times) < 2 or any(time.fault for time in times) or not all(_same_slices(first, time) for time in times[1:]):
        return undivided
    return replace(undivided, slices=first.slices, spacing_mm=first.spacing_mm, fault="", parts=tuple(times))


def joined(stacks: Iterable[Stack]) -> list[Stack]:
    """The stacks of a series, those of several directions of one b-value as one with parts."""
    sets: list[list[Stack]] = []
    others: list[Stack] = []
    for stack in stacks:
        if stack.direction is None or not stack.b_value:
            others.append(stack)
            continue
        for one in sets:
            if _belong_together(one[0], stack):
                one.append(stack)
                break
        else:
            sets.append([stack])
    return [*others, *(stack for one in sets for stack in _whole(one))]


def _belong_together(one: Stack, other: Stack) -> bool:
    """Whether two stacks differ in direction and slices alone."""
    return _kind(one) == _kind(other) and all(
        same_direction(a, b)
        for a, b in zip(one.images[0].geometry.orientations, other.images[0].geometry.orientations, strict=False)
    )


def _kind(stack: Stack) -> tuple[object, ...]:
    image = stack.images[0]
    return (
        stack.weighting,
        stack.b_value,
        image.mr and image.mr.dixon,
        image.mr and image.mr.echo_number,
        image.is_localizer,
        image.derived,
        image.geometry.frame_of_reference_uid,
        len(image.geometry.orientations),
        image.pixels.rows,
        image.pixels.columns,
    )


def _whole(parts: Sequence[Stack]) -> Iterable[Stack]:
    """One stack of several directions, or the stacks themselves where all are of one."""
    different: list[Direction] = []
    places: list[int] = []
    for part in parts:
        mine = part.direction or (0.0, 0.0, 0.0)
        found = next((place for place, known in enumerate(different) if is_same(known, mine)), len(different))
        if found == len(different):
            different.append(mine)
        places.append(found)
    if len(different) < 2:
        return parts
    images = dict.fromkeys(image for part in parts for image in part.images)
    frames = tuple(sorted(number for part in parts for number in part.frames)) if len(images) == 1 else ()
    if parts[0].images[0].pixels.frames <= 1:
        images = dict.fromkeys(sorted(images, key=lambda image: image.geometry.along_normal or 0.0))
    whole = replace(
        parts[0],
        images=tuple(images),
        frames=frames,
        direction=None,
        parts=tuple(parts),
        directions=len(different),
        fault=_fault(parts, different, places),
    )
    return [whole]


def _fault(parts: Sequence[Stack], different: Sequence[Direction], places: Sequence[int]) -> str:
    """Why the parts have no average, "" when they have one."""
    lost = [part.fault for part in parts if None in part.positions]
    if lost:
        return lost[0]
    if len(set(Counter(places).values())) > 1 or not all(_same_slices(parts[0], part) for part in parts[1:]):
        return UNEQUAL
    if len(different) < LEAST:
        return f"an average needs {LEAST} directions of diffusion"
    if not are_even(different):
        return "its directions of diffusion lie nearly in one plane"
    return parts[0].fault


def _same_slices(one: Stack, other: Stack) -> bool:
    here, there = (_sorted_places(stack) for stack in (one, other))
    return len(here) == len(there) and all(math.dist(a, b) <= _SAME_SLICE_MM for a, b in zip(here, there, strict=True))


def _sorted_places(stack: Stack) -> list[tuple[float, float, float]]:
    """Along the normal."""
    normal = stack.images[0].geometry.normal or (0.0, 0.0, 1.0)
    places = [place for place in stack.positions if place is not None]
    return sorted(places, key=lambda place: sum(a * b for a, b in zip(normal, place, strict=True)))
