"""The one thing that the analysing child knows of a model: give it the images it chose, get findings and their sources.

A system is a kind of card with the code that answers for it. To add one: a card in `models`, a class here that keeps
this promise, a line in node/systems/opening.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from models.card import Card
from models.findings import Findings, ModelIdentity
from node.facts.regions import Region
from node.headers import Header, ImageFacts
from node.report.request import Source
from node.route import Chosen
from storage.states import Outcome

_TERMS = {  # where Body Part Examined (PS3.16 Annex L) has another word than our region
    Region.LIMB: "EXTREMITY", Region.UPPER_LIMB: "EXTREMITY", Region.LOWER_LIMB: "EXTREMITY",
    Region.UPPER_ARM: "ARM", Region.LOWER_LEG: "LEG", Region.SACROILIAC_JOINT: "SIJOINT", Region.SACRUM: "SSPINE",
    Region.CERVICAL_SPINE: "CSPINE", Region.THORACIC_SPINE: "TSPINE", Region.LUMBAR_SPINE: "LSPINE",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Received:
    """One object of the study: its header, what the header says, and how to get at its bytes."""

    header: Header
    facts: ImageFacts
    transfer_syntax_uid: str
    data: Callable[[], bytes]
    """The data set as it came, read again from the store."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What could not be looked at, and why."""

    outcome: Outcome
    sentence: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What one model says of one study."""

    findings: Findings | None
    """None when nothing of what was chosen could be decoded; `left_out` says why."""
    sources: tuple[Source, ...] = ()
    """One per source of the findings, in the same order."""
    left_out: tuple[LeftOut, ...] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    """Without findings: the inputs that cannot be used, and without which there are none. Other images may do."""


class System(Protocol):
    """An open model."""

    @property
    def card(self) -> Card:
        """What it says of itself."""

    @property
    def identity(self) -> ModelIdentity:
        """Which weights speak."""

    def warm_up(self) -> None:
        """Run once on nothing, so that the first study does not wait."""

    def study(self, chosen: Chosen, images: Mapping[str, Received], with_maps: bool = False) -> Answered:
        """Decode what was chosen and look at it.

        Parameters
        ----------
        images
            Every object of the study by SOP Instance UID.
        with_maps
            Whether the findings hold what the model says of every pixel, where it says so: only for a receiver that
            wants it, because it is large.

        Raises
        ------
        ModelsError
            With the outcome that the study then has.
        """


def body_part_of(facts: ImageFacts) -> str:
    """The defined term for what an image shows, where that is one part; empty where it is not known."""
    regions: Sequence[Region] = facts.body_part.regions
    return _TERMS.get(regions[0], regions[0].value.upper()) if len(regions) == 1 else ""
