"""Which stack of an MR study serves an input of a model, and why others do not. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from node.facts.describe import stack_words
from node.facts.geometry import Plane
from node.facts.mr import Weighting
from node.series import SeriesFacts, Stack
from node.suitable import CardFacts, Need, Refusal, RouteRules, Stage, refusal
from storage.states import Outcome


@dataclass(frozen=True, slots=True)
class Candidate:
    """One stack of one series, and why it does not serve a need (None when it does)."""

    series: SeriesFacts
    stack: Stack
    refusal: Refusal | None


def candidates(series: Sequence[SeriesFacts], card: CardFacts, need: Need, rules: RouteRules) -> tuple[Candidate, ...]:
    """Every stack of the study, the best first: what serves before what does not, more slices before fewer."""
    found = [Candidate(one, stack, _refusal(one, stack, card, need, rules)) for one in series for stack in one.stacks]
    return tuple(sorted(found, key=_rank))


def _rank(candidate: Candidate) -> tuple[bool, int, int]:
    stage = candidate.refusal.stage if candidate.refusal else 0
    return candidate.refusal is not None, -stage, -candidate.stack.slices


def _refusal(series: SeriesFacts, stack: Stack, card: CardFacts, need: Need, rules: RouteRules) -> Refusal | None:
    if series.localizer:
        return Refusal(Stage.ORIGIN, Outcome.REJECTED_LOCALIZER_ONLY, f"a localizer ({series.localizer})")
    for image in stack.images:
        reason = refusal(image, card, rules)
        if reason:
            return reason
    return next(_stack_refusals(stack, card, need), None)


def _stack_refusals(stack: Stack, card: CardFacts, need: Need) -> Iterator[Refusal]:
    words = stack_words(stack)
    other = f"{words}, not what {card.label} needs"
    if need.weightings and stack.weighting.value not in need.weightings:
        unclear = stack.weighting in (Weighting.AMBIGUOUS, Weighting.UNKNOWN)
        outcome = Outcome.AMBIGUOUS_SEQUENCE if unclear else Outcome.NOT_APPLICABLE_SEQUENCE_MISSING
        yield Refusal(Stage.VIEW, outcome, other)
    if need.b_values and not (stack.b_value is not None and need.b_values[0] <= stack.b_value <= need.b_values[1]):
        yield Refusal(Stage.VIEW, Outcome.NOT_APPLICABLE_SEQUENCE_MISSING, other)
    if need.planes and stack.plane.value not in need.planes:
        unclear = stack.plane in (Plane.AMBIGUOUS, Plane.UNKNOWN)
        outcome = Outcome.AMBIGUOUS_PLANE if unclear else Outcome.NOT_APPLICABLE_SEQUENCE_MISSING
        yield Refusal(Stage.VIEW, outcome, other)
    mr = stack.images[0].mr
    if mr and mr.has_contrast and not need.may_be_contrasted:
        yield Refusal(Stage.VIEW, Outcome.NOT_APPLICABLE_SEQUENCE_MISSING, other)
    if stack.slices < need.min_slices:
        yield Refusal(
            Stage.SELECTION, Outcome.REJECTED_INCOMPLETE, f"{words}, where {card.label} needs {need.min_slices}"
        )
    if stack.fault:
        yield Refusal(Stage.SELECTION, Outcome.REJECTED_GEOMETRY, f"{words}, but {stack.fault}")


def need_words(need: Need) -> str:
    """What a model wants, in words: "axial DWI b=500 to 1000"."""
    parts = [" or ".join(sorted(need.planes)), " or ".join(sorted(need.weightings)) or "a stack of slices"]
    if need.b_values:
        low, high = need.b_values
        parts.append(f"b={low:g}" if low == high else f"b={low:g} to {high:g}")
    if not need.may_be_contrasted:
        parts.append("without contrast agent")
    return " ".join(part for part in parts if part)
