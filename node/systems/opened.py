"""What every open model tells of itself; the systems add what they do with a study."""

from typing import Generic, Protocol, TypeVar

from models.card import Card
from models.findings import ModelIdentity


class Model(Protocol):
    """An open bundle of `models`, of any system."""

    @property
    def card(self) -> Card:
        """What it says of itself."""

    @property
    def identity(self) -> ModelIdentity:
        """Which weights speak."""

    def warm_up(self) -> None:
        """Run its networks once on nothing."""


M = TypeVar("M", bound=Model)


class Opened(Generic[M]):
    """The half of node.systems.protocol.System that is the same for every model."""

    def __init__(self, model: M) -> None:
        self._model = model

    @property
    def card(self) -> Card:
        """Of the bundle."""
        return self._model.card

    @property
    def identity(self) -> ModelIdentity:
        """Of the bundle."""
        return self._model.identity

    def warm_up(self) -> None:
        """Run its networks once on nothing, so that the first study does not wait."""
        self._model.warm_up()
