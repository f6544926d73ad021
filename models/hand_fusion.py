"""What the series of a hand say of one place together: the mean of their logarithms of probability where they lie.

Each series is cut another way, and what crosses few slices of one crosses many of another. So a voxel's answer is that
of its own series and of every other that shows its place, brought there by the frame of reference that they share. (The
paper answers each image alone.) Voxels that no series suspects keep the answer of their own.

That is right as far as the hand lay still, which headers do not say. So a series on which nothing is left outlined is
not called normal where it alone surely shows a tumour: see `models.hand.beside_others`.

Legend: logits `(classes, slices, rows, columns)` on the padded grid of the network, the background first; places are
voxels of such a grid, `(3, n)`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.hand_input import Matrix, Stack, between, shown
from models.slices import Float, Plan

SUSPECTED = 0.01
"""Where a series gives any tumour this probability, all are asked."""
LEAST = 1e-3
"""No series gives a class less in what is joined, so that none forbids what all others see."""

Places = npt.NDArray[np.intp]
Bounds = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""The first and the last voxel `(3,)` of a box."""


@dataclass(frozen=True, slots=True)
class Network:
    """What the network says of one series."""

    way: Plan
    logits: Float
    """Of every pixel of its grid, `(classes, slices, rows, columns)`."""
    strangeness: float


def joined(
    stacks: Sequence[Stack], said: Sequence[Network], weight: float, unlike: float | None = None
) -> Iterator[Network]:
    """The answer of each series with what the others say of the same places.

    Parameters
    ----------
    said
        Of each of the `stacks`.
    weight
        Of another series in a voxel, where the own one weighs 1; stacks of one weighting and one grid share it. With 0
        each is left as it is.
    unlike
        A series stranger than this has no say.
    """
    if not weight or len(said) < 2:
        yield from said
        return
    spoken = [
        _spoken(stack, each) if unlike is None or each.strangeness <= unlike else None
        for stack, each in zip(stacks, said, strict=True)
    ]
    for own, each in zip(spoken, said, strict=True):
        if own is None:
            yield each
            continue
        others = [other for other in spoken if other is not None and other is not own and _is_beside(own, other)]
        yield replace(each, logits=_with(own, others, weight)) if others else each


@dataclass(frozen=True, slots=True, eq=False)
class _Spoken:
    """A series, where it lies, and what it says."""

    stack: Stack
    way: Plan
    logits: Float
    tumour: Float
    """The probability of any tumour; 0 in the padding."""
    shown: Bounds
    """What is no padding."""


def _spoken(stack: Stack, said: Network) -> _Spoken:
    logits = said.logits
    top = logits.max(axis=0)
    tumour = 1.0 - np.exp(logits[0] - top) / np.exp(logits - top).sum(axis=0)
    first = np.array([0.0, *said.way.corner])
    last = first + np.array([logits.shape[1], *said.way.plane]) - 1.0
    inside = shown(said.way, logits.shape[1])
    return _Spoken(stack, said.way, logits, np.where(inside, tumour, np.float32(0.0)), (first, last))


def _is_beside(own: _Spoken, other: _Spoken) -> bool:
    """Whether it is known where one lies beside the other."""
    placed = own.stack.grid is not None and other.stack.grid is not None
    return placed and own.stack.frame == other.stack.frame


def _with(own: _Spoken, others: Sequence[_Spoken], weight: float) -> Float:
    """The logits of one series with those of the others."""
    places = _asked(own, others)
    total = _held(own.logits[:, *places])
    shares = np.ones(places.shape[1], dtype=np.float32)
    for other in others:
        vote = np.float32(weight / sum(_is_copy(other, each) for each in others))
        at, lies = _there(own, other, places)
        total[:, lies] += vote * _held(_sampled(other.logits, at[:, lies]))
        shares[lies] += vote
    together = own.logits.copy()
    together[:, *places] = total / shares
    return together


def _asked(own: _Spoken, others: Sequence[_Spoken]) -> Places:
    """The places of a series that it or another one suspects."""
    marked = own.tumour >= SUSPECTED
    for other in others:
        suspects = np.argwhere(other.tumour >= SUSPECTED)
        box = _slices(*_seen_from(own, other, suspects)) if len(suspects) else None
        if box is None or marked[box].size == 0:
            continue
        index = np.stack(np.meshgrid(*(np.arange(part.start, part.stop) for part in box), indexing="ij"))
        at, lies = _there(own, other, index.reshape(3, -1))
        near = np.rint(at).astype(np.intp)
        marked[box] |= (lies & (other.tumour[*near] >= SUSPECTED)).reshape(marked[box].shape)
    return np.asarray(np.stack(np.nonzero(marked)))


def _seen_from(own: _Spoken, other: _Spoken, places: Places) -> Bounds:
    """The box of a series that may show places `(n, 3)` of another."""
    matrix, offset = _map(other, own)
    low, high = places.min(axis=0) - 0.5, places.max(axis=0) + 0.5
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij")).reshape(3, -1)
    mapped = matrix @ corners + offset[:, None]
    first, last = own.shown
    return np.maximum(np.floor(mapped.min(axis=1)), first), np.minimum(np.ceil(mapped.max(axis=1)), last)


def _there(own: _Spoken, other: _Spoken, places: Places) -> tuple[Matrix, npt.NDArray[np.bool_]]:
    """Where places of one series lie in another, brought within it, and which of them do lie in it: to half a voxel."""
    matrix, offset = _map(own, other)
    at = matrix @ places + offset[:, None]
    first, last = (bound[:, None] for bound in other.shown)
    lies = ((at >= first - 0.5) & (at <= last + 0.5)).all(axis=0)
    return np.clip(at, first, last), np.asarray(lies)


def _map(one: _Spoken, other: _Spoken) -> tuple[Matrix, Matrix]:
    assert one.stack.grid is not None  # _is_beside has asked
    assert other.stack.grid is not None
    return between(one.way, one.stack.grid, other.way, other.stack.grid)


def _is_copy(one: _Spoken, other: _Spoken) -> bool:
    """Whether two series (or one and itself) are the same view of the same weighting, as one that was sent twice."""
    assert one.stack.grid is not None  # _is_beside has asked
    assert other.stack.grid is not None
    return one.stack.role == other.stack.role and one.stack.grid.is_that_of(other.stack.grid)


def _sampled(logits: Float, at: Matrix) -> Float:
    return np.stack([ndimage.map_coordinates(values, at, order=1, mode="nearest") for values in logits])


def _held(logits: Float) -> Float:
    """Logarithms of the probabilities `(classes, n)`, none below that of `LEAST`."""
    logs = logits - logits.max(axis=0)
    logs -= np.log(np.exp(logs).sum(axis=0))
    return np.asarray(np.maximum(logs, np.float32(np.log(LEAST))))


def _slices(first: npt.NDArray[np.float64], last: npt.NDArray[np.float64]) -> tuple[slice, slice, slice]:
    rows = [slice(int(low), max(int(low), int(high) + 1)) for low, high in zip(first, last, strict=True)]
    return rows[0], rows[1], rows[2]
