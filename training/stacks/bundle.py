"""Makes a bundle of a run, and writes into its card what was chosen and what was measured."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.card import Bundle, Card, FileEntry, contract_of, of_kind
from models.stack import contract
from models.stack_card import ROLE, StackCard
from training import card_writer
from training.export import export, prove
from training.stacks.calibrate import Choice
from training.stacks.case import Case, stack_of, way_of
from training.stacks.evaluate import Figures
from training.stacks.recipe import Recipe
from training.stacks.serving import Known, Served
from training.stacks.system import Facts, System, blank

FILE = "net.onnx"
SEEN = 4
"""Slices with a tumour that an export is proved on, beside noise."""
ANYTHING = 1e9
"""Nothing is too strange before calibration says what is."""
KEPT = ("validation_",)


def write(
    system: System, net: Served, recipe: Recipe, folder: Path, *, version: str, cases: Sequence[Case], facts: Facts
) -> StackCard:
    """Export the network, prove it equal on random and real input, then write file and card.

    Parameters
    ----------
    cases
        Patients to prove it on.
    facts
        The [training] part of the card; `kind` is "real" or "phantom".

    Raises
    ------
    UnequalExport
        A file that does not answer as the network; nothing is written.
    """
    card = blank(system, recipe, version, facts)
    card = replace(card, thresholds=replace(card.thresholds, unlike=ANYTHING))
    rows, columns = card.preprocess.size
    stated = contract_of(card, ROLE)
    told = {
        "name": card.name,
        "version": card.version,
        "input": f"image float32 (b, {card.input_channels}, {rows}, {columns}), {_range(recipe)}",
        "training_data": card.training_kind,
        "recipe_sha256": recipe.digest(),
    }
    data = export(net, recipe.side, Known._fields, stated | told, channels=card.input_channels)
    shape = (card.input_channels, rows, columns)
    noise = np.random.default_rng(1).random((3, *shape), dtype=np.float32)
    prove(data, str(folder / FILE), net, contract(card), [noise, seen(cases, card)])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(data)
    card = replace(card, files={ROLE: FileEntry(FILE, hashlib.sha256(data).hexdigest())})
    card_writer.write(card, folder)
    return card


def _range(recipe: Recipe) -> str:
    return "0..1" if recipe.brightest is not None else "body 0.5 + z-score / 6, air 0"


def seen(cases: Sequence[Case], card: StackCard) -> npt.NDArray[np.float32]:
    """What the network sees of the largest slice of a few patients' tumours."""
    batch = []
    for case in cases[:SEEN]:
        wanted = int(case.mask.sum(axis=(1, 2)).argmax())
        stack, way = stack_of(case, card), way_of(case, card, card.preprocess.size)
        channels = np.stack([way.resampled(channel) for channel in stack.channels])
        batch.append(
            next(tile for index, _, tile in way.inputs(channels, card.preprocess.neighbours) if index == wanted)
        )
    return np.stack(batch)


def record(
    bundle: Bundle[Card],
    *,
    choice: Choice | None = None,
    of: Mapping[str, str | int] | None = None,
    measured: Figures | None = None,
) -> StackCard:
    """Write into the card what calibration chose, and of which cases (`training.parts`), or what was measured."""
    card = of_kind(bundle, StackCard).card
    if choice is not None:
        before: Figures = {**(of or {})}
        before |= {"validation_ece_before": choice.ece_before, "validation_ece_after": choice.ece_after}
        if choice.strangeness:
            before["validation_strangeness_25_50_75_99"] = list(choice.strangeness)
        card = replace(card, thresholds=choice.thresholds, calibration=choice.calibration, measured=before)
    if measured is not None:
        kept = {key: value for key, value in card.measured.items() if key.startswith(KEPT)}
        card = replace(card, measured={**kept, **measured})
    card_writer.write(card, bundle.folder)
    return card
