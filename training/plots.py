"""Pictures of how good a model is, as SVG text: losses, ROC, reliability, confusion."""

import io
from collections.abc import Callable, Sequence

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.metrics import reliability, roc_auc, roc_curve
from training.history import Line

Vector = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer]

TRUTH, ANSWER, QUIET = "#1b7837", "#b2182b", "#888888"


def losses(history: Sequence[Line], score: str) -> str:
    """The loss of each stretch of steps, and on an axis of its own what validation said."""

    def draw(axes: Axes) -> None:
        axes.plot([line.step for line in history], [line.loss for line in history], color=ANSWER, linewidth=1)
        axes.set_xlabel("step")
        axes.set_ylabel("loss", color=ANSWER)
        seen = [(line.step, line.score) for line in history if line.score is not None]
        if seen:
            other = axes.twinx()
            other.plot(*zip(*seen, strict=True), color=TRUTH, marker="o", markersize=3)
            other.set_ylabel(score, color=TRUTH)

    return _svg(draw, (7.0, 3.2))


def roc(scores: Vector, positive: npt.NDArray[np.bool_], label: str) -> str:
    """The receiver operating characteristic of one score."""
    false, true = roc_curve(scores, positive)

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=":")
        axes.step(false, true, where="post", color=ANSWER)
        axes.set_xlabel("1 - specificity")
        axes.set_ylabel("sensitivity")
        axes.set_title(f"{label}: AUC {roc_auc(scores, positive):.3f}", fontsize=10)
        axes.set_aspect("equal")

    return _svg(draw, (3.6, 3.6))


def calibration(probabilities: Vector, labels: Ints, label: str) -> str:
    """How often an answer was right against how sure it was; the marks grow with the number of cases."""
    bins = reliability(probabilities, labels)

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=":")
        sizes = [12.0 + 200.0 * each.share for each in bins]
        axes.scatter([each.sure for each in bins], [each.right for each in bins], s=sizes, color=ANSWER, alpha=0.7)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("probability of the answer")
        axes.set_ylabel("share that was right")
        axes.set_title(label, fontsize=10)
        axes.set_aspect("equal")

    return _svg(draw, (3.6, 3.6))


def confusion(matrix: Ints, truth: Sequence[str], answers: Sequence[str]) -> str:
    """Counts by true class (rows) and answer (columns); the shade is the share of the row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)

    def draw(axes: Axes) -> None:
        axes.imshow(shares, cmap="Greys", vmin=0.0, vmax=1.3)
        for (row, column), count in np.ndenumerate(matrix):
            axes.text(column, row, str(int(count)), ha="center", va="center", color=ANSWER, fontsize=10)
        axes.set_xticks(range(len(answers)), answers, rotation=30, ha="right")
        axes.set_yticks(range(len(truth)), truth)
        axes.set_xlabel("answered")
        axes.set_ylabel("true")

    return _svg(draw, (1.6 + 0.7 * len(answers), 1.4 + 0.7 * len(truth)))


def histogram(values: Vector, label: str, bins: int = 20) -> str:
    """How a figure between 0 and 1 is spread over the cases."""

    def draw(axes: Axes) -> None:
        axes.hist(values[np.isfinite(values)], bins=bins, range=(0.0, 1.0), color=ANSWER, alpha=0.7)
        axes.set_xlabel(label)
        axes.set_ylabel("cases")

    return _svg(draw, (4.4, 3.2))


def _svg(draw: Callable[[Axes], None], size: tuple[float, float]) -> str:
    """Text without a date, so that the same run gives the same file."""
    with mpl.rc_context({"svg.hashsalt": "osteon", "font.size": 9, "axes.spines.top": False}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
