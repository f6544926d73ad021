"""Draws the batches of the knee system: which images, which part of them, which view, which targets.

Classes are balanced by a fixed composition of every batch; within a class, images come in shuffled rounds. All of it is
a function of (seed, step), so a resumed run draws the same.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from training.knee.augment import AugmentSpec, Frame, view, whole
from training.knee.cutmix import cutmix
from training.knee.dataset import Radiographs
from training.knee.losses import LossSpec, Targets, distance_levels
from training.knee.windows import Surroundings, surroundings

READERS = 4
"""Images that are read at once: one of 15 million pixels takes 150 MB while it is."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What the views are from a share of the budget on."""

    start: float
    side: int
    """Rows and columns of a view."""
    views: AugmentSpec
    windows: float = 0.0
    """The share of a batch that is seen through windows, of which tumour-free ones are called normal."""
    half_sides: tuple[float, float] = (0.5, 0.5)
    """Between which shares of the image's side the side of a window lies."""
    mixed: float = 0.0
    """The chance of a view to be mixed with another one of its batch."""


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """What a batch is made of."""

    composition: tuple[int, int, int]
    """Images per batch: normal, benign, malignant."""
    phases: tuple[Phase, ...]
    """In the order of their starts."""
    tumour_windows: float
    """The share of windows of a tumour image that are drawn around its tumour."""
    least_tumour_px: int
    """A window with fewer tumour pixels than this, on a 256 grid, is called normal (appendix B.3); of the image itself
    where `window_px` is given."""
    window_px: int | None = None
    """The side of a window in pixels of the image itself, which is read at its own resolution (§2.3); None draws
    windows of `half_sides` from the squeezed images."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Views and what should be answered."""

    images: torch.Tensor
    targets: Targets


class Drawer:
    """The batches of one set of images."""

    def __init__(
        self,
        data: Radiographs,
        indices: Sequence[int],
        spec: BatchSpec,
        loss: LossSpec,
        seed: int,
    ) -> None:
        self._data, self._spec, self._loss, self._seed = data, spec, loss, seed
        chosen = np.array(indices, dtype=np.int64)
        self._members = [chosen[data.labels[chosen] == label] for label in range(len(spec.composition))]

    def __call__(self, step: int, share: float) -> Batch:
        """The batch of this step at this share of the budget."""
        rng = np.random.default_rng((self._seed, step))
        phase = [phase for phase in self._spec.phases if share >= phase.start][-1]
        indices = self._indices(step)
        if 0.0 < phase.windows < 1.0:
            rng.shuffle(indices)
        windows = round(phase.windows * len(indices))
        parts = []
        if windows < len(indices):
            parts.append(self._seen(indices[windows:], phase, None, rng))
        if windows:
            parts.append(self._seen(indices[:windows], phase, rng.uniform(*phase.half_sides), rng))
        images, labels, masks = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        if phase.mixed:
            labels = cutmix(images, masks, labels, phase.mixed, rng, least=self._least_px(phase))
        return Batch(images.contiguous(memory_format=torch.channels_last), Targets(labels, masks, self._levels(masks)))

    def _seen(
        self, indices: npt.NDArray[np.int64], phase: Phase, half_side: float | None, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Views, classes and masks of images seen whole (`half_side` None) or through windows."""
        if half_side is not None and self._spec.window_px is not None:
            images, masks, frame = self._surroundings(indices, self._spec.window_px, rng)
        else:
            images = torch.from_numpy(self._data.images[indices]).float().div_(255.0)[:, None]
            masks = torch.from_numpy(self._data.masks[indices]).float()[:, None]
            frame = whole(len(indices)) if half_side is None else self._windows(indices, half_side, rng)
        pixels, seen = view(images, masks, frame, phase.side, phase.views, rng)
        labels = torch.from_numpy(self._data.labels[indices].copy())
        if half_side is not None:
            labels[seen.sum(dim=(1, 2, 3)) < self._least_px(phase)] = 0
        return pixels, labels, seen

    def _least_px(self, phase: Phase) -> float:
        """Tumour pixels of a view of this phase from which a part of a tumour is one."""
        return self._spec.least_tumour_px * (phase.side / (self._spec.window_px or 256)) ** 2

    def _surroundings(
        self, indices: npt.NDArray[np.int64], window_px: int, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, Frame]:
        """Windows of the images themselves with what lies around them; each image draws from a generator of its own."""

        def drawn(index: int, own: np.random.Generator) -> Surroundings:
            return surroundings(self._data, index, window_px, self._spec.tumour_windows, own)

        with ThreadPoolExecutor(READERS) as pool:
            read = list(pool.map(drawn, indices.tolist(), rng.spawn(len(indices))))
        images, masks = (torch.from_numpy(np.stack(each))[:, None] for each in zip(*read, strict=True))
        return images, masks, Frame(np.zeros((len(indices), 2)), 0.5)

    def _indices(self, step: int) -> npt.NDArray[np.int64]:
        drawn = []
        for label, (count, members) in enumerate(zip(self._spec.composition, self._members, strict=True)):
            for place in range(step * count, (step + 1) * count):
                turn, position = divmod(place, len(members))
                drawn.append(np.random.default_rng((self._seed, label, turn)).permutation(members)[position])
        return np.array(drawn, dtype=np.int64)

    def _windows(self, indices: npt.NDArray[np.int64], half_side: float, rng: np.random.Generator) -> Frame:
        reach = 1.05 - half_side
        centres = rng.uniform(-reach, reach, (len(indices), 2))
        for row, index in enumerate(indices):
            spots = np.argwhere(self._data.masks[index])
            if len(spots) and rng.random() < self._spec.tumour_windows:
                middle = spots[rng.integers(len(spots))][::-1] / self._data.masks.shape[-1] * 2.0 - 1.0
                centres[row] = np.clip(middle + rng.uniform(-0.8, 0.8, 2) * half_side, -reach, reach)
        return Frame(centres, half_side)

    def _levels(self, masks: torch.Tensor) -> torch.Tensor:
        coarse = torch.nn.functional.max_pool2d(masks, self._loss.distance_stride)[:, 0].numpy() > 0
        levels = np.stack([distance_levels(mask, self._loss.unit) for mask in coarse])
        return torch.from_numpy(levels.astype(np.int64))
