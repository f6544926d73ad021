"""The table of figures in the README, written from the cards that ship, so that it never says what no card says.

osteon-train figures                      # print it
osteon-train figures --readme README.md   # put it where the README holds it
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from models.card import Bundle, Card, bundles
from models.cardhead import Scalar
from training.errors import RunFault

BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
"""Between these lines of the README the table stands."""
HEAD = ("system", "measure", "figure (95 %)", "asked", "on", "command")


class Measure(NamedTuple):
    """One figure of a card."""

    key: str
    """In [measured]."""
    words: str
    asked: float
    is_at_most: bool = False


_ECE = Measure("ece_after", "ECE after calibration", 0.08, is_at_most=True)
ASKED: dict[str, tuple[Measure, ...]] = {
    "knee-seg-unet": (
        Measure("tumour_auc", "tumour or normal, AUC", 0.90),
        Measure("accuracy", "3-class accuracy", 0.80),
        Measure("mean_accuracy", "balanced accuracy", 0.70),
        Measure("dice_mean", "mean Dice on images with a tumour", 0.55),
        _ECE,
    ),
    "limb-unet": (Measure("dice_median_per_patient", "median Dice per patient", 0.75), _ECE),
    "diffusion-unet": (
        Measure("dice_pooled", "pooled Dice", 0.92),
        Measure("dice_mean_per_image", "mean Dice per image", 0.88),
        _ECE,
    ),
    "hand-deep-ht": (
        Measure("miou_6_pixels", "mIoU of 6 classes, pixel by pixel", 0.70),
        Measure("miou_6_regions", "mIoU of 6 classes, as outlined and named", 0.70),
        Measure("miou_binary_pixels", "binary mIoU, pixel by pixel", 0.80),
        Measure("miou_binary_regions", "binary mIoU, as outlined", 0.80),
        Measure("pixel_ece_after", "ECE after calibration, of pixels", 0.08, is_at_most=True),
        Measure("study_ece_6", "ECE after calibration, of studies", 0.08, is_at_most=True),
    ),
    "spine-wff": (
        Measure("patient_auc", "benign or malignant per patient, AUC", 0.85),
        Measure("ap50", "AP50 of boxes", 0.60),
        Measure("false_findings_per_patient", "false findings per patient", 1.0, is_at_most=True),
        _ECE,
    ),
}
"""By system, what is asked of its figures on data that the training never saw."""


def table(folder: Path) -> str:
    """The figures of the bundles in a folder as Markdown; a system without one is named as such.

    Raises
    ------
    RunFault
        A bundle there is damaged.
    """
    shelf = bundles(folder)
    if shelf.damaged:
        raise RunFault(f"No table is made while a bundle is damaged. {shelf.damaged[0].reason}")
    by_system: dict[str, list[Bundle[Card]]] = {system: [] for system in ASKED}
    for bundle in shelf.sound:
        by_system[bundle.card.system].append(bundle)
    lines = [_line(HEAD), _line(["---"] * len(HEAD))]
    for system, measures in ASKED.items():
        for bundle in by_system[system]:
            lines += [_line(cells) for cells in _rows(bundle.card, measures)]
        if not by_system[system]:
            lines.append(_line((system, "no bundle ships", "", "", "", "")))
    return "\n".join(lines)


def put(readme: Path, made: str) -> bool:
    """Put the table into the README between its two marks; whether that changed anything.

    Raises
    ------
    RunFault
        It has no such marks.
    """
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise RunFault(f"{readme} has no lines {BEGIN} and {END}. Add both where the table is to stand.")
    new = f"{before}{BEGIN}\n{made}\n{END}{after}"
    readme.write_text(new, encoding="utf-8")
    return new != text


def _rows(card: Card, measures: Sequence[Measure]) -> list[tuple[str, ...]]:
    command, kind = card.measured.get("command"), str(card.measured.get("kind", card.training_kind))
    said = f"`{command}`" if command else ""
    rows: list[tuple[str, ...]] = []
    for measure in measures:
        limit = f"{'≤' if measure.is_at_most else '≥'} {measure.asked:.2f}"
        name = f"{card.name} {card.version}" if not rows else ""
        figure = _figure(card.measured.get(measure.key), measure)
        rows.append((name, measure.words, figure, limit, kind, said if not rows else "the same"))
    return rows


def _figure(value: Scalar | list[Scalar] | None, measure: Measure) -> str:
    """The figure with its interval, bold where it falls short of what is asked."""
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(each, int | float) for each in numbers):
        return "not measured"
    point, *interval = (float(each) for each in numbers if each is not None)
    falls_short = point > measure.asked if measure.is_at_most else point < measure.asked
    digits = 3 if falls_short and f"{point:.2f}" == f"{measure.asked:.2f}" else 2
    told = f"**{point:.{digits}f}**" if falls_short else f"{point:.2f}"
    return f"{told} ({interval[0]:.2f}-{interval[1]:.2f})" if len(interval) == 2 else told


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
