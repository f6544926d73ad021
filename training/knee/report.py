"""What the evaluation of a knee bundle has to show."""

from collections.abc import Sequence

import numpy as np

from models.findings import Answer
from training.knee.evaluate import MALIGNANT, Case
from training.knee.fit import STAGES
from training.knee.nets import CLASSES
from training.report import Confusion, Told

ANSWERS = (Answer.NORMAL, Answer.BENIGN, Answer.MALIGNANT, Answer.UNDECIDED, Answer.NOT_ASSESSED)


def told_of(cases: Sequence[Case], picture: bytes) -> Told:
    """Of images."""
    labels = np.array([case.label for case in cases])
    said = np.array([case.probabilities for case in cases])
    fell = np.zeros((len(CLASSES), len(ANSWERS)), dtype=np.int64)
    np.add.at(fell, (labels, np.array([ANSWERS.index(case.answer) for case in cases])), 1)
    return Told(
        rocs={
            "tumour": (1.0 - said[:, 0], labels > 0),
            "malignant": (said[:, MALIGNANT], labels == MALIGNANT),
        },
        calibrations={
            "calibrated": (said, labels),
            "before calibration": (np.array([case.raw for case in cases]), labels),
        },
        confusion=Confusion(fell, CLASSES, tuple(answer.value.replace("_", " ") for answer in ANSWERS)),
        spreads={"Dice of images with a tumour": np.array([case.overlap for case in cases if case.label])},
        picture=picture,
        caption=(
            "Truth in green, answer in red; rows: best outlined, middling, worst, tumours surest called normal, "
            "normals surest called tumour, surest normals."
        ),
        stages=dict.fromkeys(STAGES, "AUC on a third of the validation images"),
    )
