"""A patient with a hand, drawn from formulas: one map of labels, seen through several sequences in several planes.

One draw of the patient serves every sequence, so that contrasts are right across them; between two sequences the hand
moves a little. Fingertips are up, as in hand-deep-ht, section 2.3.

Legend: images `(slices, rows, columns)`; maps `(along, depth, across)`, see training/phantoms/hand_anatomy.py.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from models.volume import Grid
from training.phantoms.artefacts import Artefact
from training.phantoms.hand_anatomy import Canvas, Hand, draw, hand
from training.phantoms.hand_lesions import DISTRACTORS, NoRoomError, draw_distractor, draw_tumour
from training.phantoms.hand_tissue import HandKind, Part, patient_tissues, tumour_tissues
from training.phantoms.scanner import noisy, resampling
from training.phantoms.spine_anatomy import smooth
from training.phantoms.spine_tissue import Sequence, Tissue, Weight, sequence, signals

Floats = npt.NDArray[np.float32]

STEP_MM = 0.65
"""Between the voxels of a map; a coarser one makes a patient faster, for tests."""
SHARES = {kind: count / 221 for kind, count in zip(HandKind, (87, 54, 44, 26, 10), strict=True)}
"""Of the five kinds among the patients of the paper (section 2.1); phantoms draw them alike, unless told otherwise."""
NORMAL = 0.12
"""Share of patients without a tumour."""
SEVERAL = 0.08


class Plane(StrEnum):
    """How slices lie in the hand."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


_ALONG, _DEPTH, _ACROSS = np.array([0.0, 0.0, -1.0]), np.array([0.0, -1.0, 0.0]), np.array([1.0, 0.0, 0.0])
DIRECTIONS = {
    Plane.AXIAL: (_ALONG, _DEPTH, _ACROSS),
    Plane.CORONAL: (_DEPTH, _ALONG, _ACROSS),
    Plane.SAGITTAL: (_ACROSS, _ALONG, _DEPTH),
}
"""From slice to slice, from row to row, from column to column, in the patient (PS3.3 C.7.6.2): a right hand, its
fingertips up, its palm to the front."""
_AXES = {Plane.AXIAL: (0, 1, 2), Plane.CORONAL: (1, 0, 2), Plane.SAGITTAL: (2, 0, 1)}
"""Of a map: along which the slices are stacked, and what their rows and columns run along."""


@dataclass(frozen=True, slots=True)
class HandSeries:
    """One sequence of a patient."""

    told: Sequence
    plane: Plane
    pixels: npt.NDArray[np.uint16]
    truth: npt.NDArray[np.uint8]
    """0, or the number of the kind, of the same shape."""
    spacing_mm: float
    """In the plane."""
    slice_mm: float

    @property
    def grid(self) -> Grid:
        """Where it lies: all series of a hand have one centre."""
        spacing = np.array([self.slice_mm, self.spacing_mm, self.spacing_mm])
        directions, shape = np.array(DIRECTIONS[self.plane]), self.pixels.shape
        origin = -(spacing * (np.array(shape) - 1.0) / 2.0) @ directions
        slices, rows, columns = shape
        return Grid(origin, directions, (self.slice_mm, self.spacing_mm, self.spacing_mm), (slices, rows, columns))


@dataclass(frozen=True, slots=True)
class HandPatient:
    """A patient and the sequences of one examination."""

    seed: int
    kind: HandKind | None
    region: str
    distractors: tuple[str, ...]
    series: tuple[HandSeries, ...]
    artefact: Artefact | None = None


@dataclass(frozen=True, slots=True)
class _Map:
    canvas: Canvas
    made: Hand
    truth: npt.NDArray[np.bool_]
    kind: HandKind | None
    distractors: tuple[str, ...]


Protocol = tuple[tuple[Weight, Plane], ...]


def hand_patient(
    seed: int,
    *,
    kinds: tuple[HandKind | None, ...] | None = None,
    protocol: Protocol | None = None,
    step_mm: float = STEP_MM,
    artefact: Artefact | None = None,
) -> HandPatient:
    """Draw a patient.

    Parameters
    ----------
    kinds
        What to draw from; None in it is a hand without a tumour. By default every kind alike, and `NORMAL` without.
    protocol
        The sequences; by default T1 in one plane or two, T2 with or without fat suppression, and often one after
        contrast agent.
    artefact
        What went wrong in the scanner (artefacts.py); the patient is the same as without.
    """
    rng = np.random.default_rng((20200814, seed))
    drawn = HandKind(int(rng.integers(1, 6))) if rng.random() >= NORMAL else None
    if kinds is not None:
        drawn = kinds[int(rng.integers(len(kinds)))]
    chosen = protocol or _protocol(rng)
    made = _map(drawn, rng, step_mm)
    tissues = patient_tissues(rng)
    if made.kind is not None:
        tissues |= tumour_tissues(made.kind, rng)
    series = tuple(_series(made, tissues, sequence(weight, rng), plane, rng, artefact) for weight, plane in chosen)
    return HandPatient(seed, made.kind, made.made.region, made.distractors, series, artefact)


def _protocol(rng: np.random.Generator) -> Protocol:
    planes = [list(Plane)[int(place)] for place in rng.permutation(3)]
    second = Weight.T2 if rng.random() < 0.45 else Weight.FS
    told = [(Weight.T1, planes[0]), (second, Plane.AXIAL if rng.random() < 0.6 else planes[1])]
    told.append((Weight.T1C, planes[1]) if rng.random() < 0.5 else (Weight.T1, planes[2]))
    if rng.random() < 0.5:
        told.append((Weight.FS if rng.random() < 0.7 else Weight.STIR, planes[2]))
    return tuple(told)


def _map(kind: HandKind | None, rng: np.random.Generator, step: float) -> _Map:
    size = np.array([rng.uniform(88.0, 122.0), rng.uniform(46.0, 54.0), rng.uniform(84.0, 98.0)])
    shape = (int(size[0] / step), int(size[1] / step), int(size[2] / step))
    cells = tuple(max(2, round(length / 9.0)) for length in size)
    dense = tuple(max(2, round(length / 3.0)) for length in size)
    canvas = Canvas(
        np.zeros(shape, dtype=np.uint8),
        step,
        smooth(rng, shape, (cells[0], cells[1], cells[2])),
        smooth(rng, shape, (dense[0], dense[1], dense[2])),
    )
    made = hand(rng, canvas.size)
    draw(canvas, made, rng)
    odd = tuple(str(name) for name in rng.choice(DISTRACTORS, int(rng.integers(1, 5)), replace=False))
    for name in odd:
        draw_distractor(name, canvas, made, rng)
    truth = np.zeros(shape, dtype=bool)
    if kind is not None:
        kind = _tumours(kind, canvas, made, truth, rng)
    return _Map(canvas, made, truth, kind, odd)


def _tumours(
    kind: HandKind, canvas: Canvas, made: Hand, truth: npt.NDArray[np.bool_], rng: np.random.Generator
) -> HandKind | None:
    """Draw one, sometimes two; None where nothing of the kind finds its seat in the map."""
    count, drawn = 1 + int(rng.random() < SEVERAL), 0
    for _ in range(12):
        if drawn == count:
            break
        try:
            draw_tumour(kind, canvas, made, truth, rng)
            drawn += 1
        except NoRoomError:
            continue
    return kind if drawn else None


def _series(
    made: _Map,
    tissues: dict[Part, Tissue],
    told: Sequence,
    plane: Plane,
    rng: np.random.Generator,
    artefact: Artefact | None,
) -> HandSeries:
    step, axes = made.canvas.step, _AXES[plane]
    thin = max(1, round(rng.uniform(2.4, 4.2) / step))
    labels = np.ascontiguousarray(made.canvas.labels.transpose(axes))
    fine = np.ascontiguousarray(made.canvas.fine.transpose(axes))
    truth = made.truth.transpose(axes)
    count = labels.shape[0] // thin
    first = (labels.shape[0] - count * thin) // 2
    kept = slice(first, first + count * thin)
    volume = _signal(labels[kept], fine[kept], tissues, told, thin, rng)
    spacing = float(np.exp(rng.uniform(np.log(0.32), np.log(0.75))))
    shift, blur = rng.normal(0.0, 0.8, 2), rng.uniform(0.45, 0.7)
    sides = [max(48, int(length * step / spacing)) for length in labels.shape[1:]]
    rows, columns = (
        resampling(length, side, float(move), blur)
        for length, side, move in zip(labels.shape[1:], sides, shift, strict=True)
    )
    image: Floats = np.asarray(rows @ volume @ columns.T, dtype=np.float32)
    image *= _coil(image.shape, rng)
    share = truth[kept].reshape(count, thin, *truth.shape[1:]).mean(axis=1, dtype=np.float32)
    seen = np.zeros(image.shape, dtype=np.uint8)
    for place in np.flatnonzero(share.any(axis=(1, 2))):
        seen[place] = (rows @ share[place] @ columns.T >= 0.5) * (made.kind or 0)
    return HandSeries(told, plane, noisy(image, rng, artefact), seen, spacing, thin * step)


def _signal(
    labels: npt.NDArray[np.uint8],
    fine: Floats,
    tissues: dict[Part, Tissue],
    told: Sequence,
    thin: int,
    rng: np.random.Generator,
) -> Floats:
    """The signal of every thick slice on the rows and columns of the map, fat shifted, textured."""
    water, fat = signals(tissues, told)
    textures = np.zeros(len(water), dtype=np.float32)
    for part, tissue in tissues.items():
        textures[part] = tissue.texture
    of_fat = fat[labels]
    if told.leak < 1.0:
        of_fat *= (1.0 + rng.uniform(-0.6, 0.6) * np.linspace(-1, 1, labels.shape[1], dtype=np.float32))[:, None]
    volume = np.roll(of_fat, int(rng.integers(0, 3)), axis=2)
    volume += water[labels]
    grain = textures[labels]
    grain *= fine
    grain += 1.0
    volume *= np.maximum(grain, 0.0, out=grain)
    slices = labels.shape[0] // thin
    return np.ascontiguousarray(volume.reshape(slices, thin, *labels.shape[1:]).mean(axis=1))


def _coil(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """A small coil: a slow swell in the plane, and less at the ends of the stack."""
    swell = 0.15 * smooth(rng, (1, shape[1], shape[2]), (1, 3, 3))[0]
    place = np.linspace(-1.0, 1.0, shape[0], dtype=np.float32)
    ends = -rng.uniform(0.0, 0.35) * place**2
    return np.asarray(np.exp(swell[None] + ends[:, None, None]), dtype=np.float32)
