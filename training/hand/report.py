"""What the evaluation of a hand bundle has to show."""

from collections.abc import Sequence

import numpy as np

from models.hand_card import CLASSES, HandCard
from models.metrics import confusion
from training.hand.evaluate import Looked, Patient, contested, softmax, study_probabilities
from training.hand.montage import montage
from training.report import Confusion, Told


def told_of(looked: Sequence[Looked], patients: Sequence[Patient], card: HandCard) -> Told:
    """Of studies, and of pixels."""
    said, kinds = study_probabilities(patients), np.array([patient.case.kind for patient in patients])
    (logits, truth), asked = contested(looked), card.calibration
    overlaps = [each.overlap for patient in patients if patient.case.kind for each in patient.series]
    return Told(
        rocs={"study with a tumour": (1.0 - said[:, 0], kinds > 0)},
        calibrations={
            "studies": (said, kinds),
            "contested pixels": (softmax(logits, asked.temperature, asked.background_bias), truth),
            "the same before calibration": (softmax(logits), truth),
        },
        confusion=Confusion(confusion(kinds, said.argmax(axis=1), len(CLASSES)), CLASSES, CLASSES),
        spreads={"Dice per sequence of a hand with a tumour": np.array(overlaps)},
        picture=montage(looked, patients),
        caption=(
            "Truth in white, the answer in the colour of the kind that the study is said to show; the best outlined "
            "hands, the worst, false alarms."
        ),
        stages={"": "validation mIoU"},
    )
