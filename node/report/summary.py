"""What the summary page says: the words, numbers and the picture, from the findings of a study."""

from collections.abc import Iterator, Mapping, Sequence

from models.findings import Answer, Findings, Lesion, MeasurementKind, ModelIdentity, Unit
from node.identity import MODEL_NAME, VERSION
from node.report.codes import KINDS
from node.report.encode import ascii_text
from node.report.envelope import Envelope, moment_in
from node.report.header import numbers
from node.report.naming import place_line
from node.report.page import Bar, Page, Row, Views
from node.report.patient import timezone_of
from node.report.person import NOT_DRAWABLE, day_line, name_line, text_line
from node.report.picture import Mark, panels
from node.report.request import Request
from node.report.subject import Subject, key_slice, largest_plane
from node.report.words import (
    LABEL,
    PHANTOM,
    RESEARCH,
    SHORT,
    SIZES,
    lesion_line,
    notes_of,
    number_line,
    percent,
    seconds_waited,
    superseding_notes,
    tumour_probability,
    unit_line,
    used_and_left_out,
)

LABELS_PER_PANEL = 26
"""Lines of words that a picture is high: nine points on paper."""
NOT_NORMAL = "This is not a normal result."
_SAID: dict[Answer, str] = {
    Answer.NORMAL: "No tumour found",
    Answer.BENIGN: "More likely benign",
    Answer.MALIGNANT: "More likely malignant",
    Answer.TUMOUR: "Tumour",
    Answer.UNDECIDED: "UNDECIDED",
    Answer.NOT_ASSESSED: "NOT ASSESSED",
}
_MEANING: dict[Answer, tuple[str, ...]] = {
    Answer.NORMAL: ("The model looked at every image named below and found nothing. That does not rule a tumour out.",),
    Answer.BENIGN: ("A tumour, which the model takes for benign.",),
    Answer.MALIGNANT: ("A tumour, which the model takes for malignant.",),
    Answer.TUMOUR: ("The model does not tell benign from malignant.",),
    Answer.UNDECIDED: (NOT_NORMAL, "The model could not look at everything, or no answer is sure enough to be given."),
    Answer.NOT_ASSESSED: (NOT_NORMAL, "The model says nothing of these images. Read them without it."),
}
_PROBABILITY_OF = {
    Answer.MALIGNANT: "malignant tumour",
    Answer.BENIGN: "benign tumour",
    Answer.TUMOUR: "tumour",
    Answer.NORMAL: "no tumour",
    Answer.UNDECIDED: "left undecided",
}
_ORDER = (Answer.MALIGNANT, Answer.BENIGN, Answer.TUMOUR, Answer.UNDECIDED, Answer.NORMAL)
_COLUMNS: tuple[tuple[str, tuple[MeasurementKind, ...]], ...] = (
    ("long x short axis", (MeasurementKind.LONG_AXIS, MeasurementKind.SHORT_AXIS)),
    (SIZES[MeasurementKind.DIAMETER], (MeasurementKind.DIAMETER,)),
    (SIZES[MeasurementKind.AREA], (MeasurementKind.AREA,)),
    (SIZES[MeasurementKind.VOLUME], (MeasurementKind.VOLUME,)),
    (SIZES[MeasurementKind.MEAN_ADC], (MeasurementKind.MEAN_ADC,)),
)
Found = tuple[Subject, Lesion]


def summary(findings: Findings, subjects: Sequence[Subject], cover: Envelope, request: Request) -> Page:
    """The page of one study."""
    who, details = _who(subjects[0])
    heads, rows = _table([(subject, lesion) for subject in subjects for lesion in subject.lesions])
    figure, figure_of = _figure(findings.answer, findings.probabilities)
    return Page(
        label=LABEL,
        who=who,
        details=details,
        answer=findings.answer,
        said=_SAID[findings.answer],
        meaning=(*_resemblance(findings), *_MEANING[findings.answer]),
        figure=figure,
        figure_of=figure_of,
        bars=tuple(_bars(findings)),
        views=_views(subjects),
        heads=heads,
        rows=rows,
        sections=_sections(findings, subjects, request),
        footer=tuple(_footer(findings.model, subjects, cover, request)),
    )


def _who(subject: Subject) -> tuple[str, tuple[str, ...]]:
    carried = subject.carried
    name, number = name_line(carried), text_line(carried, "PatientID")
    born, sex = day_line(carried, "PatientBirthDate"), text_line(carried, "PatientSex")
    person = [f"ID {number}" if number else "", f"born {born}" if born else "", sex]
    if number and name in ("", NOT_DRAWABLE):
        name, person = f"ID {number}", [name, *person[1:]]
    elif not name:
        name = "No name and no ID in the images"
    hour = text_line(carried, "StudyTime")
    clock = f" {hour[:2]}:{hour[2:4]}" if len(hour) >= 4 and hour[:4].isdigit() else ""
    day, order = day_line(carried, "StudyDate"), text_line(carried, "AccessionNumber")
    study = [f"study of {day}{clock}" if day else "", f"accession {order}" if order else ""]
    lines = (person, [*study, text_line(carried, "StudyDescription")])
    return name, tuple("     ".join(filter(None, line)) for line in lines if any(line))


def _figure(answer: Answer, probabilities: Mapping[Answer, float]) -> tuple[str, str]:
    """The number beside the answer, and of what."""
    if not probabilities or answer in (Answer.UNDECIDED, Answer.NOT_ASSESSED):
        return "", ""  # no number stands where an answer would
    if answer is Answer.NORMAL:
        return percent(probabilities.get(Answer.NORMAL, 0.0)), "no tumour"
    if Answer.MALIGNANT in probabilities and answer is not Answer.TUMOUR:
        return percent(probabilities[Answer.MALIGNANT]), "malignant"
    return percent(tumour_probability(probabilities)), "tumour"


def _resemblance(findings: Findings) -> tuple[str, ...]:
    if findings.answer is not Answer.TUMOUR or not findings.kind:
        return ()
    share = percent(findings.kinds[findings.kind])
    return (f"Resembles {KINDS[findings.kind].kind.meaning.lower()} most ({share} of five benign kinds).",)


def _bars(findings: Findings) -> Iterator[Bar]:
    if findings.answer is Answer.NOT_ASSESSED:
        return
    for answer in _ORDER:
        if answer in findings.probabilities:
            share = findings.probabilities[answer]
            yield Bar(f"Probability: {_PROBABILITY_OF[answer]}", share, percent(share), answer)
    for kind, share in findings.kinds.items():
        yield Bar(f"Kind, of a tumour: {KINDS[kind].kind.meaning.lower()}", share, percent(share))


def _views(subjects: Sequence[Subject]) -> Views | None:
    """The plane on which the most suspicious lesion is largest; without a lesion the first source's middle."""
    drawable = [subject for subject in subjects if subject.source.display is not None]
    found = [(subject, lesion) for subject in drawable for lesion in subject.lesions]
    if found:
        subject, lesion = max(found, key=_suspicion)
        return _view(subject, largest_plane(subject.findings, lesion))
    return _view(drawable[0], key_slice(drawable[0].findings)) if drawable else None


def _suspicion(found: Found) -> tuple[float, float]:
    _, lesion = found
    return lesion.malignant_probability or 0.0, lesion.probability


def _view(subject: Subject, plane: int) -> Views | None:
    display = subject.source.display
    if display is None:
        return None
    if display.ndim == 2:
        plane = subject.source.display_slice
    else:
        display = display[plane]
    shown, spacing = subject.findings.images[plane], subject.findings.spacing
    marks = [
        Mark(outline.points, lesion_line(lesion), lesion.answer)
        for lesion in subject.lesions
        for outline in lesion.outlines
        if (outline.sop_instance_uid, outline.frame) == (shown.sop_instance_uid, shown.frame)
    ]
    plain, outlined = panels(display, marks, spacing.row_mm / spacing.column_mm, LABELS_PER_PANEL)
    return Views(plain, outlined, place_line(subject, plane), bool(marks))


def _table(found: Sequence[Found]) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    """Only columns in which some lesion has something."""
    measured = [{each.kind: each for each in lesion.measurements} for _, lesion in found]
    columns: list[tuple[str, list[str]]] = [
        ("", [str(lesion.number) for _, lesion in found]),
        ("lesion", [_called(lesion) for _, lesion in found]),
        ("tumour", [percent(lesion.probability) for _, lesion in found]),
        ("malignant", [_or_nothing(lesion.malignant_probability) for _, lesion in found]),
    ]
    for head, kinds in _COLUMNS:
        cells = []
        for sizes in measured:
            mine = [sizes[kind] for kind in kinds if kind in sizes]
            told = " x ".join(number_line(each.value) for each in mine)
            cells.append(f"{told} {_unit(mine[0].unit)}" if mine else "")
        columns.append((head, cells))
    columns.append(
        ("largest on", [place_line(subject, largest_plane(subject.findings, lesion)) for subject, lesion in found])
    )
    kept = [(head, cells) for head, cells in columns if any(cells)]
    heads = tuple(head for head, _ in kept)
    rows = tuple(
        Row(lesion.answer, tuple(cells[number] for _, cells in kept)) for number, (_, lesion) in enumerate(found)
    )
    return heads, rows


def _called(lesion: Lesion) -> str:
    return KINDS[lesion.kind].kind.meaning.lower() + "?" if lesion.kind else SHORT[lesion.answer]


def _unit(unit: Unit) -> str:
    """A unit with raised figures, where the font of the page has them."""
    return unit_line(unit).replace("mm2", "mm\u00b2").replace("cm3", "cm\u00b3")


def _or_nothing(probability: float | None) -> str:
    return "" if probability is None else percent(probability)


def _sections(
    findings: Findings, subjects: Sequence[Subject], request: Request
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    used, left_out, others = used_and_left_out(request.routing)
    superseding = superseding_notes(request.run, len(request.previous))
    notes = [*superseding, *findings.notes, *_notes(subjects), *others]
    notes += [PHANTOM] if findings.model.training_data == "phantom" else []
    return (
        ("Please note", tuple(dict.fromkeys(map(ascii_text, notes)))),
        ("Left out", tuple(left_out)),
        ("Used", tuple(used) or tuple(_read(subject) for subject in subjects)),
    )


def _notes(subjects: Sequence[Subject]) -> Iterator[str]:
    """What must be known of each source; what is not so of all of them, with the series that it is of."""
    told = [notes_of(subject.findings) for subject in subjects]
    for subject, notes in zip(subjects, told, strict=True):
        for note in notes:
            is_of_all = all(note in others for others in told)
            yield note if is_of_all else f"{_series(subject)}: {note}"


def _read(subject: Subject) -> str:
    count = len(subject.findings.images)
    return f"{_series(subject)}: {count} image{'' if count == 1 else 's'}."


def _series(subject: Subject) -> str:
    series = numbers(subject.first, "SeriesNumber")
    return f"Series {series[0]:.0f}" if series else "A series without a number"


def _footer(model: ModelIdentity, subjects: Sequence[Subject], cover: Envelope, request: Request) -> Iterator[str]:
    day, hour = moment_in(cover.moment, timezone_of(subjects[0].first))
    moment = f"{day[:4]}-{day[4:6]}-{day[6:]} {hour[:2]}:{hour[2:4]}"
    seconds = seconds_waited(request.now, request.last_image_at)
    waited = "" if seconds is None else f", {duration(seconds)} after the last image arrived"
    yield ascii_text(
        f"{model.name} {model.version}, trained on {model.training_data} images, run on {model.provider} by "
        f"{MODEL_NAME} {VERSION}"
    )
    yield f"weights SHA-256 {ascii_text(model.weights_sha256)}"
    yield f"analysed {moment}{waited}"
    standing = f"{RESEARCH} " if cover.content_qualification == "RESEARCH" else ""
    yield f"{standing}Made by a machine and verified by nobody; the structured report of the same run says more."


def duration(seconds: float) -> str:
    """For people."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
