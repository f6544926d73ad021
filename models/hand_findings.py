"""What the hand system says of a study: the answers of its series together, as `Findings`. All here is pure.

A study has several series of one hand: the mean logit over them says whether there is a tumour, the mean logarithm over
their largest lesions what kind. All five kinds are benign, and patients with a malignant tumour were not in the paper:
the system never says "benign", only "tumour", and which of the five it resembles (hand-deep-ht; MODELS.md §5.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models import masses, verdict
from models.findings import Answer, Lesion, Maps, SourceFindings, Spacing, SpacingSource
from models.hand_card import CLASSES, HandCard
from models.masses import MAX_MASSES, Mass
from models.slices import Float
from models.strangers import unassessed
from models.volume import Volume

FIVE_KINDS = (
    "The model knows five benign kinds of tumour only (ganglion, giant cell tumour of the tendon sheath, lipoma, "
    "haemangioma, schwannoma); anything else, a malignant tumour too, would be called one of them."
)
LEAST, MOST = 1e-6, 1.0 - 1e-6
"""No probability is nearer to 0 or 1."""

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Body:
    """One connected region that counts as a tumour."""

    mass: Mass
    chance: float
    """Mean probability of any tumour over its voxels."""
    kinds: Vector
    """`(5,)`, sums to 1: what its voxels say on average, given that they are a tumour."""


@dataclass(frozen=True, slots=True)
class SeriesAnswer:
    """What is said of one series."""

    bodies: tuple[Body, ...]
    chance: float
    """Of its likeliest body, or of the most suspicious voxels where there is none."""
    least: float = 1.0
    """Voxels of the smallest body."""
    lent: int = 0
    """Bodies that the series alone would not show: they are there by what others show at the place."""
    denied: int = 0
    """Of a series without bodies: regions that it alone surely calls a tumour, and that others deny."""
    strangeness: float = 0.0
    """How unlike the training images its slices are, in units of their mean: the middle one; 0 where nobody says."""
    tumour: Float | None = None
    """The probability of any tumour of every voxel, on the source grid, where it was asked for."""

    def is_strange(self, card: HandCard) -> bool:
        """Whether nothing may be said of it."""
        return card.thresholds.unlike is not None and self.strangeness > card.thresholds.unlike


@dataclass(frozen=True, slots=True)
class StudyAnswer:
    """What all series of a study say together."""

    chance: float
    """Calibrated: that there is a tumour."""
    kinds: Vector | None
    """Calibrated, of a tumour: the five kinds; None without a lesion."""


def conclude(answers: Sequence[SeriesAnswer], card: HandCard) -> StudyAnswer:
    """One answer for all series of a study that are not too strange, or for all where each is. Pure."""
    asked = card.calibration
    answers = [answer for answer in answers if not answer.is_strange(card)] or answers
    held = np.clip([answer.chance for answer in answers], LEAST, MOST)
    logit = float(np.mean(np.log(held / (1.0 - held)))) / asked.study_temperature + asked.study_bias
    chance = float(1.0 / (1.0 + np.exp(-np.clip(logit, -50.0, 50.0))))
    largest = [answer.bodies[0].kinds for answer in answers if answer.bodies]
    if not largest:
        return StudyAnswer(chance, None)
    return StudyAnswer(chance, tempered(np.mean(np.log(largest), axis=0), asked.kind_temperature))


def tempered(logs: Vector, temperature: float) -> Vector:
    """The kinds of mean logarithms at a temperature."""
    grown = np.exp((logs - logs.max()) / temperature)
    return np.asarray(grown / grown.sum())


def source(volume: Volume, answer: SeriesAnswer, card: HandCard) -> SourceFindings:
    """What was found on one series, on its grid."""
    bodies, grid = answer.bodies, volume.grid
    if answer.is_strange(card):
        return unassessed(volume, answer.strangeness, card.thresholds.unlike or 0.0)
    notes = [*volume.notes, *_beside_others(answer)]
    if not bodies and answer.chance >= card.thresholds.tumour:
        notes.append("Single voxels read as tumour, but no region of them is large enough: look at the whole series.")
    if len(bodies) == MAX_MASSES:
        notes.append(f"Only the {MAX_MASSES} largest regions are listed.")
    return SourceFindings(
        series_instance_uid=volume.series_instance_uid,
        images=volume.images,
        answer=series_answer(answer, card),
        probabilities={Answer.NORMAL: 1.0 - answer.chance, Answer.TUMOUR: answer.chance},
        mask=masses.paint([body.mass for body in bodies], grid.shape),
        spacing=Spacing(grid.spacing[1], grid.spacing[2], SpacingSource.CALIBRATED),
        lesions=tuple(_lesion(number, body, volume, card) for number, body in enumerate(bodies, start=1)),
        notes=tuple(notes),
        maps=None if answer.tumour is None else Maps(answer.tumour),
    )


def _beside_others(answer: SeriesAnswer) -> list[str]:
    """Where a series and the others differ."""
    notes = []
    if answer.lent:
        notes.append(
            f"{answer.lent} of its {len(answer.bodies)} outlined regions are there by what the other series show at "
            "the place; this series alone does not show them."
        )
    if answer.denied:
        notes.append(
            f"Alone, this series shows {_regions(answer.denied)} as a tumour, where the other series show none: the "
            "hand may have moved between them. Look at the whole series."
        )
    return notes


def _regions(count: int) -> str:
    return "1 region that reads" if count == 1 else f"{count} regions that read"


def named(kinds: Vector) -> dict[str, float]:
    """The kinds by their names, the likeliest first."""
    order = np.argsort(-kinds, kind="stable")
    return {CLASSES[int(place) + 1]: float(kinds[place]) for place in order}


def sure_kind(kinds: Vector | None, card: HandCard) -> str:
    """The name of the likeliest kind, empty where it is not sure enough to be named."""
    if kinds is None or kinds.max() < card.thresholds.kind:
        return ""
    return next(iter(named(kinds)))


def series_answer(answer: SeriesAnswer, card: HandCard) -> Answer:
    """What is said of one series; undecided where single voxels read as tumour, or others deny what it shows."""
    if answer.is_strange(card):
        return Answer.NOT_ASSESSED
    if answer.bodies:
        return _said(answer.chance, card)
    is_open = answer.denied or answer.chance >= card.thresholds.tumour
    return Answer.UNDECIDED if is_open else Answer.NORMAL


def study_answer(study: StudyAnswer, answers: Sequence[SeriesAnswer], card: HandCard) -> Answer:
    """Tumour where the series together say so and one outlines it, normal where neither; else undecided.

    Not assessed where every series is too strange; one that is keeps the others from being called normal.
    """
    said = [series_answer(answer, card) for answer in answers]
    known = [answer for answer in answers if not answer.is_strange(card)]
    if not known:
        return Answer.NOT_ASSESSED
    reads, is_outlined = study.chance >= card.thresholds.tumour, any(answer.bodies for answer in known)
    if reads and is_outlined:
        found = Answer.TUMOUR
    else:
        found = Answer.UNDECIDED if reads or is_outlined or Answer.UNDECIDED in said else Answer.NORMAL
    return found if len(known) == len(said) else verdict.study_answer([found, Answer.NOT_ASSESSED])


def study_notes(study: StudyAnswer, card: HandCard) -> tuple[str, ...]:
    """The sentences of a study: which kind, how sure, and what the model does not know."""
    if study.kinds is None:
        return (FIVE_KINDS,)
    (first, share), *_ = named(study.kinds).items()
    if not sure_kind(study.kinds, card):
        return (f"Which of the five kinds it is stays open: at most {share:.0%} for {first}.", FIVE_KINDS)
    return (f"Of the five kinds it resembles {first} most ({share:.0%}).", FIVE_KINDS)


def _lesion(number: int, body: Body, volume: Volume, card: HandCard) -> Lesion:
    grid, kinds = volume.grid, tempered(np.log(body.kinds), card.calibration.kind_temperature)
    return Lesion(
        number=number,
        answer=_said(body.chance, card),
        probability=body.chance,
        malignant_probability=None,
        measurements=masses.measurements(body.mass, grid),
        outlines=masses.outlines(body.mass, volume.images, (grid.shape[1], grid.shape[2])),
        kinds=named(kinds),
        kind=sure_kind(kinds, card),
    )


def _said(chance: float, card: HandCard) -> Answer:
    """Of a region that is outlined: a tumour, or undecided where it is less likely than one is called so."""
    return Answer.TUMOUR if chance >= card.thresholds.tumour else Answer.UNDECIDED
