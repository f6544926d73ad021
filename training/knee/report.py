"""The pictures of a knee bundle for `report.html`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.findings import Answer
from training import history, plots
from training.knee.evaluate import MALIGNANT, Case
from training.knee.fit import STAGES
from training.knee.nets import CLASSES
from training.page import Section

ANSWERS = (Answer.NORMAL, Answer.BENIGN, Answer.MALIGNANT, Answer.UNDECIDED, Answer.NOT_ASSESSED)


def sections(cases: Sequence[Case], picture: bytes, run: Path | None) -> list[Section]:
    """What the cases look like, and, where the run is known, how it was trained."""
    labels = np.array([case.label for case in cases])
    said = np.array([case.probabilities for case in cases])
    answers = np.array([ANSWERS.index(case.answer) for case in cases])
    fell = np.zeros((len(CLASSES), len(ANSWERS)), dtype=np.int64)
    np.add.at(fell, (labels, answers), 1)
    overlaps = np.array([case.overlap for case in cases if case.label])
    made = [
        Section(
            "Normal, benign, malignant",
            "What the node answered (rows are the truth), and how well the calibrated probabilities part the classes.",
            (
                plots.confusion(fell, CLASSES, [answer.value.replace("_", " ") for answer in ANSWERS]),
                plots.roc(1.0 - said[:, 0], labels > 0, "tumour"),
                plots.roc(said[:, MALIGNANT], labels == MALIGNANT, "malignant"),
                plots.calibration(said, labels, "calibrated"),
                plots.calibration(np.array([case.raw for case in cases]), labels, "before calibration"),
            ),
        ),
        Section("Outlines", "Dice of every tumour image.", (plots.histogram(overlaps, "Dice"),)),
        Section(
            "Cases",
            "Truth in green, answer in red; rows: best outlined, middling, worst, tumours surest called normal, "
            "normals surest called tumour, surest normals.",
            picture=picture,
        ),
    ]
    return made if run is None else [*made, *_trained(run)]


def _trained(run: Path) -> list[Section]:
    told = {stage: history.read(run / stage) for stage in STAGES}
    return [
        Section(f"Training, {stage} network", "Loss, and AUC on a third of the validation images.", (drawing,))
        for stage, lines in told.items()
        if lines
        for drawing in (plots.losses(lines, "validation AUC"),)
    ]
