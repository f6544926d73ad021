"""Pelvis, thighs and lower leg as maps of labels, drawn from formulas; then tumours and what is taken for one.

Legend: maps `(slices, rows, columns)`, from feet to head, rows from front to back, columns from the patient's right to
the left; points and radii in mm `(z, y, x)` from the middle of the map.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.phantoms.diffusion_tissue import TUMOUR, Label
from training.phantoms.spine_anatomy import smooth

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Point = tuple[float, float, float]
Window = tuple[slice, slice, slice]

REGIONS = ("pelvis", "thighs", "thigh", "lower_leg")
FIELDS_MM = {"pelvis": (330.0, 384.0), "thighs": (330.0, 384.0), "thigh": (200.0, 270.0), "lower_leg": (160.0, 220.0)}
"""Field of view by region."""
_HELD = (Label.AIR, Label.CORTEX, Label.FATTY_MARROW, Label.RED_MARROW, Label.BLADDER)
"""What a tumour of soft tissue does not grow into."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """A map in the making, with smooth noise that makes outlines uneven."""

    labels: npt.NDArray[np.uint8]
    step: Point
    rough: Floats
    coarse: Floats

    def axes(self) -> tuple[Floats, Floats, Floats]:
        """The coordinates of its voxels, mm, ready to be broadcast."""
        z, y, x = (
            ((np.arange(n) + 0.5) * mm - n * mm / 2).astype(np.float32)
            for n, mm in zip(self.labels.shape, self.step, strict=True)
        )
        return z[:, None, None], y[None, :, None], x[None, None, :]

    def window(self, centre: Point, reach: Point) -> Window:
        """The part of the map that holds a body."""
        sides = []
        for middle, half, count, mm in zip(centre, reach, self.labels.shape, self.step, strict=True):
            first, last = ((middle + sign * half) / mm + count / 2 for sign in (-1.0, 1.0))
            sides.append(slice(min(count, max(0, int(first))), max(0, min(count, int(last) + 2))))
        return sides[0], sides[1], sides[2]

    def ellipsoid(self, centre: Point, radii: Point, turn: float = 0.0, rough: float = 0.0) -> tuple[Window, Mask]:
        """A ball with three radii, turned in its plane by so many radians, its surface uneven by that share."""
        largest = max(radii[1:]) * (1.0 + 2.5 * rough)
        place = self.window(centre, (radii[0] * (1.0 + 2.5 * rough), largest, largest))
        far = self._far(place, centre, radii[1:], turn)
        far = far + ((self.axes()[0][place[0]] - centre[0]) / radii[0]) ** 2
        if rough:
            return place, far < (1.0 + rough * self.rough[place]) ** 2
        return place, far < 1.0

    def column(self, centre: Point, radii: tuple[float, float], turn: float = 0.0, lean: Point = (0, 0, 0)) -> Floats:
        """The squared distance from an ellipse that runs through all slices, 1 on its rim; `lean` in mm per mm of z."""
        z = self.axes()[0]
        moved = (0.0, centre[1] + lean[1] * z, centre[2] + lean[2] * z)
        return self._far((slice(None), slice(None), slice(None)), moved, radii, turn)

    def _far(
        self, place: Window, centre: tuple[float, float | Floats, float | Floats], radii: Sequence[float], turn: float
    ) -> Floats:
        _, y, x = self.axes()
        down, across = y[:, place[1]] - centre[1], x[:, :, place[2]] - centre[2]
        if turn:
            down, across = (
                down * np.float32(np.cos(turn)) - across * np.float32(np.sin(turn)),
                down * np.float32(np.sin(turn)) + across * np.float32(np.cos(turn)),
            )
        return np.asarray((down / radii[0]) ** 2 + (across / radii[1]) ** 2, dtype=np.float32)

    def put(self, place: Window, mask: Mask, label: Label, over: Sequence[Label] | None = None) -> None:
        """Paint, everywhere or over some labels only."""
        part = self.labels[place]
        part[mask if over is None else mask & np.isin(part, over)] = label


def canvas_of(region: str, rng: np.random.Generator, slices: int, side: int) -> Canvas:
    """An empty map of `slices` slices and `side` rows and columns."""
    mm = rng.uniform(*FIELDS_MM[region]) / side
    shape = (slices, side, side)
    return Canvas(
        np.zeros(shape, dtype=np.uint8),
        (float(rng.uniform(4.0, 6.0)), mm, mm),
        smooth(rng, shape, (max(3, slices // 3), 24, 24)),
        smooth(rng, shape, (4, 8, 8)),
    )


def draw(canvas: Canvas, region: str, rng: np.random.Generator) -> None:
    """Everything healthy."""
    if region == "pelvis":
        _pelvis(canvas, rng)
    elif region == "thighs":
        apart = rng.uniform(82.0, 92.0)
        for side in (-1.0, 1.0):
            _limb(canvas, (0.0, 0.0, side * apart), (rng.uniform(72, 84), rng.uniform(70, 80)), 1, rng)
    elif region == "thigh":
        _limb(canvas, (0.0, *rng.normal(0, 4, 2)), (rng.uniform(72, 92), rng.uniform(70, 90)), 1, rng)
    else:
        _limb(canvas, (0.0, *rng.normal(0, 4, 2)), (rng.uniform(48, 64), rng.uniform(48, 62)), 2, rng)


def _outline(canvas: Canvas, centre: Point, radii: tuple[float, float], thick: float, rng: np.random.Generator) -> None:
    """Skin, fat beneath it, muscle within, thin sheets of fat between muscles."""
    taper = 1.0 + rng.uniform(-0.0018, 0.0018) * canvas.axes()[0]
    far = np.sqrt(canvas.column(centre, radii)) * taper.astype(np.float32) + np.float32(0.025) * canvas.coarse
    canvas.labels[far < 1.0] = Label.FAT
    inner = 1.0 - thick / float(np.mean(radii))
    flesh = far < inner
    canvas.labels[flesh] = Label.MUSCLE
    canvas.labels[flesh & (np.abs(canvas.coarse) < rng.uniform(0.02, 0.06))] = Label.FAT


def _limb(canvas: Canvas, centre: Point, radii: tuple[float, float], bones: int, rng: np.random.Generator) -> None:
    _outline(canvas, centre, radii, rng.uniform(5.0, 18.0), rng)
    size = float(np.mean(radii))
    angle = rng.uniform(0, 2 * np.pi)
    for number in range(bones):
        off = rng.uniform(0.05, 0.2) * size if bones == 1 else rng.uniform(0.35, 0.5) * size
        way = angle + number * rng.uniform(2.2, 2.9)
        wide = rng.uniform(12.0, 16.0) if number == 0 else rng.uniform(6.0, 8.0)
        middle = (0.0, centre[1] + off * np.sin(way), centre[2] + off * np.cos(way))
        lean = (0.0, *rng.normal(0, 0.03, 2))
        far = canvas.column(middle, (wide, wide * rng.uniform(0.9, 1.1)), 0.0, lean)
        canvas.labels[far < 1.0] = Label.CORTEX
        canvas.labels[far < rng.uniform(0.40, 0.62)] = Label.FATTY_MARROW if rng.random() < 0.8 else Label.RED_MARROW
    for label, number, wide in ((Label.VESSEL, 4, 4.5), (Label.NERVE, 2, 3.2)):
        for _ in range(number):
            _strand(canvas, label, _inside(centre, 0.55 * size, rng), wide * rng.uniform(0.7, 1.3), rng)


def _inside(centre: Point, reach: float, rng: np.random.Generator) -> Point:
    way, far = rng.uniform(0, 2 * np.pi), reach * np.sqrt(rng.uniform(0.1, 1.0))
    return centre[0], float(centre[1] + far * np.sin(way)), float(centre[2] + far * np.cos(way))


def _strand(canvas: Canvas, label: Label, centre: Point, wide: float, rng: np.random.Generator) -> None:
    lean = (0.0, *rng.normal(0, 0.06, 2))
    reach = wide + 0.25 * canvas.labels.shape[0] * canvas.step[0]
    place = canvas.window(centre, (1e4, reach, reach))
    z = canvas.axes()[0]
    moved = (0.0, centre[1] + lean[1] * z, centre[2] + lean[2] * z)
    canvas.put(place, canvas._far(place, moved, (wide, wide), 0.0) < 1.0, label, (Label.MUSCLE, Label.FAT))


def _pelvis(canvas: Canvas, rng: np.random.Generator) -> None:
    wide, deep = rng.uniform(140, 165), rng.uniform(88, 108)
    half = canvas.labels.shape[0] * canvas.step[0] / 2
    _outline(canvas, (0.0, 0.0, 0.0), (deep, wide), rng.uniform(10.0, 26.0), rng)
    cavity = canvas.column((0.0, -0.12 * deep, 0.0), (0.58 * deep, 0.50 * wide)) + np.float32(0.05) * canvas.coarse
    canvas.labels[cavity < 1.0] = Label.FAT
    for side in (-1.0, 1.0):
        _hip(canvas, side, wide, deep, half, rng)
        for _ in range(3):
            spot = (0.0, rng.uniform(-0.35, 0.05) * deep, side * rng.uniform(0.26, 0.42) * wide)
            _strand(canvas, Label.VESSEL, spot, rng.uniform(3.5, 7.0), rng)
        nerve = (0.0, rng.uniform(0.35, 0.5) * deep, side * rng.uniform(0.3, 0.45) * wide)
        _strand(canvas, Label.NERVE, nerve, rng.uniform(3.5, 6.0), rng)
    _bone(canvas, (0.25 * half, 0.52 * deep, 0.0), (0.8 * half, 0.20 * deep, 0.26 * wide), 0.0)
    for _ in range(int(rng.integers(6, 16))):
        spot = (rng.uniform(-0.3, 1.0) * half, rng.uniform(-0.5, 0.15) * deep, rng.uniform(-0.38, 0.38) * wide)
        loop = canvas.ellipsoid(
            spot, (rng.uniform(9, 22), rng.uniform(8, 18), rng.uniform(8, 22)), rng.uniform(0, 3), 0.15
        )
        canvas.put(*loop, Label.AIR if rng.random() < 0.2 else Label.BOWEL, (Label.FAT,))
    organ = canvas.ellipsoid((-0.45 * half, 0.10 * deep, rng.normal(0, 5)), (24.0, 20.0, 26.0), 0.0, 0.1)
    canvas.put(*organ, Label.ORGAN, (Label.FAT, Label.BOWEL))
    full = rng.uniform(18.0, 42.0)
    bladder = canvas.ellipsoid(
        (-0.35 * half, -0.32 * deep, rng.normal(0, 4)), (0.8 * full, 0.75 * full, full), 0.0, 0.05
    )
    canvas.put(*bladder, Label.BLADDER, (Label.FAT, Label.BOWEL, Label.AIR, Label.ORGAN))


def _hip(canvas: Canvas, side: float, wide: float, deep: float, half: float, rng: np.random.Generator) -> None:
    """Wing of the ilium above, head of the femur with its socket below, one gluteal fold of fat."""
    wing = (0.45 * half, 0.12 * deep, side * 0.60 * wide)
    _bone(canvas, wing, (0.75 * half, 0.45 * deep, rng.uniform(8, 12)), -side * rng.uniform(0.4, 0.7))
    size = rng.uniform(21, 25)
    head = (-0.55 * half, 0.0, side * 0.60 * wide)
    canvas.put(*canvas.ellipsoid(head, (size + 9, size + 9, size + 9)), Label.CORTEX, (Label.MUSCLE, Label.FAT))
    canvas.put(*canvas.ellipsoid(head, (size + 6, size + 6, size + 6)), Label.RED_MARROW, (Label.CORTEX,))
    _bone(canvas, head, (size, size, size), 0.0)
    shaft = (-0.95 * half, 0.05 * deep, side * 0.68 * wide)
    _bone(canvas, shaft, (0.5 * half, 17.0, 19.0), 0.0)


def _bone(canvas: Canvas, centre: Point, radii: Point, turn: float) -> None:
    canvas.put(*canvas.ellipsoid(centre, radii, turn), Label.CORTEX)
    thin = (radii[0] - 2.5, radii[1] - 2.5, radii[2] - 2.5)
    canvas.put(*canvas.ellipsoid(centre, thin, turn), Label.RED_MARROW)


def spot_in(canvas: Canvas, among: Sequence[Label], rng: np.random.Generator, margin: float = 0.12) -> Point | None:
    """A voxel of one of the labels, away from the ends of the stack; None where there is none."""
    slices = canvas.labels.shape[0]
    first = int(margin * slices)
    for _ in range(200):
        index = (int(rng.integers(first, slices - first)), *(int(rng.integers(n)) for n in canvas.labels.shape[1:]))
        if canvas.labels[index] in among:
            z, y, x = (
                (at + 0.5) * mm - n * mm / 2 for at, mm, n in zip(index, canvas.step, canvas.labels.shape, strict=True)
            )
            return z, y, x
    return None


def draw_distractors(canvas: Canvas, region: str, rng: np.random.Generator) -> tuple[str, ...]:
    """Nodes, cysts, oedema without a tumour; what was drawn."""
    drawn: list[str] = []
    soft = (Label.MUSCLE, Label.FAT)
    for _ in range(int(rng.integers(0, 6 if region == "pelvis" else 4))):
        spot = spot_in(canvas, (Label.VESSEL,), rng, 0.02)
        if spot:
            near = (spot[0], spot[1] + rng.normal(0, 8), spot[2] + rng.normal(0, 8))
            size = rng.uniform(2.5, 6.5)
            node = canvas.ellipsoid(near, (size * rng.uniform(1, 1.7), size, size * rng.uniform(0.7, 1.3)))
            canvas.put(*node, Label.NODE, soft)
            drawn.append("node")
    for _ in range(int(rng.choice((0, 1, 2), p=(0.35, 0.4, 0.25)))):
        spot = spot_in(canvas, soft, rng)
        if spot:
            size = rng.uniform(6.0, 32.0)
            cyst = canvas.ellipsoid(
                spot, (size * rng.uniform(0.8, 1.6), size, size * rng.uniform(0.6, 1.2)), rng.uniform(0, 3), 0.08
            )
            canvas.put(*cyst, Label.CYST, soft)
            drawn.append("cyst")
    if rng.random() < 0.25:
        spot = spot_in(canvas, (Label.MUSCLE,), rng)
        if spot:
            patch = canvas.ellipsoid(spot, (rng.uniform(20, 50), rng.uniform(10, 30), rng.uniform(10, 30)), 0.0, 0.35)
            canvas.put(*patch, Label.OEDEMA, (Label.MUSCLE,))
            drawn.append("oedema")
    return tuple(drawn)


def draw_tumour(canvas: Canvas, rng: np.random.Generator, in_bone: float = 0.25) -> Mask | None:
    """A tumour with its parts, often with oedema around it; its voxels, or None where there was no room.

    `in_bone` is the chance that it is one of bone.
    """
    is_in_bone = rng.random() < in_bone
    spot = spot_in(canvas, (Label.RED_MARROW, Label.FATTY_MARROW) if is_in_bone else (Label.MUSCLE,), rng)
    spot = spot or spot_in(canvas, (Label.MUSCLE,), rng)
    if spot is None:
        return None
    size = float(np.exp(rng.uniform(np.log(11.0), np.log(46.0))))
    long = size * rng.uniform(0.9, 1.7)
    radii = (long, size * rng.uniform(0.75, 1.15), size * rng.uniform(0.75, 1.15))
    turn = rng.uniform(0, 3.1)
    held = (Label.AIR,) if is_in_bone else _HELD
    if rng.random() < 0.5:
        wider = (radii[0] + 14, radii[1] + rng.uniform(4, 14), radii[2] + rng.uniform(4, 14))
        rim = canvas.ellipsoid(spot, wider, turn, 0.3)
        canvas.put(*rim, Label.OEDEMA, (Label.MUSCLE,))
    place, mask = canvas.ellipsoid(spot, radii, turn, rng.uniform(0.04, 0.22))
    part = canvas.labels[place]
    mask &= ~np.isin(part, (*held, *TUMOUR))
    if not mask.any():
        return None
    part[mask] = Label.SOLID
    field = canvas.coarse[place] + 0.5 * canvas.rough[place]
    part[mask & (field > rng.uniform(0.3, 1.5))] = Label.SECOND
    if rng.random() < 0.4:
        core = (radii[0] * 0.6, radii[1] * rng.uniform(0.3, 0.65), radii[2] * rng.uniform(0.3, 0.65))
        inner, dead = canvas.ellipsoid(spot, core, turn, 0.3)
        canvas.put(inner, dead, Label.NECROSIS, (Label.SOLID, Label.SECOND))
    whole = np.zeros(canvas.labels.shape, dtype=np.bool_)
    whole[place] = mask
    return whole
