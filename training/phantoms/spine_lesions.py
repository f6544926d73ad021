"""Tumours of the spine, benign and malignant, and what looks like one and is none (MODELS.md §4.4).

What tells the kinds apart is what they do to bone, their margin and their inner build; never their size, their level or
the noise around them, which are drawn alike for both.

Legend: as in `spine_anatomy`; `reach` is the mean radius of a lesion in mm.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training.phantoms.spine_anatomy import Canvas, Column, Local, Vertebra, inside_body
from training.phantoms.spine_tissue import TISSUES, Label, Tissue, jittered

Mask = npt.NDArray[np.bool_]

BENIGN = {"haemangioma": 0.36, "expansile": 0.24, "schwannoma": 0.24, "nidus": 0.16}
MALIGNANT = {"lytic": 0.46, "lobulated": 0.20, "diffuse": 0.18, "sclerotic": 0.16}
DISTRACTORS = ("modic", "node", "fracture", "island")


@dataclass(frozen=True, slots=True)
class Drawn:
    """Where one lesion is."""

    window: tuple[slice, slice, slice]
    mask: Mask


def kind_tissues(kind: str, rng: np.random.Generator) -> dict[Label, Tissue]:
    """What the parts of a tumour of this kind are made of, in one patient."""
    first, second, third = _KINDS[kind](rng)
    texture = rng.uniform(0.05, 0.18)
    made = {Label.FIRST: first, Label.SECOND: second, Label.THIRD: third}
    return {label: jittered(replace(tissue, texture=texture), rng) for label, tissue in made.items()}


def _haemangioma(rng: np.random.Generator) -> tuple[Tissue, Tissue, Tissue]:
    fat = rng.uniform(0.10, 0.30) if rng.random() < 0.35 else rng.uniform(0.45, 0.75)
    stroma = Tissue(0.95, rng.uniform(800, 1000), rng.uniform(110, 190), fat, uptake=rng.uniform(0.8, 2.5))
    return stroma, Tissue(0.30, 900.0, 14.0, 0.2), stroma


def _expansile(rng: np.random.Generator) -> tuple[Tissue, Tissue, Tissue]:
    first = Tissue(0.90, rng.uniform(900, 1400), rng.uniform(65, 190), uptake=rng.uniform(0.4, 2.5))
    return first, Tissue(0.25, 900.0, 12.0), Tissue(0.95, rng.uniform(700, 2200), rng.uniform(70, 320))


def _schwannoma(rng: np.random.Generator) -> tuple[Tissue, Tissue, Tissue]:
    first = Tissue(0.90, rng.uniform(950, 1250), rng.uniform(75, 150), uptake=rng.uniform(1.0, 3.0))
    return first, replace(first, t2=first.t2 * rng.uniform(0.45, 0.75), uptake=first.uptake * 0.6), first


def _nidus(rng: np.random.Generator) -> tuple[Tissue, Tissue, Tissue]:
    first = Tissue(0.80, rng.uniform(850, 1150), rng.uniform(50, 120), uptake=rng.uniform(1.5, 3.0))
    return first, Tissue(0.2, 900.0, 8.0), Tissue(0.3, 900.0, 15.0)


def _lytic(rng: np.random.Generator) -> tuple[Tissue, Tissue, Tissue]:
    first = Tissue(
        0.88, rng.uniform(900, 1300), rng.uniform(55, 125), rng.uniform(0, 0.08), uptake=rng.uniform(0.5, 2.5)
    )
    return first, Tissue(0.95, rng.uniform(1300, 2200), rng.uniform(110, 260)), replace(first, t2=first.t2 * 0.8)


def _lobulated(rng: np.random.Generator) -> tuple[Tissue, Tissue, Tissue]:
    first = Tissue(0.95, rng.uniform(1000, 1400), rng.uniform(110, 210), uptake=rng.uniform(0.4, 2.0))
    return first, Tissue(0.80, 950.0, rng.uniform(45, 70), uptake=1.0), first


def _diffuse(rng: np.random.Generator) -> tuple[Tissue, Tissue, Tissue]:
    first = Tissue(
        0.85, rng.uniform(900, 1150), rng.uniform(58, 95), rng.uniform(0, 0.10), uptake=rng.uniform(0.6, 2.2)
    )
    return first, first, first


def _sclerotic(rng: np.random.Generator) -> tuple[Tissue, Tissue, Tissue]:
    first = Tissue(rng.uniform(0.3, 0.5), 900.0, rng.uniform(20, 40), 0.05, uptake=rng.uniform(0.2, 0.8))
    return first, Tissue(0.88, rng.uniform(900, 1200), rng.uniform(70, 120), uptake=1.5), first


_KINDS: Mapping[str, Callable[[np.random.Generator], tuple[Tissue, Tissue, Tissue]]] = {
    "haemangioma": _haemangioma,
    "expansile": _expansile,
    "schwannoma": _schwannoma,
    "nidus": _nidus,
    "lytic": _lytic,
    "lobulated": _lobulated,
    "diffuse": _diffuse,
    "sclerotic": _sclerotic,
}


def draw_tumour(kind: str, canvas: Canvas, spine: Column, vertebra: Vertebra, rng: np.random.Generator) -> Drawn:
    """Draw one tumour at a vertebra."""
    reach = 1.5 + float(rng.uniform(0.26, 0.50)) * (vertebra.depth + vertebra.height) / 2
    return _DRAWERS[kind](canvas, spine, vertebra, reach, rng)


def _radius(local: Local, reach: tuple[float, float, float]) -> npt.NDArray[np.float32]:
    return np.asarray(np.sqrt((local.x / reach[0]) ** 2 + (local.u / reach[1]) ** 2 + (local.v / reach[2]) ** 2))


def _reaches(reach: float, rng: np.random.Generator) -> tuple[float, float, float]:
    stretch = np.exp(rng.normal(0.0, 0.16, 3)) * reach
    return float(stretch[0]) * 1.15, float(stretch[1]), float(stretch[2])


def _seat(vertebra: Vertebra, rng: np.random.Generator, out: float) -> tuple[float, float, float]:
    """A place in the body of a vertebra, `out` of the way to its border at most."""
    x, z, y = (rng.uniform(-out, out) * size / 2 for size in (vertebra.width, vertebra.height, vertebra.depth))
    return vertebra.centre[0] + x, vertebra.centre[1] + z, vertebra.centre[2] + y


def _cut_to_body(
    canvas: Canvas, mask: Mask, window: tuple[slice, slice, slice], vertebra: Vertebra, grow: float
) -> Mask:
    """What of a window's mask lies in the vertebral body."""
    local = canvas.local(vertebra.centre, vertebra.tilt, 3.0 * vertebra.width)
    whole = np.zeros(canvas.labels.shape, dtype=np.bool_)
    whole[local.window] = inside_body(local, vertebra, grow)
    return np.asarray(mask & whole[window])


def _draw_haemangioma(
    canvas: Canvas, spine: Column, vertebra: Vertebra, reach: float, rng: np.random.Generator
) -> Drawn:
    local = canvas.local(_seat(vertebra, rng, 0.4), vertebra.tilt, 2.2 * reach)
    edge = 1.0 + rng.uniform(0.04, 0.12) * canvas.coarse[local.window]
    mask = _cut_to_body(canvas, _radius(local, _reaches(reach, rng)) < edge, local.window, vertebra, -1.0)
    canvas.paint(local.window, mask, Label.FIRST)
    spacing, phase = rng.uniform(3.6, 5.2), rng.uniform(0, 6)
    bars = np.sin(2 * np.pi * local.u / spacing + phase + 0.5 * canvas.coarse[local.window]) > 0.35
    dots = np.sin(2 * np.pi * local.x / (1.6 * spacing)) > -0.5
    canvas.paint(local.window, mask & bars & dots, Label.SECOND)
    return Drawn(local.window, mask)


def _draw_expansile(canvas: Canvas, spine: Column, vertebra: Vertebra, reach: float, rng: np.random.Generator) -> Drawn:
    """A rounded body with a dark shell, septa, and often levels of fluid; it swells bone without breaking through."""
    local = canvas.local(_seat(vertebra, rng, 0.7), vertebra.tilt, 2.2 * reach)
    radius = _radius(local, _reaches(reach, rng)) / (1.0 + rng.uniform(0.03, 0.08) * canvas.coarse[local.window])
    mask = np.asarray(radius < 1.0)
    canvas.paint(local.window, mask, Label.FIRST)
    if rng.random() < 0.5:
        canvas.paint(
            local.window,
            mask & (local.u + 2 * canvas.coarse[local.window] > rng.uniform(-0.3, 0.3) * reach),
            Label.THIRD,
        )
    septa = np.abs(canvas.coarse[local.window] + 0.5 * canvas.fine[local.window]) < 0.22
    shell = radius > 1.0 - 1.9 / reach
    canvas.paint(local.window, mask & (septa | shell), Label.SECOND)
    return Drawn(local.window, mask)


def _draw_schwannoma(
    canvas: Canvas, spine: Column, vertebra: Vertebra, reach: float, rng: np.random.Generator
) -> Drawn:
    """A dumb-bell: one end in the canal, a waist in the foramen, the other end beside the spine; brighter outside."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    x, z, y = vertebra.centre
    below = z + vertebra.height / 2 + rng.uniform(-2, 4)
    canal = y + vertebra.depth / 2 + 1.5 + spine.canal * 0.45
    local = canvas.local((x + side * 11.0, below, canal), 0.0, 2.5 * reach + 10.0)
    wobble = 1.0 + rng.uniform(0.03, 0.08) * canvas.coarse[local.window]
    ends = []
    for shift, share in ((-7.0, rng.uniform(0.55, 0.85)), (6.0, rng.uniform(0.8, 1.1))):
        moved = local._replace(x=np.asarray(local.x - np.float32(side * shift)))
        ends.append(_radius(moved, (1.05 * reach * share, reach * share, 1.2 * reach * share)) / wobble)
    radius = np.minimum(*ends)
    mask = np.asarray(radius < 1.0)
    canvas.paint(local.window, mask, Label.FIRST)
    canvas.paint(local.window, radius < rng.uniform(0.45, 0.65), Label.SECOND)
    return Drawn(local.window, mask)


def _draw_nidus(canvas: Canvas, spine: Column, vertebra: Vertebra, reach: float, rng: np.random.Generator) -> Drawn:
    """A small round nest in a dark ring, in oedema that is not part of it."""
    reach = 0.78 * reach
    x, z, y = _seat(vertebra, rng, 0.6)
    if rng.random() < 0.5:
        y = vertebra.centre[2] + vertebra.depth / 2 + spine.canal + rng.uniform(0, 6)
        x = vertebra.centre[0] + rng.choice((-1.0, 1.0)) * 0.28 * vertebra.width
    local = canvas.local((x, z, y), vertebra.tilt, 3.2 * reach)
    radius = _radius(local, _reaches(reach, rng))
    marrow = canvas.labels[local.window] == Label.MARROW
    canvas.paint(
        local.window, marrow & (radius < rng.uniform(1.6, 2.4) + 0.3 * canvas.coarse[local.window]), Label.OEDEMA
    )
    mask = np.asarray(radius < 1.0 + 0.06 * canvas.coarse[local.window])
    canvas.paint(local.window, mask, Label.SECOND)
    canvas.paint(local.window, radius < 0.66, Label.FIRST)
    canvas.paint(local.window, radius < 0.18, Label.THIRD)
    return Drawn(local.window, mask)


def _spread_out(
    canvas: Canvas, spine: Column, vertebra: Vertebra, local: Local, rng: np.random.Generator, often: float
) -> Mask:
    """What grows beyond the body: a convex back wall with a sheet along the canal, and a pedicle."""
    back = local.u - (vertebra.depth / 2 - 1.0)
    grown = np.zeros(canvas.labels[local.window].shape, dtype=np.bool_)
    if rng.random() < often:
        bulge = rng.uniform(3.5, 8.0)
        wide, tall = rng.uniform(7, 13), rng.uniform(0.45, 0.75) * vertebra.height
        grown |= (back > -3) & ((back / bulge) ** 2 + (local.x / wide) ** 2 + (local.v / tall) ** 2 < 1)
    if rng.random() < often:
        side = rng.choice((-1.0, 1.0)) * (0.28 * vertebra.width + 2.5)
        grown |= (
            (back > -4)
            & (back < spine.canal)
            & (np.abs(local.x - side) < 5.5)
            & (np.abs(local.v + 0.15 * vertebra.height) < 0.30 * vertebra.height)
        )
    return grown


def _draw_lytic(canvas: Canvas, spine: Column, vertebra: Vertebra, reach: float, rng: np.random.Generator) -> Drawn:
    """Marrow replaced up to a ragged margin, over the back wall and into a pedicle."""
    reach *= 0.92
    local = canvas.local(vertebra.centre, vertebra.tilt, 1.6 * max(vertebra.width, vertebra.depth + spine.canal))
    x, z, y = (rng.uniform(-0.4, 0.4) * size / 2 for size in (vertebra.width, vertebra.height, vertebra.depth))
    moved = Local(local.window, local.x - np.float32(x), local.u - np.float32(y), local.v - np.float32(z))
    ragged = rng.uniform(0.12, 0.26) * canvas.coarse[local.window] + rng.uniform(0.08, 0.18) * canvas.fine[local.window]
    mask = (_radius(moved, _reaches(reach, rng)) < 1.0 + ragged) & inside_body(local, vertebra, rng.uniform(-0.5, 2.0))
    mask |= _spread_out(canvas, spine, vertebra, local, rng, 0.55) & (np.abs(moved.v) < 1.6 * reach)
    canvas.paint(local.window, mask, Label.FIRST)
    canvas.paint(local.window, mask & (canvas.fine[local.window] > 1.3), Label.THIRD)
    if rng.random() < 0.3:
        canvas.paint(local.window, mask & (canvas.coarse[local.window] > 0.9), Label.SECOND)
    return Drawn(local.window, np.asarray(mask))


def _draw_lobulated(canvas: Canvas, spine: Column, vertebra: Vertebra, reach: float, rng: np.random.Generator) -> Drawn:
    """Several bright lobes with thin walls between them, out of the bone into the soft tissue; no dark shell."""
    local = canvas.local(_seat(vertebra, rng, 0.8), vertebra.tilt, 2.6 * reach)
    nearest, second = np.full((2, *canvas.labels[local.window].shape), 9.0, dtype=np.float32)
    for _ in range(int(rng.integers(4, 8))):
        shift = rng.normal(0.0, 0.52 * reach, 3)
        moved = Local(
            local.window,
            *(np.asarray(a - np.float32(s)) for a, s in zip((local.x, local.u, local.v), shift, strict=True)),
        )
        size = reach * rng.uniform(0.45, 0.75)
        radius = _radius(moved, (size, size, size))
        second = np.minimum(second, np.maximum(nearest, radius))
        nearest = np.minimum(nearest, radius)
    mask = nearest < 1.0 + 0.05 * canvas.fine[local.window]
    canvas.paint(local.window, mask, Label.FIRST)
    canvas.paint(local.window, mask & (second - nearest < 0.14), Label.SECOND)
    return Drawn(local.window, np.asarray(mask))


def _draw_diffuse(canvas: Canvas, spine: Column, vertebra: Vertebra, reach: float, rng: np.random.Generator) -> Drawn:
    """A whole side of a body replaced, its cortex still there, with a sheet in the canal."""
    local = canvas.local(vertebra.centre, vertebra.tilt, 1.6 * max(vertebra.width, vertebra.depth + spine.canal))
    fill = 2.0 * reach / vertebra.height
    cut = local.v * rng.choice((-1.0, 1.0)) < (fill - 0.5) * vertebra.height + 1.5 * canvas.coarse[local.window]
    mask = inside_body(local, vertebra, -1.0) & cut
    mask |= _spread_out(canvas, spine, vertebra, local, rng, 0.7) & cut
    canvas.paint(local.window, mask, Label.FIRST)
    return Drawn(local.window, np.asarray(mask))


def _draw_sclerotic(canvas: Canvas, spine: Column, vertebra: Vertebra, reach: float, rng: np.random.Generator) -> Drawn:
    """Dark on every sequence, patchy, with a bright margin."""
    local = canvas.local(_seat(vertebra, rng, 0.5), vertebra.tilt, 2.4 * reach)
    ragged = rng.uniform(0.15, 0.3) * canvas.coarse[local.window] + 0.14 * canvas.fine[local.window]
    radius = _radius(local, _reaches(reach, rng)) - ragged
    mask = _cut_to_body(canvas, radius < 1.0, local.window, vertebra, 0.5)
    canvas.paint(local.window, mask, Label.SECOND)
    canvas.paint(local.window, mask & (radius < 0.82) & (canvas.fine[local.window] > -1.0), Label.FIRST)
    return Drawn(local.window, mask)


_DRAWERS: Mapping[str, Callable[[Canvas, Column, Vertebra, float, np.random.Generator], Drawn]] = {
    "haemangioma": _draw_haemangioma,
    "expansile": _draw_expansile,
    "schwannoma": _draw_schwannoma,
    "nidus": _draw_nidus,
    "lytic": _draw_lytic,
    "lobulated": _draw_lobulated,
    "diffuse": _draw_diffuse,
    "sclerotic": _draw_sclerotic,
}


def draw_distractor(kind: str, canvas: Canvas, vertebra: Vertebra, rng: np.random.Generator) -> None:
    """Draw what looks like a tumour and is none."""
    local = canvas.local(vertebra.centre, vertebra.tilt, max(vertebra.width, vertebra.depth))
    body = inside_body(local, vertebra, -1.2)
    end = float(rng.choice((-1.0, 1.0)))
    depth = vertebra.height / 2 - end * local.v + 1.5 * canvas.coarse[local.window]
    if kind == "modic":
        where = (
            body
            & (depth < rng.uniform(0.15, 0.35) * vertebra.height)
            & (local.u * rng.choice((-1.0, 1.0)) < rng.uniform(0.1, 0.6) * vertebra.depth)
        )
        canvas.paint(local.window, where, Label.OEDEMA if rng.random() < 0.5 else Label.FATTY)
    elif kind == "fracture":
        canvas.paint(local.window, body & (depth < rng.uniform(0.25, 0.6) * vertebra.height), Label.OEDEMA)
        line = np.abs(depth - rng.uniform(2.5, 5.0)) < 0.8
        canvas.paint(local.window, body & line & (canvas.fine[local.window] > -0.8), Label.CORTEX)
    elif kind == "node":
        centre = end * vertebra.height / 2
        size = rng.uniform(3.0, 6.0)
        where = (
            ((local.v - centre) / size) ** 2
            + ((local.u - rng.uniform(-5, 5)) / (1.3 * size)) ** 2
            + (local.x / (1.3 * size)) ** 2
        )
        canvas.paint(local.window, inside_body(local, vertebra, 0.2) & (where < 1.25), Label.CORTEX)
        canvas.paint(local.window, inside_body(local, vertebra, 0.2) & (where < 0.8), Label.NODE)
    else:
        size = rng.uniform(3.0, 7.0)
        where = _radius(local, (size, size, size)) < 1.0 + 0.3 * canvas.coarse[local.window]
        canvas.paint(local.window, body & where, Label.FATTY)


assert set(_DRAWERS) == set(_KINDS) == {*BENIGN, *MALIGNANT}
assert set(TISSUES) | {Label.FIRST, Label.SECOND, Label.THIRD} == set(Label)
