"""A hostile object and the verdict on it."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from tests.faults.octets import EXPLICIT, SOP_CLASS, SOP_INSTANCE, Elements, Value, encoded, honest, padded


class Verdict(Enum):
    """What a receiver may do with an object."""

    REFUSE = "must refuse"
    """It contradicts itself, has no identity or is cut off: whoever acknowledges it has lost it."""
    STORE = "must store"
    """It is legal, however odd; refusing it loses an image."""
    EITHER = "may do either"
    """Keep it or refuse it, but live, answer in time and stay within the memory."""


CANNOT_READ = frozenset({"C"})
MISMATCH = frozenset({"A9"})
WRONG_CLASS = frozenset({"01"})
FOR_GOOD = frozenset({"A9", "C", "01"})
ENDED = frozenset({"ABORTED", "CLOSED", "NOT_ACCEPTED", "REJECTED"})


@dataclass(frozen=True, slots=True)
class Case:
    """One object to send."""

    group: str
    name: str
    verdict: Verdict
    data: Callable[[], bytes]
    """Made when it is sent: some are large."""
    sop_class: bytes
    """Of the command; so is the instance."""
    instance: bytes
    abstract: str
    """The SOP class of the presentation context."""
    syntax: str
    refusals: frozenset[str]
    """The status families that tell the sender what is wrong; used for Osteon."""
    heavy: bool = False
    """Takes seconds, so that the short form leaves it out."""


class Author:
    """Writes the cases of one group; every case is about an object of its own."""

    def __init__(self, group: str, seed: int, modality: str = "MR"):
        self.group, self.seed, self.modality = group, seed, modality
        self.chance = random.Random(f"{seed} {group}")

    def base(self, name: str) -> Elements:
        """The honest object from which the case is made."""
        return honest(self.seed, self.group, name, modality=self.modality)

    def case(
        self,
        name: str,
        verdict: Verdict,
        changes: Mapping[int, Value | None] | None = None,
        *,
        spoil: Callable[[bytes], bytes] | None = None,
        sop_class: bytes | None = None,
        instance: bytes | None = None,
        syntax: str = EXPLICIT,
        encoding: str | None = None,
        refusals: frozenset[str] = CANNOT_READ,
        heavy: bool = False,
    ) -> Case:
        """The honest object with elements changed (None: left out), then spoilt as bytes.

        `sop_class` and `instance` are those of the command where they differ from the object's own; `syntax` is what
        is negotiated, `encoding` what is really used.
        """
        elements = self.base(name)
        abstract = elements[SOP_CLASS][1].decode()
        for tag, value in (changes or {}).items():
            if value is None:
                elements.pop(tag, None)
            else:
                elements[tag] = value

        def data() -> bytes:
            whole = encoded(elements, encoding or syntax)
            return spoil(whole) if spoil else whole

        default_class, default_instance = (elements.get(tag, (b"UI", b""))[1] for tag in (SOP_CLASS, SOP_INSTANCE))
        return Case(
            self.group, name, verdict, data,
            default_class if sop_class is None else sop_class,
            padded(b"UI", default_instance) if instance is None else instance,
            abstract, syntax, refusals, heavy,
        )  # fmt: skip


def all_cases(seed: int) -> Iterator[Case]:
    """Every hostile object of the suite."""
    from tests.faults import files_identity, files_pixels, files_structure, files_text

    for module in (files_identity, files_structure, files_pixels, files_text):
        yield from module.cases(seed)
