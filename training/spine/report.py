"""What the evaluation of a spine bundle has to show."""

from collections.abc import Sequence

import numpy as np

from models.findings import Answer
from models.spine import SpineRules, answered, calibrated
from training.report import Confusion, Told, Vector
from training.spine.dataset import KINDS
from training.spine.evaluate import Judged, Looked
from training.spine.fit import STAGES
from training.spine.montage import montage

ANSWERS = (Answer.NORMAL, Answer.BENIGN, Answer.MALIGNANT, Answer.UNDECIDED, Answer.NOT_ASSESSED)


def told_of(looked: Sequence[Looked], said: Sequence[Judged], rules: SpineRules) -> Told:
    """Of patients; those with a tumour for what is benign or malignant."""
    fell = np.zeros((len(KINDS), len(ANSWERS)), dtype=np.int64)
    for each in said:
        fell[each.case.kind, ANSWERS.index(answered(each.answer.vote, rules)[0])] += 1
    tumours = [each for each in said if each.case.kind]
    voting = [each for each in tumours if each.answer.vote]
    truth = np.array([each.case.kind - 1 for each in voting], dtype=np.int64)
    found = np.array([greatest(each, rules) for each in looked])
    raw = [each.score for each in voting]
    return Told(
        rocs={
            "malignant among tumours": (
                np.array([each.score for each in tumours]),
                np.array([each.case.kind == 2 for each in tumours]),
            ),
            "a tumour, by the best box": (found, np.array([each.case.kind > 0 for each in looked])),
        },
        calibrations={
            "calibrated": (_pairs([calibrated(score, rules) for score in raw]), truth),
            "before calibration": (_pairs(raw), truth),
        },
        confusion=Confusion(fell, KINDS, tuple(each.value.replace("_", " ") for each in ANSWERS)),
        spreads={
            "share of a patient's lesions that a box meets": np.array(
                [each.met_lesions / each.true_lesions for each in said if each.true_lesions]
            )
        },
        picture=montage(looked, said),
        caption="True boxes in green, found ones in red with their score; the best patients, middling ones, the worst.",
        stages=dict(zip(STAGES, ("AP50 on validation slices", "AUC on validation sequences"), strict=True)),
    )


def greatest(looked: Looked, rules: SpineRules) -> float:
    """The score of a patient's best box, over the sequences that are not too strange; 0 where there is none."""
    counted = [found.scores for place, found in enumerate(looked.found) if not looked.is_strange(place, rules)]
    return max((float(scores.max(initial=0.0)) for scores in counted), default=0.0)


def _pairs(malignant: Sequence[float]) -> Vector:
    sure = np.array(malignant, dtype=np.float64)
    return np.column_stack((1.0 - sure, sure))
