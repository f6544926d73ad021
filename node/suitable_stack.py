"""Which stack of an MR study serves an input of a model, and why others do not. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from node.facts.describe import series_name, stack_words
from node.facts.geometry import Plane, Vector
from node.facts.mr import FatSuppression, Weighting
from node.series import SeriesFacts
from node.stack import Stack
from node.suitable import CardFacts, Need, Refusal, RouteRules, Stage, refusal
from storage.states import Outcome

SAME_PLACE_MM = 0.1
"""By how much the corners of two slices may differ that are one and the same."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One stack of one series, and why it does not serve a need (None when it does)."""

    series: SeriesFacts
    stack: Stack
    refusal: Refusal | None


def candidates(
    series: Sequence[SeriesFacts], card: CardFacts, need: Need, rules: RouteRules, beside: Candidate | None = None
) -> tuple[Candidate, ...]:
    """Every stack of the study, the best first: what serves before what does not, then the nearest b-value, then the
    scanner's own trace before an average of directions and that before a single one, then more slices before fewer.

    Parameters
    ----------
    beside
        What another need of the model was given: this one must lie on the same slices, best in the same series.
    """
    found = [
        Candidate(one, stack, _refusal(one, stack, card, need, rules, beside)) for one in series for stack in one.stacks
    ]
    return tuple(sorted(found, key=lambda candidate: _rank(candidate, need, beside)))


def _rank(candidate: Candidate, need: Need, beside: Candidate | None) -> tuple[float, ...]:
    stack = candidate.stack
    stage = candidate.refusal.stage if candidate.refusal else 0
    far = abs(stack.b_value - need.b_best) if need.b_best is not None and stack.b_value is not None else 0.0
    elsewhere = beside is not None and candidate.series is not beside.series
    averaged = 0 if not stack.is_directional else 1 if stack.parts else 2
    return candidate.refusal is not None, -stage, far, averaged, elsewhere, -stack.slices


def _refusal(
    series: SeriesFacts, stack: Stack, card: CardFacts, need: Need, rules: RouteRules, beside: Candidate | None
) -> Refusal | None:
    if series.localizer:
        return Refusal(Stage.ORIGIN, Outcome.REJECTED_LOCALIZER_ONLY, f"a localizer ({series.localizer})")
    for image in stack.images:
        reason = refusal(image, card, rules)
        if reason:
            return reason
    found = next(_stack_refusals(stack, card, need), None)
    if found is None and beside is not None and not _on_one_grid(stack, beside.stack):
        words = f"{stack_words(stack)}, whose slices are not those of {series_name(beside.series)}"
        return Refusal(Stage.SELECTION, Outcome.REJECTED_GEOMETRY, words)
    return found


def _on_one_grid(one: Stack, other: Stack) -> bool:
    """Whether the slices of both lie at the same places, pixel on pixel."""
    first, second = one.images[0], other.images[0]
    same = (first.pixels.rows, first.pixels.columns, one.slices) == (
        second.pixels.rows,
        second.pixels.columns,
        other.slices,
    )
    if not same or first.geometry.frame_of_reference_uid != second.geometry.frame_of_reference_uid:
        return False
    places = list(zip(_places(one), _places(other), strict=False))
    return bool(places) and all(math.dist(here, there) <= SAME_PLACE_MM for here, there in places)


def _places(stack: Stack) -> list[Vector]:
    """Of each slice, sorted along the normal."""
    places = [place for place in stack.positions if place is not None]
    if stack.images[0].pixels.frames > 1:
        normal = stack.images[0].geometry.normal or (0.0, 0.0, 1.0)
        places.sort(key=lambda place: sum(a * b for a, b in zip(normal, place, strict=True)))
    return places


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
    has_contrast = bool(mr and mr.has_contrast)
    suppressed = bool(mr and mr.fat_suppression is not FatSuppression.NONE)
    unfit = (
        (has_contrast and not need.may_be_contrasted)
        or (need.must_be_contrasted and not has_contrast)
        or need.fat_suppressed not in (None, suppressed)
    )
    if unfit:
        yield Refusal(Stage.VIEW, Outcome.NOT_APPLICABLE_SEQUENCE_MISSING, other)
    if need.b_values and any(image.mr and image.mr.diffusion.is_contradictory for image in stack.images):
        words_of_both = f"{words}, but the headers contradict each other about its b-value"
        yield Refusal(Stage.SELECTION, Outcome.AMBIGUOUS_SEQUENCE, words_of_both)
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
    if need.fat_suppressed is not None:
        parts.append("fat-suppressed" if need.fat_suppressed else "not fat-suppressed")
    if need.must_be_contrasted:
        parts.append("after contrast agent")
    elif not need.may_be_contrasted:
        parts.append("without contrast agent")
    return " ".join(part for part in parts if part)
