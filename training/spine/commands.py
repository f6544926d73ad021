"""What the commands of `osteon-train ... spine` do; each returns the text to print."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.card import Bundle, Card, read_bundle
from models.session import Device, SessionOptions
from models.spine_card import SYSTEM
from models.spine_input import fitted, largest
from models.spine_study import Spine, load
from training import sources
from training.archive.folder import holds_dicom
from training.errors import RunFault
from training.folds import in_turn, table
from training.measures import Measures, asked_of, compared
from training.parts import VALIDATION, Chosen, calibrated_on, doubted, keep_apart, measured_on, withheld
from training.patients import Parts
from training.release import Release, release_of
from training.report import Told, publish
from training.run import options_of, recipe_of, run_of, seeded
from training.spine import ablate, archive, bundle, calibrate, evaluate, fit
from training.spine.classifier_batches import chosen, cut
from training.spine.dataset import FOLDS, KINDS, Case, folds, read, split
from training.spine.recipe import RECIPES, Recipe
from training.spine.report import told_of
from training.spine.serving import learned
from training.start import facts_of, start_of
from training.taught import facts_of_taught

SEEN = 4
"""Validation slices, and sequences, that an export is proved on, beside noise."""


def patients(folder: Path) -> tuple[Case, ...]:
    """The patients of a folder, in whichever layout."""
    return sources.read(folder, SOURCES)


SOURCES = (
    sources.Source(
        "NAME.npz, one per patient (osteon-train phantoms --part spine --layout arrays)",
        lambda folder: any(folder.glob("*.npz")),
        read,
    ),
    sources.Source("DICOM files of MR studies, each with a SEG or an RTSTRUCT", holds_dicom, archive.read_studies),
)


def run_fit(args: argparse.Namespace) -> str:
    """Train, or go on."""
    torch.set_num_threads(args.threads)
    recipe = seeded(RECIPES[args.preset], args.seed)
    start = start_of(args.start, (recipe.name,), {"system": SYSTEM, "size": "x".join(map(str, recipe.detector.size))})
    nets = fit.train(patients(args.data), recipe, args.out, args.minutes, start)
    parameters = [sum(value.numel() for value in net.parameters()) for net in (nets.detector, nets.classifier)]
    return (
        f"Trained a detector of {parameters[0]} and a classifier of {parameters[1]} parameters into {args.out}. "
        f"Next: osteon-train export spine --run {args.out} --data {args.data} --bundle BUNDLE --kind real|phantom"
    )


def run_folds(args: argparse.Namespace) -> str:
    """Cross-validate by patient (spine-wff: four folds); each fold is a run of its own below RUN."""
    torch.set_num_threads(args.threads)
    return cross_validated(patients(args.data), RECIPES[args.preset], args.out, args.minutes, args.count or FOLDS)


def cross_validated(cases: Sequence[Case], recipe: Recipe, out: Path, minutes: float | None, count: int) -> str:
    """Boxes and classes of each fold, of the networks alone: before a threshold is chosen or a vote is counted."""

    def score(number: int, others: tuple[Case, ...], held: tuple[Case, ...]) -> tuple[float, float]:
        each = None if minutes is None else minutes / count
        return fit.scored(fit.train_on(Parts(others, held, held), recipe, out / f"fold-{number}", each), held, recipe)

    return table(in_turn(folds(cases, count)), ("AP50 of slices", "AUC of sequences"), score)


def run_export(args: argparse.Namespace) -> str:
    """Write and prove a bundle."""
    torch.set_num_threads(args.threads)
    release, recipe = release_of(args, ()), recipe_of(run_of(args.run), RECIPES)
    export(args.run, recipe, patients(args.data), args.bundle, release)
    return f"Wrote {args.bundle}. Next: osteon-train calibrate spine --bundle {args.bundle} --data {args.data}"


def export(run: Path, recipe: Recipe, cases: Sequence[Case], folder: Path, release: Release) -> Card:
    """A bundle of a run."""
    nets, told, parts = fit.load(recipe, run), run_of(run), split(cases)
    facts: dict[str, str | int | float | bool | list[str | int | float | bool]] = {
        "kind": release.kind,
        "data": f"{len(cases)} patients, {', '.join(f'{_count(cases, k)} {k}' for k in KINDS)}; {release.kind}",
        "split": _split_words(parts),
        **facts_of_taught(told, *([case.name for case in part] for part in (parts.train, parts.test))),
        "command": f"osteon-train fit spine --preset {recipe.name} --data DIR --out RUN{options_of(told)}",
        "seconds": list(fit.spent(run)["seconds"]),
        "steps": list(fit.spent(run)["steps"]),
        "parameters": [sum(value.numel() for value in net.parameters()) for net in (nets.detector, nets.classifier)],
        **facts_of(told, release.kind),
    }
    familiar = learned(nets.detector, parts.train)
    shown = seen(parts.validation, recipe)
    return bundle.write(nets, familiar, recipe, folder, version=release.version, seen=shown, facts=facts)


def seen(cases: Sequence[Case], recipe: Recipe) -> dict[str, npt.NDArray[np.float32]]:
    """What the networks see of a few sequences with a tumour."""
    scans = [scan for case in cases for scan in case.scans if len(scan.boxes)][:SEEN]
    slices = [scan.stack[scan.slices[0]].astype(np.float32) / np.float32(255.0) for scan in scans]
    crops = [
        cut(
            scan,
            scan.boxes[largest(scan.boxes)].astype(np.float64),
            chosen(scan, by_index=False),
            recipe.classifier_batches.margin,
        )
        for scan in scans
    ]
    return {
        "detector": np.stack([fitted(image, recipe.detector.size) for image in slices])[:, None],
        "classifier": np.stack(crops),
    }


def run_calibrate(args: argparse.Namespace) -> str:
    """Choose what the card decides by."""
    sound = read_bundle(args.bundle)
    choice = calibrated(sound, patients(args.data), args.threads, args.part)
    return (
        f"Boxes from {choice.box} on, {choice.false_findings} false findings per patient; temperature "
        f"{choice.temperature}, bias {choice.bias}; calibration error {choice.ece_before} before, {choice.ece_after} "
        f"after; a class is possible from {choice.certain} on. "
        f"Next: osteon-train evaluate spine --bundle {args.bundle} --data {args.data} --write"
    )


def calibrated(sound: Bundle[Card], cases: Sequence[Case], threads: int, part: str = VALIDATION) -> calibrate.Choice:
    """Calibrate a bundle and write its card."""
    cases = withheld(sound, cases, part, split)
    spine = _open(sound, threads)
    looked = evaluate.look(spine.nets, cases, spine.card.preprocess.size)
    choice = calibrate.choose(spine.nets, looked, spine.card.rules)
    bundle.record(sound, choice=choice, of=calibrated_on([case.name for case in cases], part))
    return choice


def run_evaluate(args: argparse.Namespace) -> str:
    """Measure, and write it down when asked to."""
    sound = read_bundle(args.bundle)
    cases = withheld(sound, patients(args.data), args.part, split)
    keep_apart([case.name for case in cases], sound.card.measured)
    measured, showing = measure(sound, cases, args.part, args.threads, args.kind)
    if args.write:
        bundle.record(sound, measured=measured)
    publish(args, sound.card, measured, showing)
    return "\n".join(f"{key}: {value}" for key, value in measured.items())


def measure(
    sound: Bundle[Card], cases: Sequence[Case], part: str, threads: int, kind: str | None = None
) -> tuple[evaluate.Figures, Callable[[], Told]]:
    """The figures of a bundle on patients, and what a report of them would show."""
    spine = _open(sound, threads)
    looked = evaluate.look(spine.nets, cases, spine.card.preprocess.size)
    said = evaluate.judge(spine.nets, looked, spine.card.rules)
    measured: evaluate.Figures = {
        **measured_on("spine", "patients", part, sound.card.training, kind),
        "interval": "95 %, bootstrap over patients: [value, low, high]",
        **evaluate.figures(looked, said, spine.card.rules),
        **evaluate.strangers(spine.nets, looked, spine.card.rules),
    }
    return measured, partial(told_of, looked, said, spine.card.rules)


def run_compare(args: argparse.Namespace) -> str:
    """Two bundles on the same patients, or one on other images of them."""

    def chosen(sound: Bundle[Card], cases: Sequence[Case]) -> Chosen[tuple[Case, ...]]:
        return doubted(sound, cases, args.part, split)

    def measured(sound: Bundle[Card], cases: Sequence[Case]) -> Measures:
        spine = _open(sound, args.threads)
        looked = evaluate.look(spine.nets, cases, spine.card.preprocess.size)
        return evaluate.measures(looked, evaluate.judge(spine.nets, looked, spine.card.rules))

    return compared(asked_of(args), SYSTEM, patients, chosen, measured)


def run_ablate(args: argparse.Namespace) -> str:
    """The paper's Table 3 on our patients."""
    if args.bundle is None:
        raise RunFault("ablate spine weighs the terms of a bundle anew: give its folder with --bundle.")
    sound = read_bundle(args.bundle)
    spine = _open(sound, args.threads)
    cases = withheld(sound, patients(args.data), args.part, split)
    looked = evaluate.look(spine.nets, cases, spine.card.preprocess.size)
    return ablate.table(ablate.ablate(spine.nets, looked, spine.card.rules), args.kind)


def _open(sound: Bundle[Card], threads: int) -> Spine:
    return load(sound, SessionOptions(device=Device.CPU, threads=threads))


def _count(cases: Sequence[Case], kind: str) -> int:
    return sum(KINDS[case.kind] == kind for case in cases)


def _split_words(parts: Parts[Case]) -> str:
    return (
        f"by patient, by a hash of the name, each class apart: {len(parts.train)} train, {len(parts.validation)} "
        f"calibrate, {len(parts.test)} test"
    )


COMMANDS: Mapping[str, Callable[[argparse.Namespace], str]] = {
    "fit": run_fit,
    "folds": run_folds,
    "export": run_export,
    "calibrate": run_calibrate,
    "evaluate": run_evaluate,
    "compare": run_compare,
    "ablate": run_ablate,
}
