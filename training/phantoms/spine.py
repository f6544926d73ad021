"""A patient with a spine, drawn from formulas: one map of labels, seen through all sequences of an examination.

One draw of the patient serves every sequence, so that contrasts are right across them; between two sequences the
patient moves a little. The age is drawn by class, with much overlap, so that it says something and not all.

Legend: images `(slices, rows, columns)`, slices from right to left; boxes: left, top, right, bottom in pixels of the
sequence, 0 the outer edge of the first pixel.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from training.phantoms.artefacts import Artefact
from training.phantoms.scanner import noisy, resampling
from training.phantoms.spine_anatomy import Canvas, Column, column, draw, smooth
from training.phantoms.spine_lesions import (
    BENIGN,
    DISTRACTORS,
    MALIGNANT,
    draw_distractor,
    draw_tumour,
    kind_tissues,
)
from training.phantoms.spine_tissue import Label, Sequence, Tissue, Weight, patient_tissues, sequence, signals

Floats = npt.NDArray[np.float32]

SIDE = 256
"""Rows and columns of the map; half as many make a patient four times as fast, for tests."""
FIELDS_MM = {"cervical": (185.0, 235.0), "thoracic": (230.0, 290.0), "lumbar": (230.0, 290.0)}
"""Field of view by region."""
THIN = 2
"""Slices of the map per slice of an image."""
LEAST_MM2 = 40.0
"""A lesion is outlined on a slice that shows at least this much of it."""
AGES = {"benign": (40.0, 17.0), "malignant": (54.0, 16.0), "normal": (47.0, 18.0)}
"""Mean and standard deviation, years; cut to 4-90."""


class Kind(StrEnum):
    """What a patient has."""

    NORMAL = "normal"
    BENIGN = "benign"
    MALIGNANT = "malignant"


@dataclass(frozen=True, slots=True)
class Box:
    """One lesion on one slice."""

    slice: int
    lesion: int
    """From 1; the same lesion has the same number in every sequence of its patient."""
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Series:
    """One sequence of a patient."""

    told: Sequence
    pixels: npt.NDArray[np.uint16]
    row_mm: float
    column_mm: float
    slice_mm: float
    boxes: tuple[Box, ...]
    middle: Floats
    """The column of the vertebral bodies by row, in pixels."""
    reach: float
    """How far the spine reaches to both sides of it, in pixels."""
    lesions: npt.NDArray[np.uint8]
    """As the pixels: 0, else the number of the lesion, on the slices that have a box of it."""


@dataclass(frozen=True, slots=True)
class SpinePatient:
    """A patient and the sequences of one examination."""

    seed: int
    kind: Kind
    age: float
    region: str
    tumours: tuple[str, ...]
    distractors: tuple[str, ...]
    series: tuple[Series, ...]
    artefact: Artefact | None = None


@dataclass(frozen=True, slots=True)
class _Map:
    canvas: Canvas
    spine: Column
    truth: npt.NDArray[np.uint8]
    tumours: tuple[str, ...]
    distractors: tuple[str, ...]


def spine_patient(
    seed: int,
    *,
    kind: Kind | None = None,
    weights: tuple[Weight, ...] | None = None,
    side: int = SIDE,
    artefact: Artefact | None = None,
) -> SpinePatient:
    """Draw a patient.

    Parameters
    ----------
    kind
        Drawn at random where None: 44 % benign, 44 % malignant, 12 % normal.
    weights
        The sequences; T1, T2, one with fat suppressed and often one after contrast agent where None.
    side
        Rows and columns of the map; images have about as many.
    artefact
        What went wrong in the scanner (artefacts.py); the patient is the same as without.
    """
    rng = np.random.default_rng((20220418, seed))
    drawn = Kind(rng.choice(list(Kind), p=(0.12, 0.44, 0.44)))
    kind = kind or drawn
    age = drawn_age(kind, rng)
    made = _map(kind, rng, side)
    tissues = patient_tissues(rng, age)
    if made.tumours:
        tissues |= kind_tissues(made.tumours[0], rng)
    suppressed = Weight.STIR if rng.random() < 0.4 else Weight.FS
    contrast = (Weight.T1C,) if rng.random() < 0.4 else ()
    chosen = weights or (Weight.T1, Weight.T2, suppressed, *contrast)
    series = tuple(_series(made, tissues, sequence(weight, rng), rng, artefact) for weight in chosen)
    return SpinePatient(seed, kind, round(age, 1), made.spine.region, made.tumours, made.distractors, series, artefact)


def drawn_age(kind: Kind, rng: np.random.Generator) -> float:
    """The age of a patient, by what the patient has."""
    mean, spread = AGES[kind.value]
    return float(np.clip(rng.normal(mean, spread), 4.0, 90.0))


def _map(kind: Kind, rng: np.random.Generator, side: int) -> _Map:
    slices = THIN * int(rng.integers(11, 18))
    region = str(rng.choice(list(FIELDS_MM), p=(0.3, 0.3, 0.4)))
    in_plane, thick = rng.uniform(*FIELDS_MM[region]) / side, rng.uniform(3.2, 4.6) / THIN
    shape, step = (slices, side, side), (thick, in_plane, in_plane)
    canvas = Canvas(
        np.zeros(shape, dtype=np.uint8), step, smooth(rng, shape, (6, 22, 22)), smooth(rng, shape, (16, 64, 64))
    )
    spine = column(rng, region, shape, step)
    draw(canvas, spine, rng)
    tall = side * in_plane
    seen = [each for each in spine.vertebrae if 0.12 * tall < each.centre[1] < 0.88 * tall]
    order = [seen[place] for place in rng.permutation(len(seen))]
    odd = [str(rng.choice(DISTRACTORS)) for _ in range(int(rng.integers(0, 4)))]
    name = _name(kind, rng)
    count = 0 if kind is Kind.NORMAL else _count(kind, name, rng)
    count = min(count, len(order))
    for place, distractor in enumerate(odd):
        if count + place < len(order):
            draw_distractor(distractor, canvas, order[count + place], rng)
    truth = np.zeros(shape, dtype=np.uint8)
    for number, vertebra in enumerate(order[:count], start=1):
        drawn = draw_tumour(name, canvas, spine, vertebra, rng)
        truth[drawn.window][drawn.mask] = number
    return _Map(canvas, spine, truth, (name,) * count, tuple(odd))


def _name(kind: Kind, rng: np.random.Generator) -> str:
    kinds = MALIGNANT if kind is Kind.MALIGNANT else BENIGN
    return str(rng.choice(list(kinds), p=list(kinds.values())))


def _count(kind: Kind, name: str, rng: np.random.Generator) -> int:
    several = 0.4 if kind is Kind.MALIGNANT and name != "lobulated" else 0.25 if name == "haemangioma" else 0.05
    return int(rng.integers(2, 4)) if rng.random() < several else 1


def _series(
    made: _Map, tissues: dict[Label, Tissue], told: Sequence, rng: np.random.Generator, artefact: Artefact | None
) -> Series:
    canvas, (thick, step, _) = made.canvas, made.canvas.step
    source = canvas.labels.shape[1]
    side = int(source * rng.uniform(0.75, 1.0)) // 2 * 2
    shift = rng.normal(0.0, 1.0, 2)
    blur = rng.uniform(0.45, 0.75)
    rows, columns = (resampling(source, side, float(move), blur) for move in shift)
    volume = _signal(made, tissues, told, rng)
    image: Floats = np.asarray(rows @ volume @ columns.T, dtype=np.float32)
    image *= _coil(image.shape[1:], rng)
    pixels = noisy(image, rng, artefact)
    scale = side / source
    boxes = _boxes(made.truth, scale, (float(shift[0]), float(shift[1])), step)
    spread = np.interp((np.arange(side) + 0.5) / scale + shift[0], np.arange(source) + 0.5, made.spine.middle / step)
    return Series(
        told,
        pixels,
        step / scale,
        step / scale,
        thick * THIN,
        boxes,
        ((spread - shift[1]) * scale).astype(np.float32),
        float((0.5 * made.spine.depth + made.spine.canal) / step * scale),
        _lesions(made.truth, boxes, scale, (float(shift[0]), float(shift[1]))),
    )


def _signal(made: _Map, tissues: dict[Label, Tissue], told: Sequence, rng: np.random.Generator) -> Floats:
    """The signal of every thick slice on the rows and columns of the map, fat shifted, textured."""
    labels = made.canvas.labels
    side = labels.shape[1]
    water, fat = signals(tissues, told)
    textures = np.zeros(len(water), dtype=np.float32)
    for label, tissue in tissues.items():
        textures[label] = tissue.texture
    ramp = 1.0 + rng.uniform(-0.6, 0.6) * np.linspace(-1, 1, side, dtype=np.float32)
    of_fat = fat[labels]
    if told.leak < 1.0:
        of_fat *= ramp[:, None] if rng.random() < 0.5 else ramp[None, :]
    volume = np.roll(of_fat, int(rng.integers(0, 3)), axis=2)
    volume += water[labels]
    grain = textures[labels]
    grain *= made.canvas.fine
    grain += 1.0
    volume *= np.maximum(grain, 0.0, out=grain)
    slices = labels.shape[0] // THIN
    return np.ascontiguousarray(volume.reshape(slices, THIN, side, side).mean(axis=1))


def _coil(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """A surface coil at the back is brighter there; the rest is a slow swell."""
    swell = 0.12 * smooth(rng, (1, shape[0], shape[1]), (1, 3, 3))[0]
    ramp = np.linspace(-0.5, 0.5, shape[1], dtype=np.float32) * rng.uniform(0.0, 1.2)
    return np.asarray(np.exp(swell + ramp[None, :]), dtype=np.float32)


def _boxes(truth: npt.NDArray[np.uint8], scale: float, shift: tuple[float, float], step: float) -> tuple[Box, ...]:
    found, side = [], truth.shape[1]
    for lesion in range(1, int(truth.max()) + 1):
        share = _thick(truth, lesion)
        for place in np.flatnonzero(share.sum(axis=(1, 2)) * step * step >= LEAST_MM2):
            rows, columns = np.flatnonzero(share[place].any(axis=1)), np.flatnonzero(share[place].any(axis=0))
            edges = np.array(
                [columns[0] - shift[1], rows[0] - shift[0], columns[-1] + 1 - shift[1], rows[-1] + 1 - shift[0]]
            )
            left, top, right, bottom = (float(edge) for edge in np.clip(edges * scale, 0.0, side * scale))
            if right - left >= 2.0 and bottom - top >= 2.0:
                found.append(Box(int(place), lesion, left, top, right, bottom))
    return tuple(found)


def _thick(truth: npt.NDArray[np.uint8], lesion: int) -> npt.NDArray[np.bool_]:
    """Where a lesion fills at least half of a slice of an image, on the rows and columns of the map."""
    rows, columns = truth.shape[1:]
    thin = (truth == lesion).reshape(-1, THIN, rows, columns)
    return np.asarray(thin.mean(axis=1, dtype=np.float32) >= 0.5)


def _lesions(
    truth: npt.NDArray[np.uint8], boxes: tuple[Box, ...], scale: float, shift: tuple[float, float]
) -> npt.NDArray[np.uint8]:
    """The lesions on the pixels of an image, each the nearest of the map; only where a box says that one is.

    A spur that is thinner than a pixel may fall between them, and what is left is then smaller than the box.
    """
    source = truth.shape[1]
    side = round(source * scale)
    made = np.zeros((len(truth) // THIN, side, side), dtype=np.uint8)
    rows, columns = (np.floor((np.arange(side) + 0.5) / scale + move).astype(np.int64) for move in shift)
    inside = [(places >= 0) & (places < source) for places in (rows, columns)]
    window = np.ix_(np.clip(rows, 0, source - 1), np.clip(columns, 0, source - 1))
    for lesion in sorted({box.lesion for box in boxes}):
        share = _thick(truth, lesion)
        for box in boxes:
            if box.lesion == lesion:
                mine = share[box.slice][window] & inside[0][:, None] & inside[1]
                made[box.slice][mine] = lesion
    return made
