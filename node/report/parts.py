"""What a builder of result objects is given, and what it offers to make.

A builder is asked once per profile for the parts of its kind; each part that has not been made for another profile in
the same form is then made, under the envelope it is given.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from models.findings import Findings
from node.report.encode import EncodedObject, result_of
from node.report.envelope import Envelope
from node.report.kind import Kind
from node.report.naming import with_description
from node.report.request import Request
from node.report.subject import Subject


@dataclass(frozen=True, slots=True)
class Making:
    """One run as a builder sees it, for one profile."""

    findings: Findings
    subjects: Sequence[Subject]
    request: Request
    """`request.profile` is the profile that is being served."""
    others: Sequence[EncodedObject]
    """What this profile gets of the kinds before."""
    parts: Mapping[tuple[Kind, str], EncodedObject]
    """The same by kind and the key of its part."""


@dataclass(frozen=True, slots=True)
class Part:
    """One object that can be made, or the images of one series."""

    key: str
    """Tells it from the others of its kind: which source, and which part of it; empty for the one of a study."""
    source: str
    """The key of the subject that it shows; empty for the study."""
    make: Callable[[Envelope], Sequence[EncodedObject]]
    """Empty when there is nothing to make after all."""
    detail: str = ""
    """For people, what tells it from the others about the same source."""


Builder = Callable[[Making], Iterable[Part]]


def of_source(subject: Subject, name: str, build: Callable[[Envelope], Dataset | None], detail: str = "") -> Part:
    """A part that is one object about one source.

    Parameters
    ----------
    name
        Tells it from the others about the same source; empty for the first.
    detail
        The same for people.
    """
    return Part(subject.key + name, subject.key, lambda cover: _encoded(subject, cover, build(cover)), detail)


def of_study(making: Making, build: Callable[[Envelope], Dataset | None]) -> Part:
    """A part that is one object about the whole study."""
    first = making.subjects[0]
    return Part("", "", lambda cover: _encoded(first, cover, build(cover)))


def _encoded(subject: Subject, cover: Envelope, ds: Dataset | None) -> list[EncodedObject]:
    if ds is None:
        return []
    return [result_of(cover.kind, cover.order, ds, with_description(subject.carried, cover.description))]
