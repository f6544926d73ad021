"""What a spine is made of, and what MR makes of it: tissue values, sequences, and their signal (MODELS.md §4.4).

Values are typical ones at 1.5 T; each patient has its own, drawn around them. A tissue is part water, part fat, and fat
is what the suppression of a sequence, and its shift along the frequency axis, act upon.

Legend: T1, T2, TR, TE and TI in ms; a table has one entry per label.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Label(IntEnum):
    """What a voxel is."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    ORGAN = 3
    VOID = 4
    """Gas, and blood that flows through the slice."""
    CORTEX = 5
    MARROW = 6
    ANNULUS = 7
    NUCLEUS = 8
    CSF = 9
    CORD = 10
    ROOTS = 11
    LIGAMENT = 12
    VEIN = 13
    OEDEMA = 14
    """Of marrow: Modic 1, around a fracture, around a nidus. No tumour."""
    FATTY = 15
    """Marrow turned to fat: Modic 2, islands. No tumour."""
    NODE = 16
    """Disc that broke through an endplate (Schmorl). No tumour."""
    FIRST = 20
    """The main part of a lesion; its other parts follow. Two lesions of one patient share their tissues."""
    SECOND = 21
    THIRD = 22


LABELS = 23

L = TypeVar("L", bound=IntEnum)
"""The labels of a body, all below `LABELS`."""


@dataclass(frozen=True, slots=True)
class Tissue:
    """One tissue."""

    density: float
    t1: float
    t2: float
    fat: float = 0.0
    """Share of the signal that is fat's."""
    texture: float = 0.05
    """Standard deviation of the signal from voxel to voxel, as a share."""
    uptake: float = 0.0
    """How much the contrast agent shortens T1, in 1/s."""


FAT_T1, FAT_T2 = 270.0, 75.0
TISSUES: Mapping[Label, Tissue] = {
    Label.AIR: Tissue(0.0, 1000.0, 100.0),
    Label.FAT: Tissue(0.95, 900.0, 60.0, 0.92, 0.06),
    Label.MUSCLE: Tissue(0.80, 930.0, 38.0, 0.06, 0.10, 0.3),
    Label.ORGAN: Tissue(0.80, 800.0, 60.0, 0.10, 0.15, 0.7),
    Label.VOID: Tissue(0.06, 1000.0, 40.0),
    Label.CORTEX: Tissue(0.12, 900.0, 4.0),
    Label.MARROW: Tissue(0.80, 850.0, 52.0, 0.50, 0.09, 0.2),
    Label.ANNULUS: Tissue(0.55, 800.0, 28.0, 0.0, 0.08),
    Label.NUCLEUS: Tissue(0.90, 1000.0, 110.0, 0.0, 0.06),
    Label.CSF: Tissue(1.00, 3200.0, 900.0, 0.0, 0.06),
    Label.CORD: Tissue(0.80, 900.0, 88.0, 0.0, 0.04),
    Label.ROOTS: Tissue(0.85, 1200.0, 140.0, 0.0, 0.10),
    Label.LIGAMENT: Tissue(0.25, 900.0, 9.0, 0.05),
    Label.VEIN: Tissue(0.90, 1200.0, 110.0, 0.10, 0.06, 2.0),
    Label.OEDEMA: Tissue(0.85, 1050.0, 95.0, 0.18, 0.10, 1.0),
    Label.FATTY: Tissue(0.90, 850.0, 60.0, 0.82, 0.08),
    Label.NODE: Tissue(0.80, 1000.0, 70.0, 0.0, 0.08, 0.4),
}


class Weight(StrEnum):
    """The sequences of a spinal examination."""

    T1 = "t1"
    T2 = "t2"
    FS = "fs"
    """T2 with fat suppressed by its frequency, never everywhere alike."""
    STIR = "stir"
    T1C = "t1c"
    """T1 after contrast agent, with fat suppression."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """One sequence as a scanner was told to run it."""

    weight: Weight
    tr: float
    te: float
    ti: float = 0.0
    leak: float = 1.0
    """Share of fat's signal that is left."""


def sequence(weight: Weight, rng: np.random.Generator) -> Sequence:
    """A protocol as hospitals differ in them."""
    if weight is Weight.T1:
        return Sequence(weight, rng.uniform(450, 720), rng.uniform(8, 14))
    if weight is Weight.T1C:
        return Sequence(weight, rng.uniform(480, 720), rng.uniform(8, 14), leak=rng.uniform(0.05, 0.20))
    if weight is Weight.STIR:
        return Sequence(weight, rng.uniform(3500, 5500), rng.uniform(40, 75), rng.uniform(145, 175))
    leak = rng.uniform(0.05, 0.20) if weight is Weight.FS else 1.0
    return Sequence(weight, rng.uniform(2800, 5000), rng.uniform(85, 120), leak=leak)


def patient_tissues(rng: np.random.Generator, age: float) -> dict[Label, Tissue]:
    """The tissues of one patient: marrow turns to fat with age, discs dry out."""
    made = {label: jittered(tissue, rng) for label, tissue in TISSUES.items()}
    fat = float(np.clip(rng.normal(0.36 + 0.003 * age, 0.08), 0.2, 0.75))
    made[Label.MARROW] = replace(made[Label.MARROW], fat=fat, texture=rng.uniform(0.05, 0.16))
    dryness = float(np.clip(rng.normal(0.2 + 0.008 * age, 0.2), 0.0, 1.0))
    made[Label.NUCLEUS] = replace(made[Label.NUCLEUS], t2=130.0 - 75.0 * dryness)
    made[Label.NODE] = replace(made[Label.NODE], t2=rng.uniform(40, 120))
    return made


def jittered(tissue: Tissue, rng: np.random.Generator, share: float = 0.08) -> Tissue:
    """The same tissue in another patient."""
    density, t1, t2 = (
        value * float(np.exp(rng.normal(0.0, share))) for value in (tissue.density, tissue.t1, tissue.t2)
    )
    return replace(tissue, density=density, t1=t1, t2=t2)


def signals(tissues: Mapping[L, Tissue], told: Sequence) -> tuple[Floats, Floats]:
    """The signal of water and that of fat, by label."""
    water, fat = np.zeros(LABELS, dtype=np.float32), np.zeros(LABELS, dtype=np.float32)
    fat_alone = _signal(FAT_T1, FAT_T2 * (1.5 if told.te > 40 else 1.0), told) * told.leak
    for label, tissue in tissues.items():
        uptake = tissue.uptake if told.weight is Weight.T1C else 0.0
        t1 = 1.0 / (1.0 / tissue.t1 + uptake / 1000.0)
        water[label] = tissue.density * (1.0 - tissue.fat) * _signal(t1, tissue.t2, told)
        fat[label] = tissue.density * tissue.fat * fat_alone
    return water, fat


def _signal(t1: float, t2: float, told: Sequence) -> float:
    """Spin echo, after an inversion where there is one."""
    grown = 1.0 - np.exp(-told.tr / t1)
    if told.ti:
        grown = abs(1.0 - 2.0 * np.exp(-told.ti / t1) + np.exp(-told.tr / t1))
    return float(grown * np.exp(-told.te / t2))
