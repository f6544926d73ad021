"""Plain tables in Markdown, and how their numbers are written."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Table:
    """A title, column names and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, *cells: object) -> None:
        """Append a row."""
        assert len(cells) == len(self.columns), f"{len(cells)} cells for {len(self.columns)} columns"
        self.rows.append(tuple(str(cell) for cell in cells))

    def markdown(self) -> str:
        """The table with its title as a heading of the third level."""
        lines = [f"### {self.title}", "", "| " + " | ".join(self.columns) + " |", "|" + "---|" * len(self.columns)]
        return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in self.rows), ""])


def number(value: float) -> str:
    """Three digits that matter: 1234, 123, 12.3, 1.23, 0.012."""
    if abs(value) >= 100 or value == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def middle(values: Sequence[float]) -> str:
    """The median."""
    return number(statistics.median(values)) if values else "-"


def spread(values: Sequence[float]) -> str:
    """The median with the lowest and highest value."""
    if not values:
        return "-"
    if len(values) == 1:
        return number(values[0])
    return f"{middle(values)} ({number(min(values))}-{number(max(values))})"


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share - 1e-9) - 1)]
