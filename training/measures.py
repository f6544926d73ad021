"""Figures with intervals, and two models side by side: each figure is a function of which cases are drawn.

An evaluation tells its figures as `Measure`s. Of one model they give values with a 95 % interval; of two models, on the
same cases, the first less the second, with the interval and the p-value of a paired bootstrap.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.card import Bundle, Card, read_bundle
from models.metrics import Estimate, bootstrap, difference
from training.errors import DataFault

Ints = npt.NDArray[np.integer]
Cell = str | int | float | bool
SEEMS = 0.05
"""From this p-value on a difference is no more than chance gives."""


class Measure(NamedTuple):
    """One figure."""

    of: Callable[[Ints], float]
    """The figure of a selection of cases, given their indices; NaN where they have none."""
    groups: Ints
    """`(n,)`: the patient, or block, of each case; what is drawn is whole groups."""
    draws: int = 1000
    is_of_its_own: bool = False
    """Whether the model's answers choose the cases (distances of what it outlined): two models have no difference."""


Measures = Mapping[str, Measure]


def among(
    chosen: Ints, statistic: Callable[[Ints], float], draws: int = 1000, *, is_of_its_own: bool = False
) -> Measure:
    """A figure of some patients only, each a group of its own; the statistic is given indices into all."""
    return Measure(lambda drawn: statistic(chosen[drawn]), np.arange(len(chosen)), draws, is_of_its_own)


def intervals(measures: Measures) -> dict[str, Cell | list[Cell]]:
    """Each as [value, low, high]; what no case tells, a distance where nothing is outlined, is left out."""
    return {
        name: _rounded(bootstrap(measure.of, measure.groups, draws=measure.draws))
        for name, measure in measures.items()
        if np.isfinite(_whole(measure))
    }


def compared(folders: tuple[Path, Path], system: str, measured: Callable[[Bundle[Card]], Measures]) -> str:
    """The table of two bundles.

    Parameters
    ----------
    system
        That both must be of, as cards say it.
    measured
        Of a bundle, on the cases that both are to be measured on.

    Raises
    ------
    BundleError
        Either is none, or damaged.
    DataFault
        Either is of another system.
    """
    one, other = (read_bundle(folder) for folder in folders)
    for folder, each in zip(folders, (one, other), strict=True):
        if each.card.system != system:
            raise DataFault(f"{folder} is a bundle of {each.card.system}, and {system} is compared. Give another.")
    names = f"{one.card.name} {one.card.version}", f"{other.card.name} {other.card.version}"
    return side_by_side(names, measured(one), measured(other))


def side_by_side(names: tuple[str, str], one: Measures, other: Measures) -> str:
    """A table of two models on the same cases.

    Raises
    ------
    DataFault
        They were not measured on the same cases.
    """
    rows: list[tuple[str, ...]] = [("figure", *names, "difference (95 %)", "p")]
    for name in (name for name in one if name in other):
        mine, theirs = one[name], other[name]
        if not np.array_equal(mine.groups, theirs.groups):
            raise DataFault(f"{name} is of other cases for {names[0]} than for {names[1]}. Give both the same data.")
        values = _whole(mine), _whole(theirs)
        told = ["-" if np.isnan(value) else f"{value:.3f}" for value in values]
        if mine.is_of_its_own or not np.isfinite(values).all():
            rows.append((name, *told, "of cases of its own" if mine.is_of_its_own else "-", "-"))
            continue
        gap, p = difference(mine.of, theirs.of, mine.groups)
        between = f"{gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})"
        rows.append((name, *told, between, f"{p:.3f}{' *' if p < SEEMS else ''}"))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(
        [*lines, f"* less likely than {SEEMS:g} by chance alone: paired bootstrap over whole patients or blocks."]
    )


def _whole(measure: Measure) -> float:
    """Of all cases; NaN where there is none."""
    return measure.of(np.arange(measure.groups.size)) if measure.groups.size else float("nan")


def _rounded(estimate: Estimate) -> list[Cell]:
    return [round(value, 4) for value in (estimate.value, estimate.low, estimate.high)]
