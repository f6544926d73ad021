"""From a verified bundle to an open system, by the kind of its card."""

from models import knee, stack
from models.card import Bundle, Card, StackCard
from models.session import SessionOptions
from node.systems.protocol import System
from node.systems.radiographs import RadiographSystem
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
    return RadiographSystem(knee.load(bundle, options))
