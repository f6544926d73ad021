"""Makes a hand bundle of a run, and writes into its card what was chosen and what was measured."""

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.card import Bundle, Card, FileEntry, Stage, contract_of, of_kind
from models.hand import contract
from models.hand_card import CLASSES, ROLE, SYSTEM, HandCard, HandThresholds
from models.stack_card import NeedSpec, StackInput
from training import card_writer
from training.export import export, prove
from training.hand.calibrate import Choice
from training.hand.evaluate import UNCALIBRATED, Figures
from training.hand.recipe import Recipe
from training.hand.serving import Known, Served

BODY_PARTS = ("hand", "finger", "wrist")
LEAST_SLICES, MOST = 3, 3
"""Slices of a series, and series of one kind: one in each plane."""
NEEDS = (
    NeedSpec("t1", ("T1",), min_slices=LEAST_SLICES, may_be_contrasted=False, at_most=MOST, is_optional=True),
    NeedSpec("t2", ("T2",), min_slices=LEAST_SLICES, fat_suppressed=False, at_most=MOST, is_optional=True),
    NeedSpec("fs", ("T2", "STIR"), min_slices=LEAST_SLICES, fat_suppressed=True, at_most=MOST, is_optional=True),
    NeedSpec("contrast", ("T1",), min_slices=LEAST_SLICES, must_be_contrasted=True, at_most=MOST, is_optional=True),
)
"""T1 in any plane, T2, and T1 after contrast agent (hand-deep-ht, section 2.2). Each series is looked at by itself; one
is enough to answer, and the answer says which were not there."""
INTENDED_USE = (
    "Research. Points a reader at regions on MR of the hand that may be one of five benign tumours, and says which of "
    "the five each resembles. It decides nothing."
)
LIMITATIONS = (
    "Knows ganglion, giant cell tumour of the tendon sheath, lipoma, haemangioma and schwannoma, all benign; patients "
    "with a malignant tumour, an injury, an infection or tumours of several kinds were left out. It cannot say that a "
    "tumour is benign. Not for any clinical decision."
)
PHANTOM_LIMITATIONS = (
    "Trained on phantoms, hands drawn from formulas. It shows that the way from images to report works; what it says "
    "of a patient's images means nothing. " + LIMITATIONS
)
PHANTOM_LICENCE = "Apache-2.0: weights trained on phantoms only"
LICENCE = "research only: see the licence of the training data"
PAPER = (
    "Hu X, Liu Z, Zhou H, Fang J, Lu H. Deep HT: A deep neural network for diagnose on MR images of tumors of the "
    "hand. PLoS ONE 2020, 15(8): e0237606. doi:10.1371/journal.pone.0237606"
)
ANYTHING = 1e9
"""Nothing is too strange before calibration says what is."""
KEPT = ("validation_",)

Facts = Mapping[str, str | int | float | bool | list[str | int | float | bool]]
Array = npt.NDArray[np.float32]


def write(net: Served, recipe: Recipe, folder: Path, *, version: str, seen: Array, facts: Facts) -> HandCard:
    """Export the network, prove it equal on random and real input, then write file and card.

    Parameters
    ----------
    seen
        A batch of what the network sees in service.
    facts
        The [training] part of the card; `kind` is "real" or "phantom".

    Raises
    ------
    UnequalExport
        A file that does not answer as its network; nothing is written.
    """
    card = blank(recipe, version, facts)
    channels, (rows, columns) = len(recipe.preprocess.channels), recipe.preprocess.size
    stated = contract_of(card, ROLE) | {
        "name": card.name,
        "version": card.version,
        "input": f"image float32 (b, {channels}, {rows}, {columns}), 0..1",
        "training_data": card.training_kind,
        "recipe_sha256": recipe.digest(),
    }
    model = export(net, rows, Known._fields, stated, channels)
    noise = np.random.default_rng(1).random((3, channels, rows, columns), dtype=np.float32)
    prove(model, str(folder / f"{ROLE}.onnx"), net, contract(card), [noise, seen])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{ROLE}.onnx").write_bytes(model)
    card = replace(card, files={ROLE: FileEntry(f"{ROLE}.onnx", hashlib.sha256(model).hexdigest())})
    card_writer.write(card, folder)
    return card


def blank(recipe: Recipe, version: str, facts: Facts) -> HandCard:
    """The card of a bundle that was neither exported, calibrated nor measured yet."""
    is_real = facts["kind"] == "real"
    return HandCard(
        name="hand",
        system=SYSTEM,
        version=version,
        stage=Stage.RESEARCH,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        intended_use=INTENDED_USE,
        limitations=LIMITATIONS if is_real else PHANTOM_LIMITATIONS,
        licence=LICENCE if is_real else PHANTOM_LICENCE,
        input=StackInput(modalities=("MR",), body_parts=BODY_PARTS, needs=NEEDS, one_grid=False),
        preprocess=recipe.preprocess,
        files={},
        classes=CLASSES,
        thresholds=HandThresholds(mask=0.5, region_min_mm3=40.0, tumour=0.5, kind=0.5, unlike=ANYTHING),
        calibration=UNCALIBRATED,
        measured={},
        training={**facts, "recipe_sha256": recipe.digest(), "preset": recipe.name, "paper": PAPER},
    )


def record(
    bundle: Bundle[Card],
    *,
    choice: Choice | None = None,
    of: Mapping[str, str | int] | None = None,
    measured: Figures | None = None,
) -> HandCard:
    """Write into the card what calibration chose, and of which cases (`training.parts`), or what was measured."""
    card = of_kind(bundle, HandCard).card
    if choice is not None:
        told: Figures = {
            **(of or {}),
            "validation_pixel_ece_before": choice.pixel_ece[0],
            "validation_pixel_ece_after": choice.pixel_ece[1],
            "validation_study_ece_before": choice.study_ece[0],
            "validation_study_ece_after": choice.study_ece[1],
        }
        if choice.strangeness:
            told["validation_strangeness_25_50_75_99"] = list(choice.strangeness)
        card = replace(card, thresholds=choice.thresholds, calibration=choice.calibration, measured=told)
    if measured is not None:
        kept = {key: value for key, value in card.measured.items() if key.startswith(KEPT)}
        card = replace(card, measured={**kept, **measured})
    card_writer.write(card, bundle.folder)
    return card
