"""What every way to a peer promises to the sender."""

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from storage.results import ResultFile


@dataclass(frozen=True, slots=True)
class Answer:
    """What the peer said to one object."""

    status: int
    """As of C-STORE (PS3.4 B.2.3): STOW-RS reports failures by the same numbers (PS3.18 10.5.3)."""
    words: str
    """The same for an admin."""


class Session(Protocol):
    """A connection to one peer over which objects go one after the other; used in a `with` block by one thread."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def store(self, result: ResultFile, data: bytes) -> Answer:
        """Bring one object: the data set as it was stored, the same on every attempt.

        Raises
        ------
        NotAccepted
            The peer does not take such an object; others may follow on the same session.
        PeerError
            The session is over; whether the peer has the object is not known.
        """
        ...
