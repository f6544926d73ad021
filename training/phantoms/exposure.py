"""From thickness to the pixels a radiography system stores: attenuation, scatter, quantum noise, log, processing, LUT.

`(rows, columns)` throughout. The physics runs on a coarse grid; only noise, edges of the beam and the LUT are computed
for every stored pixel, since a whole image of 5 million pixels must not take more than a second or two.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from training.phantoms.bodies import Floats

# Linear attenuation per mm at an effective 45 keV (R: order of magnitude, MODELS 4.4).
MU_MUSCLE = 0.0235
MU_FAT = 0.0205
MU_CORTEX = 0.075
MU_SPONGY = 0.041

BLOCK_ROWS = 48

LETTERS: dict[str, tuple[tuple[float, float, float, float], ...]] = {
    "L": ((0, 0, 0, 1), (0, 1, 0.6, 1)),
    "R": ((0, 0, 0, 1), (0, 0, 0.4, 0), (0.4, 0, 0.55, 0.12), (0.55, 0.12, 0.55, 0.38), (0.55, 0.38, 0.4, 0.5),
          (0.4, 0.5, 0, 0.5), (0.25, 0.5, 0.6, 1)),
}  # fmt: skip
"""Lead letters as strokes `(x0, y0, x1, y1)` in a box one high."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """One setting of tube, detector and processing."""

    scatter: float
    """Share of the detector's signal that is scattered."""
    photons: float
    """Mean count per pixel in the open beam."""
    flatten: float
    """How much of the slow changes the processing takes away, 0..1."""
    contrast: float
    brightness: float
    beam: tuple[float, float, float, float]
    """Collimated field as shares of the image: top, bottom, left, right."""
    beam_turn: float
    shutter_level: float
    """Grey outside the field, 0..1."""


def draw_exposure(rng: np.random.Generator) -> Exposure:
    """A setting at random."""
    margins = rng.uniform(0.0, 0.07, 4) * (rng.random(4) < 0.7)
    return Exposure(
        scatter=float(rng.uniform(0.1, 0.4)),
        photons=float(10 ** rng.uniform(3.7, 4.7)),
        flatten=float(rng.uniform(0.35, 0.7)),
        contrast=float(rng.uniform(0.8, 1.25)),
        brightness=float(rng.uniform(-0.12, 0.12)),
        beam=(margins[0], 1 - margins[1], margins[2], 1 - margins[3]),
        beam_turn=float(rng.normal(0, 0.012)),
        shutter_level=float(rng.choice([0.0, 0.0, 0.0, 0.03, 0.1])),
    )


def detected(path: Floats, pixel_mm: float, exposure: Exposure) -> Floats:
    """The log of what the detector sees, on the coarse grid: 0 in the open beam, larger behind bone."""
    primary = np.exp(-path)
    reach = 22.0 / pixel_mm
    small = ndimage.zoom(primary, 0.25, order=1)
    haze = _stretched(ndimage.gaussian_filter(small, reach / 4, mode="nearest"), path.shape)
    return -np.log(np.maximum((1 - exposure.scatter) * primary + exposure.scatter * haze, 1e-5))


def processed(log_signal: Floats, pixel_mm: float, exposure: Exposure, body: npt.NDArray[np.bool_]) -> Floats:
    """The log signal with its slow part flattened, scaled so that the limb spans about -1..1."""
    small = ndimage.zoom(log_signal, 0.25, order=1)
    slow = _stretched(ndimage.gaussian_filter(small, 9.0 / pixel_mm / 4, mode="nearest"), log_signal.shape)
    flat = log_signal - np.float32(exposure.flatten) * slow
    inside = flat[body] if body.any() else flat.ravel()
    low, high = np.percentile(inside[::7], (3, 99.3))
    scaled: Floats = (flat - np.float32((low + high) / 2)) / np.float32(max((high - low) / 2, 1e-3))
    return scaled


def stored(
    rng: np.random.Generator,
    scaled: Floats,
    log_signal: Floats,
    exposure: Exposure,
    shape: tuple[int, int],
    bits: int,
) -> npt.NDArray[np.uint16]:
    """Pixels of the full image, bone bright, without marker."""
    rows, columns = shape
    across = _stretched_axis(scaled, _places(columns, scaled.shape[1]), 1)
    gain = (1 - 0.3 * exposure.flatten) * 1.3 / np.sqrt(exposure.photons)
    quantum = (np.exp(0.5 * log_signal) * np.float32(gain))[:, np.arange(columns) * scaled.shape[1] // columns]
    places, top = _places(rows, scaled.shape[0]), np.float32(2**bits - 1)
    pixels = np.empty(shape, dtype=np.uint16)
    for start in range(0, rows, BLOCK_ROWS):  # a block stays in the processor's cache
        block = slice(start, min(start + BLOCK_ROWS, rows))
        noise = rng.standard_normal((block.stop - start, columns), dtype=np.float32)
        noise[:, 1:] = np.float32(0.8) * noise[:, 1:] + np.float32(0.35) * noise[:, :-1]  # the detector's own blur
        noise *= quantum[np.clip(np.rint(places[block]).astype(np.int64), 0, len(quantum) - 1)]
        level = _stretched_axis(across, places[block], 0) + noise
        level += np.float32(exposure.brightness - 0.15)
        level *= np.float32(1.15 * exposure.contrast)
        np.tanh(level, out=level)
        level *= np.float32(0.5)
        level += np.float32(0.5)
        field = _beam(shape, block, exposure)
        level *= field
        level += np.float32(exposure.shutter_level) * (1 - field)
        pixels[block] = np.clip(level * top, 0, top).astype(np.uint16)
    return pixels


def _beam(shape: tuple[int, int], block: slice, exposure: Exposure) -> Floats:
    """1 within the collimated field, 0 outside, with a narrow penumbra; for some rows of the image."""
    rows, columns = shape
    top, bottom, left, right = exposure.beam
    field = np.ones((block.stop - block.start, columns), dtype=np.float32)
    if exposure.beam == (0, 1, 0, 1):
        return field
    y = np.linspace(0, 1, rows, dtype=np.float32)[block, None]
    x = np.linspace(0, 1, columns, dtype=np.float32)[None, :]
    turned_y, turned_x = y + np.float32(exposure.beam_turn) * (x - 0.5), x - np.float32(exposure.beam_turn) * (y - 0.5)
    soft = np.float32(0.0015)
    for open_, distance in (
        (top > 0, turned_y - np.float32(top)),
        (bottom < 1, np.float32(bottom) - turned_y),
        (left > 0, turned_x - np.float32(left)),
        (right < 1, np.float32(right) - turned_x),
    ):
        if open_:
            np.minimum(field, np.clip(distance / soft, 0, 1), out=field)
    return field


def draw_marker(
    rng: np.random.Generator, pixels: npt.NDArray[np.uint16], letter: str, pixel_mm: float, bits: int, corner: str
) -> None:
    """Burn a lead letter into a corner ("left" or "right" of the limb), in place."""
    rows, columns = pixels.shape
    height = rng.uniform(8, 13) / pixel_mm
    x0 = columns * (rng.uniform(0.1, 0.15) if corner == "left" else rng.uniform(0.83, 0.87))
    y0 = rows * rng.uniform(0.12, 0.5)
    low_y, high_y = int(max(y0 - height, 0)), int(min(y0 + 2 * height, rows))
    low_x, high_x = int(max(x0 - height, 0)), int(min(x0 + 2 * height, columns))
    y, x = np.mgrid[low_y:high_y, low_x:high_x].astype(np.float32)
    y, x = (y - np.float32(y0)) / np.float32(height), (x - np.float32(x0)) / np.float32(height)
    distance = np.full(y.shape, np.inf, dtype=np.float32)
    for ax, ay, bx, by in LETTERS[letter]:
        length = max((bx - ax) ** 2 + (by - ay) ** 2, 1e-6)
        share = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1)
        np.minimum(distance, np.hypot(x - ax - share * (bx - ax), y - ay - share * (by - ay)), out=distance)
    if rng.random() < 0.5:
        np.minimum(distance, np.abs(np.hypot((x - 0.3) * 0.75, y - 0.5) - 0.85) + 0.05, out=distance)
    paint = np.clip((0.085 - distance) / 0.03, 0, 1)
    region = pixels[low_y:high_y, low_x:high_x]
    top = (2**bits - 1) * rng.uniform(0.85, 1.0)
    region[...] = (region * (1 - paint) + top * paint).astype(np.uint16)


def _stretched(image: Floats, shape: tuple[int, ...]) -> Floats:
    """The image on a grid of another size, by Catmull-Rom interpolation along each axis."""
    across = _stretched_axis(image, _places(shape[1], image.shape[1]), 1)
    return _stretched_axis(across, _places(shape[0], image.shape[0]), 0)


def _places(size: int, count: int) -> Floats:
    """Where the centres of `size` pixels lie on an axis of `count` pixels of the same length."""
    return ((np.arange(size) + 0.5) * (count / size) - 0.5).astype(np.float32)


def _stretched_axis(image: Floats, places: Floats, axis: int) -> Floats:
    """The image taken at `places` along one axis."""
    count = image.shape[axis]
    base = np.floor(places).astype(np.int64)
    t = places - base.astype(np.float32)
    weights = (
        -0.5 * t + t**2 - 0.5 * t**3,
        1 - 2.5 * t**2 + 1.5 * t**3,
        0.5 * t + 2 * t**2 - 1.5 * t**3,
        -0.5 * t**2 + 0.5 * t**3,
    )
    shape = [image.shape[0], image.shape[1]]
    shape[axis] = len(places)
    result = np.zeros(shape, dtype=np.float32)
    for offset, weight in enumerate(weights, start=-1):
        taken = np.take(image, np.clip(base + offset, 0, count - 1), axis=axis)
        taken *= weight[:, None] if axis == 0 else weight[None, :]
        result += taken
    return result
