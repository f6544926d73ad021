"""From a verified bundle to an open system, by the kind of its card."""

from models import hand, knee, spine_study, stack
from models.card import Bundle, Card, HandCard, SpineCard, StackCard
from models.session import SessionOptions
from node.systems.protocol import System
from node.systems.radiographs import RadiographSystem
from node.systems.sequences import HandSystem, SpineSystem
from node.systems.stacks import StackSystem


def open_system(bundle: Bundle[Card], options: SessionOptions | None = None) -> System:
    """Open the networks of a bundle.

    Raises
    ------
    ModelsError
        It cannot be used here; the message says why.
    """
    if isinstance(bundle.card, StackCard):
        return StackSystem(stack.load(bundle, options))
    if isinstance(bundle.card, SpineCard):
        return SpineSystem(spine_study.load(bundle, options))
    if isinstance(bundle.card, HandCard):
        return HandSystem(hand.load(bundle, options))
    return RadiographSystem(knee.load(bundle, options))
