"""Batches of slices as the network takes them: kinds alike, slices without a tumour among them, tumours not cut away.

Every slice is prepared once as the node prepares it (models/hand_input.py) and kept in 8 bit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.hand_card import CLASSES, COMPANIONS, HandPreprocess
from models.hand_input import prepared
from training.errors import DataFault
from training.hand.augment import AugmentSpec, augmented
from training.hand.dataset import Case


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """What a batch is made of."""

    tumours: int
    """Slices with a tumour, the five kinds in turn."""
    others: int
    """Slices without one."""
    reserve: int = 5
    """Slices without a tumour that are kept of each sequence."""
    missing: float = 0.3
    """Chance that a companion of a slice is taken away: examinations lack now this sequence, now that."""


class Batch(NamedTuple):
    """`(batch, channels, rows, columns)` in 0..1 and `(batch, rows, columns)` of class numbers."""

    image: Tensor
    truth: Tensor


class Slice(NamedTuple):
    """One prepared slice, as large as it is or as the input, whichever is larger."""

    image: npt.NDArray[np.uint8]
    """`(channels, rows, columns)`."""
    truth: npt.NDArray[np.uint8]
    companions: tuple[int, ...] = ()
    """Its channels that show other sequences."""


def slices_of(case: Case, asked: HandPreprocess, chosen: Mapping[int, Sequence[int]] | None = None) -> Iterator[Slice]:
    """Slices of a patient as the node prepares them, sequence by sequence.

    Parameters
    ----------
    chosen
        Which slices, by the number of the sequence; None takes all of all.
    """
    inputs = [scan.input for scan in case.scans]
    for number, (placed, channels) in enumerate(prepared(asked, inputs)):
        scan = case.scans[number]
        kept = list(range(len(scan.stack)) if chosen is None else chosen.get(number, ()))
        if not kept:
            continue
        grey = np.rint(channels[:, kept] * 255.0).astype(np.uint8)
        kinds = np.zeros(grey.shape[1:], dtype=np.uint8)
        for kind in np.unique(scan.mask[kept]):
            if kind:
                kinds[placed.resampled((scan.mask[kept] == kind).astype(np.float32)) >= 0.5] = kind
        role = inputs[number].role
        others = tuple(place for place, name in enumerate(asked.channels) if name in COMPANIONS and name != role)
        yield from (Slice(grey[:, place], kinds[place], others) for place in range(len(kept)))


class Drawer:
    """Draws the batch of a step; depends on nothing but the step and the seed."""

    def __init__(
        self, cases: Sequence[Case], asked: HandPreprocess, spec: BatchSpec, augment: AugmentSpec, seed: int
    ) -> None:
        self._asked, self._spec, self._augment, self._seed = asked, spec, augment, seed
        self._kinds: list[list[Slice]] = [[] for _ in CLASSES]
        rng = np.random.default_rng((seed, 0))
        for case in cases:
            self._take(case, rng)
        self._present = [kind for kind in range(1, len(CLASSES)) if self._kinds[kind]]
        if not self._present or not self._kinds[0]:
            raise DataFault("The training patients need slices with a tumour and slices without. Add such patients.")

    def _take(self, case: Case, rng: np.random.Generator) -> None:
        chosen = {}
        for number, scan in enumerate(case.scans):
            has = scan.mask.any(axis=(1, 2))
            empty = rng.permutation(np.flatnonzero(~has))[: self._spec.reserve]
            chosen[number] = [int(place) for place in np.sort(np.concatenate([np.flatnonzero(has), empty]))]
        for each in slices_of(case, self._asked, chosen):
            self._kinds[int(each.truth.max())].append(each)

    @property
    def counts(self) -> list[int]:
        """Slices kept per class."""
        return [len(each) for each in self._kinds]

    def __call__(self, step: int, share: float) -> Batch:
        """The batch of a step."""
        rng = np.random.default_rng((self._seed, 1, step))
        first = int(rng.integers(len(self._present)))
        kinds = [self._present[(first + place) % len(self._present)] for place in range(self._spec.tumours)]
        drawn = [
            self._kinds[kind][int(rng.integers(len(self._kinds[kind])))] for kind in [*kinds, *[0] * self._spec.others]
        ]
        cut = [self._thinned(self._cut(each, rng), rng) for each in drawn]
        image = torch.from_numpy(np.stack([each.image for each in cut])).float().div_(255.0)
        truth = torch.from_numpy(np.stack([each.truth for each in cut]).astype(np.int64))
        image, truth = augmented(image, truth, self._augment, rng)
        return Batch(image.contiguous(memory_format=torch.channels_last), truth)

    def _cut(self, each: Slice, rng: np.random.Generator) -> Slice:
        """A part of the input's size; one with a tumour keeps a pixel of it well inside."""
        starts = []
        spots = np.argwhere(each.truth)
        spot = spots[int(rng.integers(len(spots)))] if len(spots) else None
        for axis, side in enumerate(self._asked.size):
            last = each.truth.shape[axis] - side
            low, high = 0, last
            if spot is not None:
                low, high = max(0, int(spot[axis]) - side + 24), min(last, max(0, int(spot[axis]) - 24))
            starts.append(int(rng.integers(min(low, last), max(high, min(low, last)) + 1)))
        (top, left), (rows, columns) = starts, self._asked.size
        place = slice(top, top + rows), slice(left, left + columns)
        return Slice(each.image[:, place[0], place[1]], each.truth[place], each.companions)

    def _thinned(self, each: Slice, rng: np.random.Generator) -> Slice:
        """The same with some of its companions taken away."""
        away = [channel for channel in each.companions if rng.random() < self._spec.missing]
        if not away:
            return each
        image = each.image.copy()
        image[away] = 0
        return each._replace(image=image)
