"""Draws the images that the detector trains on: half benign and half malignant, a share without a lesion.

A batch is a function of seed, step and nothing else. Each image gets a lesion pasted in now and then (self_cutmix), is
turned, scaled and shifted a little, and its greys are bent; it is never mirrored, because front and back differ.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from models.spine_input import fit_of, fitted
from training.errors import DataFault
from training.spine.cutmix import Band, Pasted, self_cutmix
from training.spine.dataset import Case, Scan
from training.spine.detector_loss import Truth

LEAST_PX = 2.0
"""A box that augmentation left smaller is none any more."""


@dataclass(frozen=True, slots=True)
class DetectorBatchSpec:
    """How a batch is made up and augmented."""

    images: int
    empty: float
    """Share of the images that show no lesion."""
    cutmix: float
    """Chance of a paste."""
    scale: float
    rotation_deg: float
    shift: float
    """Share of the side."""
    grey: float
    """0 leaves the greys."""
    window: tuple[int, int] | None = None
    """Rows and columns that are cut out around the spine; None takes the whole input."""
    astray: float = 0.15
    """Chance that a window lies anywhere: what is beside a spine must be known too."""


class Batch(NamedTuple):
    """Images `(b, 1, rows, columns)` with their lesions."""

    image: Tensor
    truth: Truth


class Drawer:
    """Batches by step; see the module."""

    def __init__(self, cases: Sequence[Case], size: tuple[int, int], spec: DetectorBatchSpec, seed: int) -> None:
        self._size, self._spec, self._seed = size, spec, seed
        self._full: list[list[list[tuple[Scan, int, int]]]] = [[], []]
        self._empty: list[tuple[Scan, int]] = []
        for case in cases:
            mine = []
            for scan in case.scans:
                shown = set(scan.slices.tolist())
                mine += [(scan, place, case.kind) for place in sorted(shown)]
                self._empty += [(scan, place) for place in range(len(scan.stack)) if place not in shown]
            if mine:
                self._full[case.kind - 1].append(mine)
        if not all(self._full) or not self._empty:
            raise DataFault("Training needs benign and malignant patients, and slices without a tumour.")

    def __call__(self, step: int, share: float) -> Batch:
        """The batch of a step."""
        rng = np.random.default_rng((self._seed, step))
        empty = round(self._spec.empty * self._spec.images)
        drawn = [self._drawn(rng, place, place < empty) for place in range(self._spec.images)]
        return augmented(drawn, self._spec, rng)

    def _drawn(self, rng: np.random.Generator, place: int, is_empty: bool) -> Pasted:
        if is_empty:
            scan, where = self._empty[int(rng.integers(len(self._empty)))]
            return self._cut(looked_at(scan, where, 0, self._size), scan, rng)
        patients = self._full[(place + int(rng.integers(2))) % 2]
        mine = patients[int(rng.integers(len(patients)))]
        scan, where, kind = mine[int(rng.integers(len(mine)))]
        seen = looked_at(scan, where, kind, self._size)
        if rng.random() < self._spec.cutmix:
            seen = self_cutmix(seen.image, seen.boxes, seen.classes, _band(scan, self._size), rng)
        return self._cut(seen, scan, rng)

    def _cut(self, seen: Pasted, scan: Scan, rng: np.random.Generator) -> Pasted:
        if self._spec.window is None:
            return seen
        middle = (self._size[0] / 2, float(np.mean(_band(scan, self._size).middle)))
        return window(seen, self._spec.window, None if rng.random() < self._spec.astray else middle, rng)


def window(seen: Pasted, size: tuple[int, int], middle: tuple[float, float] | None, rng: np.random.Generator) -> Pasted:
    """A part of an image, within half its own size of `middle` (row, column), or anywhere; boxes by what it shows.

    A lesion of which it shows less than half is none there.
    """
    corner = []
    for axis, (whole, part) in enumerate(zip(seen.image.shape, size, strict=True)):
        at = rng.uniform(0, whole) if middle is None else middle[axis] + rng.uniform(-part / 2, part / 2)
        corner.append(int(np.clip(round(at - part / 2), 0, whole - part)))
    top, left = corner
    image = np.ascontiguousarray(seen.image[top : top + size[0], left : left + size[1]])
    moved = seen.boxes - np.array([left, top, left, top], dtype=np.float32)
    shown = np.clip(moved, 0.0, np.array([size[1], size[0], size[1], size[0]], dtype=np.float32))
    kept = _areas(shown) >= 0.5 * _areas(moved)
    return Pasted(image, shown[kept], seen.classes[kept])


def _areas(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def looked_at(scan: Scan, place: int, kind: int, size: tuple[int, int]) -> Pasted:
    """One slice of a sequence as the detector sees it, with its lesions."""
    stack = scan.stack
    fit = fit_of((stack.shape[1], stack.shape[2]), size)
    mine = scan.boxes[scan.slices == place]
    image = fitted(stack[place].astype(np.float32) / np.float32(255.0), size)
    return Pasted(image, fit.into(mine).astype(np.float32), np.full(len(mine), kind, dtype=np.int64))


def augmented(drawn: Sequence[Pasted], spec: DetectorBatchSpec, rng: np.random.Generator) -> Batch:
    """The images of a batch, turned, scaled, shifted and bent in their greys."""
    image = torch.from_numpy(np.stack([each.image for each in drawn]))[:, None]
    rows, columns = image.shape[-2:]
    views = [_view(spec, rng, rows, columns) for _ in drawn]
    grid = functional.affine_grid(
        torch.tensor(np.stack([view.theta for view in views]), dtype=torch.float32),
        list(image.shape),
        align_corners=False,
    )
    image = functional.grid_sample(image, grid, padding_mode="zeros", align_corners=False)
    image = _bent(image, spec.grey, rng)
    boxes, classes = [], []
    for each, view in zip(drawn, views, strict=True):
        moved = view.boxes(each.boxes, rows, columns)
        kept = (moved[:, 2:] - moved[:, :2]).min(axis=1, initial=np.inf) >= LEAST_PX
        boxes.append(torch.from_numpy(moved[kept]))
        classes.append(torch.from_numpy(each.classes[kept]))
    return Batch(image, Truth(boxes, classes))


class _View(NamedTuple):
    """A turn, scale and shift: from a place in the view to one in the image, both in pixels from the middle."""

    matrix: npt.NDArray[np.float64]
    shift: npt.NDArray[np.float64]
    theta: npt.NDArray[np.float64]

    def boxes(self, boxes: npt.NDArray[np.float32], rows: int, columns: int) -> npt.NDArray[np.float32]:
        """Where boxes of the image are in the view: what their turned corners span, cut at the border."""
        middle = np.array([columns / 2, rows / 2])
        corners = boxes[:, [[0, 1], [2, 1], [0, 3], [2, 3]]].astype(np.float64) - middle
        seen = (corners - self.shift) @ np.linalg.inv(self.matrix).T
        spans = np.concatenate((seen.min(axis=1), seen.max(axis=1)), axis=1) + np.tile(middle, 2)
        return np.asarray(np.clip(spans, 0.0, (columns, rows, columns, rows)), dtype=np.float32)


def _view(spec: DetectorBatchSpec, rng: np.random.Generator, rows: int, columns: int) -> _View:
    angle = math.radians(rng.uniform(-spec.rotation_deg, spec.rotation_deg))
    size = math.exp(rng.uniform(-1, 1) * math.log1p(spec.scale))
    matrix = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / size
    half = np.array([columns / 2, rows / 2])
    shift = rng.uniform(-spec.shift, spec.shift, 2) * 2 * half
    theta = np.column_stack((matrix * (half[None, :] / half[:, None]), shift / half))
    return _View(matrix, shift, theta)


def _bent(image: Tensor, grey: float, rng: np.random.Generator) -> Tensor:
    """Gamma, gain and noise, image by image."""
    if not grey:
        return image
    count = (image.shape[0], 1, 1, 1)
    gamma = torch.tensor(np.exp(rng.normal(0.0, 0.5 * grey, count)), dtype=torch.float32)
    gain = torch.tensor(np.exp(rng.normal(0.0, 0.3 * grey, count)), dtype=torch.float32)
    noise = torch.tensor(rng.uniform(0.0, 0.06 * grey, count), dtype=torch.float32)
    grain = torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32))
    return (image.clamp(min=0.0).pow(gamma) * gain + noise * grain).clamp(0.0, 1.3)


def _band(scan: Scan, size: tuple[int, int]) -> Band:
    """The band of a sequence on the detector's input."""
    fit = fit_of((scan.stack.shape[1], scan.stack.shape[2]), size)
    rows = (np.arange(size[0]) + 0.5 - fit.top) / fit.scale - 0.5
    middle = np.interp(rows, np.arange(len(scan.band.middle)), scan.band.middle) * fit.scale + fit.left
    return Band(middle.astype(np.float32), scan.band.reach * fit.scale)
