"""Makes a spine bundle of a run, and writes into its card what was chosen and what was measured."""

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.card import Bundle, Card, FileEntry, Stage, contract_of, of_kind
from models.spine import BOXES, FAMILIAR, ROLES
from models.spine_card import (
    CLASSES,
    SYSTEM,
    SpineCalibration,
    SpineCard,
    SpineFusion,
    SpinePreprocess,
    SpineThresholds,
)
from models.spine_input import CROP, SLICES
from models.spine_study import contract
from models.stack_card import NORMALISATION, NeedSpec, StackInput
from models.wff import Weights
from training import card_writer
from training.errors import RunFault
from training.export import prove
from training.spine.calibrate import Choice
from training.spine.evaluate import Figures
from training.spine.fit import Nets
from training.spine.onnx_export import (
    export_classifier,
    export_detector,
    export_familiar,
    prove_classifier,
    prove_detector,
)
from training.spine.recipe import Recipe
from training.spine.serving import Familiar

BODY_PARTS = ("spine",)
PLANE = ("sagittal",)
LEAST_SLICES, MOST = 5, 4
"""Of a sequence; a whole spine is imaged in up to four parts."""
NEEDS = (
    NeedSpec("t2", ("T2",), PLANE, min_slices=LEAST_SLICES, fat_suppressed=False, at_most=MOST, is_optional=True),
    NeedSpec("fs", ("T2", "STIR"), PLANE, min_slices=LEAST_SLICES, fat_suppressed=True, at_most=MOST, is_optional=True),
    NeedSpec("t1", ("T1",), PLANE, min_slices=LEAST_SLICES, may_be_contrasted=False, at_most=MOST, is_optional=True),
    NeedSpec("t1c", ("T1",), PLANE, min_slices=LEAST_SLICES, must_be_contrasted=True, at_most=MOST, is_optional=True),
)
"""Each sequence that is there has a vote, and the answer says which were not there."""
ANY_OF = ("t2", "fs")
"""One is enough to answer, but not T1 alone: there a tumour and a degenerate or healed vertebra are both dark."""
INTENDED_USE = (
    "Research. Points a reader at places on sagittal MR of the spine that may be a tumour, and says whether the tumour "
    "of a patient is likelier benign or malignant, from all sequences and the age. It decides nothing."
)
PHANTOM_LIMITATIONS = (
    "Trained on phantoms, spines drawn from formulas. It shows that the way from images to report works; what it says "
    "of a patient's images means nothing."
)
LIMITATIONS = (
    "Sagittal sequences only. Its boxes are no outlines. A tumour that it does not find is not called benign. The age "
    "statistics are those of the patients it was trained on. Not for any clinical decision."
)
PHANTOM_LICENCE = "Apache-2.0: weights trained on phantoms only"
LICENCE = "research only: see the licence of the training data"
PAPER = (
    "Liu H, Jiao M, Yuan Y, et al. Benign and malignant diagnosis of spinal tumors based on deep learning and weighted "
    "fusion framework on MRI. Insights into Imaging 2022, 13:87. doi:10.1186/s13244-022-01227-2"
)
ANYTHING = 1e9
"""Nothing is too strange before calibration says what is."""
KEPT = ("validation_",)

Facts = Mapping[str, str | int | float | bool | list[str | int | float | bool]]
Array = npt.NDArray[np.float32]


def write(
    nets: Nets,
    familiar: Familiar,
    recipe: Recipe,
    folder: Path,
    *,
    version: str,
    seen: Mapping[str, Array],
    facts: Facts,
) -> Card:
    """Export both networks, and what is familiar to them, prove all equal on random and real input, then write.

    Parameters
    ----------
    seen
        By role, a batch of what the network sees in service.
    facts
        The [training] part of the card; `kind` is "real" or "phantom".

    Raises
    ------
    UnequalExport
        A file that does not answer as its network; nothing is written.
    """
    card = blank(nets, recipe, version, facts)
    stated = {role: contract_of(card, role) | _told(card, recipe, role) for role in (*ROLES, FAMILIAR)}
    made = {
        "detector": export_detector(nets.detector, stated["detector"]),
        "classifier": export_classifier(nets.classifier, stated["classifier"]),
        FAMILIAR: export_familiar(familiar, (1, *recipe.detector.size), stated[FAMILIAR]),
    }
    rng = np.random.default_rng(1)
    noise = rng.random((3, 1, *recipe.detector.size), dtype=np.float32)
    inputs = [noise, seen["detector"]]
    prove(made[FAMILIAR], "familiar.onnx", familiar, contract(card, FAMILIAR), inputs)
    prove_detector(made["detector"], "detector.onnx", nets.detector, stated["detector"], inputs)
    noise = rng.random((3, SLICES, CROP, CROP), dtype=np.float32)
    inputs = [noise, seen["classifier"]]
    prove_classifier(made["classifier"], "classifier.onnx", nets.classifier, stated["classifier"], inputs)
    folder.mkdir(parents=True, exist_ok=True)
    for role, data in made.items():
        (folder / f"{role}.onnx").write_bytes(data)
    files = {role: FileEntry(f"{role}.onnx", hashlib.sha256(data).hexdigest()) for role, data in made.items()}
    card = replace(card, files=files)
    card_writer.write(card, folder)
    return card


def blank(nets: Nets, recipe: Recipe, version: str, facts: Facts) -> SpineCard:
    """The card of a bundle that was neither exported, calibrated nor measured yet."""
    if recipe.detector.boxes != BOXES:
        raise RunFault(f"The recipe gives {recipe.detector.boxes} boxes per slice; the node takes {BOXES}.")
    is_real = facts["kind"] == "real"
    weights = Weights()
    return SpineCard(
        name="spine",
        system=SYSTEM,
        version=version,
        stage=Stage.RESEARCH,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        intended_use=INTENDED_USE,
        limitations=LIMITATIONS if is_real else PHANTOM_LIMITATIONS,
        licence=LICENCE if is_real else PHANTOM_LICENCE,
        input=StackInput(("MR",), BODY_PARTS, NEEDS, one_grid=False, any_of=ANY_OF),
        preprocess=SpinePreprocess(recipe.detector.size, NORMALISATION, recipe.classifier_batches.margin),
        files={},
        classes=CLASSES,
        thresholds=SpineThresholds(mask=0.5, certain=0.5, unlike=ANYTHING),
        calibration=SpineCalibration(temperature=1.0, bias=0.0),
        fusion=SpineFusion(weights.detector, weights.sequence, weights.age, tuple(round(age, 4) for age in nets.ages)),
        measured={},
        training={**facts, "recipe_sha256": recipe.digest(), "preset": recipe.name, "paper": PAPER},
    )


def record(
    bundle: Bundle[Card],
    *,
    choice: Choice | None = None,
    of: Mapping[str, str | int] | None = None,
    measured: Figures | None = None,
) -> SpineCard:
    """Write into the card what calibration chose, and of which cases (`training.parts`), or what was measured."""
    card = of_kind(bundle, SpineCard).card
    if choice is not None:
        told: Figures = {
            **(of or {}),
            "validation_ece_before": choice.ece_before,
            "validation_ece_after": choice.ece_after,
            "validation_false_findings": choice.false_findings,
        }
        if choice.strangeness:
            told["validation_strangeness_25_50_75_99"] = list(choice.strangeness)
        card = replace(
            card,
            thresholds=SpineThresholds(mask=choice.box, certain=choice.certain, unlike=choice.unlike),
            calibration=SpineCalibration(choice.temperature, choice.bias),
            measured=told,
        )
    if measured is not None:
        kept = {key: value for key, value in card.measured.items() if key.startswith(KEPT)}
        card = replace(card, measured={**kept, **measured})
    card_writer.write(card, bundle.folder)
    return card


def _told(card: SpineCard, recipe: Recipe, role: str) -> dict[str, str]:
    rows, columns = card.preprocess.size
    shape = f"(b, 1, {rows}, {columns})" if role != "classifier" else f"(b, {SLICES}, {CROP}, {CROP})"
    return {
        "name": card.name,
        "version": card.version,
        "input": f"image float32 {shape}, 0..1",
        "training_data": card.training_kind,
        "recipe_sha256": recipe.digest(),
    }
