"""What the series of a hand say of one place together: the mean of their logarithms of probability where they lie.

Each series is cut another way: a small tumour that lies between two axial slices a sagittal one shows in its middle. So
a voxel's answer is that of its own series and of every other that shows its place, the others brought there with the
frame of reference that they share. (The paper answers each image alone; its authors name the other planes as what a
reader looks at next.) Voxels that no series suspects keep the answer of their own.

Legend: logits `(classes, slices, rows, columns)` on the padded grid of the network, the background first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.hand_input import Matrix, Stack, between, shown
from models.slices import Float, Plan

SUSPECTED = 0.01
"""Where a series gives any tumour this probability, all are asked."""
_OUTSIDE = np.float32(-1.0)
_HALF_OUT = -0.5


@dataclass(frozen=True, slots=True)
class Network:
    """What the network says of one series."""

    way: Plan
    logits: Float
    """Of every pixel of its grid, `(classes, slices, rows, columns)`."""
    strangeness: float


def together(
    stacks: Sequence[Stack], said: Sequence[Network], weight: float, unlike: float | None = None
) -> list[Network]:
    """The answer of each series with what the others say of the same places.

    Parameters
    ----------
    said
        Of each of the `stacks`.
    weight
        Of another series in a voxel, where the own one weighs 1; with 0 each is left as it is.
    unlike
        A series stranger than this has no say.
    """
    if not weight or len(said) < 2:
        return list(said)
    spoken = [_spoken(stack, each) for stack, each in zip(stacks, said, strict=True)]
    heard = [unlike is None or each.strangeness <= unlike for each in said]
    made = []
    for place, (own, each) in enumerate(zip(spoken, said, strict=True)):
        others = [
            other for number, other in enumerate(spoken) if number != place and heard[number] and _is_beside(own, other)
        ]
        made.append(replace(each, logits=_joined(own, others, weight) if others and heard[place] else each.logits))
    return made


@dataclass(frozen=True, slots=True, eq=False)
class _Spoken:
    """A series, where it lies, and what it says."""

    stack: Stack
    way: Plan
    logs: Float
    """Of the probability of each class."""
    tumour: Float
    """The probability of any tumour; -1 in the padding."""


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """Another series seen from one's grid."""

    logs: Float
    matrix: Matrix
    offset: Matrix
    tumour: Float
    """On one's grid; from -0.5 down where the other does not lie."""


def _spoken(stack: Stack, said: Network) -> _Spoken:
    logs = said.logits - said.logits.max(axis=0)
    logs -= np.log(np.exp(logs).sum(axis=0))
    tumour = np.where(shown(said.way, logs.shape[1]), 1.0 - np.exp(logs[0]), _OUTSIDE)
    return _Spoken(stack, said.way, logs, tumour.astype(np.float32))


def _is_beside(own: _Spoken, other: _Spoken) -> bool:
    """Whether it is known where one lies beside the other."""
    placed = own.stack.grid is not None and other.stack.grid is not None
    return placed and own.stack.frame == other.stack.frame


def _joined(own: _Spoken, others: Sequence[_Spoken], weight: float) -> Float:
    """The logits of one series with those of the others."""
    views = [_seen_from(own, other) for other in others]
    places = own.tumour >= SUSPECTED
    for view in views:
        places |= view.tumour >= SUSPECTED
    index = np.argwhere(places)
    total, shares = own.logs[:, places], np.ones(len(index), dtype=np.float32)
    for view in views:
        lies = view.tumour[places] > _HALF_OUT
        at = view.matrix @ index[lies].T + view.offset[:, None]
        for number, values in enumerate(view.logs):
            there = ndimage.map_coordinates(values, at, order=1, mode="nearest")
            total[number, lies] += np.float32(weight) * there
        shares[lies] += np.float32(weight)
    joined = own.logs.copy()
    joined[:, places] = total / shares
    return joined


def _seen_from(own: _Spoken, other: _Spoken) -> _View:
    assert own.stack.grid is not None  # _is_beside has asked
    assert other.stack.grid is not None
    matrix, offset = between(own.way, own.stack.grid, other.way, other.stack.grid)
    tumour: npt.NDArray[np.float32] = ndimage.affine_transform(
        other.tumour, matrix, offset, output_shape=own.tumour.shape, order=1, mode="grid-constant", cval=_OUTSIDE
    )
    return _View(other.logs, matrix, offset, tumour)
