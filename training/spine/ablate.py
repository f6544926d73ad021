"""The ablation of the paper's Table 3: which terms of Eq. 1 are weighed, on the same boxes and the same patients."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.findings import Answer
from models.metrics import roc_auc
from models.spine import SpineNets, SpineRules
from models.wff import ABLATION
from training.errors import DataFault
from training.spine.evaluate import Judged, Looked, judge, share

PAPER = {
    "Det": (0.721, 0.733, 0.500, 0.844),
    "Det-Age": (0.736, 0.738, 0.500, 0.867),
    "Seq": (0.693, 0.753, 0.660, 0.711),
    "Seq-Age": (0.693, 0.751, 0.660, 0.711),
    "Det-Seq": (0.800, 0.830, 0.740, 0.833),
    "Det-Seq-Age": (0.821, 0.839, 0.720, 0.878),
}
"""ACC, AUC, SE and SP of the paper's own patients, to be read beside phantoms with that word in mind."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    name: str
    accuracy: float
    auc: float
    sensitivity: float
    specificity: float


def ablate(nets: SpineNets, looked: Sequence[Looked], rules: SpineRules) -> tuple[Row, ...]:
    """All six rows, on the patients with a tumour.

    Raises
    ------
    DataFault
        None is benign, or none malignant.
    """
    tumours = [each for each in looked if each.case.kind]
    if len({each.case.kind for each in tumours}) < 2:
        raise DataFault("An ablation needs patients with a benign and with a malignant tumour. Add the missing ones.")
    return tuple(row(name, judge(nets, tumours, replace(rules, weights=weights))) for name, weights in ABLATION.items())


def row(name: str, said: Sequence[Judged]) -> Row:
    """ACC, AUC, SE and SP of one way to weigh; a tumour that was not detected is an error."""
    malignant = np.array([each.case.kind == 2 for each in said])
    answers = np.array([each.answer.vote.answer if each.answer.vote else Answer.NORMAL for each in said])
    right = answers == np.where(malignant, Answer.MALIGNANT, Answer.BENIGN)
    return Row(
        name,
        float(right.mean()),
        roc_auc(np.array([each.score for each in said]), malignant),
        share(right, malignant),
        share(right, ~malignant),
    )


def table(rows: Sequence[Row], kind: str) -> str:
    """The table as text, with the paper's figures beside ours and what ours were measured on."""
    head = f"{'':12s} {'ACC':>6s} {'AUC':>6s} {'SE':>6s} {'SP':>6s}   paper: ACC, AUC, SE, SP"
    lines = [f"Measured on {kind} patients; the paper's on its own.", head]
    for each in rows:
        ours = f"{each.accuracy:6.3f} {each.auc:6.3f} {each.sensitivity:6.3f} {each.specificity:6.3f}"
        lines.append(f"{each.name:12s} {ours}   " + " ".join(f"{value:.3f}" for value in PAPER[each.name]))
    return "\n".join(lines)
