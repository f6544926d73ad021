"""`report.html` of every system: what an evaluation tells, drawn in one way (plots.py) on one page (page.py)."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.card import Card
from training import history, page, plots
from training.page import Section

Vector = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts by truth and answer."""

    matrix: Ints
    """`(truth, answers)`."""
    truth: tuple[str, ...]
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What an evaluation has to show."""

    rocs: Mapping[str, tuple[Vector, Mask]]
    """By label: a score of each case, and whether it is a positive one. Left out where all are of one kind."""
    calibrations: Mapping[str, tuple[Vector, Ints]]
    """By label: probabilities `(n, classes)` and true classes `(n,)`."""
    confusion: Confusion
    spreads: Mapping[str, Vector]
    """By label: a figure between 0 and 1 of each case."""
    picture: bytes
    """PNG: the best and the worst cases."""
    caption: str
    """How to read the picture."""
    stages: Mapping[str, str]
    """The folder of each network's history within the run, "" for the run itself, and the name of its score."""


def sections(told: Told, run: Path | None) -> list[Section]:
    """What the cases look like, and, where the run is known, how it was trained."""
    rocs = [
        plots.roc(scores, positive, label)
        for label, (scores, positive) in told.rocs.items()
        if positive.any() and not positive.all()
    ]
    sure = [plots.calibration(said, truth, label) for label, (said, truth) in told.calibrations.items() if len(truth)]
    spread = [plots.histogram(values, label) for label, values in told.spreads.items() if np.isfinite(values).any()]
    counted = plots.confusion(told.confusion.matrix, told.confusion.truth, told.confusion.answers)
    words = (
        "What the node would answer (rows are the truth), and how well its probabilities part and what they promise."
    )
    made = [Section("Answers", words, (counted, *rocs, *sure))]
    if spread:
        made.append(Section("Outlines", "How many cases were outlined how well.", tuple(spread)))
    made.append(Section("Cases", told.caption, picture=told.picture))
    return made if run is None else [*made, *_trained(told.stages, run)]


def publish(args: argparse.Namespace, card: Card, figures: Mapping[str, object], told_of: Callable[[], Told]) -> None:
    """Write the picture and the page that `evaluate` was asked for; nothing is drawn where neither was."""
    if not (args.montage or args.report):
        return
    told = told_of()
    if args.montage:
        args.montage.write_bytes(told.picture)
    if args.report:
        page.write(args.report, card, figures, sections(told, args.run))


def _trained(stages: Mapping[str, str], run: Path) -> list[Section]:
    lines = {stage: history.read(run / stage) for stage in stages}
    return [
        Section(f"Training, {stage} network" if stage else "Training", f"Loss, and {stages[stage]}.", (drawing,))
        for stage, told in lines.items()
        if told
        for drawing in (plots.losses(told, stages[stage]),)
    ]
