"""Bones as tubes with elliptic sections, and how thick each is along an X-ray.

Lengths are in mm. A bone has a frame of its own: `u` across and `v` along it (away from the joint), both in the image
plane, `w` along the ray. Arrays are `(rows, columns)`. A ray meets one body on one interval of `w`; a bone is the union
of its bodies, so that no part of it counts twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

Floats = npt.NDArray[np.float32]
Knots = Sequence[tuple[float, float]]

STEP_MM = 0.2
"""Resolution of the tables along a body."""


@dataclass(frozen=True, slots=True)
class Body:
    """One tube: half widths and centre lines, each given at a few places along it."""

    half_x: Knots
    """Left to right, `(v, mm)`; its first and last `v` bound the body."""
    half_y: Knots
    """Back to front."""
    centre_x: Knots = ((0.0, 0.0),)
    centre_y: Knots = ((0.0, 0.0),)
    cap_x: tuple[float, float] = (0.0, 0.0)
    """Over how many mm the near and the far end are rounded, seen from the front; 0 is a cut."""
    cap_y: tuple[float, float] = (0.0, 0.0)
    """The same, seen from the side."""
    cortex: Knots = ((0.0, 1.0),)
    """Thickness of the dense shell."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a bone lies in the image: a point, a tilt in the image plane and a turn about the bone's own axis."""

    origin_x: float
    origin_z: float
    tilt: float
    """Radians; at 0 the bone runs straight up (`up` true) or straight down the image."""
    turn: float
    """Radians; 0 shows the bone from the front, pi/2 from the side."""
    up: bool

    def coordinates(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """`(u, v)` of image points given in mm to the right and down."""
        sign = -1.0 if self.up else 1.0
        dx, dz = x - np.float32(self.origin_x), sign * (z - np.float32(self.origin_z))
        cos, sin = np.float32(np.cos(self.tilt)), np.float32(np.sin(self.tilt))
        return dx * cos - dz * sin, dx * sin + dz * cos


@dataclass(frozen=True, slots=True)
class Bone:
    """Bodies that move together."""

    name: str
    bodies: tuple[Body, ...]
    frame: Frame


@dataclass(frozen=True, slots=True)
class Thickness:
    """How much of a bone the rays pass, `(rows, columns)` in mm, with the bone's coordinates there."""

    u: Floats
    v: Floats
    outer: Floats
    inner: Floats
    """What lies within the shell."""

    @property
    def cortex(self) -> Floats:
        """What the rays pass of the shell."""
        shell: Floats = np.maximum(self.outer - self.inner, 0)
        return shell


def _along(knots: Knots, v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Knots as a smooth curve, constant beyond its ends."""
    places = np.array([k[0] for k in knots], dtype=np.float64)
    values = np.array([k[1] for k in knots], dtype=np.float64)
    if len(knots) == 1:
        return np.full_like(v, values[0])
    curve = PchipInterpolator(places, values)(np.clip(v, places[0], places[-1]))
    return np.asarray(curve, dtype=np.float64)


def _cap(
    v: npt.NDArray[np.float64], ends: tuple[float, float], lengths: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """1 inside, falling to 0 at both ends as a quarter ellipse does."""
    near = np.clip((v - ends[0]) / max(lengths[0], 1e-3), 0, 1)
    far = np.clip((ends[1] - v) / max(lengths[1], 1e-3), 0, 1)
    return np.sqrt(1 - (1 - near) ** 2) * np.sqrt(1 - (1 - far) ** 2)


@lru_cache(maxsize=128)
def _tables(body: Body, turn: float, *, within_shell: bool) -> tuple[float, dict[str, Floats]]:
    """The first `v` of the tables, and half width, half depth, centre and shear of the turned ellipse at each step."""
    v0, v1 = body.half_x[0][0], body.half_x[-1][0]
    v = np.arange(v0 - 1, v1 + 1 + STEP_MM, STEP_MM)
    shell = _along(body.cortex, v) if within_shell else np.zeros_like(v)
    edge = (
        v0 + (_along(body.cortex, np.array([v0]))[0] if within_shell and body.cap_y[0] else 0.0),
        v1 - (_along(body.cortex, np.array([v1]))[0] if within_shell and body.cap_y[1] else 0.0),
    )
    a = np.maximum(_along(body.half_x, v) - shell, 0) * _cap(v, edge, body.cap_x)
    b = np.maximum(_along(body.half_y, v) - shell, 0) * _cap(v, edge, body.cap_y)
    inside = (v >= edge[0]) & (v <= edge[1])
    a, b = np.where(inside, a, 0) + 1e-6, np.where(inside, b, 0) + 1e-6
    cos, sin = np.cos(turn), np.sin(turn)
    half = np.sqrt((a * cos) ** 2 + (b * sin) ** 2)
    cx, cy = _along(body.centre_x, v), _along(body.centre_y, v)
    curves = {
        "half": half,
        "depth": a * b / half,
        "centre": cx * cos + cy * sin,
        "middle": -cx * sin + cy * cos,
        "shear": (b**2 - a**2) * sin * cos / half**2,
    }
    return float(v[0]), {name: curve.astype(np.float32) for name, curve in curves.items()}


def _interval(body: Body, turn: float, u: Floats, v: Floats, *, within_shell: bool) -> tuple[Floats, Floats]:
    """Where each ray enters and leaves the body; equal where it misses."""
    first, tables = _tables(body, turn, within_shell=within_shell)
    last = len(tables["half"]) - 1
    index = np.clip(((v - np.float32(first)) * np.float32(1 / STEP_MM)).astype(np.int32), 0, last)
    offset = u - tables["centre"][index]
    half = tables["half"][index]
    share = np.clip(1 - (offset / half) ** 2, 0, None)
    reach = tables["depth"][index] * np.sqrt(share)
    middle = tables["middle"][index] + tables["shear"][index] * offset
    return middle - reach, middle + reach


def _union(intervals: list[tuple[Floats, Floats]]) -> Floats:
    """Length of the union of the intervals on each ray."""
    if len(intervals) == 1:
        return intervals[0][1] - intervals[0][0]
    near = np.stack([i[0] for i in intervals])
    far = np.stack([i[1] for i in intervals])
    order = np.argsort(near, axis=0)
    near, far = np.take_along_axis(near, order, 0), np.take_along_axis(far, order, 0)
    reached = np.maximum.accumulate(far, axis=0)
    start = np.maximum(near[1:], reached[:-1])
    length: Floats = (far[0] - near[0]) + np.maximum(far[1:] - start, 0).sum(axis=0)
    return length


def thickness(bone: Bone, x: Floats, z: Floats) -> Thickness:
    """How much of `bone` the rays through the image points `(x, z)` pass."""
    u, v = bone.frame.coordinates(x, z)
    outer, inner = np.zeros_like(u), np.zeros_like(u)
    cut = _bounds(bone, u, v)
    if cut is not None:
        turn, near_u, near_v = bone.frame.turn, u[cut], v[cut]
        outer[cut] = _union([_interval(body, turn, near_u, near_v, within_shell=False) for body in bone.bodies])
        inner[cut] = _union([_interval(body, turn, near_u, near_v, within_shell=True) for body in bone.bodies])
    return Thickness(u, v, outer, np.minimum(inner, outer))


def _bounds(bone: Bone, u: Floats, v: Floats) -> tuple[slice, slice] | None:
    """The smallest window of the image that can hold the bone; None when it lies outside."""
    reach = max(
        abs(centre) + width
        for body in bone.bodies
        for centre in (max((abs(c) for _, c in (*body.centre_x, *body.centre_y)), default=0.0),)
        for _, width in (*body.half_x, *body.half_y)
    )
    low = min(body.half_x[0][0] for body in bone.bodies)
    near = (np.abs(u) <= reach) & (v >= low)
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    if not rows.size:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def edges(bone: Bone, v: Floats) -> tuple[Floats, Floats]:
    """The leftmost and rightmost `u` of the bone's outline at each `v`."""
    left = np.full_like(v, np.inf)
    right = np.full_like(v, -np.inf)
    for body in bone.bodies:
        first, tables = _tables(body, bone.frame.turn, within_shell=False)
        steps = (v - np.float32(first)) / np.float32(STEP_MM)
        index = np.clip(steps.astype(np.int32), 0, len(tables["half"]) - 1)
        half, centre = tables["half"][index], tables["centre"][index]
        there = (half > 0.5) & (steps >= 0) & (steps < len(tables["half"]))
        left = np.where(there, np.minimum(left, centre - half), left)
        right = np.where(there, np.maximum(right, centre + half), right)
    return left, right
