"""Images of one place that were taken several times, apart: the node and training divide them alike. Pure."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

SAME_PLACE_MM = 0.01
"""Images nearer to one another than this, along the normal, show one place."""

T = TypeVar("T")


def by_repetition(items: Sequence[T], depth: Callable[[T], float | None]) -> list[list[T]]:
    """The first image of every place, then the second of every place, and so on."""
    depths = [depth(item) for item in items]
    times: dict[int, int] = {}
    before, time = -math.inf, 0
    known = ((each, place) for place, each in enumerate(depths) if each is not None)
    for each, place in sorted(known):
        time = time + 1 if each - before < SAME_PLACE_MM else 0
        times[place], before = time, each
    groups: dict[int, list[T]] = {}
    for place, item in enumerate(items):
        groups.setdefault(times.get(place, 0), []).append(item)
    return [groups[number] for number in sorted(groups)]
