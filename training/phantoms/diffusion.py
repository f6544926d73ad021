"""A patient with a diffusion-weighted study, drawn from formulas: one map of labels, seen at every b-value.

b-values share coil, distortion and most of the geometry; between them lies a small shift, as eddy currents make it.
The truth lies where the distorted image shows the tumour, because that is where a reader would outline it.

Legend: images `(slices, rows, columns)` as in training/phantoms/diffusion_anatomy.py.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.phantoms.artefacts import Artefact, spoiler
from training.phantoms.diffusion_anatomy import (
    REGIONS,
    Canvas,
    canvas_of,
    draw,
    draw_distractors,
    draw_tumour,
)
from training.phantoms.diffusion_tissue import (
    Label,
    Protocol,
    Tissue,
    TumourKind,
    patient_tissues,
    protocol,
    signal,
    tumour_tissues,
)
from training.phantoms.scanner import resampling, shown
from training.phantoms.spine_anatomy import smooth

Floats = npt.NDArray[np.float32]

SIDE = 128
SLICES = 35
"""As in the paper: 128 x 128 x 35."""
FINE = 2
"""Rows and columns of the map per row and column of the image."""
DIRECTIONS = 3


@dataclass(frozen=True, slots=True)
class DiffusionPatient:
    """A patient and the images of one examination."""

    seed: int
    region: str
    told: Protocol
    images: tuple[npt.NDArray[np.uint16], ...]
    """One per b-value."""
    lesions: npt.NDArray[np.uint8]
    """0 where nothing is, else the number of the tumour, from 1."""
    adc: tuple[float, ...]
    """The true mean of each tumour, 1e-3 mm2/s."""
    kinds: tuple[TumourKind, ...]
    distractors: tuple[str, ...]
    spacing: tuple[float, float, float]
    artefact: Artefact | None = None


def diffusion_patient(
    seed: int,
    *,
    tumours: int | None = None,
    region: str | None = None,
    b_values: tuple[float, ...] | None = None,
    side: int = SIDE,
    slices: int = SLICES,
    artefact: Artefact | None = None,
) -> DiffusionPatient:
    """Draw a patient.

    Parameters
    ----------
    tumours
        How many; 15 % none, 70 % one, 15 % two where None. A tumour that finds no room is left out.
    region
        One of `REGIONS`; drawn where None.
    b_values
        Rising; b = 0 or 50 and one near 800 where None.
    artefact
        What went wrong in the scanner (artefacts.py); the patient is the same as without.
    """
    rng = np.random.default_rng((20210712, seed))
    drawn_region, drawn_count = str(rng.choice(REGIONS, p=(0.35, 0.25, 0.25, 0.15))), rng.choice(3, p=(0.15, 0.7, 0.15))
    where, count = region or drawn_region, int(drawn_count) if tumours is None else tumours
    canvas = canvas_of(where, rng, slices, FINE * side)
    draw(canvas, where, rng)
    distractors = draw_distractors(canvas, where, rng)
    tissues = patient_tissues(rng)
    kind = TumourKind(rng.choice(list(TumourKind)))
    tissues |= tumour_tissues(kind, rng)
    truth = np.zeros(canvas.labels.shape, dtype=np.uint8)
    for _ in range(count):
        drawn = draw_tumour(canvas, rng)
        if drawn is not None:
            truth[drawn] = truth.max() + 1
    told = protocol(rng, b_values)
    images, lesions, adc = _scanned(canvas, truth, tissues, told, rng, side, artefact)
    thick, step, _ = canvas.step
    return DiffusionPatient(
        seed,
        where,
        told,
        images,
        lesions,
        adc,
        (kind,) * len(adc),
        distractors,
        (thick, step * FINE, step * FINE),
        artefact,
    )


def _scanned(
    canvas: Canvas,
    truth: npt.NDArray[np.uint8],
    tissues: dict[Label, Tissue],
    told: Protocol,
    rng: np.random.Generator,
    side: int,
    artefact: Artefact | None,
) -> tuple[tuple[npt.NDArray[np.uint16], ...], npt.NDArray[np.uint8], tuple[float, ...]]:
    labels, truth, stretch = _distorted(canvas.labels, truth, rng)
    grain = smooth(rng, labels.shape, (len(labels), 96, 96))
    texture = np.array([tissues[Label(label)].texture for label in range(len(Label))], dtype=np.float32)
    gain = (1.0 + texture[labels] * grain) * stretch
    ramp = np.exp(np.linspace(-1, 1, labels.shape[1], dtype=np.float32) * np.float32(rng.normal(0.0, 0.5)))
    fat_shift, scale = int(rng.integers(2, 9)), float(rng.uniform(300.0, 2500.0))
    coil = np.exp(np.float32(rng.uniform(0.05, 0.25)) * smooth(rng, (len(labels), side, side), (2, 4, 4)))
    muscle = sum(signal(tissues[Label.MUSCLE], told, 0.0))
    images, spoil = [], spoiler(artefact, rng)
    for b, averages in zip(told.b_values, told.averages, strict=True):
        pairs = np.array([signal(tissues[Label(label)], told, b) for label in range(len(Label))], dtype=np.float32)
        fat = np.roll((np.float32(told.leak) * pairs[:, 1])[labels], fat_shift, axis=1)
        volume = (pairs[:, 0][labels] + fat * ramp[:, None]) * gain
        moved = rng.normal(0.0, 0.35 if b >= 100 else 0.0, 2) * FINE
        rows = resampling(FINE * side, side, float(moved[0]), 0.55)
        columns = resampling(FINE * side, side, float(moved[1]) * 0.3, 0.5)
        image = _thick(np.asarray(rows @ volume @ columns.T, dtype=np.float32)) * coil
        image = _ghosted(spoil(image), rng)
        level = told.noise * muscle / np.sqrt(averages * (DIRECTIONS if b >= 100 else 1))
        images.append(_magnitude(image, float(level), scale / muscle, rng))
    flat = resampling(FINE * side, side, 0.0, 0.5)
    lesions, adc = _truth(truth, labels, tissues, flat)
    return tuple(images), lesions, adc


def _distorted(
    labels: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8], rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], Floats]:
    """Rows pushed along the phase direction, as a field that is not even does in EPI; and what that does to signal."""
    field = smooth(rng, labels.shape, (5, 6, 6)) * np.float32(rng.uniform(0.3, 1.8) * FINE)
    rows = np.arange(labels.shape[1], dtype=np.float32)[None, :, None] + field
    source = np.clip(np.rint(rows), 0, labels.shape[1] - 1).astype(np.intp)
    stretch = np.clip(1.0 + np.gradient(field, axis=1), 0.4, 1.8).astype(np.float32)
    return np.take_along_axis(labels, source, axis=1), np.take_along_axis(truth, source, axis=1), stretch


def _thick(image: Floats) -> Floats:
    """A slice sees a little of its neighbours."""
    beside = np.float32(0.10)
    mixed = image * (1.0 - 2.0 * beside)
    mixed[1:] += beside * image[:-1]
    mixed[:-1] += beside * image[1:]
    mixed[0] += beside * image[0]
    mixed[-1] += beside * image[-1]
    return mixed


def _ghosted(image: Floats, rng: np.random.Generator) -> Floats:
    """The N/2 ghost of EPI: half the field of view away along the phase direction."""
    if rng.random() < 0.5:
        return image
    return image + np.float32(rng.uniform(0.01, 0.05)) * np.roll(image, image.shape[1] // 2, axis=1)


def _magnitude(image: Floats, level: float, scale: float, rng: np.random.Generator) -> npt.NDArray[np.uint16]:
    """Rician noise and the scale of a vendor."""
    real = image + np.float32(level) * rng.standard_normal(image.shape, dtype=np.float32)
    imaginary = np.float32(level) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(np.clip(np.hypot(real, imaginary) * np.float32(scale), 0, 32767), dtype=np.uint16)


def _truth(
    truth: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], tissues: dict[Label, Tissue], matrix: Floats
) -> tuple[npt.NDArray[np.uint8], tuple[float, ...]]:
    """Which voxels of the image are tumour by half or more, and the mean ADC of each tumour."""
    diffusion = np.array([tissues[Label(label)].adc for label in range(len(Label))])
    lesions, kept = shown(truth, matrix)
    return lesions, tuple(float(diffusion[labels[truth == number]].mean()) for number in kept)
