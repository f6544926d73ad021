"""A chest radiograph that never was: for showing and testing that a node declines what its models are not for."""

import numpy as np
import numpy.typing as npt

from training.phantoms import exposure as x_ray
from training.phantoms.bodies import Floats

FIELD_MM = 400.0


def chest_phantom(seed: int, *, rows: int = 2000, columns: int = 2000, bits: int = 12) -> npt.NDArray[np.uint16]:
    """One frontal chest, `(rows, columns)`, bone bright. The same seed gives the same picture."""
    rng = np.random.default_rng([seed, 0xC4E5])
    coarse = 400
    size = FIELD_MM / coarse
    z, x = np.mgrid[0:coarse, 0:coarse].astype(np.float32) * np.float32(size) - np.float32(FIELD_MM / 2)
    body = np.hypot(x / 185, (z - 60) / 270) < 1
    path = x_ray.MU_MUSCLE * np.float32(190) * _ball(x, z - 60, 185, 270) * np.float32(0.55)
    path *= 1 - np.float32(0.62) * _lungs(rng, x, z)
    path += np.float32(x_ray.MU_MUSCLE * 75) * _ball(x - 22, z - 48, 58, 62) * np.float32(0.9)
    path += np.float32(0.34) * _ribs(x, z)
    path += np.float32(0.55) * _spine(x)
    path += np.float32(0.4) * _clavicles(x, z)
    setting = x_ray.draw_exposure(rng)
    log_signal = x_ray.detected(path.astype(np.float32), size, setting)
    scaled = x_ray.processed(log_signal, size, setting, body)
    pixels = x_ray.stored(rng, scaled, log_signal, setting, (rows, columns), bits)
    x_ray.draw_marker(rng, pixels, "R", FIELD_MM / rows, bits, "left")
    return pixels


def _ball(x: Floats, z: Floats, half_x: float, half_z: float) -> Floats:
    """Share of a ball's thickness along each ray."""
    share: Floats = np.sqrt(np.clip(1 - (x / np.float32(half_x)) ** 2 - (z / np.float32(half_z)) ** 2, 0, None))
    return share


def _lungs(rng: np.random.Generator, x: Floats, z: Floats) -> Floats:
    """How much of the path is air-filled lung, 0..1, with vessels that thin out from the middle."""
    air = np.zeros_like(x)
    for side, low in ((-1, 118), (1, 126)):
        lung = _ball(x - side * np.float32(76), z - 5, 66, 142)
        dome = 0.5 - 0.5 * np.tanh((z - np.float32(low) + ((x - side * 76) / 11) ** 2 * 0.5) / 6)
        air = np.maximum(air, np.sqrt(lung) * dome)
    for _ in range(26):
        side, angle = (1 if rng.random() < 0.5 else -1), rng.uniform(-1.2, 1.2)
        far = np.hypot(x - side * 25, z - 10)
        way = np.abs(np.arctan2(z - 10, (x - side * 25) * side) - np.float32(angle)) * far
        width = np.clip(3.2 - far / 32, 0.4, None)
        air *= 1 - np.float32(0.13) * np.exp(-((way / width) ** 2)) * (far < 95) * ((x - side * 25) * side > 0)
    return air


def _ribs(x: Floats, z: Floats) -> Floats:
    """Nine pairs of ribs, back parts steep towards the side and front parts fainter."""
    ribs = np.zeros_like(x)
    for number in range(9):
        top = -128 + 27 * number
        half = 70 + 78 * np.sqrt(max(1 - ((number - 5.5) / 7.0) ** 2, 0.1))
        share = np.clip(np.abs(x) / np.float32(half), 0, 1)
        inside = np.abs(x) < half
        back = top + 26 * share**2.2
        front = top + 62 - 34 * share**3 + 18 * (1 - share)
        for line, strength in ((back, 1.0), (front, 0.45)):
            reach = inside & ((share > 0.35) | (strength == 1.0))
            edge = np.abs(z - line) / np.float32(6.5)
            ribs += (
                strength
                * reach
                * (np.clip(1 - edge**2, 0, 1) ** 0.5 * 0.5 + np.exp(-(((edge - 0.9) / 0.16) ** 2)) * 0.5)
            )
    return ribs


def _spine(x: Floats) -> Floats:
    column: Floats = np.sqrt(np.clip(1 - (x / 17) ** 2, 0, 1))
    edges = np.exp(-(((np.abs(x) - 15) / 2.5) ** 2)).astype(np.float32)
    return column + np.float32(0.7) * edges


def _clavicles(x: Floats, z: Floats) -> Floats:
    line = -128 - np.abs(x) * 0.16 + 8 * np.sin(np.abs(x) / 28)
    bones: Floats = np.sqrt(np.clip(1 - ((z - line) / 7) ** 2, 0, 1)) * ((np.abs(x) > 14) & (np.abs(x) < 150))
    return bones
