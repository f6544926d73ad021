"""Tumours of the hand, each where its kind grows and as it grows there, and what only looks like one.

Sizes come from one distribution for all kinds; what tells a kind is its seat, its outline, what is in it, and its
signal in several sequences.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np

from training.phantoms.hand_anatomy import Canvas, Hand, Mask, Near, Path, Point, near, tube
from training.phantoms.hand_tissue import HandKind, Part

LEAST_MM, LARGEST_MM = 10.0, 34.0
"""Longest diameter of a tumour."""
LEAST_MM3 = 90.0
MOST_BULGING = 0.35
"""Of a tumour, this share may lie outside what was flesh before it grew."""
SKIN_MM = 1.4
DISTRACTORS = ("veins", "sheath", "effusion", "cyst", "oedema", "scar")


class NoRoomError(Exception):
    """Nothing of the kind of seat lies well inside the map; another kind is drawn."""


def draw_tumour(kind: HandKind, canvas: Canvas, made: Hand, truth: Mask, rng: np.random.Generator) -> None:
    """Draw one tumour, and mark it in `truth`.

    Raises
    ------
    NoRoomError
    """
    reach = 0.5 * float(np.exp(rng.uniform(np.log(LEAST_MM), np.log(LARGEST_MM)))) * made.scale
    if made.region == "fingers":
        reach = min(reach, rng.uniform(6.0, 10.0))
    before = canvas.labels.copy()
    found, mask = _DRAWERS[kind](canvas, made, reach, rng)
    air = before[found.window] == Part.AIR
    volume, bulging = float(mask.sum()) * canvas.step**3, float((mask & air).sum())
    if volume < LEAST_MM3 or bulging > MOST_BULGING * mask.sum():
        canvas.labels[:] = before
        raise NoRoomError
    over = air & (found.outside > -SKIN_MM)
    canvas.paint(found.window, over & mask, Part.SKIN)
    truth[found.window] |= mask & ~over


def _inside(canvas: Canvas, points: list[Point], rng: np.random.Generator) -> Point:
    """One of the points that lie well within the map and within flesh."""
    size, edge = canvas.size, np.array([9.0, 4.0, 9.0])
    inner = [
        point
        for point in points
        if bool(((point > edge) & (point < size - edge)).all())
        and canvas.labels[tuple((point / canvas.step).astype(int))] != Part.AIR
    ]
    if not inner:
        raise NoRoomError
    return inner[int(rng.integers(len(inner)))]


def _along(paths: tuple[Path, ...], rng: np.random.Generator) -> list[Point]:
    """A point on each piece of each path."""
    return [a + (b - a) * rng.uniform(0.1, 0.9) for path in paths for a, b in pairwise(path)]


def _direction(paths: tuple[Path, ...], point: Point) -> Point:
    """The direction of the path piece that passes nearest to a point."""
    best, chosen = np.inf, np.array([1.0, 0.0, 0.0])
    for path in paths:
        for a, b in pairwise(path):
            line = b - a
            share = float(np.clip((point - a) @ line / (line @ line), 0.0, 1.0))
            away = float(np.linalg.norm(point - a - share * line))
            if away < best:
                best, chosen = away, line / np.linalg.norm(line)
    return chosen


def _unit(rng: np.random.Generator, weights: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Point:
    drawn: Point = rng.standard_normal(3) * np.array(weights)
    return drawn / max(float(np.linalg.norm(drawn)), 1e-6)


def _lobes(canvas: Canvas, centre: Point, reach: float, count: int, rng: np.random.Generator, ragged: float) -> Near:
    """A body of several balls around a centre; its `outside` is in mm."""
    base = near(canvas, centre, centre, (reach, reach), 0.6 * reach)
    outside = np.full(base.outside.shape, np.inf, dtype=np.float32)
    for number in range(count):
        away = _unit(rng) * reach * (0.45 if number else 0.0)
        radius = reach * (rng.uniform(0.45, 0.65) if number else rng.uniform(0.6, 0.75))
        axis = _unit(rng) * radius * rng.uniform(0.0, 0.5)
        ball = _field(canvas, base, centre + away - axis, centre + away + axis)
        outside = np.minimum(outside, ball - radius)
    outside += ragged * canvas.coarse[base.window]
    return Near(base.window, base.share, outside)


def _field(canvas: Canvas, base: Near, start: Point, end: Point) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Distance from a segment over the window of `base`."""
    places = [
        ((np.arange(part.start, part.stop) + 0.5) * canvas.step - start[axis]).astype(np.float32)
        for axis, part in enumerate(base.window)
    ]
    x, y, z = places[0][:, None, None], places[1][None, :, None], places[2][None, None, :]
    line = (end - start).astype(np.float32)
    share = np.clip((x * line[0] + y * line[1] + z * line[2]) / max(float(line @ line), 1e-6), 0.0, 1.0)
    return np.asarray(
        np.sqrt((x - share * line[0]) ** 2 + (y - share * line[1]) ** 2 + (z - share * line[2]) ** 2), dtype=np.float32
    )


def _spared(canvas: Canvas, found: Near, parts: tuple[Part, ...]) -> Mask:
    """Where the tumour may grow: what it pushes aside or around stays out."""
    return np.asarray(~np.isin(canvas.labels[found.window], parts))


_BONES = (Part.CORTEX, Part.MARROW, Part.CARTILAGE)


def _ganglion(canvas: Canvas, made: Hand, reach: float, rng: np.random.Generator) -> tuple[Near, Mask]:
    """Beside a joint or a sheath, smooth, lobulated, thin wall, a neck towards the joint."""
    joints = [
        point + np.array([rng.normal(0, 2), rng.choice((-1.0, 1.0)) * (6.0 + 0.5 * reach), rng.normal(0, 4)])
        for ray in made.rays
        for point in ray.joints[1:]
    ]
    centre = _inside(canvas, joints, rng)
    found = _lobes(canvas, centre, reach, int(rng.integers(1, 5)), rng, 0.25)
    free = _spared(canvas, found, (*_BONES, Part.TENDON, Part.ARTERY))
    joint = min(
        (point for ray in made.rays for point in ray.joints), key=lambda each: float(np.linalg.norm(each - centre))
    )
    neck = near(canvas, centre, centre + 0.9 * (joint - centre), (1.1, 0.8))
    soft = np.isin(canvas.labels[neck.window], (Part.FAT, Part.MUSCLE, Part.FIBRE))
    canvas.paint(neck.window, (neck.outside < 0) & soft, Part.FLUID)
    mask = (found.outside < 0) & free
    canvas.paint(found.window, mask, Part.BODY)
    canvas.paint(found.window, mask & (found.outside > -0.7), Part.SECOND)
    if rng.random() < 0.4:
        canvas.paint(found.window, mask & (np.abs(canvas.coarse[found.window]) < 0.06), Part.VOID)
    return found, np.asarray(mask)


def _giant_cell(canvas: Canvas, made: Hand, reach: float, rng: np.random.Generator) -> tuple[Near, Mask]:
    """Against a tendon or around it, knobbly, with dark grains of haemosiderin; may press into the bone."""
    seat = _inside(canvas, _along(made.tendons, rng), rng)
    centre = seat + _unit(rng, (0.3, 1.0, 1.0)) * reach * rng.uniform(0.2, 0.6)
    found = _lobes(canvas, centre, reach, int(rng.integers(2, 6)), rng, 0.7)
    spared = (Part.TENDON, Part.ARTERY, Part.MARROW) if rng.random() < 0.3 else (*_BONES, Part.TENDON, Part.ARTERY)
    mask = (found.outside < 0) & _spared(canvas, found, spared)
    coarse, fine = canvas.coarse[found.window], canvas.fine[found.window]
    canvas.paint(found.window, mask, Part.BODY)
    canvas.paint(found.window, mask & (coarse > rng.uniform(0.8, 1.4)), Part.SECOND)
    canvas.paint(found.window, mask & (fine > rng.uniform(0.35, 0.8)), Part.VOID)
    return found, np.asarray(mask)


def _lipoma(canvas: Canvas, made: Hand, reach: float, rng: np.random.Generator) -> tuple[Near, Mask]:
    """In the palm, the ball of the thumb or under the skin: smooth, a thin capsule, few thin septa."""
    paths = (*(ray.joints for ray in made.rays), *made.nerves)
    spots = [point + np.array([0.0, rng.uniform(-12.0, 13.0), rng.normal(0.0, 7.0)]) for point in _along(paths, rng)]
    centre = _inside(canvas, spots, rng)
    found = _lobes(canvas, centre, reach, int(rng.integers(1, 4)), rng, 0.35)
    mask = (found.outside < 0) & _spared(canvas, found, (*_BONES, Part.TENDON, Part.ARTERY))
    canvas.paint(found.window, mask, Part.BODY)
    canvas.paint(found.window, mask & (found.outside > -0.7), Part.SECOND)
    septa = np.abs(canvas.coarse[found.window] - rng.normal(0, 0.4)) < rng.uniform(0.0, 0.08)
    canvas.paint(found.window, mask & septa, Part.VOID)
    return found, np.asarray(mask)


def _haemangioma(canvas: Canvas, made: Hand, reach: float, rng: np.random.Generator) -> tuple[Near, Mask]:
    """In muscle or fat without a capsule: creeping, with islands of fat, septa, and sometimes stones."""
    paths = (*(ray.joints for ray in made.rays), *made.nerves)
    spots = [point + np.array([0.0, rng.uniform(-11.0, 12.0), rng.normal(0.0, 7.0)]) for point in _along(paths, rng)]
    centre = _inside(canvas, spots, rng)
    found = _lobes(canvas, centre, reach, int(rng.integers(2, 5)), rng, 1.2)
    coarse, fine = canvas.coarse[found.window], canvas.fine[found.window]
    mask = (found.outside + 1.1 * fine < 0) & _spared(canvas, found, (*_BONES, Part.TENDON))
    canvas.paint(found.window, mask, Part.BODY)
    canvas.paint(found.window, mask & (coarse - 0.5 * fine > rng.uniform(0.15, 0.6)), Part.SECOND)
    canvas.paint(found.window, mask & (np.abs(fine) < rng.uniform(0.03, 0.10)), Part.VOID)
    for _ in range(int(rng.integers(0, 4))):
        spot = centre + _unit(rng) * reach * rng.uniform(0.0, 0.5)
        stone = near(canvas, spot, spot, (rng.uniform(0.9, 1.6),) * 2)
        canvas.paint(stone.window, (stone.outside < 0) & (canvas.labels[stone.window] == Part.BODY), Part.VOID)
    feeder = _direction(made.nerves, centre) * reach * 2.2
    tube(canvas, (centre + 0.6 * feeder, centre + feeder), rng.uniform(0.8, 1.5), Part.VEIN)
    return found, np.asarray(mask)


def _schwannoma(canvas: Canvas, made: Hand, reach: float, rng: np.random.Generator) -> tuple[Near, Mask]:
    """On a nerve and longer along it, smooth, a rim around a centre of other signal, fat at its poles."""
    centre = _inside(canvas, _along(made.nerves, rng), rng)
    line = _direction(made.nerves, centre)
    width = reach * rng.uniform(0.5, 0.75)
    half = line * max(reach - width, 0.5)
    found = near(canvas, centre - half, centre + half, (width, width), 2.0)
    outside = found.outside + width * 0.35 * (2.0 * found.share - 1.0) ** 2 + 0.15 * canvas.coarse[found.window]
    free = _spared(canvas, found, (*_BONES, Part.TENDON))
    canvas.paint(found.window, (outside < 1.1) & free & (np.abs(found.share - 0.5) > 0.25), Part.FAT)
    mask = (outside < 0) & free
    canvas.paint(found.window, mask, Part.BODY)
    core = outside < -width * rng.uniform(0.3, 0.5)
    if rng.random() < 0.9:
        canvas.paint(found.window, mask & core & (canvas.fine[found.window] > -1.2), Part.SECOND)
    canvas.paint(found.window, mask & (outside > -0.55), Part.VOID)
    tube(canvas, (centre - half * 1.1 - line * width * 2.6, centre - half - line * width * 0.9), 1.2, Part.NERVE)
    tube(canvas, (centre + half + line * width * 0.9, centre + half * 1.1 + line * width * 2.6), 1.2, Part.NERVE)
    return found, np.asarray(mask)


_DRAWERS: Mapping[HandKind, Callable[[Canvas, Hand, float, np.random.Generator], tuple[Near, Mask]]] = {
    HandKind.GANGLION: _ganglion,
    HandKind.GIANT_CELL: _giant_cell,
    HandKind.LIPOMA: _lipoma,
    HandKind.HAEMANGIOMA: _haemangioma,
    HandKind.SCHWANNOMA: _schwannoma,
}


def draw_distractor(name: str, canvas: Canvas, made: Hand, rng: np.random.Generator) -> None:
    """Draw what looks like a tumour and is none."""
    joints = [point for ray in made.rays for point in ray.joints[1:]]
    if name == "veins":
        for start in joints[:: int(rng.integers(2, 5))]:
            back = start + np.array([0.0, -rng.uniform(7.0, 10.0), rng.normal(0.0, 5.0)])
            course = [back]
            for _ in range(3):
                course.append(course[-1] + np.array([rng.uniform(6, 14), rng.normal(0, 1.0), rng.normal(0, 4.0)]))
            _soft_tube(canvas, tuple(course), rng.uniform(0.9, 2.2), Part.VEIN)
    elif name == "sheath":
        path = made.tendons[2 * int(rng.integers(4))]
        piece = int(rng.integers(len(path) - 1))
        a, b = path[piece], path[piece + 1]
        _soft_tube(canvas, (a, a + (b - a) * rng.uniform(0.4, 1.0)), rng.uniform(2.6, 4.2) * made.scale, Part.FLUID)
        tube(canvas, path, 1.8 * made.scale, Part.TENDON)
    elif name == "effusion":
        point = joints[int(rng.integers(len(joints)))]
        found = _lobes(canvas, point, rng.uniform(6.0, 10.0), 3, rng, 0.8)
        soft = np.isin(canvas.labels[found.window], (Part.FAT, Part.MUSCLE, Part.FLUID))
        ring = (found.outside < 0) & soft & (np.abs(canvas.coarse[found.window]) < 0.9)
        canvas.paint(found.window, ring, Part.FLUID)
    else:
        _draw_blob(name, canvas, made, rng)


def _draw_blob(name: str, canvas: Canvas, made: Hand, rng: np.random.Generator) -> None:
    bones = tuple(ray.joints for ray in made.rays)
    point = _along(bones, rng)[int(rng.integers(16))]
    if name == "cyst":
        found = near(canvas, point, point, (rng.uniform(1.5, 3.2),) * 2)
        canvas.paint(found.window, (found.outside < 0) & (canvas.labels[found.window] == Part.MARROW), Part.FLUID)
        return
    away = np.array([0.0, rng.uniform(-9.0, 9.0), rng.normal(0.0, 6.0)])
    found = _lobes(canvas, point + away, rng.uniform(4.0, 10.0), 3, rng, 1.5)
    soft = np.isin(canvas.labels[found.window], (Part.FAT, Part.MUSCLE, Part.MARROW))
    if name == "oedema":
        canvas.paint(found.window, (found.outside < 0) & soft & (canvas.fine[found.window] > 0.1), Part.OEDEMA)
    else:
        strands = np.abs(canvas.coarse[found.window] + 0.4 * canvas.fine[found.window]) < 0.35
        canvas.paint(found.window, (found.outside < 0) & soft & strands, Part.SCAR)


def _soft_tube(canvas: Canvas, path: Path, radius: float, part: Part) -> None:
    """A string that gives way to bones, and does not leave the flesh."""
    for start, end in pairwise(path):
        found = near(canvas, start, end, (radius, radius))
        soft = np.isin(canvas.labels[found.window], (Part.FAT, Part.MUSCLE, Part.FIBRE))
        canvas.paint(found.window, (found.outside < 0) & soft, part)
