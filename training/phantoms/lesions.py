"""Lesions put into a bone of a phantom: what they take away, what they add, and the outline that is true.

Kind, margin, periosteal reaction and matrix decide the answer; size and place are drawn alike for all kinds, so that no
network can tell benign from malignant by where a lesion lies or how large it is (a test measures that).
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.findings import Answer
from training.phantoms.bodies import Floats, Thickness


class Kind(StrEnum):
    """What a lesion looks like."""

    LYTIC = "geographic lytic"
    """Sharp, lobulated, with a sclerotic rim."""
    CHONDROID = "chondroid"
    """Lobulated, with rings and arcs of calcification."""
    ISLAND = "bone island"
    """Dense, with a brush border."""
    EXOSTOSIS = "exostosis"
    """A stalk of bone that points away from the joint."""
    PERMEATIVE = "permeative"
    """Moth-eaten with a wide transition; the cortex broken, the periosteum lifted."""
    OSTEOBLASTIC = "osteoblastic"
    """Cloudy new bone within and outside, sunburst spicules, a mass beside the bone."""


ANSWERS: dict[Kind, Answer] = {
    Kind.LYTIC: Answer.BENIGN,
    Kind.CHONDROID: Answer.BENIGN,
    Kind.ISLAND: Answer.BENIGN,
    Kind.EXOSTOSIS: Answer.BENIGN,
    Kind.PERMEATIVE: Answer.MALIGNANT,
    Kind.OSTEOBLASTIC: Answer.MALIGNANT,
}


SEATS: dict[Kind, tuple[float, float]] = {Kind.PERMEATIVE: (0.62, 0.85), Kind.OSTEOBLASTIC: (0.58, 0.80)}
"""Share of the drawn size across and along the bone that these kinds have within it: with their reaction and their mass
beside the bone they are then outlined as large as the others, for size must not tell the answer (MODELS.md §4.4)."""


@dataclass(frozen=True, slots=True)
class Lesion:
    """A draw: where it lies in its bone (mm), how large it is, and on which side of the bone."""

    kind: Kind
    bone: str
    u: float
    v: float
    half_u: float
    half_v: float
    side: int
    """-1 or 1: towards which edge of the bone's outline it lies."""


@dataclass(slots=True)
class Layers:
    """What rays pass in one bone, `(rows, columns)` in mm; lesions change it in place."""

    cortex: Floats
    spongy: Floats
    mineral: Floats
    """New or calcified bone, as mm of cortex."""
    mass: Floats
    """Soft tissue where fat or nothing was."""


def draw_lesion(rng: np.random.Generator, kind: Kind, bone: str, v: float, left: float, right: float) -> Lesion:
    """A lesion of `kind` at `v` in a bone whose outline there spans `left` to `right` mm."""
    width = right - left
    half_u = float(np.clip(rng.uniform(0.18, 0.42) * width, 5, 26))
    half_v = float(half_u * rng.uniform(1.0, 1.8))
    side = 1 if rng.random() < 0.5 else -1
    reach = max(width / 2 - half_u * rng.uniform(0.75, 1.1), 0.0)
    return Lesion(kind, bone, (left + right) / 2 + side * reach, v, half_u, half_v, side)


def add_lesion(
    rng: np.random.Generator, lesion: Lesion, at: Thickness, layers: Layers, outline: tuple[Floats, Floats]
) -> npt.NDArray[np.bool_]:
    """Put the lesion into `layers` and return where it is, as a mask on the same grid.

    `outline` holds the bone's left and right edge at each pixel's `v`.
    """
    span = 2.6
    near = (np.abs(at.u - lesion.u) < span * lesion.half_u + 22) & (np.abs(at.v - lesion.v) < span * lesion.half_v)
    box = ndimage.find_objects(near.astype(np.uint8))
    mask = np.zeros(at.u.shape, dtype=bool)
    if not box:
        return mask
    cut = box[0]
    here = Thickness(at.u[cut], at.v[cut], at.outer[cut], at.inner[cut])
    part = Layers(layers.cortex[cut], layers.spongy[cut], layers.mineral[cut], layers.mass[cut])
    edge = (outline[1] if lesion.side > 0 else outline[0])[cut]
    mask[cut] = _PAINTERS[lesion.kind](rng, _seat(lesion), here, part, edge)
    return mask


def _seat(lesion: Lesion) -> Lesion:
    """What of a lesion lies in the bone, as near to its edge as the whole was drawn."""
    across, along = SEATS.get(lesion.kind, (1.0, 1.0))
    u = lesion.u + lesion.side * (1 - across) * lesion.half_u
    return replace(lesion, u=u, half_u=across * lesion.half_u, half_v=along * lesion.half_v)


def _radius(rng: np.random.Generator, lesion: Lesion, at: Thickness, lobulation: float) -> Floats:
    """0 at the lesion's middle, 1 on its lobulated outline."""
    du, dv = (at.u - lesion.u) / lesion.half_u, (at.v - lesion.v) / lesion.half_v
    angle = np.arctan2(dv, du)
    shape = np.ones_like(angle)
    for order in range(2, 8):
        shape += np.float32(rng.normal(0, lobulation / np.sqrt(order))) * np.cos(order * angle + rng.uniform(0, 6.28))
    radius: Floats = (np.hypot(du, dv) / np.clip(shape, 0.6, 1.4)).astype(np.float32)
    return radius


def _chord(radius: Floats) -> Floats:
    """How much of a unit ball rays at `radius` pass, 0..1."""
    return np.sqrt(np.clip(1 - radius**2, 0, None))


def _clouds(rng: np.random.Generator, shape: tuple[int, ...], size_px: float) -> Floats:
    """Smooth noise with mean 0 and standard deviation 1."""
    noise: Floats = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), size_px)
    noise /= np.float32(max(float(noise.std()), 1e-6))
    return noise


def _pixel_mm(at: Thickness) -> float:
    """Size of a pixel of the grid."""
    row, column = np.diff(at.u[:2, :2], axis=1)[0, 0], np.diff(at.v[:2, :2], axis=1)[0, 0]
    return float(np.hypot(row, column))


def _hollow(lesion: Lesion, at: Thickness, layers: Layers, radius: Floats, *, rim: float) -> None:
    """Take the spongy bone out of the lesion, thin the cortex from within, and lay a dense rim around it."""
    chord = _chord(radius)
    depth = np.minimum(lesion.half_u * 0.9 * chord * 2, layers.spongy)
    layers.spongy -= np.float32(0.9) * depth
    layers.cortex *= 1 - np.float32(0.45) * chord
    rim_mm = 1.7
    wall = chord - _chord(radius / np.float32(1 - rim_mm / lesion.half_u))
    within = at.outer > 0.5
    layers.mineral += np.where(within, np.float32(rim * lesion.half_u) * wall, 0)


def _lytic(
    rng: np.random.Generator, lesion: Lesion, at: Thickness, layers: Layers, _edge: Floats
) -> npt.NDArray[np.bool_]:
    radius = _radius(rng, lesion, at, 0.09)
    _hollow(lesion, at, layers, radius, rim=rng.uniform(0.7, 1.4))
    return (radius <= 1) & (at.outer > 0)


def _chondroid(
    rng: np.random.Generator, lesion: Lesion, at: Thickness, layers: Layers, _edge: Floats
) -> npt.NDArray[np.bool_]:
    radius = _radius(rng, lesion, at, 0.12)
    _hollow(lesion, at, layers, radius, rim=rng.uniform(0.12, 0.3))
    for _ in range(int(rng.integers(10, 26))):
        far, angle = np.sqrt(rng.uniform(0, 0.7)), rng.uniform(0, 6.28)
        du = at.u - np.float32(lesion.u + far * lesion.half_u * np.cos(angle))
        dv = at.v - np.float32(lesion.v + far * lesion.half_v * np.sin(angle))
        size, start = rng.uniform(1.0, 3.4), rng.uniform(0, 6.28)
        ring = np.exp(-(((np.hypot(du, dv) - np.float32(size)) / np.float32(0.55)) ** 2))
        arc = 0.5 + 0.5 * np.cos(np.arctan2(dv, du) - np.float32(start))
        layers.mineral += np.float32(rng.uniform(1.5, 4)) * ring * arc
    return (radius <= 1) & (at.outer > 0)


def _island(
    rng: np.random.Generator, lesion: Lesion, at: Thickness, layers: Layers, _edge: Floats
) -> npt.NDArray[np.bool_]:
    radius = _radius(rng, lesion, at, 0.05)
    brush = 1 + np.float32(0.06) * _clouds(rng, at.u.shape, 0.8 / _pixel_mm(at))
    layers.mineral += np.float32(lesion.half_u * rng.uniform(0.5, 0.9)) * _chord(radius * brush)
    return (radius <= 1) & (at.outer > 0)


def _exostosis(
    rng: np.random.Generator, lesion: Lesion, at: Thickness, layers: Layers, edge: Floats
) -> npt.NDArray[np.bool_]:
    row = np.abs(at.v - lesion.v) < 1
    base = float(np.median(edge[row & np.isfinite(edge)])) if (row & np.isfinite(edge)).any() else lesion.u
    lean, length, width = rng.uniform(0.5, 1.0), 1.7 * lesion.half_u, 0.75 * lesion.half_u
    du, dv = (at.u - np.float32(base)) * lesion.side, at.v - np.float32(lesion.v)
    along = du * np.float32(np.cos(lean)) + dv * np.float32(np.sin(lean))
    across = -du * np.float32(np.sin(lean)) + dv * np.float32(np.cos(lean))
    half = np.float32(width) * (0.75 + 0.45 * np.clip(along / np.float32(length), 0, 1))
    bumps = 1 + np.float32(0.05) * _clouds(rng, at.u.shape, 2.5 / _pixel_mm(at))
    end = np.where(along > length * 0.55, (along - length * 0.55) / (length * 0.45), np.minimum(along + 8, 0) / 6)
    radius = (np.hypot(across / half, end) * bumps).astype(np.float32)
    thick = np.float32(1.9 * width)
    chord = _chord(radius) * thick
    inside = np.minimum(_chord(radius * np.float32(1.1)) * thick, chord)
    layers.spongy += inside
    layers.cortex += np.float32(0.8) * (chord - inside)
    return np.asarray((radius <= 1) & (du > -0.15 * width))


def _permeative(
    rng: np.random.Generator, lesion: Lesion, at: Thickness, layers: Layers, edge: Floats
) -> npt.NDArray[np.bool_]:
    radius = _radius(rng, lesion, at, 0.14)
    pixel_mm = _pixel_mm(at)
    wide = np.clip(1.45 * (1.25 - radius), 0, 1)
    fine, coarse = rng.uniform(0.5, 0.9), rng.uniform(1.2, 1.9)
    moth = 0.8 * _clouds(rng, at.u.shape, fine / pixel_mm) + 0.6 * _clouds(rng, at.u.shape, coarse / pixel_mm)
    holes = np.clip(0.45 + 0.6 * moth, 0, 1)
    layers.spongy *= 1 - np.float32(0.85) * wide * (0.35 + 0.65 * holes)
    eaten = np.clip(0.5 + 0.9 * _clouds(rng, at.u.shape, rng.uniform(0.7, 1.4) / pixel_mm), 0, 1)
    broken = np.exp(-(((at.v - lesion.v) / np.float32(0.55 * lesion.half_v)) ** 4))
    near_edge = (edge - at.u) * lesion.side < 9
    layers.cortex *= 1 - wide * np.where(near_edge, np.maximum(eaten, 0.9 * broken), 0.6 * eaten)
    reaction = _codman(rng, lesion, at, layers, edge)
    if rng.random() < 0.5:
        reaction |= _sunburst(rng, lesion, at, layers, edge, rng.uniform(0.35, 0.7))
    return ((radius <= 1) & (at.outer > 0)) | reaction | _mass(rng, lesion, at, layers, edge)


def _osteoblastic(
    rng: np.random.Generator, lesion: Lesion, at: Thickness, layers: Layers, edge: Floats
) -> npt.NDArray[np.bool_]:
    radius = _radius(rng, lesion, at, 0.14)
    wide = np.clip(1.3 * (1.25 - radius), 0, 1)
    clouds = np.clip(0.45 + 0.6 * _clouds(rng, at.u.shape, rng.uniform(1.6, 3.2) / _pixel_mm(at)), 0, 1.6)
    layers.mineral += np.where(at.outer > 0.5, np.float32(0.75 * lesion.half_u) * wide * clouds, 0)
    layers.cortex *= 1 - np.float32(0.5) * wide
    reaction = _sunburst(rng, lesion, at, layers, edge, rng.uniform(0.8, 1.3))
    reaction |= _codman(rng, lesion, at, layers, edge)
    return ((radius <= 1) & (at.outer > 0)) | reaction | _mass(rng, lesion, at, layers, edge)


def _beyond(lesion: Lesion, at: Thickness, edge: Floats) -> Floats:
    """Distance outside the bone's edge on the lesion's side, in mm; negative within."""
    out: Floats = np.nan_to_num((at.u - edge) * lesion.side, nan=-99, posinf=-99, neginf=-99).astype(np.float32)
    return out


def _sunburst(
    rng: np.random.Generator, lesion: Lesion, at: Thickness, layers: Layers, edge: Floats, strength: float
) -> npt.NDArray[np.bool_]:
    """Spicules that stand off the bone like rays from a point within it."""
    out = _beyond(lesion, at, edge)
    length = np.float32(np.clip(rng.uniform(0.5, 0.9) * lesion.half_u, 4, 16))
    fan = (at.v - np.float32(lesion.v)) / (out + np.float32(2.2 * length)) * np.float32(24)
    wobble = np.float32(0.8) * _clouds(rng, at.u.shape, 1.5 / _pixel_mm(at))
    rays = (0.5 + 0.5 * np.sin(fan * np.float32(rng.uniform(2.0, 3.0)) + wobble)) ** 3
    reach = length * np.exp(-(((at.v - lesion.v) / np.float32(0.85 * lesion.half_v)) ** 4)) * (0.7 + 0.3 * rays)
    fade = np.clip((reach - out) / np.maximum(reach, 1e-3), 0, 1) ** 0.7 * (out > -1) * (reach > 1)
    layers.mineral += np.float32(strength * 9) * fade * (0.25 + 0.75 * rays)
    return np.asarray((fade > 0.08) & (out > 0))


def _codman(
    rng: np.random.Generator, lesion: Lesion, at: Thickness, layers: Layers, edge: Floats
) -> npt.NDArray[np.bool_]:
    """The lifted periosteum at both ends of the break: a thin line that leaves the cortex and ends."""
    out = _beyond(lesion, at, edge)
    painted = np.zeros(at.u.shape, dtype=bool)
    for end in (-1, 1):
        length, lift = rng.uniform(0.5, 0.9) * lesion.half_v, rng.uniform(2.5, 5.0)
        start = lesion.v + end * rng.uniform(1.05, 1.3) * lesion.half_v
        share = np.clip(((start - at.v) * end) / np.float32(length), 0, 1.001)
        line = np.exp(-(((out - np.float32(lift) * share) / np.float32(0.7)) ** 2)) * (share > 0) * (share < 1)
        layers.mineral += np.float32(rng.uniform(2.5, 5.0)) * line
        painted |= (share > 0) & (share < 1) & (out > 0) & (out < lift * share + 0.7)
    return painted


def _mass(
    rng: np.random.Generator, lesion: Lesion, at: Thickness, layers: Layers, edge: Floats
) -> npt.NDArray[np.bool_]:
    """A soft-tissue mass beside the break; its shadow is faint, and only its ossified part counts as lesion."""
    out = _beyond(lesion, at, edge)
    thick = SEATS[lesion.kind][0] * rng.uniform(6, 18)
    radius = np.hypot(out / np.float32(thick), (at.v - np.float32(lesion.v)) / np.float32(1.1 * lesion.half_v))
    chord = _chord(radius.astype(np.float32)) * (out > 0)
    layers.mass += np.float32(1.6 * thick) * chord
    flecks = np.clip(_clouds(rng, at.u.shape, 1.3 / _pixel_mm(at)) - 0.9, 0, None) * chord
    layers.mineral += np.float32(rng.uniform(0.4, 1.6)) * flecks
    return np.asarray(chord > 0.35)


_PAINTERS = {
    Kind.LYTIC: _lytic,
    Kind.CHONDROID: _chondroid,
    Kind.ISLAND: _island,
    Kind.EXOSTOSIS: _exostosis,
    Kind.PERMEATIVE: _permeative,
    Kind.OSTEOBLASTIC: _osteoblastic,
}
