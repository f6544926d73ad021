"""Draws the crops that the sequence classifier trains on (spine-wff, "Sequence classification model").

The largest labelled box of a sequence is cut out of 16 slices: with a chance of one half out of those that are labelled
and with one half out of all of the sequence by their index. Benign and malignant patients come equally often.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.spine_input import SLICES, crop, grown, largest, repeated
from training.errors import DataFault
from training.spine.dataset import Case, Scan

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ClassifierBatchSpec:
    """How a batch is made up and augmented."""

    sequences: int
    labelled: float
    """Chance that only labelled slices are taken; else all by their index."""
    margin: float
    """Of the cut, in sizes of the box."""
    jitter: float
    """How far edges wander, in sizes of the box: a detected box is none that was labelled."""
    grey: float


class Crops(NamedTuple):
    """Crops `(b, 16, 112, 112)` with their classes `(b,)`: 0 benign, 1 malignant."""

    image: Tensor
    classes: Tensor


class Drawer:
    """Batches by step; see the module."""

    def __init__(self, cases: Sequence[Case], spec: ClassifierBatchSpec, seed: int) -> None:
        self._spec, self._seed = spec, seed
        self._scans: list[list[list[Scan]]] = [[], []]
        for case in cases:
            mine = [scan for scan in case.scans if len(scan.boxes)]
            if mine:
                self._scans[case.kind - 1].append(mine)
        if not all(self._scans):
            raise DataFault("Training needs benign and malignant patients with boxes.")

    def __call__(self, step: int, share: float) -> Crops:
        """The batch of a step."""
        rng = np.random.default_rng((self._seed, 7, step))
        kinds = np.arange(self._spec.sequences) % 2
        crops = [self._drawn(rng, self._scans[kind]) for kind in kinds]
        return Crops(torch.from_numpy(np.stack(crops)), torch.from_numpy(kinds))

    def _drawn(self, rng: np.random.Generator, patients: list[list[Scan]]) -> Float:
        scans = patients[int(rng.integers(len(patients)))]
        scan = scans[int(rng.integers(len(scans)))]
        box = scan.boxes[largest(scan.boxes)].astype(np.float64)
        size = np.tile(box[2:] - box[:2], 2)
        box = box + rng.uniform(-self._spec.jitter, self._spec.jitter, 4) * size
        wanted = chosen(scan, by_index=rng.random() >= self._spec.labelled)
        image = cut(scan, box, wanted, self._spec.margin)
        if rng.random() < 0.5:
            image = image[::-1]  # a spine is nearly the same from left to right
        gamma, gain = np.exp(rng.normal(0.0, (0.5 * self._spec.grey, 0.3 * self._spec.grey)))
        image = image ** np.float32(gamma) * np.float32(gain)
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        return np.asarray(image + np.float32(rng.uniform(0, 0.06 * self._spec.grey)) * noise, dtype=np.float32)


def chosen(scan: Scan, *, by_index: bool) -> tuple[int, ...]:
    """The 16 slices of a sequence: of all by their index, or of those with a box."""
    if by_index:
        return repeated(range(len(scan.stack)), SLICES)
    return repeated(sorted(set(scan.slices.tolist())), SLICES)


def cut(scan: Scan, box: npt.NDArray[np.float64], slices: Sequence[int], margin: float) -> Float:
    """A crop of a stored sequence."""
    return crop(scan.stack, grown(box, margin), slices) * np.float32(1.0 / 255.0)
