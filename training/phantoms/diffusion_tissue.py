"""Tissues as diffusion-weighted images see them, and what a tumour is made of (MODELS.md §4.1, §4.4; 1.5 T).

S(b) = PD exp(-TE / T2) exp(-b ADC); fat is suppressed, never wholly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

import numpy as np


class Label(IntEnum):
    """What a voxel of the map is."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    CORTEX = 3
    FATTY_MARROW = 4
    RED_MARROW = 5
    VESSEL = 6
    NERVE = 7
    NODE = 8
    """A lymph node: its ADC is that of a tumour."""
    CYST = 9
    BLADDER = 10
    BOWEL = 11
    ORGAN = 12
    OEDEMA = 13
    SOLID = 14
    SECOND = 15
    """Another part of the same tumour."""
    NECROSIS = 16


TUMOUR = (Label.SOLID, Label.SECOND, Label.NECROSIS)


@dataclass(frozen=True, slots=True)
class Tissue:
    """What decides its signal."""

    pd: float
    t2: float
    adc: float
    """1e-3 mm2/s."""
    fat: float = 0.0
    """The share of fat."""
    texture: float = 0.08
    """Standard deviation of its grain, as a share of its signal."""


TISSUES: Mapping[Label, Tissue] = {
    Label.AIR: Tissue(0.0, 1.0, 0.0, texture=0.0),
    Label.FAT: Tissue(0.95, 70.0, 0.2, fat=1.0, texture=0.15),
    Label.MUSCLE: Tissue(0.80, 38.0, 1.45, texture=0.10),
    Label.CORTEX: Tissue(0.15, 4.0, 0.5),
    Label.FATTY_MARROW: Tissue(0.90, 65.0, 0.3, fat=0.9, texture=0.12),
    Label.RED_MARROW: Tissue(0.75, 52.0, 0.5, fat=0.45, texture=0.15),
    Label.VESSEL: Tissue(0.60, 120.0, 5.0),
    Label.NERVE: Tissue(0.80, 70.0, 1.2),
    Label.NODE: Tissue(0.85, 80.0, 0.95),
    Label.CYST: Tissue(1.00, 500.0, 2.7, texture=0.03),
    Label.BLADDER: Tissue(1.00, 800.0, 2.9, texture=0.03),
    Label.BOWEL: Tissue(0.85, 75.0, 1.7, texture=0.25),
    Label.ORGAN: Tissue(0.85, 85.0, 1.5, texture=0.18),
    Label.OEDEMA: Tissue(0.84, 60.0, 1.9, texture=0.12),
}


class TumourKind(StrEnum):
    """What a tumour is; none is called benign or malignant: the system outlines, it does not classify."""

    CELLULAR = "cellular"
    DENSE = "dense"
    MYXOID = "myxoid"
    MIXED = "mixed"


_KINDS: Mapping[TumourKind, tuple[Tissue, Tissue]] = {
    TumourKind.CELLULAR: (Tissue(0.85, 85.0, 1.05, texture=0.12), Tissue(0.85, 80.0, 1.25, texture=0.12)),
    TumourKind.DENSE: (Tissue(0.82, 78.0, 0.80, texture=0.08), Tissue(0.85, 85.0, 0.95, texture=0.10)),
    TumourKind.MYXOID: (Tissue(0.92, 150.0, 1.85, texture=0.12), Tissue(0.88, 110.0, 1.45, texture=0.12)),
    TumourKind.MIXED: (Tissue(0.85, 90.0, 1.10, texture=0.15), Tissue(0.92, 140.0, 1.80, texture=0.12)),
}
NECROTIC = Tissue(0.95, 190.0, 2.25, texture=0.12)


def patient_tissues(rng: np.random.Generator) -> dict[Label, Tissue]:
    """The healthy tissues of one patient; how a vessel looks depends on how it flows, a cyst on what fills it."""
    drawn = {label: jittered(tissue, rng) for label, tissue in TISSUES.items()}
    drawn[Label.VESSEL] = replace(
        drawn[Label.VESSEL], pd=float(rng.uniform(0.2, 1.0)), adc=float(rng.uniform(3.5, 7.0))
    )
    cyst = replace(drawn[Label.CYST], t2=float(rng.uniform(180.0, 900.0)), adc=float(rng.uniform(2.2, 3.0)))
    drawn[Label.CYST] = cyst
    drawn[Label.RED_MARROW] = replace(drawn[Label.RED_MARROW], fat=float(rng.uniform(0.3, 0.65)))
    return drawn


def tumour_tissues(kind: TumourKind, rng: np.random.Generator) -> dict[Label, Tissue]:
    """The parts of a tumour in one patient."""
    first, second = _KINDS[kind]
    return {
        Label.SOLID: jittered(first, rng, 0.12),
        Label.SECOND: jittered(second, rng, 0.12),
        Label.NECROSIS: jittered(NECROTIC, rng, 0.12),
    }


def jittered(tissue: Tissue, rng: np.random.Generator, share: float = 0.08) -> Tissue:
    """The same tissue in somebody else."""
    pd, t2, adc = (float(np.exp(rng.normal(0.0, share))) for _ in range(3))
    return replace(tissue, pd=min(1.0, tissue.pd * pd), t2=tissue.t2 * t2, adc=tissue.adc * adc)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How one patient was scanned."""

    te: float
    tr: float
    b_values: tuple[float, ...]
    leak: float
    """The share of fat's signal that its suppression leaves."""
    averages: tuple[int, ...]
    """Per b-value; images of the higher ones are also the mean of three directions."""
    noise: float
    """Standard deviation of one average, as a share of the signal of muscle at b = 0."""


def protocol(rng: np.random.Generator, b_values: tuple[float, ...] | None = None) -> Protocol:
    """Draw one; b = 0 and 800 in most."""
    low = 0.0 if rng.random() < 0.8 else 50.0
    high = float(rng.choice((700.0, 800.0, 900.0, 1000.0), p=(0.1, 0.7, 0.1, 0.1)))
    chosen = b_values or (low, high)
    return Protocol(
        te=float(rng.uniform(58.0, 85.0)),
        tr=float(rng.uniform(4000.0, 9000.0)),
        b_values=chosen,
        leak=float(rng.uniform(0.03, 0.18)),
        averages=tuple(1 if b < 100 else int(rng.integers(2, 5)) for b in chosen),
        noise=float(1.0 / rng.uniform(12.0, 35.0)),
    )


def signal(tissue: Tissue, told: Protocol, b: float) -> tuple[float, float]:
    """Of its water, and of its fat before suppression; fat hardly diffuses."""
    base = tissue.pd * float(np.exp(-told.te / tissue.t2))
    water = (1.0 - tissue.fat) * base * float(np.exp(-b * 1e-3 * tissue.adc))
    fat = tissue.fat * tissue.pd * float(np.exp(-told.te / 70.0)) * float(np.exp(-b * 1e-3 * 0.1))
    return water, fat
