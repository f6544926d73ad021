"""Makes a knee bundle of a run, and writes into its card what was chosen and what was measured."""

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.card import (
    NORMALISATION,
    Bundle,
    Calibration,
    FileEntry,
    InputSpec,
    KneeCard,
    Preprocess,
    Stage,
    Thresholds,
    contract_of,
)
from models.fusion import BETA
from models.knee import ROLES, contract
from models.knee_card import SYSTEM
from training import card_writer
from training.export import export, prove
from training.knee.calibrate import Choice
from training.knee.evaluate import Figures
from training.knee.nets import CLASSES
from training.knee.recipe import Recipe
from training.knee.serving import Served

BODY_PARTS = (
    "knee", "femur", "thigh", "tibia", "fibula", "lower_leg", "ankle", "foot",
    "hand", "wrist", "radius", "ulna", "forearm", "elbow", "humerus", "upper_arm", "shoulder", "limb",
)  # fmt: skip
"""Keys of the node's body regions."""
INTENDED_USE = (
    "Research. Points a reader at regions of a plain radiograph of a limb that may be a bone tumour, and "
    "says how likely the image shows none, a benign or a malignant one. It decides nothing."
)
LIMITATIONS = (
    "Trained on one public collection, BTXRD, {copy}; the body part "
    "of its tumour images is not given, so how it does at the knee alone is not known. Hip and pelvis were among the "
    "images, and are not claimed. Small tumours are seldom outlined: see tumours_found. Where A6 applies, normal is "
    "given exactly 0. The patch network has seen {detail}. Never tested on another hospital's "
    "images. Fractures, implants, infections and growing bones were not studied apart. Not for the spine, skull or "
    "chest, not for other modalities, and not for any clinical decision."
)
SQUEEZED = {
    "copy": "in a copy shrunk to 256 x 256 without its proportions",
    "detail": "no detail finer than that copy",
}
SLIDING = {
    "copy": "in the copy that [training] names",
    "detail": "the images' own pixels, of unknown size, and depends on how fine they are",
}
"""What is said of a network whose windows are of so many pixels of the image."""
PHANTOM_LIMITATIONS = (
    "Trained on phantoms, radiographs drawn from formulas. It shows that the way from image to report works; what it "
    "says of a patient's image means nothing."
)
PHANTOM_LICENCE = "Apache-2.0: weights trained on phantoms only"
LICENCE = "research only: weights trained on BTXRD, CC BY-NC-ND/CC BY non-commercial"
PAPER = (
    "Do N-T, Jung S-T, Yang H-J, Kim S-H. Multi-Level Seg-Unet Model with Global and Patch-Based X-ray Images for Knee "
    "Bone Tumor Detection. Diagnostics 2021, 11, 691. doi:10.3390/diagnostics11040691"
)

Facts = Mapping[str, str | int | float | bool | list[str | int | float | bool]]


def write(
    nets: Mapping[str, Served],
    recipe: Recipe,
    folder: Path,
    *,
    version: str,
    real: Sequence[npt.NDArray[np.float32]],
    facts: Facts,
) -> KneeCard:
    """Export both networks, prove them equal on random and real input, then write files and card.

    Parameters
    ----------
    real
        Images `(rows, columns)` of the input's size, in 0..1.
    facts
        The [training] part of the card; `kind` is "real" or "phantom".
    """
    card = blank(recipe, version, facts)
    made = {role: _file(nets[role], card, role, folder, real) for role in ROLES}
    files = {role: FileEntry(f"{role}.onnx", hashlib.sha256(data).hexdigest()) for role, data in made.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for role, data in made.items():
        (folder / files[role].path).write_bytes(data)
    card = replace(card, files=files)
    card_writer.write(card, folder)
    return card


def blank(recipe: Recipe, version: str, facts: Facts) -> KneeCard:
    """The card of a bundle that was neither exported, calibrated nor measured yet."""
    is_real = facts["kind"] == "real"
    return KneeCard(
        name="knee",
        system=SYSTEM,
        version=version,
        stage=Stage.RESEARCH,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        intended_use=INTENDED_USE,
        limitations=_limitations(recipe) if is_real else PHANTOM_LIMITATIONS,
        licence=LICENCE if is_real else PHANTOM_LICENCE,
        input=InputSpec(modalities=("CR", "DX"), body_parts=BODY_PARTS, min_side_px=recipe.side // 2),
        preprocess=Preprocess((recipe.side, recipe.side), NORMALISATION, recipe.window_px),
        files={},
        classes=CLASSES,
        thresholds=Thresholds(
            mask=0.5,
            mask_alone=0.5,
            region_min_px=20.0 if recipe.region_min_source_px is None else 0.0,
            region_min_mm2=25.0 if recipe.region_min_source_px is None else 0.0,
            normal_total=recipe.normal_total,
            beta=round(BETA, 7),
            tumour=0.5,
            certain=(0.5, 0.5),
            unlike=1e9,
            region_min_source_px=recipe.region_min_source_px,
        ),
        calibration=Calibration(temperature=1.0, bias=(0.0, 0.0, 0.0)),
        measured={},
        training={**facts, "recipe_sha256": recipe.digest(), "preset": recipe.name, "paper": PAPER},
    )


def _limitations(recipe: Recipe) -> str:
    return LIMITATIONS.format(**(SQUEEZED if recipe.window_px is None else SLIDING))


def record(
    bundle: Bundle[KneeCard],
    *,
    choice: Choice | None = None,
    of: Mapping[str, str | int] | None = None,
    measured: Figures | None = None,
) -> KneeCard:
    """Write into the card what calibration chose, and of which cases (`training.parts`), or what was measured."""
    card = bundle.card
    if choice is not None:
        before: Figures = {**(of or {})}
        before |= {"validation_ece_before": choice.ece_before, "validation_ece_after": choice.ece_after}
        before["validation_strangeness_25_50_75_99"] = list(choice.strangeness)
        before["validation_strangeness_cases"] = choice.strange_cases
        card = replace(card, thresholds=choice.thresholds, calibration=choice.calibration, measured=before)
    if measured is not None:
        kept = {key: value for key, value in card.measured.items() if key.startswith("validation_")}
        card = replace(card, measured={**kept, **measured})
    card_writer.write(card, bundle.folder)
    return card


def _file(net: Served, card: KneeCard, role: str, folder: Path, real: Sequence[npt.NDArray[np.float32]]) -> bytes:
    side = card.preprocess.size[0]
    stated = contract_of(card, role) | {
        "name": card.name,
        "version": card.version,
        "input": f"image float32 (b, 1, {side}, {side}), 0..1, bone bright",
        "training_data": card.training_kind,
        "recipe_sha256": str(card.training["recipe_sha256"]),
    }
    model = export(net, side, net.gives, stated)
    noise = np.random.default_rng(1).random((3, 1, side, side), dtype=np.float32)
    prove(model, str(folder / f"{role}.onnx"), net, contract(card, role), [noise, np.stack(real)[:, None]])
    return model
