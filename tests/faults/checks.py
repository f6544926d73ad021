"""What a check of the suite is: a name, what is promised, against whom it can be run, and what came of a run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ALL = ("osteon", "orthanc", "storescp")


class CannotRun(Exception):
    """This machine lacks what the check needs; the sentence says what."""


@dataclass(slots=True)
class Outcome:
    """What one run of a check found."""

    count: int = 0
    """How many faults were done."""
    figures: dict[str, str] = field(default_factory=dict)
    """Measured values, by their names, in the order of the report."""
    failures: list[str] = field(default_factory=list)
    """Where the promise was broken; with the seed and number that do it again."""
    note: str = ""
    """What limits the meaning of the figures."""

    def fail(self, sentence: str) -> None:
        """Note a broken promise."""
        self.failures.append(sentence)


@dataclass(frozen=True, slots=True)
class Job:
    """How a check is to be run."""

    against: str
    count: int
    seed: int
    folder: Path
    """Empty, for this run alone."""
    short: bool = False
    """Time limits of the receiver are scaled down, and what is slow by nature is left out."""


@dataclass(frozen=True, slots=True)
class Check:
    """One fault of the suite."""

    name: str
    promise: str
    run: Callable[[Job], Outcome]
    full_count: int
    short_count: int
    peers: tuple[str, ...] = ALL
