"""From a model's card to what routing needs to know of it."""

from models.card import Card
from node.suitable import CardFacts


def card_facts(card: Card) -> CardFacts:
    """The routing side of a card."""
    return CardFacts(
        name=card.name,
        version=card.version,
        modalities=frozenset(card.input.modalities),
        body_parts=frozenset(card.input.body_parts),
    )
