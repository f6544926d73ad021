"""A spine as a map of labels: vertebrae with endplates, discs, canal, cord, and the flesh around them.

Legend: volumes are `(slices, rows, columns)`, that is (from right to left, downwards, backwards); the slices of a map
are thinner than those of an image. Places are `(x, z, y)` in mm in the order of the axes; `u` runs backwards and `v`
downwards along a tilted vertebra.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.phantoms.spine_tissue import Label

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class Build(NamedTuple):
    """Sizes of a vertebra and its disc, mm."""

    depth: float
    height: float
    width: float
    disc: float
    canal: float


BUILDS = {
    "cervical": Build(17.0, 14.5, 26.0, 5.0, 14.0),
    "thoracic": Build(28.0, 21.0, 31.0, 5.0, 15.0),
    "lumbar": Build(34.0, 27.0, 44.0, 9.5, 16.0),
}


@dataclass(frozen=True, slots=True)
class Vertebra:
    """One vertebra: its centre, its tilt in radians, its sizes in mm."""

    centre: tuple[float, float, float]
    tilt: float
    depth: float
    height: float
    width: float


@dataclass(frozen=True, slots=True)
class Column:
    """Where a spine runs: one value per row of the map, mm."""

    region: str
    vertebrae: tuple[Vertebra, ...]
    middle: Floats
    """Of the vertebral bodies, from the front edge of the map."""
    sideways: float
    """Of the spine, from the middle of the map."""
    depth: float
    canal: float


class Local(NamedTuple):
    """A window of a volume, and where its voxels lie from a centre."""

    window: tuple[slice, slice, slice]
    x: Floats
    u: Floats
    v: Floats


@dataclass(frozen=True, slots=True)
class Canvas:
    """A map being drawn."""

    labels: Labels
    step: tuple[float, float, float]
    """Millimetres between voxels."""
    coarse: Floats
    """Smooth noise over the volume, standard deviation 1, of about 12 mm."""
    fine: Floats
    """The same of about 4 mm."""

    def local(self, centre: tuple[float, float, float], tilt: float, reach: float) -> Local:
        """The voxels within `reach` mm of a centre, in the frame of something that is tilted there."""
        window, offsets = [], []
        for place, step, count in zip(centre, self.step, self.labels.shape, strict=True):
            first = min(max(int((place - reach) / step), 0), count)
            last = min(max(int((place + reach) / step) + 1, first), count)
            window.append(slice(first, last))
            offsets.append(((np.arange(first, last) + 0.5) * step - place).astype(np.float32))
        z, y = offsets[1][:, None], offsets[2][None, :]
        cos, sin = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
        return Local(
            (window[0], window[1], window[2]),
            offsets[0][:, None, None],
            (y * cos - z * sin)[None],
            (z * cos + y * sin)[None],
        )

    def paint(self, window: tuple[slice, slice, slice], where: Mask, label: Label) -> None:
        """Give voxels of a window a label."""
        self.labels[window][where] = label


def smooth(rng: np.random.Generator, shape: tuple[int, int, int], cells: tuple[int, int, int]) -> Floats:
    """Smooth noise of standard deviation about 1: few random numbers, spread by linear weights along each axis."""
    values = rng.standard_normal(cells, dtype=np.float32)
    for axis, count in enumerate(shape):
        values = np.moveaxis(np.tensordot(_spread(cells[axis], count), values, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(values * np.float32(1.6))


def _spread(cells: int, count: int) -> Floats:
    place = (np.arange(count) + 0.5) * cells / count - 0.5
    return np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(cells))).astype(np.float32)


def column(
    rng: np.random.Generator, region: str, shape: tuple[int, int, int], step: tuple[float, float, float]
) -> Column:
    """Where a spine runs through a map: a gentle curve, with a vertebra every so many millimetres."""
    build, scale = BUILDS[region], rng.uniform(0.88, 1.12)
    depth, height, disc = build.depth * scale, build.height * scale, build.disc * scale * rng.uniform(0.8, 1.15)
    tall, deep = shape[1] * step[1], shape[2] * step[2]
    z = (np.arange(shape[1]) + 0.5) * step[1]
    bend = rng.uniform(4.0, 16.0) * (1 if region != "thoracic" else -1)
    lean, phase = rng.uniform(-0.08, 0.08), rng.uniform(-0.15, 0.15)
    middle = rng.uniform(0.40, 0.56) * deep + lean * (z - tall / 2) - bend * np.cos(np.pi * (z / tall - 0.5 + phase))
    slope = np.gradient(middle, step[1])
    sideways = float(rng.normal(0.0, 2.0))
    made, at = [], rng.uniform(-0.5, 0.5) * height
    while at < tall + height:
        row = int(np.clip(at / step[1], 0, shape[1] - 1))
        sizes = rng.normal(1.0, 0.03, 3)
        centre = (shape[0] * step[0] / 2 + sideways, float(at), float(middle[row]))
        made.append(
            Vertebra(
                centre,
                -float(np.arctan(slope[row])),
                depth * sizes[0],
                height * sizes[1],
                build.width * scale * sizes[2],
            )
        )
        at += (height + disc) * rng.uniform(0.97, 1.03)
    return Column(region, tuple(made), middle.astype(np.float32), sideways, depth, build.canal * rng.uniform(0.9, 1.15))


def draw(canvas: Canvas, spine: Column, rng: np.random.Generator) -> None:
    """Everything that is healthy."""
    _surroundings(canvas, spine, rng)
    _canal(canvas, spine, rng)
    for above, below in zip(spine.vertebrae, spine.vertebrae[1:], strict=False):
        _disc(canvas, above, below)
    for vertebra in spine.vertebrae:
        _arch(canvas, vertebra, spine, rng)
        _body(canvas, vertebra)


def _surroundings(canvas: Canvas, spine: Column, rng: np.random.Generator) -> None:
    labels, (step_x, _, step_y) = canvas.labels, canvas.step
    x = (np.abs((np.arange(labels.shape[0]) + 0.5) * step_x - labels.shape[0] * step_x / 2 - spine.sideways))[
        :, None, None
    ]
    y = ((np.arange(labels.shape[2]) + 0.5) * step_y)[None, :] - spine.middle[:, None]
    behind, ahead = (y - spine.depth / 2 - spine.canal - 3)[None], (-y - spine.depth / 2)[None]
    muscle, skin = rng.uniform(26, 46), rng.uniform(6, 26)
    wobble = 3.0 * canvas.coarse
    labels[:] = Label.MUSCLE
    labels[(ahead > 4 + 2 * canvas.coarse) & (x >= 0)] = Label.ORGAN
    labels[(ahead > 6) & (canvas.coarse < rng.uniform(-0.9, -0.2))] = Label.FAT
    labels[(ahead > 18) & (canvas.coarse > rng.uniform(1.0, 1.6))] = Label.VOID
    vessel = rng.uniform(6, 9)
    labels[(np.abs(ahead - rng.uniform(9, 14) - wobble) < vessel) & (x < vessel)] = Label.VOID
    labels[(np.abs(ahead - 1.5) < 2.0) & (x < 14)] = Label.LIGAMENT
    labels[(behind > 1) & (x < 4 + wobble)] = Label.FAT
    labels[(behind > 0) & (canvas.fine > rng.uniform(1.2, 1.8))] = Label.FAT
    labels[behind > muscle + wobble] = Label.FAT
    labels[behind > muscle + skin + wobble] = Label.AIR


def _canal(canvas: Canvas, spine: Column, rng: np.random.Generator) -> None:
    labels, (step_x, step_z, step_y) = canvas.labels, canvas.step
    x = ((np.arange(labels.shape[0]) + 0.5) * step_x - labels.shape[0] * step_x / 2 - spine.sideways)[:, None, None]
    y = ((np.arange(labels.shape[2]) + 0.5) * step_y)[None, :] - spine.middle[:, None]
    back = (y - spine.depth / 2 - 1.5)[None]
    inside = (back > 0) & (back < spine.canal)
    labels[inside & (np.abs(x) < 17)] = Label.FAT
    labels[(back > -2.0) & (back <= 0.8) & (np.abs(x) < 12)] = Label.LIGAMENT
    from_middle = ((back - spine.canal * 0.45) / (spine.canal * 0.45)) ** 2 + (x / 9.5) ** 2
    labels[from_middle < 1] = Label.CSF
    radius = rng.uniform(3.6, 5.0)
    at = spine.canal * rng.uniform(0.40, 0.55)
    centre = (back - at) ** 2 + x**2
    rows = (np.arange(labels.shape[1]) * step_z)[None, :, None]
    end = rng.uniform(0.1, 0.5) * labels.shape[1] * step_z if spine.region == "lumbar" else 1e9
    labels[(centre < radius**2) & (rows < end)] = Label.CORD
    labels[(centre < (radius * 1.3) ** 2) & (rows >= end) & (canvas.fine > 0.2)] = Label.ROOTS


def _disc(canvas: Canvas, above: Vertebra, below: Vertebra) -> None:
    centre = tuple((a + b) / 2 for a, b in zip(above.centre, below.centre, strict=True))
    gap = below.centre[1] - above.centre[1] - (above.height + below.height) / 2
    local = canvas.local((centre[0], centre[1], centre[2]), above.tilt, above.width * 0.7)
    ring = (local.u / (above.depth * 0.52)) ** 2 + (local.x / (above.width * 0.52)) ** 2
    canvas.paint(local.window, (ring < 1) & (np.abs(local.v) < gap / 2 + 1.5), Label.ANNULUS)
    core = (local.u / (above.depth * 0.33)) ** 2 + (local.x / (above.width * 0.36)) ** 2
    canvas.paint(local.window, core + (local.v / (gap * 0.5)) ** 2 < 1, Label.NUCLEUS)


def inside_body(local: Local, vertebra: Vertebra, grow: float = 0.0) -> Mask:
    """The vertebral body, with hollow endplates and a waist; `grow` in mm."""
    half_u, half_v, half_x = vertebra.depth / 2 + grow, vertebra.height / 2 + grow, vertebra.width / 2 + grow
    across = np.minimum((local.u / half_u) ** 2, 1.0)
    high = np.abs(local.v) < half_v * (0.90 + 0.10 * across)
    waist = 1.0 - 0.10 * (1.0 - np.minimum((local.v / half_v) ** 2, 1.0))
    wide = np.abs(local.u / (half_u * waist)) ** 3 + np.abs(local.x / (half_x * waist)) ** 3 < 1
    return np.asarray(high & wide)


def _body(canvas: Canvas, vertebra: Vertebra) -> None:
    local = canvas.local(vertebra.centre, vertebra.tilt, max(vertebra.width, vertebra.depth) * 0.62)
    canvas.paint(local.window, inside_body(local, vertebra), Label.CORTEX)
    canvas.paint(local.window, inside_body(local, vertebra, -1.2), Label.MARROW)
    vein = (np.abs(local.v) < 1.4) & (local.u > 0.12 * vertebra.depth) & (np.abs(local.x) < 4)
    canvas.paint(local.window, vein & inside_body(local, vertebra, -1.2), Label.VEIN)


def _arch(canvas: Canvas, vertebra: Vertebra, spine: Column, rng: np.random.Generator) -> None:
    local = canvas.local(vertebra.centre, vertebra.tilt, 1.7 * vertebra.depth + spine.canal)
    back = local.u - vertebra.depth / 2
    side = np.abs(np.abs(local.x) - 0.28 * vertebra.width - 2.5)
    pedicle = (
        (back > -3)
        & (back < spine.canal * 0.9)
        & (side < 4.5)
        & (np.abs(local.v + 0.18 * vertebra.height) < 0.26 * vertebra.height)
    )
    facet = ((back - spine.canal) / 8.0) ** 2 + (side / 6.0) ** 2 + (
        (local.v - 0.15 * vertebra.height) / (0.62 * vertebra.height)
    ) ** 2 < 1
    droop, length = rng.uniform(0.2, 0.5), vertebra.depth * rng.uniform(0.8, 1.0)
    along = back - spine.canal - 3
    process = (
        (along > 0)
        & (along < length)
        & (np.abs(local.x) < 4.0)
        & (np.abs(local.v - droop * along - 2) < 0.27 * vertebra.height)
    )
    for shape in (pedicle, facet, process):
        canvas.paint(local.window, shape, Label.MARROW)
