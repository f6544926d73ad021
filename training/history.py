"""What a run tells of itself while it trains: a bar, and for a picture of its losses one line per stretch of steps.

A run that was killed goes on from its last checkpoint; lines of steps after it are struck, for they are made again.
"""

import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from training.progress import Share

HISTORY = "history.csv"
EVERY = 50
"""Steps of one line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One stretch of steps."""

    step: int
    """Steps done when it ended."""
    seconds: float
    rate: float
    """The learning rate at its end."""
    loss: float
    """The mean over the stretch."""
    score: float | None = None
    """What validation said at its end; None where nobody looked."""


def read(folder: Path) -> list[Line]:
    """The lines of a run, none where it wrote none."""
    path = folder / HISTORY
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as rows:
        return [
            Line(
                int(row["step"]),
                float(row["seconds"]),
                float(row["rate"]),
                float(row["loss"]),
                float(row["score"]) if row["score"] else None,
            )
            for row in csv.DictReader(rows)
        ]


class Teller:
    """Writes the history of one run."""

    def __init__(self, folder: Path, done: int) -> None:
        """Go on after `done` steps."""
        self._path = folder / HISTORY
        kept = [line for line in read(folder) if line.step <= done]
        with self._path.open("w", newline="", encoding="utf-8") as rows:
            csv.writer(rows).writerow([field.name for field in fields(Line)])
        for line in kept:
            self._append(line)
        self._losses: list[float] = []
        self._bar = Share(folder.name)

    def tell(
        self, step: int, seconds: float, share: float, rate: float, loss: float, score: float | None, *, is_last: bool
    ) -> None:
        """Take in a step, after which this share of the budget is used.

        A line is written at the end of a stretch, where validation looked, and at the last step.
        """
        self._bar.at(share, step, loss, score)
        if is_last:
            self._bar.close()
        self._losses.append(loss)
        if step % EVERY == 0 or score is not None or is_last:
            mean = sum(self._losses) / len(self._losses)
            self._append(Line(step, round(seconds, 1), rate, round(mean, 6), score))
            self._losses = []

    def _append(self, line: Line) -> None:
        with self._path.open("a", newline="", encoding="utf-8") as rows:
            csv.writer(rows).writerow(["" if value is None else value for value in astuple(line)])
