"""The sentences of a result, the same in report, outlines and picture: English, ASCII, no surer than the model."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from models.findings import (
    Answer,
    Lesion,
    Measurement,
    MeasurementKind,
    ModelIdentity,
    SourceFindings,
    SpacingSource,
    Unit,
)
from node.report.codes import KINDS
from node.report.encode import ascii_text

LABEL = "AI - research use"
RESEARCH = "Research use only: not for clinical decisions."
PHANTOM = "The model was trained on simulated images only."

SHORT: dict[Answer, str] = {
    Answer.NORMAL: "normal",
    Answer.BENIGN: "benign",
    Answer.MALIGNANT: "malignant",
    Answer.TUMOUR: "tumour",
    Answer.UNDECIDED: "undecided",
    Answer.NOT_ASSESSED: "not assessed",
}
_SPACING_NOTES: dict[SpacingSource, tuple[str, str]] = {  # a word that says it, and the sentence when nobody did
    SpacingSource.DETECTOR: (
        "detector plane",
        "Sizes are measured in the detector plane: true sizes in the patient are smaller.",
    ),
    SpacingSource.FILM: ("film", "Sizes are measured on a scanned film, with the scanner's nominal spacing."),
    SpacingSource.UNKNOWN: ("pixels", "The image states no usable pixel spacing: sizes are in pixels."),
}
_UNITS = {"{pixels}": "px", "10-6.mm2/s": "x 10-6 mm2/s"}
SIZES = {
    MeasurementKind.DIAMETER: "diameter",
    MeasurementKind.LONG_AXIS: "long axis",
    MeasurementKind.SHORT_AXIS: "short axis",
    MeasurementKind.AREA: "area",
    MeasurementKind.VOLUME: "volume",
    MeasurementKind.MEAN_ADC: "mean ADC",
}


def percent(probability: float) -> str:
    """For people: whole percent, and never 0 or 100."""
    share = 100.0 * probability
    if share < 1.0:
        return "<1 %"
    return ">99 %" if share > 99.0 else f"{share:.0f} %"


def headline(answer: Answer, probabilities: Mapping[Answer, float], kind: str = "") -> str:
    """The answer with the probability that matters most, short enough for the margin of a viewer."""
    malignant = percent(probabilities.get(Answer.MALIGNANT, 0.0))
    said = {
        Answer.NORMAL: f"no tumour found ({percent(probabilities.get(Answer.NORMAL, 0.0))})",
        Answer.BENIGN: f"more likely benign (malignant {malignant})",
        Answer.MALIGNANT: f"more likely malignant ({malignant})",
        Answer.TUMOUR: f"tumour ({percent(tumour_probability(probabilities))}){_like(kind)}",
        Answer.UNDECIDED: f"undecided ({_in_doubt(probabilities)})",
        Answer.NOT_ASSESSED: "not assessed, unlike the images that the model knows",
    }[answer]
    return f"AI: {said}" if probabilities else f"AI: {said.split(' (')[0]}"


def _like(kind: str) -> str:
    return f", resembles {KINDS[kind].kind.meaning.lower()}" if kind else ""


def headlines(found: SourceFindings, study: str, is_projection: bool) -> tuple[str, ...]:
    """What to write over one source: the answer for the study, and beneath it the source's own where it is not all."""
    own = headline(found.answer, found.probabilities)
    return (study, f"this {'image' if is_projection else 'series'}{own.removeprefix('AI')}") if study else (own,)


def _in_doubt(probabilities: Mapping[Answer, float]) -> str:
    """What an undecided model wavers about: whether there is a tumour, or which."""
    if Answer.NORMAL in probabilities:
        return f"tumour {percent(tumour_probability(probabilities))}"
    return f"malignant {percent(probabilities.get(Answer.MALIGNANT, 0.0))}"


def tumour_probability(probabilities: Mapping[Answer, float]) -> float:
    """That there is a tumour at all, 0..1."""
    return min(1.0, max(0.0, 1.0 - probabilities.get(Answer.NORMAL, 0.0)))


def lesion_line(lesion: Lesion) -> str:
    """One lesion in a few words: number, answer, probability."""
    malignant = lesion.malignant_probability
    if lesion.answer is Answer.MALIGNANT and malignant is not None:
        return f"{lesion.number}: malignant ({percent(malignant)})"
    if lesion.answer is Answer.TUMOUR:
        share = f" ({percent(lesion.kinds[lesion.kind])})" if lesion.kind else ""
        return f"{lesion.number}: tumour ({percent(lesion.probability)}){_like(lesion.kind)}{share}"
    said = f"tumour {percent(lesion.probability)}" if malignant is None else f"malignant {percent(malignant)}"
    return f"{lesion.number}: {SHORT[lesion.answer]} ({said})"


def size_line(measurements: tuple[Measurement, ...]) -> str:
    """The measurements of a lesion in one line, empty when there are none."""
    return ", ".join(f"{SIZES[each.kind]} {number_line(each.value)} {unit_line(each.unit)}" for each in measurements)


def number_line(value: float) -> str:
    """A measured number as people write it."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def unit_line(unit: Unit) -> str:
    """A unit as people write it."""
    return _UNITS.get(unit.value, unit.value)


def model_line(model: ModelIdentity) -> str:
    """Who says so."""
    return ascii_text(f"{model.name} {model.version}, weights {model.weights_sha256[:12]}")


def notes_of(findings: SourceFindings) -> tuple[str, ...]:
    """What the model wants a reader to know, and where its sizes come from if it did not say."""
    notes = [ascii_text(note) for note in findings.notes]
    word, sentence = _SPACING_NOTES.get(findings.spacing.source, ("", ""))
    if findings.lesions and sentence and not any(word in note.lower() for note in notes):
        notes.append(sentence)
    return tuple(notes)


def standing_notes(model: ModelIdentity, content_qualification: str) -> tuple[str, ...]:
    """What holds for every result of this model."""
    notes = [RESEARCH] if content_qualification == "RESEARCH" else []
    return (*notes, PHANTOM) if model.training_data == "phantom" else tuple(notes)


def superseding_notes(run: int, reports: int) -> tuple[str, ...]:
    """That a report takes the place of earlier ones, and how many it names; nothing where it is the first."""
    if not reports:
        return ()
    former = "the earlier report" if reports == 1 else f"the {reports} earlier reports"
    return (f"Run {run} of the analysis of this study: this report supersedes {former} (Predecessor Documents).",)


def used_and_left_out(routing: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Of the sentences of node/route.py those that say what is used, those that say what is not, and the others."""
    told = [ascii_text(sentence.replace("\u2192", "->")) for sentence in routing]
    used = [each for each in told if " -> " in each]
    left_out = [each for each in told if each.endswith("not used.") and each not in used]
    return used, left_out, [each for each in told if each not in used and each not in left_out]


def seconds_waited(now: datetime, last_image_at: datetime | None) -> float | None:
    """From the last image to the analysis; None when the arrival is not known."""
    return None if last_image_at is None else max(0.0, (now - last_image_at).total_seconds())
