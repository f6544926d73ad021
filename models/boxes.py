"""Boxes in numpy: how far they overlap, which of them meet, and which of neighbouring slices are one lesion. Pure.

Legend: a box is left, top, right, bottom in pixels.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.floating]


def overlap(one: Boxes, other: Boxes) -> npt.NDArray[np.float64]:
    """Intersection over union of `(n, 4)` with `(m, 4)`: `(n, m)`."""
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    least = np.maximum(one[:, None, :2], other[None, :, :2])
    most = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.maximum(most - least, 0.0).prod(axis=-1)
    return np.asarray(common / np.maximum(area(one)[:, None] + area(other)[None] - common, 1e-9))


def area(boxes: Boxes) -> npt.NDArray[np.float64]:
    """In square pixels."""
    sides = np.asarray(boxes[..., 2:] - boxes[..., :2], dtype=np.float64)
    return np.asarray(sides.prod(axis=-1))


def hits(found: Boxes, scores: npt.NDArray[np.floating], truth: Boxes, least: float = 0.5) -> npt.NDArray[np.bool_]:
    """Which found boxes, the best first, meet a true one that none before them met (IoU of at least `least`)."""
    hit = np.zeros(len(found), dtype=np.bool_)
    if not len(found) or not len(truth):
        return hit
    shared = overlap(found, truth)
    for place in np.argsort(-scores, kind="stable"):
        best = int(shared[place].argmax())
        if shared[place, best] >= least:
            hit[place] = True
            shared[:, best] = -1.0
    return hit


def chains(slices: Sequence[int], boxes: Boxes, least: float = 0.2) -> list[list[int]]:
    """Boxes of one sequence that are one lesion: on neighbouring slices, one over the other.

    Parameters
    ----------
    slices
        The slice of each box `(n, 4)`.
    least
        Overlap (IoU) from which on two boxes belong together.

    Returns
    -------
    The places of the boxes of each lesion, by slice; the lesion with the lowest first place first.
    """
    shared = overlap(boxes, boxes) if len(boxes) else np.zeros((0, 0))
    owner = list(range(len(slices)))
    for one in range(len(slices)):
        for other in range(one):
            if abs(slices[one] - slices[other]) == 1 and shared[one, other] >= least:
                low, high = sorted((owner[one], owner[other]))
                owner = [low if each == high else each for each in owner]
    groups = {number: [place for place, each in enumerate(owner) if each == number] for number in sorted(set(owner))}
    return [sorted(group, key=lambda place: slices[place]) for group in groups.values()]
