"""What the evaluation of a system that looks at stacks has to show."""

from collections.abc import Sequence

import numpy as np

from models.findings import Answer
from training.report import Confusion, Told, Vector
from training.stacks.evaluate import Judged, Probabilities, Sample, Seen, image_dices
from training.stacks.montage import montage

ANSWERS = (Answer.NORMAL, Answer.TUMOUR, Answer.UNDECIDED, Answer.NOT_ASSESSED)


def told_of(seen: Sequence[Seen], said: Sequence[Judged], sample: Sample) -> Told:
    """Of patients and of voxels."""
    ill = np.array([each.tumours > 0 for each in said])
    fell = np.zeros((2, len(ANSWERS)), dtype=np.int64)
    np.add.at(fell, (ill.astype(int), np.array([ANSWERS.index(each.answer) for each in said])), 1)
    truth, doubtful = sample.truth.astype(np.int64), sample.doubtful
    return Told(
        rocs={"patient with a tumour": (np.array([each.chance for each in said]), ill)},
        calibrations={
            "voxels": (_pairs(sample.probability), truth),
            "doubtful voxels": (_pairs(sample.probability[doubtful]), truth[doubtful]),
        },
        confusion=Confusion(fell, ("normal", "tumour"), tuple(each.value.replace("_", " ") for each in ANSWERS)),
        spreads={
            "Dice per patient with a tumour": np.array([each.dice for each in said if each.tumours]),
            "Dice per image with a tumour": np.array(image_dices(said)),
        },
        picture=montage(seen, said),
        caption="Truth in green, answer in red; the best outlined patients, middling ones, the worst, false alarms.",
        stages={"": "validation Dice"},
    )


def _pairs(tumour: Probabilities) -> Vector:
    return np.stack((1.0 - tumour, tumour), axis=1).astype(np.float64)
