"""Draws batches: a window of a slice with its neighbours, seen in another way each time.

Windows lie partly beyond the volume, where they hold 0, so edges of the field of view and air are seen. (Volumes of
sts-mr are cropped about 5 cm around their tumour; muscle and bone far from one are not in the data, and no
augmentation puts them there.)

Everything is a function of (seed, step), so a resumed run draws the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor

from training.bending import POINTS, bent
from training.stacks.case import Prepared
from training.stacks.recipe import Recipe, Views


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Views `(batch, channels, side, side)` and their masks `(batch, 1, side, side)`."""

    images: Tensor
    masks: Tensor


class Drawer:
    """The batches of some patients."""

    def __init__(self, patients: Sequence[Prepared], recipe: Recipe) -> None:
        self._patients, self._recipe = patients, recipe
        self._spots = [_Spots(np.argwhere(patient.mask)) for patient in patients]
        self._canvas = max(max(patient.mask.shape[1:]) for patient in patients)

    def __call__(self, step: int, share: float) -> Batch:
        """The batch of this step."""
        seed = (self._recipe.plan.seed, step)
        rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(hash(seed) % 2**31)
        count = self._recipe.batch
        images = torch.zeros((count, len(self._recipe.is_signal) + 1, self._canvas, self._canvas))
        centres = np.zeros((count, 2))
        for place in range(count):
            who = int(rng.integers(len(self._patients)))
            index, centres[place] = self._place(who, rng)
            self._put(images[place], self._patients[who], index)
        seen = moved(images, centres, self._recipe, rng)
        pixels = regraded(seen[:, :-1], self._recipe.views, self._recipe.is_signal, generator, self._recipe.brightest)
        return Batch(pixels.contiguous(memory_format=torch.channels_last), (seen[:, -1:] > 0.5).float())

    def _place(self, who: int, rng: np.random.Generator) -> tuple[int, tuple[float, float]]:
        """A slice and the `(row, column)` its window is drawn around."""
        patient, spots = self._patients[who], self._spots[who]
        if len(spots.places) and rng.random() < self._recipe.tumour_share:
            index, row, column = spots.drawn(self._recipe.even_share, rng)
            return int(index), (float(row), float(column))
        slices, rows, columns = patient.mask.shape
        return int(rng.integers(slices)), (rng.uniform(0, rows), rng.uniform(0, columns))

    def _put(self, into: Tensor, patient: Prepared, index: int) -> None:
        slices, rows, columns = patient.mask.shape
        beside = self._recipe.neighbours
        seen = np.clip(np.arange(index - beside, index + beside + 1), 0, slices - 1)
        into[:-1, :rows, :columns] = torch.from_numpy(patient.image[:, seen].reshape(-1, rows, columns))
        into[-1, :rows, :columns] = torch.from_numpy(patient.mask[index].astype(np.float32))


class _Spots:
    """The voxels `(n, 3)` of a patient's tumours, slice after slice."""

    def __init__(self, places: npt.NDArray[np.intp]) -> None:
        self.places = places
        ends = np.flatnonzero(np.diff(places[:, 0])) + 1
        self._bounds = np.concatenate([[0], ends, [len(places)]])

    def drawn(self, even_share: float, rng: np.random.Generator) -> npt.NDArray[np.intp]:
        """One of them; with a chance of `even_share` of a slice that was drawn first."""
        low, high = 0, len(self.places)
        if even_share and rng.random() < even_share:
            chosen = int(rng.integers(len(self._bounds) - 1))
            low, high = int(self._bounds[chosen]), int(self._bounds[chosen + 1])
        return np.asarray(self.places[int(rng.integers(low, high))])


def moved(
    images: Tensor, centres: np.ndarray[tuple[int, ...], np.dtype[np.float64]], recipe: Recipe, rng: np.random.Generator
) -> Tensor:
    """Windows around the centres, scaled, turned, mirrored, bent; 0 beyond the canvas."""
    count, canvas, views = len(images), images.shape[-1], recipe.views
    factor = np.exp(rng.uniform(-views.scale, views.scale, count)) * recipe.window / canvas
    angle = np.radians(rng.uniform(-views.rotation_deg, views.rotation_deg, count))
    flip = np.where(rng.random((count, 2)) < 0.5 * views.flips, -1.0, 1.0)
    shift = rng.uniform(-views.shift, views.shift, (count, 2)) * factor[:, None]
    middle = (centres + 0.5) * 2.0 / canvas - 1.0 + shift
    theta = np.zeros((count, 2, 3))
    theta[:, 0, 0], theta[:, 0, 1] = np.cos(angle) * flip[:, 0], -np.sin(angle) * flip[:, 1]
    theta[:, 1, 0], theta[:, 1, 1] = np.sin(angle) * flip[:, 0], np.cos(angle) * flip[:, 1]
    theta[:, :, :2] *= factor[:, None, None]
    theta[:, :, 2] = middle[:, ::-1]
    size = [count, images.shape[1], recipe.window, recipe.window]
    grid = F.affine_grid(torch.from_numpy(theta).float(), size, align_corners=False)
    if views.elastic:
        points = rng.uniform(-views.elastic, views.elastic, (count, 2, POINTS, POINTS)) * factor[:, None, None, None]
        grid = bent(grid, points)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def regraded(
    images: Tensor, views: Views, is_signal: Sequence[bool], generator: torch.Generator, brightest: float | None = 1.0
) -> Tensor:
    """Another scanner's greys: gamma, gain, coil field, noise; from 0 on, air without a field stays air.

    What is no signal (an ADC) gets the noise alone.

    Parameters
    ----------
    brightest
        The most that a signal may be, as the node scales it; None where z-scores have no limit. An ADC has 1.
    """
    count = len(images)

    def spread(extent: float) -> Tensor:
        return (2.0 * torch.rand((count, 1, 1, 1), generator=generator) - 1.0) * extent

    coil = (2.0 * torch.rand((count, 1, 4, 4), generator=generator) - 1.0) * views.bias
    field = F.interpolate(coil, size=images.shape[-2:], mode="bicubic", align_corners=True).exp()
    seen = images.clamp(0.0, brightest) ** spread(views.gamma).exp() * (1.0 + spread(views.gain)) * field
    if not all(is_signal):
        seen = torch.where(torch.tensor(is_signal)[None, :, None, None], seen, images)
    strength = views.noise * torch.rand((count, 1, 1, 1), generator=generator)
    noisy = seen + strength * torch.randn(images.shape, generator=generator)
    if brightest is None:
        limits = torch.where(torch.tensor(is_signal), torch.inf, 1.0)
        return noisy.clamp(min=0.0).minimum(limits[None, :, None, None])
    return noisy.clamp(0.0, brightest)
