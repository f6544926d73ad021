"""A patient with a T1-weighted MR of one thigh or lower leg, drawn from formulas (MODELS.md §4.4).

The map of labels is that of the diffusion phantoms, the signal that of a spin echo: fat and marrow are bright, muscle
and tumour nearly alike, as on the images of a soft-tissue sarcoma. The limb system learned from real ones.

Legend: images `(slices, rows, columns)` as in training/phantoms/diffusion_anatomy.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.phantoms import diffusion_tissue, spine_tissue
from training.phantoms.artefacts import Artefact
from training.phantoms.diffusion_anatomy import Canvas, canvas_of, draw, draw_distractors, draw_tumour
from training.phantoms.diffusion_tissue import Label, TumourKind
from training.phantoms.scanner import noisy, resampling, shown
from training.phantoms.spine_anatomy import smooth
from training.phantoms.spine_tissue import Sequence, Weight, sequence, signals

Floats = npt.NDArray[np.float32]

REGIONS = ("thigh", "lower_leg")
SIDE = 192
SLICES = 32
FINE = 2
"""Rows and columns of the map per row and column of the image."""
T1_MS: Mapping[Label, float] = {
    Label.AIR: 1000.0,
    Label.FAT: 900.0,
    Label.MUSCLE: 930.0,
    Label.CORTEX: 900.0,
    Label.FATTY_MARROW: 800.0,
    Label.RED_MARROW: 850.0,
    Label.VESSEL: 1300.0,
    Label.NERVE: 1000.0,
    Label.NODE: 1050.0,
    Label.CYST: 2500.0,
    Label.OEDEMA: 1150.0,
    Label.SOLID: 1080.0,
    Label.SECOND: 1180.0,
    Label.NECROSIS: 1700.0,
}
"""At 1.5 T; of fat and marrow that of their water."""


@dataclass(frozen=True, slots=True)
class LimbPatient:
    """A patient and the one series of the examination."""

    seed: int
    region: str
    told: Sequence
    pixels: npt.NDArray[np.uint16]
    lesions: npt.NDArray[np.uint8]
    """0 where nothing is, else the number of the tumour, from 1."""
    kinds: tuple[TumourKind, ...]
    distractors: tuple[str, ...]
    spacing: tuple[float, float, float]
    artefact: Artefact | None = None


def limb_patient(
    seed: int,
    *,
    tumours: int | None = None,
    region: str | None = None,
    side: int = SIDE,
    slices: int = SLICES,
    artefact: Artefact | None = None,
) -> LimbPatient:
    """Draw a patient.

    Parameters
    ----------
    tumours
        How many; one in 85 % where None. All are of soft tissue. One that finds no room is left out.
    region
        One of `REGIONS`; drawn where None.
    artefact
        What went wrong in the scanner (artefacts.py); the patient is the same as without.
    """
    rng = np.random.default_rng((20150722, seed))
    drawn_region, drawn_count = str(rng.choice(REGIONS, p=(0.7, 0.3))), int(rng.random() < 0.85)
    where, count = region or drawn_region, drawn_count if tumours is None else tumours
    canvas = canvas_of(where, rng, slices, FINE * side)
    draw(canvas, where, rng)
    distractors = draw_distractors(canvas, where, rng)
    kind, told = TumourKind(rng.choice(list(TumourKind))), sequence(Weight.T1, rng)
    tissues = _tissues(kind, rng)
    truth = np.zeros(canvas.labels.shape, dtype=np.uint8)
    for _ in range(count):
        drawn = draw_tumour(canvas, rng, in_bone=0.0)
        if drawn is not None:
            truth[drawn] = truth.max() + 1
    pixels = _scanned(canvas, tissues, told, rng, side, artefact)
    lesions, kept = shown(truth, resampling(FINE * side, side, 0.0, 0.5))
    thick, step, _ = canvas.step
    spacing = thick, step * FINE, step * FINE
    return LimbPatient(seed, where, told, pixels, lesions, (kind,) * len(kept), distractors, spacing, artefact)


def _tissues(kind: TumourKind, rng: np.random.Generator) -> dict[Label, spine_tissue.Tissue]:
    """What decides the signal of each label in one patient; blood flows out of the slice before its echo."""
    known = diffusion_tissue.patient_tissues(rng) | diffusion_tissue.tumour_tissues(kind, rng)
    made = {
        label: spine_tissue.Tissue(
            tissue.pd, T1_MS[label] * float(np.exp(rng.normal(0.0, 0.05))), tissue.t2, tissue.fat, tissue.texture
        )
        for label, tissue in known.items()
        if label in T1_MS
    }
    made[Label.VESSEL] = spine_tissue.Tissue(float(rng.uniform(0.05, 0.3)), T1_MS[Label.VESSEL], 120.0)
    return made


def _scanned(
    canvas: Canvas,
    tissues: Mapping[Label, spine_tissue.Tissue],
    told: Sequence,
    rng: np.random.Generator,
    side: int,
    artefact: Artefact | None,
) -> npt.NDArray[np.uint16]:
    labels = canvas.labels
    water, fat = signals(tissues, told)
    textures = np.zeros(len(water), dtype=np.float32)
    for label, tissue in tissues.items():
        textures[label] = tissue.texture
    volume = np.roll(fat[labels], int(rng.integers(0, 3)), axis=2) + water[labels]
    volume *= np.maximum(1.0 + textures[labels] * smooth(rng, labels.shape, (len(labels), 96, 96)), 0.0)
    matrix = resampling(FINE * side, side, 0.0, float(rng.uniform(0.45, 0.6)))
    image = np.asarray(matrix @ volume @ matrix.T, dtype=np.float32)
    coil = np.exp(np.float32(rng.uniform(0.05, 0.2)) * smooth(rng, image.shape, (2, 4, 4)))
    return noisy(image * coil, rng, artefact)
