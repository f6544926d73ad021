"""One model tried on a study: which images it would be given, and what stands against the others. Pure.

A radiograph model takes every radiograph that fits. An MR model has inputs (`Need`), and each gets the best stack that
serves it. A model of one grid compares its inputs pixel by pixel: all of them lie on the slices of the first one found.
Any other model looks at each stack by itself, so its stacks may lie anywhere, and one input may be several of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from node.facts.describe import series_name, stack_words
from node.headers import ImageFacts
from node.series import SeriesFacts
from node.stack import Stack
from node.suitable import CardFacts, Need, Refusal, RouteRules, Stage, refusal
from node.suitable_stack import Candidate, candidates, need_words
from storage.states import Outcome

MAX_LEADS = 8
"""Stacks of one kind that are tried in turn for one with companions on its slices."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One model tried on the study: what it would use, and what stands against the rest."""

    card: CardFacts
    used: tuple[ImageFacts, ...]
    stacks: Mapping[str, Stack]
    """What each input of an MR model is given, by its name."""
    refusals: Mapping[str, Refusal]
    """By SOP Instance UID."""
    missing: Refusal | None = None
    """For an MR model: the input that no stack serves."""
    lacking: tuple[str, ...] = ()
    """Sentences about inputs that it answers without."""


@dataclass(slots=True)
class _Choice:
    """The stacks of one model while they are chosen."""

    refusals: dict[str, Refusal]
    found: dict[str, Candidate] = field(default_factory=dict)
    missing: dict[str, Refusal] = field(default_factory=dict)

    def has(self, candidate: Candidate) -> bool:
        """Whether the stack serves another input already."""
        return any(candidate.stack is taken.stack for taken in self.found.values())

    def further(self, ranked: Sequence[Candidate]) -> list[Candidate]:
        """Those that serve, are not taken, and bring a b-value that none before them brought."""
        known = {taken.stack.b_value for taken in self.found.values()}
        further: list[Candidate] = []
        for each in ranked:
            if each.refusal is None and not self.has(each) and each.stack.b_value not in known:
                known.add(each.stack.b_value)
                further.append(each)
        return further


def numbered(name: str, number: int) -> str:
    """The name of a stack of an input that takes several: "more", "more (2)"."""
    return name if number == 1 else f"{name} ({number})"


def tried(series: Sequence[SeriesFacts], card: CardFacts, rules: RouteRules) -> Attempt:
    """Try one model on the series of a study."""
    refusals: dict[str, Refusal] = {}
    images = [image for one in series for image in one.images]
    for image in images:
        reason = refusal(image, card, rules)
        if reason:
            refusals[image.sop_instance_uid] = reason
    if not card.needs:
        return Attempt(card, tuple(image for image in images if image.sop_instance_uid not in refusals), {}, refusals)
    if not card.one_grid:
        return _on_any_grid(series, card, rules, refusals)
    return _on_one_grid(series, card, rules, refusals)


def _on_any_grid(
    series: Sequence[SeriesFacts], card: CardFacts, rules: RouteRules, refusals: dict[str, Refusal]
) -> Attempt:
    """Every input gets the best stacks that serve it and no input before it, up to as many as it takes."""
    choice = _Choice(refusals)
    for need in card.needs:
        ranked = [each for each in candidates(series, card, need, rules) if not choice.has(each)]
        able = [each for each in ranked if each.refusal is None]
        for number, candidate in enumerate(able[: need.at_most], start=1):
            choice.found[numbered(need.name, number)] = candidate
        _note_refusals(ranked, choice.refusals, card, need)
        if not able:
            choice.missing[need.name] = _missing(card, need, ranked)
    return _ended(card, card.needs, choice)


def _on_one_grid(
    series: Sequence[SeriesFacts], card: CardFacts, rules: RouteRules, refusals: dict[str, Refusal]
) -> Attempt:
    """Every input gets the best stack that serves it; without a stack for each the model cannot run.

    What stands in for others is looked for only where those cannot all be had, and then in their place.
    """
    stand_ins = [need for need in card.needs if need.instead_of]
    own = sorted((need for need in card.needs if not need.instead_of), key=lambda need: need.is_optional)
    whole = _best_led(series, card, rules, refusals, own)
    if whole.used or not stand_ins:
        return whole
    replaced = {name for need in stand_ins for name in need.instead_of}
    rest = [need for need in own if need.name not in replaced]
    instead = _best_led(series, card, rules, dict(whole.refusals), [*stand_ins, *rest])
    return instead if instead.used else replace(whole, refusals=instead.refusals)


def _best_led(
    series: Sequence[SeriesFacts],
    card: CardFacts,
    rules: RouteRules,
    refusals: Mapping[str, Refusal],
    needs: Sequence[Need],
) -> Attempt:
    """All inputs lie on the slices of the first one found; where that has no companions, the next best leads."""
    able = [each for each in candidates(series, card, needs[0], rules) if each.refusal is None] if needs else []
    attempts = (_led_by(series, card, rules, dict(refusals), needs, lead) for lead in able[:MAX_LEADS] or (None,))
    first = next(attempts)
    return first if first.used else next((attempt for attempt in attempts if attempt.used), first)


def _led_by(
    series: Sequence[SeriesFacts],
    card: CardFacts,
    rules: RouteRules,
    refusals: dict[str, Refusal],
    needs: Sequence[Need],
    lead: Candidate | None,
) -> Attempt:
    """The inputs beside one stack."""
    choice = _Choice(refusals)
    for need in needs:
        ranked = candidates(series, card, need, rules, next(iter(choice.found.values()), None))
        if need is needs[0] and lead is not None:
            ranked = (lead, *(each for each in ranked if each.stack is not lead.stack))
        _note_refusals(ranked, refusals, card, need)
        able = choice.further(ranked) if need.at_most > 1 else [each for each in ranked[:1] if each.refusal is None]
        for number, candidate in enumerate(able[: need.at_most], start=1):
            choice.found[numbered(need.name, number)] = candidate
        if not able:
            choice.missing[need.name] = _missing(card, need, ranked)
    return _ended(card, needs, choice)


def _ended(card: CardFacts, needs: Sequence[Need], choice: _Choice) -> Attempt:
    """What was chosen, if it is enough."""
    found, missing = choice.found, choice.missing
    lacking = [missing[need.name] for need in needs if need.name in missing and not need.is_optional]
    asked = [need for need in needs if need.name in card.any_of]
    if asked and not found.keys() & card.any_of:
        lacking.append(_none_of(card, asked, missing))
    if lacking or not found:
        return Attempt(card, (), {}, choice.refusals, lacking[0] if lacking else next(iter(missing.values()), None))
    used = {image.sop_instance_uid: image for candidate in found.values() for image in candidate.stack.images}
    for uid in used:
        choice.refusals.pop(uid, None)
    stacks = {name: candidate.stack for name, candidate in found.items()}
    spared = tuple(
        f"{card.label} answers without {need_words(need)}: no series serves."
        for need in needs
        if need.is_optional and need.name in missing and not (card.one_grid and need.at_most > 1)
    )
    return Attempt(card, tuple(used.values()), stacks, choice.refusals, lacking=spared)


def _note_refusals(ranked: Sequence[Candidate], refusals: dict[str, Refusal], card: CardFacts, need: Need) -> None:
    for place, candidate in enumerate(ranked):
        reason = candidate.refusal
        if reason is None:
            if place < need.at_most:
                continue
            better = [series_name(each.series) for each in ranked[: need.at_most]]
            serve = "serves" if len(better) == 1 else "serve"
            reason = Refusal(
                Stage.SPARED,
                Outcome.NOT_APPLICABLE_SEQUENCE_MISSING,
                f"{stack_words(candidate.stack)}, and {' and '.join(better)} {serve} {card.label} better",
            )
        for image in candidate.stack.images:
            known = refusals.get(image.sop_instance_uid)
            if known is None or known.stage < reason.stage:
                refusals[image.sop_instance_uid] = reason


def _none_of(card: CardFacts, asked: Sequence[Need], missing: Mapping[str, Refusal]) -> Refusal:
    """Why a model of inputs each of which may be absent does not answer: one of some had to be there.

    The stack that came nearest to one of them tells the outcome.
    """
    words = f"{card.label} needs {' or '.join(map(need_words, asked))}"
    nearest = max((missing[need.name] for need in asked), key=lambda reason: reason.stage)
    if nearest.stage < Stage.VIEW:
        return nearest
    return Refusal(nearest.stage, nearest.outcome, f"{words}; {nearest.reason.partition('; ')[2]}")


def _missing(card: CardFacts, need: Need, ranked: Sequence[Candidate]) -> Refusal:
    """Why an input has no stack, told by the stack that came nearest."""
    words = f"{card.label} needs {need_words(need)}"
    nearest = ranked[0].refusal if ranked else None
    if nearest is None:
        return Refusal(Stage.NOT_AN_IMAGE, Outcome.NOT_APPLICABLE_MODALITY, f"{words}, and no such series came")
    if nearest.stage < Stage.VIEW:
        return nearest
    reason = f"{words}; nearest is {series_name(ranked[0].series)}: {nearest.reason}"
    return Refusal(nearest.stage, nearest.outcome, reason)
