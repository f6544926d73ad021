"""Random views of radiographs, a batch at a time: one affine warp, then grey values, noise, marks, borders and holes.

btxrd256 squeezes every image to a square, the node meets 330 x 597 to 3480 x 4240 and any detector; so proportions,
scale and resolution are drawn widely, and the net must not lean on them.

Legend: `(batch, 1, rows, columns)` float32 in 0..1; masks alike, 0 or 1. Every draw comes from the generator passed in.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor

Rng = np.random.Generator
LEAST_KEPT = 0.35
"""A warp that leaves less than this share of a tumour in the view is drawn back to the plain view."""


@dataclass(frozen=True, slots=True)
class AugmentSpec:
    """How far views stray. Chances are per image."""

    scale: float
    """Standard deviation of the logarithm of the common scale."""
    aspect: float
    """Standard deviation of the logarithm of rows to columns."""
    rotation_deg: float
    shift: float
    """Largest shift, as a share of the side."""
    flip_columns: float
    flip_rows: float
    quarter_turn: float
    grey: float
    """Strength of gamma, contrast, brightness and bias field; 0 leaves the grey values alone."""
    tone: float
    """Chance of another tone curve with other black and white levels: every source develops its films its own way."""
    degrade: float
    """Chance of low resolution, and of noise."""
    clutter: float
    """Chance of marks, of borders, and of a hole."""


STILL = AugmentSpec(*[0.0] * len(fields(AugmentSpec)))
"""Views that do not stray."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Which part of each source image a view starts from, in the source's -1..1 coordinates."""

    centres: npt.NDArray[np.float64]
    """(batch, 2): column, row."""
    half_side: float
    """1 for the whole image, 0.5 for a window of half the side."""


def whole(batch: int) -> Frame:
    """The whole image."""
    return Frame(np.zeros((batch, 2)), 1.0)


def view(images: Tensor, masks: Tensor, frame: Frame, side: int, spec: AugmentSpec, rng: Rng) -> tuple[Tensor, Tensor]:
    """Random views of `side` x `side` pixels of the framed parts, and their masks."""
    shrink = int(images.shape[-1] * frame.half_side) // side
    if shrink > 1:
        images, masks = F.avg_pool2d(images, shrink), F.avg_pool2d(masks, shrink)
    plain, bent = _affine(frame, None, rng), _affine(frame, spec, rng)
    fill = torch.from_numpy((rng.random(len(images)) < 0.12).astype(np.float32))[:, None, None, None]
    filled = torch.cat((images - fill, masks), dim=1)
    warped = _warp(filled, bent, side)
    if frame.half_side == 1.0:
        before = _warp(masks, plain, side).sum(dim=(1, 2, 3))
        lost = warped[:, 1].sum(dim=(1, 2)) * _determinant(bent) < LEAST_KEPT * before
        if lost.any():
            warped[lost] = _warp(filled[lost], plain[lost], side)
    pixels, seen = warped[:, :1] + fill, warped[:, 1:]
    seen = (seen > 0.4).float()
    return _weather(pixels, seen, spec, rng), seen


def _affine(frame: Frame, spec: AugmentSpec | None, rng: Rng) -> Tensor:
    """(batch, 2, 3) from view to source coordinates."""
    n = len(frame.centres)
    linear = np.tile(np.eye(2), (n, 1, 1))
    centres = frame.centres.copy()
    if spec is not None:
        common, aspect = rng.normal(0.0, spec.scale, n), rng.normal(0.0, spec.aspect, n) / 2
        linear[:, 0, 0], linear[:, 1, 1] = np.exp(common + aspect), np.exp(common - aspect)
        linear[:, 0, 0] *= np.where(rng.random(n) < spec.flip_columns, -1.0, 1.0)
        linear[:, 1, 1] *= np.where(rng.random(n) < spec.flip_rows, -1.0, 1.0)
        angle = np.deg2rad(rng.normal(0.0, spec.rotation_deg, n))
        angle += np.where(rng.random(n) < spec.quarter_turn, np.pi / 2, 0.0)
        turn = np.stack((np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)), axis=1).reshape(n, 2, 2)
        linear = turn @ linear
        centres += rng.uniform(-spec.shift, spec.shift, (n, 2)) * 2.0 * frame.half_side
    theta = np.concatenate((linear * frame.half_side, centres[:, :, None]), axis=2)
    return torch.from_numpy(theta.astype(np.float32))


def _determinant(theta: Tensor) -> Tensor:
    return (theta[:, 0, 0] * theta[:, 1, 1] - theta[:, 0, 1] * theta[:, 1, 0]).abs()


def _warp(images: Tensor, theta: Tensor, side: int) -> Tensor:
    grid = F.affine_grid(theta, [len(images), 1, side, side], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _weather(pixels: Tensor, masks: Tensor, spec: AugmentSpec, rng: Rng) -> Tensor:
    pixels = pixels.clamp(0.0, 1.0)
    if spec.grey:
        pixels = _greys(pixels, spec.grey, rng)
    if spec.tone:
        pixels = _developed(pixels, spec.tone, rng)
    for index in range(len(pixels)):
        if rng.random() < spec.degrade:
            pixels[index] = _coarse(pixels[index], rng)
        if rng.random() < spec.clutter:
            _collimate(pixels[index, 0], masks[index, 0], rng)
        if rng.random() < spec.clutter:
            _mark(pixels[index, 0], rng)
        if rng.random() < spec.clutter:
            _cut_out(pixels[index, 0], masks[index, 0], rng)
    sigma = rng.uniform(0.0, 0.05, len(pixels)) * (rng.random(len(pixels)) < spec.degrade)
    noise = torch.from_numpy(rng.standard_normal(tuple(pixels.shape), dtype=np.float32))
    pixels = pixels + noise * torch.from_numpy(sigma.astype(np.float32))[:, None, None, None]
    return pixels.clamp(0.0, 1.0)


def _greys(pixels: Tensor, strength: float, rng: Rng) -> Tensor:
    n, side = len(pixels), pixels.shape[-1]

    def column(values: npt.NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values.astype(np.float32))[:, None, None, None]

    gamma = column(np.exp(rng.normal(0.0, 0.25 * strength, n)))
    contrast = column(np.exp(rng.normal(0.0, 0.15 * strength, n)))
    brightness = column(rng.normal(0.0, 0.06 * strength, n))
    field = column(np.ones(n)) * torch.from_numpy(rng.normal(0.0, 0.10 * strength, (n, 1, 3, 3)).astype(np.float32))
    field = F.interpolate(field, size=(side, side), mode="bilinear", align_corners=True)
    bent = (pixels + 1e-4) ** gamma
    return ((bent - 0.5) * contrast + 0.5 + brightness) * (1.0 + field)


_CURVES = (0.4, 0.7, 1.0, 1.5, 2.5)


def _developed(pixels: Tensor, chance: float, rng: Rng) -> Tensor:
    """A random mixture of gamma curves, which never reverses grey values, between random black and white levels."""
    n, pixels = len(pixels), pixels.clamp(0.0, 1.0)
    shares = torch.from_numpy(rng.dirichlet([0.5] * len(_CURVES), n).astype(np.float32))
    black = torch.from_numpy(rng.uniform(0.0, 0.2, n).astype(np.float32))[:, None, None, None]
    white = torch.from_numpy(rng.uniform(0.8, 1.0, n).astype(np.float32))[:, None, None, None]
    chosen = torch.from_numpy(rng.random(n) < chance)
    seen, shares = pixels[chosen] + 1e-4, shares[chosen]
    toned = sum(shares[:, place, None, None, None] * seen**gamma for place, gamma in enumerate(_CURVES))
    pixels[chosen] = black[chosen] + (white - black)[chosen] * toned
    return pixels


def _coarse(image: Tensor, rng: Rng) -> Tensor:
    """Lose resolution: shrink by up to three, and come back."""
    side = image.shape[-1]
    small = int(side / rng.uniform(1.2, 3.0))
    shrunk = F.interpolate(image[None], size=(small, small), mode="area")
    return F.interpolate(shrunk, size=(side, side), mode="bilinear", align_corners=False)[0]


def _collimate(image: Tensor, mask: Tensor, rng: Rng) -> None:
    """Blacken or whiten what lies outside a rectangle that keeps the tumour."""
    side = image.shape[-1]
    top, left = (int(value) for value in rng.integers(0, max(2, side // 8), 2))
    bottom, right = (side - int(value) for value in rng.integers(0, max(2, side // 8), 2))
    spots = torch.nonzero(mask)
    if len(spots):
        (first_row, first_column), (last_row, last_column) = spots.amin(0).tolist(), spots.amax(0).tolist()
        top, left = min(top, first_row), min(left, first_column)
        bottom, right = max(bottom, last_row + 1), max(right, last_column + 1)
    value = float(rng.random() < 0.35)
    image[:top], image[bottom:], image[:, :left], image[:, right:] = value, value, value, value


def _mark(image: Tensor, rng: Rng) -> None:
    """A bright (or dark) letter-like blot near a border."""
    side = image.shape[-1]
    height = int(rng.integers(max(2, side // 24), max(3, side // 8)))
    glyph = torch.from_numpy((rng.random((1, 1, 5, 4)) < 0.55).astype(np.float32))
    glyph = F.interpolate(glyph, size=(height, max(2, int(height * 0.8))), mode="nearest")[0, 0]
    row = int(rng.integers(0, side - glyph.shape[0]))
    column = int(
        rng.choice([rng.integers(0, side // 6), rng.integers(side - side // 6 - glyph.shape[1], side - glyph.shape[1])])
    )
    place = image[row : row + glyph.shape[0], column : column + glyph.shape[1]]
    place[glyph > 0] = float(rng.random() < 0.8)


def _cut_out(image: Tensor, mask: Tensor, rng: Rng) -> None:
    """A grey rectangle, unless it would hide a good part of the tumour."""
    side = image.shape[-1]
    height, width = (int(value) for value in rng.integers(side // 16, side // 4, 2))
    row, column = int(rng.integers(0, side - height)), int(rng.integers(0, side - width))
    hidden = mask[row : row + height, column : column + width].sum()
    if hidden <= 0.2 * mask.sum():
        image[row : row + height, column : column + width] = float(rng.random())
