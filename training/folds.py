"""Cross-validation, the same for every system: train on all folds but one, measure on that one, in turn."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from training.errors import DataFault

T = TypeVar("T")


def in_turn(parts: Sequence[tuple[T, ...]]) -> list[tuple[tuple[T, ...], tuple[T, ...]]]:
    """Of each fold the others together, and itself.

    Raises
    ------
    DataFault
        A fold would be empty.
    """
    if len(parts) < 2 or not all(parts):
        raise DataFault(
            f"{sum(map(len, parts))} patients make no {len(parts)} folds. Ask for from two to as many as there are."
        )
    return [(tuple(each for part in parts if part is not held for each in part), held) for held in parts]


def table(turns: Sequence[tuple[T, T]], measures: Sequence[str], score: Callable[[int, T, T], Sequence[float]]) -> str:
    """Every fold's figures, their mean and their sample standard deviation, as text.

    Parameters
    ----------
    turns
        Of each fold what is trained on, and what is held out.
    score
        Trains and measures one fold, by its number from 1; as many figures as there are measures.
    """
    widths = [max(7, len(measure)) for measure in measures]

    def line(name: str, values: Sequence[float]) -> str:
        cells = (f"{value:{width}.3f}" for value, width in zip(values, widths, strict=True))
        return f"{name:>4s}  " + "  ".join(cells)

    scores = [list(score(number, others, held)) for number, (others, held) in enumerate(turns, start=1)]
    head = "fold  " + "  ".join(f"{measure:>{width}s}" for measure, width in zip(measures, widths, strict=True))
    rows = [line(str(number), values) for number, values in enumerate(scores, start=1)]
    spread = np.std(scores, axis=0, ddof=1)
    return "\n".join([head, *rows, line("mean", list(np.mean(scores, axis=0))), line("sd", list(spread))])
