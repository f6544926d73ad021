"""From a model's card to what routing needs to know of it."""

from models.card import Card
from models.stack_card import NeedSpec, StackInput
from node.suitable import CardFacts, Need


def card_facts(card: Card) -> CardFacts:
    """The routing side of a card."""
    needs: tuple[Need, ...] = ()
    takes_derived, one_grid, any_of, yields_to = False, True, frozenset[str](), frozenset[str]()
    if isinstance(card.input, StackInput):
        needs = tuple(map(_need, card.input.needs))
        takes_derived, one_grid = card.input.takes_derived, card.input.one_grid
        any_of, yields_to = frozenset(card.input.any_of), frozenset(card.input.yields_to)
    return CardFacts(
        name=card.name,
        version=card.version,
        modalities=frozenset(card.input.modalities),
        body_parts=frozenset(card.input.body_parts),
        needs=needs,
        takes_derived=takes_derived,
        one_grid=one_grid,
        any_of=any_of,
        yields_to=yields_to,
    )


def _need(spec: NeedSpec) -> Need:
    return Need(
        name=spec.name,
        weightings=frozenset(spec.weightings),
        planes=frozenset(spec.planes),
        b_values=spec.b_values,
        b_best=spec.b_best,
        min_slices=spec.min_slices,
        may_be_contrasted=spec.may_be_contrasted,
        must_be_contrasted=spec.must_be_contrasted,
        fat_suppressed=spec.fat_suppressed,
        at_most=spec.at_most,
        is_optional=spec.is_optional,
        instead_of=spec.instead_of,
    )
