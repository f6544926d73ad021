"""What the spine system found, as `Findings`: boxes as outlines, an answer per sequence and one for the patient."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.boxes import area
from models.findings import (
    Answer,
    Findings,
    Lesion,
    Measurement,
    MeasurementKind,
    ModelIdentity,
    Outline,
    SourceFindings,
    SpacingSource,
    Term,
    Unit,
)
from models.spine import PatientAnswer, SequenceAnswer, SpineRules, SpineSequence, answered, calibrated
from models.verdict import study_answer
from models.wff import malignant_share, without_background

SIZES = "Sizes are those of the box around a lesion, not of the lesion itself."


def findings(
    identity: ModelIdentity,
    rules: SpineRules,
    assessed: Sequence[SpineSequence],
    answer: PatientAnswer,
    refused: Sequence[SourceFindings],
    timings_s: Mapping[str, float],
) -> Findings:
    """The findings of a study.

    Parameters
    ----------
    assessed
        The sequences that `answer` speaks of, in its order.
    refused
        Sequences that could not be looked at; see `not_assessed`.
    """
    sources = [
        _source(sequence, said, answer, rules) for sequence, said in zip(assessed, answer.sequences, strict=True)
    ]
    said, probabilities, sentence = answered(answer.vote, rules)
    if not assessed:
        said, probabilities, sentence = Answer.NOT_ASSESSED, {}, None
    if said is Answer.NORMAL:
        said = study_answer([Answer.NORMAL, *(source.answer for source in refused)])
    return Findings(
        model=identity,
        answer=said,
        probabilities=probabilities,
        sources=(*sources, *refused),
        timings_s=timings_s,
        notes=_notes(answer, sentence),
        terms=_patient_terms(answer, rules) if answer.vote else (),
    )


def _notes(answer: PatientAnswer, sentence: str | None) -> tuple[str, ...]:
    notes = []
    if answer.vote and not sentence:
        notes.append(f"{answer.vote.malignant} sequence(s) vote malignant, {answer.vote.benign} benign.")
    if answer.vote and answer.age is None:
        notes.append("The age of the patient is not known: the two networks carry its weight.")
    return (*notes, *([sentence] if sentence else []))


def not_assessed(sequence: SpineSequence, reason: str) -> SourceFindings:
    """A sequence of which nothing is said, and why."""
    return SourceFindings(
        series_instance_uid=sequence.series_instance_uid,
        images=sequence.images,
        answer=Answer.NOT_ASSESSED,
        probabilities={},
        mask=np.zeros(sequence.stack.shape, dtype=np.uint8),
        spacing=sequence.spacing,
        lesions=(),
        notes=(*sequence.notes, reason),
    )


def _source(sequence: SpineSequence, said: SequenceAnswer, patient: PatientAnswer, rules: SpineRules) -> SourceFindings:
    answer, probabilities, sentence = answered(said.vote, rules)
    notes = [*sequence.notes, *([SIZES] if said.lesions else []), *([sentence] if sentence else [])]
    return SourceFindings(
        series_instance_uid=sequence.series_instance_uid,
        images=sequence.images,
        answer=answer,
        probabilities=probabilities,
        mask=np.zeros(sequence.stack.shape, dtype=np.uint8),
        spacing=sequence.spacing,
        lesions=tuple(
            _lesion(number, places, sequence, said, rules) for number, places in enumerate(said.lesions, start=1)
        ),
        notes=tuple(notes),
        terms=_terms(rules, said.detector, said.sequence, patient.age) if said.vote else (),
    )


def _lesion(
    number: int, places: Sequence[int], sequence: SpineSequence, said: SequenceAnswer, rules: SpineRules
) -> Lesion:
    """The boxes of one lesion: its probability is that of its best box, its kind what its boxes say together."""
    found = said.found
    boxes = found.boxes[list(places)]
    share = float(np.mean([malignant_share(without_background(found.probabilities[place])) for place in places]))
    return Lesion(
        number=number,
        answer=Answer.MALIGNANT if share >= 0.5 else Answer.BENIGN,
        probability=float(found.scores[list(places)].max()),
        malignant_probability=calibrated(share, rules),
        measurements=_measured(boxes[int(area(boxes).argmax())], sequence),
        outlines=tuple(_outline(found.boxes[place], int(found.slices[place]), sequence) for place in places),
    )


def _outline(box: np.ndarray[tuple[int], np.dtype[np.float64]], place: int, sequence: SpineSequence) -> Outline:
    left, top, right, bottom = box
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)
    image = sequence.images[place]
    return Outline(image.sop_instance_uid, image.frame, corners)


def _measured(box: np.ndarray[tuple[int], np.dtype[np.float64]], sequence: SpineSequence) -> tuple[Measurement, ...]:
    spacing = sequence.spacing
    unit = Unit.PIXELS if spacing.source is SpacingSource.UNKNOWN else Unit.MM
    sides = sorted((float((box[2] - box[0]) * spacing.column_mm), float((box[3] - box[1]) * spacing.row_mm)))
    return (
        Measurement(MeasurementKind.LONG_AXIS, sides[1], unit),
        Measurement(MeasurementKind.SHORT_AXIS, sides[0], unit),
    )


def _terms(rules: SpineRules, detector: float | None, sequence: float | None, age: float | None) -> tuple[Term, ...]:
    return (
        Term("detector", rules.weights.detector, detector),
        Term("sequence", rules.weights.sequence, sequence),
        Term("age", rules.weights.age, age),
    )


def _patient_terms(answer: PatientAnswer, rules: SpineRules) -> tuple[Term, ...]:
    detector = [each.detector for each in answer.sequences if each.detector is not None]
    sequence = [each.sequence for each in answer.sequences if each.sequence is not None]
    return _terms(rules, float(np.mean(detector)), float(np.mean(sequence)), answer.age)
