"""What a hand is made of for MR: its labels, and the tissue values of each patient and of each kind of tumour.

Values are typical ones at 1.5 T (MODELS.md §4.4); each patient has its own, drawn around them. The signal equations are
those of training/phantoms/spine_tissue.py.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import IntEnum

import numpy as np

from training.phantoms.spine_tissue import Tissue, jittered


class Part(IntEnum):
    """What a voxel of a hand is."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    SKIN = 3
    CORTEX = 4
    MARROW = 5
    CARTILAGE = 6
    FLUID = 7
    """In joints and tendon sheaths. No tumour."""
    TENDON = 8
    NERVE = 9
    ARTERY = 10
    VEIN = 11
    FIBRE = 12
    """Ligaments, fascia, the septa of fat."""
    OEDEMA = 13
    """Of marrow or flesh. No tumour."""
    SCAR = 14
    """No tumour."""
    BODY = 20
    """The main part of a lesion."""
    SECOND = 21
    """Its wall, rim, islands or centre, by kind."""
    VOID = 22
    """Septa, haemosiderin and stones in it."""


class HandKind(IntEnum):
    """The five kinds of tumour, by their number in the classes of the network (hand-deep-ht, section 2.1)."""

    GANGLION = 1
    GIANT_CELL = 2
    """Giant cell tumour of the tendon sheath."""
    LIPOMA = 3
    HAEMANGIOMA = 4
    SCHWANNOMA = 5


TISSUES: Mapping[Part, Tissue] = {
    Part.AIR: Tissue(0.0, 1000.0, 100.0),
    Part.FAT: Tissue(0.95, 900.0, 60.0, 0.92, 0.06),
    Part.MUSCLE: Tissue(0.80, 930.0, 38.0, 0.06, 0.10, 0.3),
    Part.SKIN: Tissue(0.60, 800.0, 25.0, 0.10, 0.06, 0.4),
    Part.CORTEX: Tissue(0.12, 900.0, 4.0),
    Part.MARROW: Tissue(0.85, 800.0, 52.0, 0.78, 0.08, 0.1),
    Part.CARTILAGE: Tissue(0.75, 1000.0, 40.0, 0.0, 0.05),
    Part.FLUID: Tissue(1.00, 3000.0, 600.0, 0.0, 0.05, 0.1),
    Part.TENDON: Tissue(0.20, 900.0, 5.0, 0.03, 0.05),
    Part.NERVE: Tissue(0.80, 1000.0, 65.0, 0.15, 0.08, 0.2),
    Part.ARTERY: Tissue(0.08, 1200.0, 60.0, 0.0, 0.05, 3.0),
    Part.VEIN: Tissue(0.90, 1300.0, 130.0, 0.0, 0.06, 2.5),
    Part.FIBRE: Tissue(0.30, 900.0, 9.0, 0.10, 0.08),
    Part.OEDEMA: Tissue(0.85, 1100.0, 85.0, 0.25, 0.10, 0.8),
    Part.SCAR: Tissue(0.55, 900.0, 24.0, 0.05, 0.10, 0.5),
}


def patient_tissues(rng: np.random.Generator) -> dict[Part, Tissue]:
    """The tissues of one patient."""
    made = {part: jittered(tissue, rng) for part, tissue in TISSUES.items()}
    made[Part.MARROW] = replace(made[Part.MARROW], fat=rng.uniform(0.6, 0.9))
    made[Part.VEIN] = replace(made[Part.VEIN], t2=rng.uniform(60, 180), density=rng.uniform(0.4, 0.95))
    return made


def tumour_tissues(kind: HandKind, rng: np.random.Generator) -> dict[Part, Tissue]:
    """The tissues of a tumour of one patient; kinds overlap in any one sequence, and differ over all of them."""
    draw = rng.uniform
    if kind is HandKind.GANGLION:
        body = Tissue(0.98, draw(1900, 3600), draw(280, 900), 0.0, draw(0.02, 0.08), draw(0.0, 0.1))
        second = Tissue(0.55, 900.0, draw(20, 40), 0.0, 0.08, draw(0.8, 2.0))
        void = Tissue(0.35, 900.0, draw(10, 20), 0.0, 0.05)
    elif kind is HandKind.GIANT_CELL:
        body = Tissue(draw(0.62, 0.74), draw(900, 1100), draw(25, 37), 0.0, draw(0.06, 0.16), draw(0.8, 1.8))
        second = Tissue(draw(0.7, 0.85), draw(900, 1100), draw(40, 60), 0.0, 0.12, draw(0.8, 1.8))
        void = Tissue(0.20, 900.0, draw(3, 8), 0.0, 0.10)
    elif kind is HandKind.LIPOMA:
        body = Tissue(draw(0.9, 1.0), 900.0, 60.0, draw(0.86, 0.97), draw(0.03, 0.08))
        second = Tissue(0.30, 900.0, 12.0, 0.10, 0.08, 0.3)
        void = Tissue(0.40, 900.0, draw(14, 30), 0.30, 0.10, 0.3)
    elif kind is HandKind.HAEMANGIOMA:
        body = Tissue(
            draw(0.85, 0.95), draw(720, 950), draw(115, 210), draw(0.03, 0.15), draw(0.08, 0.18), draw(1.5, 3.0)
        )
        second = Tissue(0.92, 850.0, 60.0, draw(0.6, 0.9), 0.10, 0.3)
        void = Tissue(0.10, 900.0, draw(4, 10), 0.0, 0.05)
    else:
        body = Tissue(draw(0.82, 0.92), draw(950, 1150), draw(100, 150), 0.0, draw(0.05, 0.12), draw(0.6, 1.3))
        second = Tissue(draw(0.75, 0.85), draw(700, 850), draw(42, 58), 0.0, draw(0.05, 0.12), draw(1.4, 2.4))
        void = Tissue(0.30, 900.0, draw(8, 18), 0.10, 0.08)
    return {Part.BODY: body, Part.SECOND: second, Part.VOID: void}
