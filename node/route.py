"""Which model answers for a study and with which images, or the named outcome why none does; always in words. Pure.

One unusable image never sinks the others: the good ones are used and the explanation says why the rest was left out.
Sentences are made of our own words and numbers: no UID, no name, nothing that a sender typed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from node.attempt import Attempt, tried
from node.facts.describe import image_name, radiographs, series_name, stack_words
from node.facts.kinds import MR, Kind
from node.headers import ImageFacts
from node.series import SeriesFacts
from node.stack import Stack
from node.suitable import CardFacts, Need, Refusal, RouteRules, Stage, kind_refusal
from storage.states import Outcome

__all__ = ["CardFacts", "Chosen", "Decision", "Need", "RouteRules", "SeriesVerdict", "route"]

MAX_SENTENCES = 60
"""An explanation is for reading; a study of thousands of odd images is cut short and says so."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of several stacks of which an input is the average."""

    images: tuple[str, ...]
    """SOP Instance UIDs."""
    frames: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """As those of `Given`."""


@dataclass(frozen=True, slots=True)
class Given:
    """What one input of a model is, beside the objects it comes in."""

    b_value: float | None = None
    """s/mm2; 0 for the images of a diffusion series that state none."""
    frames: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """By SOP Instance UID the frames to take, from 1; all of an object that is not named."""
    parts: tuple[Part, ...] = ()
    """One for each direction of diffusion or repetition, where it is the average of several."""
    directions: int = 0
    """Different ones among the parts; 0 where these are repetitions of b = 0."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The model that answers, and what it is given."""

    card: CardFacts
    images: tuple[str, ...]
    """SOP Instance UIDs in the order they are to be read."""
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The same by the name of the model's input, for a model that needs several stacks; the second stack of an input
    that takes several is called "t2 (2)"."""
    given: Mapping[str, Given] = field(default_factory=dict)
    """More about each of `inputs`."""
    lacking: tuple[str, ...] = ()
    """Sentences about inputs that the model answers without."""


@dataclass(frozen=True, slots=True)
class SeriesVerdict:
    """What became of one series."""

    number: int | None
    used: int
    """How many of its images are used."""
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """Exactly one of `chosen` and `outcome` is set."""

    chosen: Chosen | None
    """The model that fits best."""
    outcome: Outcome | None
    summary: str
    series: tuple[SeriesVerdict, ...] = ()
    warnings: tuple[str, ...] = ()
    """What a reader of the result must know: text burned in, header fields that contradict each other."""
    further: tuple[Chosen, ...] = ()
    """Models that answer as well, each from images that no other was given."""

    @property
    def answers(self) -> tuple[Chosen, ...]:
        """All that are to be run, the best first."""
        return (self.chosen, *self.further) if self.chosen else ()

    @property
    def explanation(self) -> tuple[str, ...]:
        """All sentences: the summary, then series by series, then what is missing, then the warnings."""
        lines = [line for verdict in self.series for line in verdict.sentences]
        lacking = [sentence for answer in self.answers for sentence in answer.lacking]
        told = (self.summary, *lines, *lacking, *self.warnings)
        sentences = list(dict.fromkeys(told))  # series without a number repeat each other
        if len(sentences) > MAX_SENTENCES:
            left = len(sentences) - MAX_SENTENCES
            return (*sentences[:MAX_SENTENCES], f"{left} more such sentences are left out.")
        return tuple(sentences)


def route(series: Sequence[SeriesFacts], cards: Sequence[CardFacts], rules: RouteRules | None = None) -> Decision:
    """Decide for one study.

    Parameters
    ----------
    series
        Of one study, from node.series.series_of.
    cards
        The models that are loaded. Where several could answer from the same images, the one that names the body part
        most exactly is taken, then the one that uses more images, then the first by name; those that answer from
        other images answer too.
    rules
        What an admin may set.
    """
    rules = rules or RouteRules()
    foreign = _patients(series)
    if foreign:
        return Decision(None, Outcome.INPUT_PATIENT_MISMATCH, foreign)
    if not cards:
        return Decision(
            None,
            Outcome.FAILED_MODEL,
            "No model is loaded. See osteon models for what is refused and why, then osteon retry.",
        )
    attempts = [tried(series, card, rules) for card in sorted(cards, key=lambda card: (card.name, card.version))]
    able = [attempt for attempt in attempts if attempt.used]
    if able:
        return _chosen(series, sorted(able, key=_merit, reverse=True), attempts)
    return _none(series, attempts)


def _patients(series: Sequence[SeriesFacts]) -> str:
    """A sentence when the images belong to more than one patient, by the keys they are stored under."""
    counts: dict[str, int] = {}
    for image in _images(series):
        if kind_refusal(image) is None or image.kind is Kind.OTHER_IMAGE:
            counts[image.patient_key] = counts.get(image.patient_key, 0) + 1
    if len(counts) < 2:
        return ""
    shares = ", ".join(
        f"{count} image{'s' if count != 1 else ''} of one" for count in sorted(counts.values(), reverse=True)
    )
    return (
        f"The images of this study belong to {len(counts)} different patients (by PatientID): {shares}. "
        "Nothing is analysed. Correct the study in the PACS and send it again."
    )


def _images(series: Iterable[SeriesFacts]) -> list[ImageFacts]:
    return [image for one in series for image in one.images]


def _merit(attempt: Attempt) -> tuple[int, int]:
    """How exactly the card names the body parts, then how many images it uses."""
    named = [any(region in attempt.card.body_parts for region in image.body_part.regions) for image in attempt.used]
    return sum(named), len(attempt.used)


def _chosen(series: Sequence[SeriesFacts], able: Sequence[Attempt], attempts: Sequence[Attempt]) -> Decision:
    """The best model answers, and with it each next one that wants none of the images given away already."""
    best: list[Attempt] = []
    others: list[str] = []
    given: list[ImageFacts] = []
    waiting = _yielding(able)
    for attempt in able:
        if attempt.card.label in waiting:
            continue
        if any(image in given for image in attempt.used):
            others.append(attempt.card.label)
        else:
            best.append(attempt)
            given += attempt.used
    total = len(_images(series))
    shares = [f"{attempt.card.label} answers, with {len(set(uids_of(attempt.used)))}" for attempt in best]
    summary = f"{', and '.join(shares)} of {total} image{'s' if total != 1 else ''}."
    if others:
        summary += f" {' and '.join(others)} could too, but fit{'s' if len(others) == 1 else ''} less well."
    summary += "".join(f" {label} leaves the study to {name}." for label, name in waiting.items())
    summary += "".join(_in_place_of(attempt, attempts) for attempt in best)
    used = set(uids_of(given))
    verdicts = tuple(_verdict(one, best, best, used) for one in series)
    first, *further = map(_told, best)
    return Decision(first, None, summary, verdicts, _warnings(series, given), tuple(further))


def _yielding(able: Sequence[Attempt]) -> dict[str, str]:
    """Models that leave the study to another one that can answer, and to which."""
    labels = {attempt.card.name: attempt.card.label for attempt in able if not attempt.card.yields_to}
    return {
        attempt.card.label: labels[name]
        for attempt in able
        for name in sorted(attempt.card.yields_to & labels.keys())[:1]
    }


def _in_place_of(attempt: Attempt, attempts: Sequence[Attempt]) -> str:
    """Why the models to which it would have left the study do not answer."""
    return "".join(
        f" {attempt.card.label} does so because {other.missing.reason}."
        for other in attempts
        if other.card.name in attempt.card.yields_to and other.missing
    )


def _told(attempt: Attempt) -> Chosen:
    inputs = {name: uids_of(stack.images) for name, stack in attempt.stacks.items()}
    given = {name: given_of(stack) for name, stack in attempt.stacks.items()}
    return Chosen(attempt.card, uids_of(attempt.used), inputs, given, attempt.lacking)


def given_of(stack: Stack) -> Given:
    """What an input is that gets the stack."""
    parts = tuple(Part(uids_of(part.images), _frames(part)) for part in stack.parts)
    return Given(stack.b_value, _frames(stack), parts, stack.directions)


def _frames(stack: Stack) -> Mapping[str, tuple[int, ...]]:
    return {stack.images[0].sop_instance_uid: stack.frames} if stack.frames else {}


def uids_of(images: Iterable[ImageFacts]) -> tuple[str, ...]:
    """SOP Instance UIDs, in the order of the images."""
    return tuple(image.sop_instance_uid for image in images)


def _none(series: Sequence[SeriesFacts], attempts: Sequence[Attempt]) -> Decision:
    """The image or stack that came nearest to being used tells the outcome."""
    reasons = [reason for attempt in attempts for reason in (*_missing_of(attempt), *attempt.refusals.values())]
    verdicts = tuple(_verdict(one, (), attempts, set()) for one in series)
    if not reasons:
        return Decision(None, Outcome.NOT_APPLICABLE_MODALITY, "The study holds no image.", verdicts)
    nearest = max(reasons, key=lambda reason: (reason.stage is not Stage.SPARED, reason.stage))
    summary = f"No model answers: {nearest.reason}."
    return Decision(None, nearest.outcome, summary, verdicts, _warnings(series, _images(series)))


def _missing_of(attempt: Attempt) -> tuple[Refusal, ...]:
    """The missing input, unless nothing like it came: what did come then says more."""
    is_told = attempt.missing and (attempt.missing.stage > Stage.NOT_AN_IMAGE or not attempt.refusals)
    return (attempt.missing,) if attempt.missing and is_told else ()


def _verdict(
    series: SeriesFacts, best: Sequence[Attempt], attempts: Sequence[Attempt], used: set[str]
) -> SeriesVerdict:
    """The sentences for one series: what is used of it first, then what is not, equal reasons together."""
    name = series_name(series)
    sentences = []
    for attempt in best:
        mine = set(uids_of(attempt.used))
        if taken := [image for image in series.images if image.sop_instance_uid in mine]:
            sentences.append(f"{name}: {_taken_words(series, taken, attempt)} → {attempt.card.label}.")
    given = {id(stack) for attempt in best for stack in attempt.stacks.values()}
    for stack in series.stacks:
        if stack.frames and id(stack) not in given and stack.images[0].sop_instance_uid in used:
            sentences.append(f"{name}: {stack_words(stack)}, not used.")
    refused: dict[str, list[str]] = {}
    for place, image in enumerate(series.images):
        reason = _furthest(image, attempts)
        if image.sop_instance_uid not in used and reason:
            refused.setdefault(reason.reason, []).append(image_name(image, place))
    for reason_words, names in refused.items():
        whole = len(names) == len(series.images)
        sentences.append(f"{name}{'' if whole else f', {_few(names)}'}: {reason_words}, not used.")
    return SeriesVerdict(series.number, sum(uid in used for uid in uids_of(series.images)), tuple(sentences))


def _furthest(image: ImageFacts, attempts: Sequence[Attempt]) -> Refusal | None:
    reasons = [
        attempt.refusals[image.sop_instance_uid] for attempt in attempts if image.sop_instance_uid in attempt.refusals
    ]
    return max(reasons, key=lambda reason: reason.stage, default=None)


def _taken_words(series: SeriesFacts, taken: Sequence[ImageFacts], attempt: Attempt) -> str:
    if taken[0].kind in MR:
        given = {id(stack) for stack in attempt.stacks.values()}
        return " and ".join(stack_words(stack) for stack in series.stacks if id(stack) in given)
    count = f", {len(taken)} images" if len(taken) > 1 else ""
    return f"{radiographs(taken)}{count}"


def _few(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) <= 3 else f"{len(names)} images"


def _warnings(series: Sequence[SeriesFacts], used: Sequence[ImageFacts]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    chosen = {image.sop_instance_uid for image in used}
    for one in series:
        for image in one.images:
            if image.sop_instance_uid not in chosen:
                continue
            if image.is_burned_in:
                found[f"{series_name(one)}: text may be burned into the pixels (BurnedInAnnotation is YES)."] = None
            for note in image.notes:
                found[f"{series_name(one)}: {note}"] = None
    return tuple(found)
