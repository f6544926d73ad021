"""Answers that a network cannot mean: the same number at every place of an image that is not the same everywhere, the
same answer to two images that have nothing in common, boxes that are none.

Weights that are all zero, or an output that is stuck, give just that. Taken for an answer it would be "no tumour" or a
tumour as large as the image; it is neither, and so it is a failure.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.errors import InferenceError

_ALIKE = 1e-6
"""Differences below come of the order of additions."""
_SURE = 1e-2
"""By which probabilities of one box may miss 1 as their sum."""

Float = npt.NDArray[np.float32]


class Boxes(NamedTuple):
    """What a detector says of the slices of one sequence."""

    edges: Float
    """`(slices, places, 4)`: left, top, right, bottom."""
    probabilities: Float
    """`(slices, places, classes)`; zeros at a place without a box."""


def refuse_constant(answer: npt.NDArray[np.float32], seen: npt.NDArray[np.float32], name: str) -> None:
    """Refuse an answer that does not depend on the place.

    Parameters
    ----------
    answer
        What the network says of every place of one study or image, before any threshold; classes, slices or windows
        on the first axis.
    seen
        What it was given.
    name
        Of the model, for the message.

    Raises
    ------
    InferenceError
        No part of `answer` has more than one number, and `seen` has.
    """
    if all(map(_is_constant, answer)) and not _is_constant(seen):
        raise InferenceError(
            f"{name} gave the same number, {float(answer.flat[0]):.3g}, for every place of the image, so it gives "
            "no answer. Look at the image by hand; restore the bundle or its former version, then osteon retry."
        )


def refuse_stuck(run: Callable[[Float], Mapping[str, Float]], shape: tuple[int, ...], name: str) -> None:
    """Refuse a network that answers a black image and one of noise alike in any of its outputs; run once, on opening.

    Parameters
    ----------
    run
        The network.
    shape
        Of one image that it takes.
    name
        Of the network, for the message.

    Raises
    ------
    InferenceError
    """
    said = run(np.stack([np.zeros(shape, np.float32), np.random.default_rng(0).random(shape, dtype=np.float32)]))
    for output, (black, noise) in said.items():
        if float(np.abs(noise - black).max()) <= _alike(black):
            raise InferenceError(
                f"{name} gives the same {output} for a black image and for noise: what it says does not depend on the "
                "image, so it is not used. Restore the bundle or its former version."
            )


def refuse_boxes(said: Boxes, seen: Float, name: str) -> None:
    """Refuse boxes of a sequence that no detector can mean.

    Parameters
    ----------
    seen
        `(slices, ...)`: what it was given.

    Raises
    ------
    InferenceError
        Probabilities that are none; boxes none of which has a surface; several boxes on a slice, and just the same on
        every other one, which differs, or all of the sequence with the same probabilities or at the same place.
    """
    totals = said.probabilities.sum(axis=-1)
    is_box = totals > 0.5
    far = np.minimum(np.abs(totals), np.abs(totals - 1.0)).max()
    if far > _SURE or said.probabilities.min() < -_SURE or said.probabilities.max() > 1.0 + _SURE:
        raise _no_answer(name, f"probabilities that are none (their sums are up to {far:.2g} from both 0 and 1)")
    edges, probabilities = said.edges[is_box], said.probabilities[is_box]
    if not len(edges):
        return
    if not ((edges[:, 2] > edges[:, 0]) & (edges[:, 3] > edges[:, 1])).any():
        raise _no_answer(name, f"{len(edges)} boxes, none of which has a surface")
    if is_box.sum(axis=1).max() == 1:
        return
    if len(seen) > 1 and _is_repeated(said.edges) and _is_repeated(said.probabilities) and not _is_repeated(seen):
        raise _no_answer(name, "the same boxes for every slice, and the slices differ")
    for values, what in ((probabilities, "probabilities"), (edges, "place")):
        if _is_repeated(values):
            raise _no_answer(name, f"{len(values)} boxes of the sequence the same {what}")


def _no_answer(name: str, what: str) -> InferenceError:
    return InferenceError(
        f"{name} gave {what}, so it gives no answer. Look at the images by hand; restore the bundle or its former "
        "version, then osteon retry."
    )


def _is_repeated(values: Float) -> bool:
    """Whether all are as the first."""
    return float(np.abs(values - values[:1]).max()) <= _alike(values)


def _alike(values: Float) -> float:
    return _ALIKE * max(1.0, float(np.abs(values).max()))


def _is_constant(values: npt.NDArray[np.float32]) -> bool:
    low, high = float(values.min()), float(values.max())
    return high - low <= _ALIKE * max(1.0, abs(high))
