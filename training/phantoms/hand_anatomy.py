"""A hand as a map of labels: five rays of bones with tendons, nerves and vessels, the flesh around them, the palm.

Legend: volumes are `(along, depth, across)`: from the fingertips to the wrist, from the back of the hand to the palm,
from the thumb's side to the other. Places are in mm in that order, from the corner of the map.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.phantoms.hand_tissue import Part

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Point = npt.NDArray[np.float64]
Window = tuple[slice, slice, slice]
Path = tuple[Point, ...]
Place = Callable[[float, float, float], Point]

JOINTS_MM = (0.0, 20.0, 46.0, 88.0, 152.0)
"""Of the middle finger from its tip: tip, two finger joints, knuckle, the joint with the wrist."""
RADII_MM = (3.4, 3.6, 4.2, 5.2, 5.4)
"""Of the bones at these joints."""
REGIONS = {"fingers": (-8.0, 14.0), "palm": (48.0, 80.0), "wrist": (95.0, 112.0)}
"""Where the map begins, mm from the tip of the middle finger."""


class Near(NamedTuple):
    """A window of a volume, and for each voxel how far along a segment it lies and how far outside its surface."""

    window: Window
    share: Floats
    outside: Floats


@dataclass(frozen=True, slots=True)
class Canvas:
    """A map being drawn."""

    labels: Labels
    step: float
    """Millimetres between voxels, alike in all directions."""
    coarse: Floats
    """Smooth noise over the volume, standard deviation 1, of about 9 mm."""
    fine: Floats
    """The same of about 3 mm."""

    @property
    def size(self) -> Point:
        """In mm."""
        return np.array(self.labels.shape, dtype=np.float64) * self.step

    def axes(self, first: Point, last: Point) -> tuple[Window, tuple[Floats, Floats, Floats]]:
        """The window between two corners, cut to the map, and the places of its voxels along each axis."""
        window, places = [], []
        for axis, count in enumerate(self.labels.shape):
            start = min(max(int(first[axis] / self.step), 0), count)
            end = min(max(int(last[axis] / self.step) + 1, start), count)
            window.append(slice(start, end))
            shape = [1, 1, 1]
            shape[axis] = end - start
            places.append(((np.arange(start, end) + 0.5) * self.step).astype(np.float32).reshape(shape))
        return (window[0], window[1], window[2]), (places[0], places[1], places[2])

    def paint(self, window: Window, where: Mask, part: Part) -> None:
        """Give voxels of a window a label."""
        self.labels[window][where] = part


@dataclass(frozen=True, slots=True)
class Ray:
    """One finger with its metacarpal: its joints from the tip on, and how thick its bones are there."""

    joints: tuple[Point, ...]
    radii: tuple[float, ...]

    def segments(self) -> list[tuple[Point, Point, float, float]]:
        """The bones, from the tip on."""
        return list(zip(self.joints, self.joints[1:], self.radii, self.radii[1:], strict=False))


@dataclass(frozen=True, slots=True)
class Hand:
    """Where things lie in a map."""

    region: str
    rays: tuple[Ray, ...]
    """The thumb last."""
    tendons: tuple[tuple[Point, ...], ...]
    nerves: tuple[tuple[Point, ...], ...]
    scale: float
    middle: float
    """Depth of the middle of the palm."""


def near(canvas: Canvas, start: Point, end: Point, radius: tuple[float, float], margin: float = 0.0) -> Near:
    """The voxels within `margin` of a segment that is `radius` thick at its two ends."""
    reach = max(radius) + margin
    window, (along, depth, across) = canvas.axes(np.minimum(start, end) - reach, np.maximum(start, end) + reach)
    line = end - start
    length = max(float(line @ line), 1e-6)
    share = (along - start[0]) * (line[0] / length) + (depth - start[1]) * (line[1] / length)
    share = np.clip(share + (across - start[2]) * (line[2] / length), 0.0, 1.0).astype(np.float32)
    squared = (along - start[0] - share * line[0]) ** 2 + (depth - start[1] - share * line[1]) ** 2
    squared = squared + (across - start[2] - share * line[2]) ** 2
    outside = np.sqrt(squared) - (radius[0] + (radius[1] - radius[0]) * share)
    return Near(window, share, outside.astype(np.float32))


def tube(canvas: Canvas, path: tuple[Point, ...], radius: float, part: Part) -> None:
    """Draw a string along a path."""
    for start, end in pairwise(path):
        found = near(canvas, start, end, (radius, radius))
        canvas.paint(found.window, found.outside < 0, part)


def hand(rng: np.random.Generator, size: Point) -> Hand:
    """Where the parts of a hand lie in a map of this size in mm."""
    region = str(rng.choice(list(REGIONS), p=(0.45, 0.33, 0.22)))
    scale, top = rng.uniform(0.88, 1.1), rng.uniform(*REGIONS[region])
    middle, centre = size[1] * rng.uniform(0.44, 0.52), size[2] / 2 + rng.normal(0.0, 2.5)
    turn, spread = rng.normal(0.0, 0.06), rng.uniform(0.9, 1.35)
    cos, sin = np.cos(turn), np.sin(turn)

    def place(along: float, depth: float, across: float) -> Point:
        away = along * scale - 100.0
        return np.array([100.0 - top + cos * away - sin * across, middle + depth, centre + sin * away + cos * across])

    rays: list[Ray] = []
    for number, offset in enumerate((-1.5, -0.5, 0.5, 1.5)):
        late = (9.0, 0.0, 6.0, 22.0)[number] + rng.normal(0.0, 2.0)
        curl = np.array([3.0, 2.0, 1.0, 0.0, 0.0]) * rng.uniform(0.0, 4.0)
        width = 19.0 * scale * offset
        wide = np.array([spread * 1.15, spread * 1.1, spread * 1.05, 1.0, 0.5]) * width
        short = np.array([late, late * 0.97, late * 0.8, late * 0.55, 0.0])
        joints = [place(mm + short[i], -1.0 + curl[i], wide[i]) for i, mm in enumerate(JOINTS_MM)]
        rays.append(Ray(tuple(joints), tuple(r * scale * rng.uniform(0.9, 1.1) for r in RADII_MM)))
    rays.append(_thumb(place, scale, rng))
    tendons, nerves = _strings(rays, place, scale, rng)
    return Hand(region, tuple(rays), tendons, nerves, float(scale), float(middle))


def _thumb(place: Place, scale: float, rng: np.random.Generator) -> Ray:
    out = rng.uniform(0.75, 1.05)
    joints = (
        place(82.0, 8.0, -52.0 * scale * out),
        place(104.0, 8.0, -45.0 * scale * out),
        place(130.0, 6.0, -33.0 * scale * out),
        place(158.0, 3.0, -16.0 * scale),
    )
    return Ray(joints, tuple(r * scale for r in (3.8, 4.4, 5.2, 5.4)))


def _strings(
    rays: Sequence[Ray], place: Place, scale: float, rng: np.random.Generator
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Flexor and extensor tendons along the rays and together through the wrist; nerves at the sides of fingers."""
    tendons: list[Path] = []
    nerves: list[Path] = []
    end = place(235.0, 7.0, 0.0)
    for number, ray in enumerate(rays[:4]):
        offsets = [np.array([0.0, r + 2.4 * scale, 0.0]) for r in ray.radii]
        volar = [joint + offset for joint, offset in zip(ray.joints, offsets, strict=True)]
        carpal = place(172.0, 9.0, (number - 1.5) * 4.5)
        tendons.append(
            (
                volar[1],
                *volar[2:4],
                volar[4] + np.array([-20.0, 3.0, 0.0]),
                carpal,
                end + np.array([0.0, 0.0, 3.0 * number - 5.0]),
            )
        )
        dorsal = [joint - np.array([0.0, r + 1.2, 0.0]) for joint, r in zip(ray.joints, ray.radii, strict=True)]
        back = place(180.0, -11.0, (number - 1.5) * 5.0)
        tendons.append((dorsal[1], *dorsal[2:], back, place(235.0, -11.0, (number - 1.5) * 4.0)))
        for side in (-1.0, 1.0):
            beside = [
                joint + np.array([0.0, 0.55 * r + 2.0, side * (r + 2.2 * scale)])
                for joint, r in zip(ray.joints[:4], ray.radii, strict=False)
            ]
            nerves.append((*beside, place(150.0, 11.0, (number - 1.5) * 5.0 + side), place(172.0, 12.5, -3.0 + number)))
    nerves.append((place(165.0, 13.0, -3.0), place(235.0, 10.0, -3.0)))
    nerves.append((place(140.0, 9.0, 20.0 * scale), place(175.0, 10.0, 19.0 * scale), place(235.0, 8.0, 17.0)))
    thumb = rays[4]
    tendons.append(tuple(joint + np.array([0.0, 6.5 * scale, 1.0]) for joint in thumb.joints))
    return tuple(tendons), tuple(nerves)


def draw(canvas: Canvas, made: Hand, rng: np.random.Generator) -> None:
    """Everything that is healthy."""
    _flesh(canvas, made, rng)
    _palm(canvas, made, rng)
    for path in made.nerves:
        artery = tuple(point + np.array([0.0, 1.2, 1.6]) for point in path)
        tube(canvas, artery, rng.uniform(0.6, 1.1), Part.ARTERY)
        tube(canvas, path, rng.uniform(0.6, 1.1), Part.NERVE)
    tube(canvas, made.nerves[-2], 2.4 * made.scale, Part.NERVE)
    for ray in made.rays:
        _bones(canvas, ray, made.scale, rng)
    _carpals(canvas, made, rng)
    for path in made.tendons:
        tube(canvas, path, rng.uniform(1.5, 2.2) * made.scale, Part.TENDON)


def _flesh(canvas: Canvas, made: Hand, rng: np.random.Generator) -> None:
    """The fingers: skin, fat with its septa."""
    skin, pad = rng.uniform(1.0, 1.8), rng.uniform(4.0, 5.6) * made.scale
    shapes = [
        near(
            canvas,
            start + np.array([3.0, 0.8, 0.0]) * (number == 0),
            end + np.array([0.0, 0.8, 0.0]),
            (a + pad, b + pad),
        )
        for ray in made.rays
        for number, (start, end, a, b) in enumerate(ray.segments()[:3])
    ]
    for grown, part in ((0.0, Part.SKIN), (skin, Part.FAT)):
        for shape in shapes:
            canvas.paint(shape.window, shape.outside < -grown, part)


def _palm(canvas: Canvas, made: Hand, rng: np.random.Generator) -> None:
    """The flat part of the hand and the wrist: skin, fat, muscles with fat between them."""
    knuckle, base = made.rays[1].joints[3], made.rays[1].joints[4]
    start = knuckle[0] - rng.uniform(12.0, 20.0)
    window, (along, depth, across) = canvas.axes(np.array([start, 0.0, 0.0]), canvas.size)
    down = along[:, 0, 0]
    if not down.size:
        return
    slope = (base[2] - knuckle[2]) / (base[0] - knuckle[0])
    centre = knuckle[2] + (down - knuckle[0]) * slope
    places = [start, start + 8, knuckle[0] + 12, base[0] - 5, base[0] + 28, base[0] + 60]
    half = np.interp(down, places, np.array([30.0, 37.0, 42.0, 36.0, 28.0, 29.0]) * made.scale)
    thick = np.interp(down, places, np.array([6.0, 11.0, 14.5, 17.0, 18.0, 19.0]) * made.scale)
    x = ((across - centre[:, None, None]) / half[:, None, None]).astype(np.float32)
    y = ((depth - made.middle - 2.0) / thick[:, None, None]).astype(np.float32)
    shape = (x * x) ** 1.4 + y * y
    shape += 0.02 * canvas.coarse[window]
    fat = rng.uniform(0.62, 0.80)
    canvas.paint(window, shape < 1.0, Part.SKIN)
    canvas.paint(window, shape < 0.88, Part.FAT)
    flesh = shape < fat
    muscle = flesh & (canvas.coarse[window] + 0.6 * canvas.fine[window] > rng.uniform(-1.3, -0.8))
    above = down[:, None, None] + 7.0 * canvas.coarse[window] < base[0] + 12
    canvas.paint(window, muscle & above, Part.MUSCLE)
    wrist = flesh & ~above
    canvas.paint(window, wrist & (canvas.coarse[window] > 0.5), Part.MUSCLE)
    canvas.paint(window, (np.abs(shape - fat) < 0.02) & (canvas.fine[window] > -0.4), Part.FIBRE)


def _bones(canvas: Canvas, ray: Ray, scale: float, rng: np.random.Generator) -> None:
    shell = rng.uniform(0.9, 1.4)
    for start, end, first, last in ray.segments():
        line = end - start
        gap = line / np.linalg.norm(line) * 1.3 * scale
        found = near(
            canvas,
            start + gap + 0.8 * first * line / np.linalg.norm(line),
            end - gap - 0.7 * last * line / np.linalg.norm(line),
            (first, last),
            1.2,
        )
        waist = 1.1 * np.sin(np.pi * np.clip(found.share, 0.0, 1.0)) * scale
        outside = found.outside + waist
        ends = (found.share < 0.02) | (found.share > 0.98)
        canvas.paint(found.window, ends & (outside < 1.0), Part.CARTILAGE)
        canvas.paint(found.window, outside < 0, Part.CORTEX)
        canvas.paint(found.window, outside < -np.where(ends, 0.6, shell), Part.MARROW)
    for joint, radius in zip(ray.joints[1:-1], ray.radii[1:-1], strict=True):
        found = near(canvas, joint, joint, (radius * 0.8, radius * 0.8))
        empty = np.isin(canvas.labels[found.window], (Part.FAT, Part.MUSCLE, Part.CARTILAGE))
        canvas.paint(
            found.window, (found.outside < 0) & empty & (canvas.fine[found.window] > rng.uniform(0.3, 1.6)), Part.FLUID
        )


def _carpals(canvas: Canvas, made: Hand, rng: np.random.Generator) -> None:
    base, slope = made.rays[1].joints[4], made.rays[1].joints[4] - made.rays[1].joints[3]
    down = slope / np.linalg.norm(slope)
    side = np.array([-down[2], 0.0, down[0]])
    spots = [(9.0, x, 6.2) for x in (-17.0, -6.0, 5.5, 16.0)] + [(22.0, x, 6.4) for x in (-14.0, -3.0, 8.0)]
    for along, across, radius in spots:
        centre = base + down * (along + rng.normal(0, 0.6)) * made.scale + side * (across + 3.0) * made.scale
        _bone_ball(canvas, centre, centre + down * 1.5, radius * made.scale * rng.uniform(0.9, 1.02))
    for across, radius in ((-8.0, 12.0), (13.0, 7.0)):
        centre = base + down * 42.0 * made.scale + side * (across + 3.0) * made.scale
        _bone_ball(canvas, centre, centre + down * 60.0, radius * made.scale)


def _bone_ball(canvas: Canvas, start: Point, end: Point, radius: float) -> None:
    found = near(canvas, start, end, (radius, radius * 0.85), 1.0)
    outside = found.outside + 0.4 * canvas.coarse[found.window]
    canvas.paint(found.window, outside < 0.8, Part.CARTILAGE)
    canvas.paint(found.window, outside < 0, Part.CORTEX)
    canvas.paint(found.window, outside < -0.9, Part.MARROW)
