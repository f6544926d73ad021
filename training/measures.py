"""Figures with intervals, and two models side by side: each figure is a function of which cases are drawn.

An evaluation tells its figures as `Measure`s. Of one model they give values with a 95 % interval; of two models on the
same cases, or of one on two images of the same cases, the first less the second, with the interval and the p-value of a
paired bootstrap.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from models.card import Bundle, Card, read_bundle
from models.metrics import Estimate, bootstrap, difference
from training.errors import DataFault, RunFault
from training.parts import Chosen, keep_apart

Ints = npt.NDArray[np.integer]
C = TypeVar("C")
E = TypeVar("E")
Names = Sequence[str]
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


@dataclass(frozen=True, slots=True)
class Asked:
    """What `compare` was asked: a bundle beside another, or beside itself on other images of the same cases."""

    bundle: Path
    data: Path
    other: Path | None = None
    other_data: Path | None = None

    @property
    def sides(self) -> tuple[tuple[Path, Path], tuple[Path, Path]]:
        """Bundle and data of the one, and of the other.

        Raises
        ------
        RunFault
            They are the same.
        """
        if self.other is None and self.other_data is None:
            raise RunFault(
                "compare needs a second side: another bundle with --other, or other images of the same patients with "
                "--other-data (as `phantoms --artefact` draws them)."
            )
        return (self.bundle, self.data), (self.other or self.bundle, self.other_data or self.data)


def asked_of(args: argparse.Namespace) -> Asked:
    """What the command line says of it."""
    return Asked(args.bundle, args.data, args.other, args.other_data)


def compared(
    asked: Asked,
    system: str,
    read: Callable[[Path], C],
    chosen: Callable[[Bundle[Card], C], Chosen[E]],
    measured: Callable[[Bundle[Card], E], Measures],
) -> str:
    """The table of both sides.

    Parameters
    ----------
    system
        That both bundles must be of, as cards say it.
    read
        The cases of a folder.
    chosen
        Those that a bundle is measured on; their names tell whether both sides are of the same ones. A doubt whether
        some have taught it is told below the table.
    measured
        Of a bundle on them; neither side is, before both are known to be fit for it.

    Raises
    ------
    BundleError
        Either is none, or damaged.
    DataFault
        Either is of another system, or was calibrated on these very cases, or the two folders hold other ones.
    RunFault
        There is but one side.
    """
    sides = asked.sides
    bundles = [read_bundle(bundle) for bundle, _ in sides]
    for (folder, _), each in zip(sides, bundles, strict=True):
        if each.card.system != system:
            raise DataFault(f"{folder} is a bundle of {each.card.system}, and {system} is compared. Give another.")
    cases = {folder: read(folder) for _, folder in sides}
    mine, theirs = (chosen(bundle, cases[folder]) for bundle, (_, folder) in zip(bundles, sides, strict=True))
    if list(mine.names) != list(theirs.names):
        raise DataFault(
            f"{asked.data} and {asked.other_data} do not hold the same cases: "
            f"{len(set(mine.names) ^ set(theirs.names))} are in one of them only. Give other images of the very same "
            "ones."
        )
    for bundle in bundles:
        keep_apart(mine.names, bundle.card.measured)
    one, other = measured(bundles[0], mine.cases), measured(bundles[1], theirs.cases)
    names = tuple(f"{each.card.name} {each.card.version}" for each in bundles)
    if asked.other_data is not None:
        names = tuple(f"{name} on {folder.name}" for name, (_, folder) in zip(names, sides, strict=True))
    doubts = dict.fromkeys(each.doubt for each in (mine, theirs) if each.doubt)
    return "\n".join([side_by_side((names[0], names[1]), one, other), *doubts])


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
