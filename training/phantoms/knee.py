"""A radiograph of a knee that never was: `knee_phantom(seed)` gives pixels, the truth, and what a header needs.

The same seed gives the same picture. Bone is always bright here; `training/phantoms/dicom.py` inverts for MONOCHROME1.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.findings import Answer
from training.phantoms import exposure as x_ray
from training.phantoms.anatomy import Knee, View, draw_knee
from training.phantoms.bodies import Bone, Floats, Thickness, edges, thickness
from training.phantoms.lesions import ANSWERS, Kind, Layers, Lesion, add_lesion, draw_lesion

COARSE_MM = 0.42
"""Pixel of the grid on which the physics runs; a stored image is never coarser than it is fine."""

SITES: tuple[tuple[str, float, float, float], ...] = (
    ("femur", 30, 110, 0.46),
    ("tibia", 16, 100, 0.42),
    ("fibula", 20, 90, 0.12),
)
"""Bone, range of places along it in mm, and share of the lesions."""


@dataclass(frozen=True, slots=True)
class Phantom:
    """One radiograph with its truth."""

    pixels: npt.NDArray[np.uint16]
    """`(rows, columns)`, bone bright."""
    mask: npt.NDArray[np.uint8]
    """`(rows, columns)`: 0, else the number of the lesion, from 1."""
    lesions: tuple[Lesion, ...]
    answer: Answer
    view: View
    laterality: str
    """"L" or "R"."""
    bits: int
    spacing_mm: float


class Texture:
    """Patterns of noise that stay with a bone or a limb, each with structures of its own size."""

    STEP_MM, SIZE = 0.45, 256
    SIZES_MM: ClassVar[dict[str, tuple[float, float]]] = {
        "beams": (6.0, 0.9),
        "plates": (0.9, 2.5),
        "cortex": (9.0, 1.2),
        "muscle": (60.0, 7.0),
    }
    """Along and across."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._tiles = {name: self._tile(*size) for name, size in self.SIZES_MM.items()}

    def _tile(self, along_mm: float, across_mm: float) -> Floats:
        noise = self._rng.standard_normal((self.SIZE, self.SIZE), dtype=np.float32)
        sigma = along_mm / self.STEP_MM / 2, across_mm / self.STEP_MM / 2
        tile: Floats = ndimage.gaussian_filter(noise, sigma, mode="wrap", truncate=2.5)
        tile /= np.float32(tile.std())
        return tile

    def of(self, name: str, u: Floats, v: Floats) -> Floats:
        """The pattern at the given places, from a new corner of it each time; mean 0, standard deviation about 1."""
        first_u, first_v = self._rng.integers(0, self.SIZE, 2).astype(np.float32)
        column = (u * np.float32(1 / self.STEP_MM) + first_u).astype(np.int32) % self.SIZE
        row = (v * np.float32(1 / self.STEP_MM) + first_v).astype(np.int32) % self.SIZE
        taken: Floats = self._tiles[name][row, column]
        return taken


def knee_phantom(
    seed: int,
    *,
    answer: Answer | None = None,
    view: View | None = None,
    rows: int = 2400,
    columns: int = 2000,
    bits: int = 12,
    kind: Kind | None = None,
) -> Phantom:
    """Make one radiograph.

    Parameters
    ----------
    answer
        NORMAL, BENIGN or MALIGNANT; drawn in the proportions of the knee paper (24, 68, 8 %) when None.
    kind
        The kind of the first lesion; drawn among those of `answer` when None. It decides `answer` when given.
    """
    rng = np.random.default_rng([seed, 0x0573])
    if kind is not None:
        answer = ANSWERS[kind]
    drawn_answer = Answer(rng.choice([Answer.NORMAL, Answer.BENIGN, Answer.MALIGNANT], p=[0.24, 0.68, 0.08]))
    drawn_view = View.AP if rng.random() < 0.5 else View.LATERAL
    answer, view = answer or drawn_answer, view or drawn_view
    side = 1 if rng.random() < 0.5 else -1
    spacing_mm = _spacing(rng, rows, columns)
    x, z, coarse_mm = _grid(rows, columns, spacing_mm)

    knee = draw_knee(rng, view, side)
    path, body, mask, lesions = _path(rng, knee, x, z, answer, kind)
    setting = x_ray.draw_exposure(rng)
    log_signal = x_ray.detected(path, coarse_mm, setting)
    scaled = x_ray.processed(log_signal, coarse_mm, setting, body)
    pixels = x_ray.stored(rng, scaled, log_signal, setting, (rows, columns), bits)
    laterality = _laterality(rng, view, side)
    x_ray.draw_marker(rng, pixels, laterality, spacing_mm, bits, "left" if side > 0 else "right")
    return Phantom(pixels, _fine(mask, (rows, columns)), lesions, answer, view, laterality, bits, spacing_mm)


def _spacing(rng: np.random.Generator, rows: int, columns: int) -> float:
    """A pixel such that the shorter side of the image covers 21 to 27 cm."""
    return round(float(rng.uniform(210, 270)) / min(rows, columns), 4)


def _laterality(rng: np.random.Generator, view: View, side: int) -> str:
    """From the front the picture faces the viewer: the lateral side of a left knee lies on the right."""
    if view is View.AP:
        return "L" if side > 0 else "R"
    return "L" if rng.random() < 0.5 else "R"


def _grid(rows: int, columns: int, spacing_mm: float) -> tuple[Floats, Floats, float]:
    """Coordinates of the coarse grid in mm from the middle of the image, and its pixel."""
    factor = max(COARSE_MM / spacing_mm, 1.0)
    shape = max(round(rows / factor), 8), max(round(columns / factor), 8)
    pixel = rows * spacing_mm / shape[0]
    z = (np.arange(shape[0], dtype=np.float32) + 0.5) * np.float32(pixel) - np.float32(rows * spacing_mm / 2)
    across = columns * spacing_mm / shape[1]
    x = (np.arange(shape[1], dtype=np.float32) + 0.5) * np.float32(across) - np.float32(columns * spacing_mm / 2)
    grid_z, grid_x = np.meshgrid(z, x, indexing="ij")
    return grid_x, grid_z, pixel


def _path(
    rng: np.random.Generator, knee: Knee, x: Floats, z: Floats, answer: Answer, kind: Kind | None
) -> tuple[Floats, npt.NDArray[np.bool_], npt.NDArray[np.uint8], tuple[Lesion, ...]]:
    """The attenuation along each ray, where the limb is, the truth, and the lesions."""
    skin, muscle = _flesh(knee.skin, x, z), _flesh(knee.muscle, x, z)
    texture = Texture(rng)
    bundles = 1 + np.float32(0.02) * texture.of("muscle", x, z)
    path = x_ray.MU_FAT * (skin - muscle) + x_ray.MU_MUSCLE * muscle * bundles
    passed = {bone.name: thickness(bone, x, z) for bone in knee.bones}
    layers = {name: _layers(texture, at) for name, at in passed.items()}
    mask, lesions = _with_lesions(rng, knee.bones, passed, layers, answer, kind)
    for layer in layers.values():
        path += (x_ray.MU_CORTEX - x_ray.MU_MUSCLE) * (layer.cortex + layer.mineral)
        path += (x_ray.MU_SPONGY - x_ray.MU_MUSCLE) * layer.spongy
        path += (x_ray.MU_MUSCLE - x_ray.MU_FAT) * layer.mass
    return path.astype(np.float32), skin > 1, mask, lesions


def _flesh(limbs: tuple[Bone, ...], x: Floats, z: Floats) -> Floats:
    """Thickness of thigh and lower leg together; where both are met they are one."""
    found = [thickness(limb, x, z).outer for limb in limbs]
    merged: Floats = np.maximum.reduce(found)
    return merged


def _layers(texture: Texture, at: Thickness) -> Layers:
    """Cortex and spongy bone of one bone; the marrow of a shaft holds little spongy bone, its ends much."""
    beams = texture.of("beams", at.u, at.v) + np.float32(0.6) * texture.of("plates", at.u, at.v)
    end = np.clip(1.15 - at.v / np.float32(95), 0.12, 1)
    dense = end * (1 + np.float32(0.07) * beams)
    rough = 1 + np.float32(0.05) * texture.of("cortex", at.u, at.v)
    return Layers(at.cortex * rough, at.inner * np.maximum(dense, 0), np.zeros_like(at.u), np.zeros_like(at.u))


def _with_lesions(
    rng: np.random.Generator,
    bones: tuple[Bone, ...],
    passed: dict[str, Thickness],
    layers: dict[str, Layers],
    answer: Answer,
    kind: Kind | None,
) -> tuple[npt.NDArray[np.uint8], tuple[Lesion, ...]]:
    """Put the lesions in; most images have one, some two or three of the same answer."""
    shape = passed["femur"].u.shape
    mask = np.zeros(shape, dtype=np.uint8)
    if answer is Answer.NORMAL:
        return mask, ()
    count = 1 + int(rng.choice(3, p=[0.85, 0.11, 0.04]))
    kinds = [k for k, a in ANSWERS.items() if a is answer]
    by_name = {bone.name: bone for bone in bones}
    lesions: list[Lesion] = []
    for number in range(count):
        drawn = kinds[int(rng.integers(len(kinds)))]
        chosen = kind if kind is not None and number == 0 else drawn
        name, low, high, _ = SITES[int(rng.choice(len(SITES), p=[s[3] for s in SITES]))]
        v = float(rng.uniform(low, high))
        place = np.array([[v]], dtype=np.float32)
        left, right = (float(e[0, 0]) for e in edges(by_name[name], place))
        lesion = draw_lesion(rng, chosen, name, v, left, right)
        painted = add_lesion(rng, lesion, passed[name], layers[name], edges(by_name[name], passed[name].v))
        if (painted & (mask == 0)).sum() < 12:
            continue
        lesions.append(lesion)
        mask[painted & (mask == 0)] = len(lesions)
    return mask, tuple(lesions)


def _fine(mask: npt.NDArray[np.uint8], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The mask on the grid of the stored image, nearest neighbour."""
    rows = np.arange(shape[0]) * mask.shape[0] // shape[0]
    columns = np.arange(shape[1]) * mask.shape[1] // shape[1]
    return mask[np.ix_(rows, columns)]
