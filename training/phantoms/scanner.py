"""What a scanner does to signal, whatever lies in it: its point spread, its noise, its ghosts."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def resampling(source: int, target: int, shift: float, blur: float) -> Floats:
    """The matrix `(target, source)` that looks at one axis through the scanner's point spread, moved by `shift`."""
    at = (np.arange(target) + 0.5) * source / target + shift
    width = max(source / target, 1.0) * blur
    away = (np.arange(source) + 0.5)[None, :] - at[:, None]
    weights = np.exp(-0.5 * (away / width) ** 2)
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-6), dtype=np.float32)


def noisy(image: Floats, rng: np.random.Generator) -> npt.NDArray[np.uint16]:
    """Rician noise, a ghost now and then, and a vendor's own scale."""
    level = float(np.percentile(image, 99.0))
    if rng.random() < 0.3:
        image = image + np.float32(rng.uniform(0.01, 0.05)) * np.roll(image, int(rng.integers(20, 100)), axis=1)
    sigma = level / rng.uniform(22.0, 60.0)
    real = image + sigma * rng.standard_normal(image.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(image.shape, dtype=np.float32)
    magnitude = np.sqrt(real * real + imaginary * imaginary)
    return np.asarray(np.clip(magnitude * (rng.uniform(200, 2000) / level), 0, 65535), dtype=np.uint16)
