"""From probabilities and regions to an answer. Pure; one set of rules for all that say normal, benign, malignant.

Normal is said only when both voices agree: the image reads as normal *and* nothing is outlined. Every disagreement is
`UNDECIDED`, with a sentence, so that a silent normal cannot hide it. A study is what its most suspicious image is, and
it is normal only when every one of its images was looked at and is normal. Benign or malignant is said only where the
other is improbable enough, as the card says.

Legend: probabilities are `(3,)`: normal, benign, malignant; calibrated, sum 1.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.findings import Answer

Vector = npt.NDArray[np.float64]

CLASSES = (Answer.NORMAL, Answer.BENIGN, Answer.MALIGNANT)

_SUSPICION = {
    Answer.MALIGNANT: 4,
    Answer.TUMOUR: 3,
    Answer.BENIGN: 3,
    Answer.UNDECIDED: 2,
    Answer.NORMAL: 1,
    Answer.NOT_ASSESSED: 0,
}


def named(probabilities: Vector) -> dict[Answer, float]:
    """Probabilities by answer."""
    return {answer: float(value) for answer, value in zip(CLASSES, probabilities, strict=True)}


def kind_of_tumour(probabilities: Vector, certain: tuple[float, float]) -> Answer:
    """Benign or malignant, where that one may be and the other may not; else undecided (split conformal prediction).

    Parameters
    ----------
    certain
        Benign and malignant: the least share, of the two together, at which a tumour may be of that class.
    """
    shares = probabilities[1:] / max(float(probabilities[1:].sum()), 1e-12)
    possible = [answer for answer, share, least in zip(CLASSES[1:], shares, certain, strict=True) if share >= least]
    return possible[0] if len(possible) == 1 else Answer.UNDECIDED


def image_answer(
    probabilities: Vector, regions: int, threshold: float, certain: tuple[float, float]
) -> tuple[Answer, str | None]:
    """The answer for one image, and the sentence that belongs to it where the two voices disagree.

    Parameters
    ----------
    regions
        How many regions were outlined.
    threshold
        From this probability of any tumour on, the image reads as tumour.
    certain
        See `kind_of_tumour`.
    """
    tumour = float(probabilities[1] + probabilities[2])
    if tumour >= threshold and regions:
        kind = kind_of_tumour(probabilities, certain)
        unsure = (
            f"A tumour (probability {tumour:.0%}), benign or malignant: {probabilities[1]:.0%} to "
            f"{probabilities[2]:.0%} is not sure enough to say which."
        )
        return kind, unsure if kind is Answer.UNDECIDED else None
    if tumour >= threshold:
        return Answer.UNDECIDED, (
            f"The image reads as tumour (probability {tumour:.0%}), but no region could be outlined: "
            "look at the whole image."
        )
    if regions:
        return Answer.UNDECIDED, (
            f"A region is outlined although the image as a whole reads as normal (probability of tumour {tumour:.0%}): "
            "look at the region."
        )
    return Answer.NORMAL, None


def lesion_answer(probabilities: Vector, threshold: float, certain: tuple[float, float]) -> Answer:
    """The answer for one outlined region; a region is never normal."""
    if float(probabilities[1] + probabilities[2]) < threshold:
        return Answer.UNDECIDED
    return kind_of_tumour(probabilities, certain)


def most_suspicious(answers: Sequence[tuple[Answer, float]]) -> int:
    """Which of the images (answer, probability of tumour) speaks for the study; the first of equals."""
    return max(range(len(answers)), key=lambda index: (_SUSPICION[answers[index][0]], answers[index][1], -index))


def study_answer(answers: Sequence[Answer]) -> Answer:
    """The answer for a study: its most suspicious image's, but normal only when every image was looked at."""
    worst = max(answers, key=_SUSPICION.__getitem__)
    if worst is Answer.NORMAL and Answer.NOT_ASSESSED in answers:
        return Answer.UNDECIDED
    return worst
