"""What a scanner does to signal, whatever lies in it: its point spread, its noise, its ghosts."""

import numpy as np
import numpy.typing as npt

from training.phantoms.artefacts import Artefact, spoiler

Floats = npt.NDArray[np.float32]

LEAST_VOXELS = 12
"""A tumour of which the image shows fewer voxels is not drawn at all."""


def resampling(source: int, target: int, shift: float, blur: float) -> Floats:
    """The matrix `(target, source)` that looks at one axis through the scanner's point spread, moved by `shift`."""
    at = (np.arange(target) + 0.5) * source / target + shift
    width = max(source / target, 1.0) * blur
    away = (np.arange(source) + 0.5)[None, :] - at[:, None]
    weights = np.exp(-0.5 * (away / width) ** 2)
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-6), dtype=np.float32)


def noisy(image: Floats, rng: np.random.Generator, artefact: Artefact | None = None) -> npt.NDArray[np.uint16]:
    """Rician noise, a ghost now and then, and a vendor's own scale; and, where it is told, an artefact before them."""
    image = spoiler(artefact, rng)(image)
    level = float(np.percentile(image, 99.0))
    if rng.random() < 0.3:
        image = image + np.float32(rng.uniform(0.01, 0.05)) * np.roll(image, int(rng.integers(20, 100)), axis=1)
    sigma = level / rng.uniform(22.0, 60.0)
    real = image + sigma * rng.standard_normal(image.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(image.shape, dtype=np.float32)
    magnitude = np.sqrt(real * real + imaginary * imaginary)
    return np.asarray(np.clip(magnitude * (rng.uniform(200, 2000) / level), 0, 65535), dtype=np.uint16)


def shown(truth: npt.NDArray[np.uint8], matrix: Floats) -> tuple[npt.NDArray[np.uint8], tuple[int, ...]]:
    """Which voxels of the image are tumour by half or more, and which tumours of the map those are.

    Parameters
    ----------
    truth
        `(slices, source, source)`: 0, else the number of a tumour of the map.
    matrix
        `(target, source)`, of rows and of columns (`resampling`).
    """
    side = len(matrix)
    lesions = np.zeros((len(truth), side, side), dtype=np.uint8)
    kept: list[int] = []
    for number in range(1, int(truth.max()) + 1):
        mine = truth == number
        seen = np.zeros(lesions.shape, dtype=np.bool_)
        there = np.flatnonzero(mine.any(axis=(1, 2)))
        seen[there] = matrix @ mine[there].astype(np.float32) @ matrix.T >= 0.5
        seen &= lesions == 0
        if seen.sum() >= LEAST_VOXELS:
            kept.append(number)
            lesions[seen] = len(kept)
    return lesions, tuple(kept)
