"""What the commands of `osteon-train ... hand` do; each returns the text to print."""

import argparse
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.card import Bundle, Card, read_bundle
from models.hand import HandModel, load
from models.hand_card import CLASSES, ROLE, SYSTEM, HandCard
from models.session import Device, SessionOptions
from training import sources
from training.archive.folder import holds_dicom
from training.folds import in_turn, table
from training.hand import archive, bundle, calibrate, evaluate, fit, labelme
from training.hand.batches import Slice, slices_of
from training.hand.dataset import FOLDS, Case, folds, read, split
from training.hand.nets import DeepLab, parameters
from training.hand.recipe import RECIPES, Recipe
from training.hand.report import told_of
from training.hand.scores import binary, mean_iou
from training.hand.serving import Served, learned
from training.measures import Measures, asked_of, compared
from training.parts import VALIDATION, Chosen, calibrated_on, doubted, keep_apart, measured_on, withheld
from training.patients import Parts
from training.release import Release, release_of
from training.report import Told, publish
from training.run import options_of, recipe_of, run_of, seeded
from training.start import facts_of, start_of
from training.taught import facts_of_taught
from training.together import alike, facts_of_members, members_of, networks_of

log = logging.getLogger(__name__)

SEEN = 4
"""Validation slices that an export is proved on, beside noise."""


def patients(folder: Path) -> tuple[Case, ...]:
    """The patients of a folder, in whichever layout."""
    return sources.read(folder, SOURCES)


def _annotated(folder: Path) -> tuple[Case, ...]:
    cases, disputes = labelme.read_patients(folder)
    for dispute in disputes:
        log.warning("Left out: %s.", dispute)
    return cases


SOURCES = (
    sources.Source(
        f"{labelme.MILLIMETRES} beside folders of pictures with labelme's files",
        lambda folder: (folder / labelme.MILLIMETRES).is_file(),
        _annotated,
    ),
    sources.Source("NAME.npz, one per patient", lambda folder: any(folder.glob("*.npz")), read),
    sources.Source("DICOM files of MR studies, each with a SEG or an RTSTRUCT", holds_dicom, archive.read_studies),
)


def run_fit(args: argparse.Namespace) -> str:
    """Train, or go on."""
    torch.set_num_threads(args.threads)
    recipe = seeded(RECIPES[args.preset], args.seed)
    start = start_of(args.start, (recipe.name,), _asked(recipe))
    net = fit.train(patients(args.data), recipe, args.out, args.minutes, start)
    return (
        f"Trained a network of {parameters(net)} parameters into {args.out}. "
        f"Next: osteon-train export hand --run {args.out} --data {args.data} --bundle BUNDLE --kind real|phantom"
    )


def run_folds(args: argparse.Namespace) -> str:
    """Cross-validate by patient (hand-deep-ht, section 4); each fold is a run of its own below RUN."""
    torch.set_num_threads(args.threads)
    return cross_validated(patients(args.data), RECIPES[args.preset], args.out, args.minutes, args.count or FOLDS)


def cross_validated(cases: Sequence[Case], recipe: Recipe, out: Path, minutes: float | None, count: int = FOLDS) -> str:
    """Train on all folds but one, measure on that one, in turn; a table with the mean, as the paper's Table 1."""

    def score(number: int, others: tuple[Case, ...], held: tuple[Case, ...]) -> list[float]:
        each = None if minutes is None else minutes / count
        net = fit.train_on(Parts(others, held, held), recipe, out / f"fold-{number}", each)
        matrix = fit.confused(net, fit.examined_slices(held, recipe), recipe)
        return [mean_iou(matrix), mean_iou(binary(matrix))]

    return table(in_turn(folds(cases, count)), ("mIoU of 6", "mIoU of 2"), score)


def run_export(args: argparse.Namespace) -> str:
    """Write and prove a bundle."""
    torch.set_num_threads(args.threads)
    release, recipe = release_of(args, ("start_share", "mirror", "together")), recipe_of(run_of(args.run), RECIPES)
    export(args.run, recipe, patients(args.data), args.bundle, release)
    return f"Wrote {args.bundle}. Next: osteon-train calibrate hand --bundle {args.bundle} --data {args.data}"


def export(run: Path, recipe: Recipe, cases: Sequence[Case], folder: Path, release: Release) -> HandCard:
    """A bundle of a run."""
    net, told, parts = fit.load(recipe, run, release.start_share), run_of(run), split(cases)
    seconds, steps = fit.spent(run)
    facts: dict[str, str | int | float | bool | list[str | int | float | bool]] = {
        "kind": release.kind,
        "data": f"{len(cases)} {release.kind} patients: {_counted(cases)}",
        "split": (
            f"by patient, by a hash of the name, each kind apart: {len(parts.train)} train, "
            f"{len(parts.validation)} calibrate, {len(parts.test)} test"
        ),
        **facts_of_taught(told, *([case.name for case in part] for part in (parts.train, parts.test))),
        "command": f"osteon-train fit hand --preset {recipe.name} --data DIR --out RUN{options_of(told)}",
        "seconds": seconds,
        "steps": steps,
        "parameters": parameters(net),
        **facts_of(told, release.kind, release.start_share),
    }
    members = members_of(release.together, alike(recipe, RECIPES), _asked(recipe))
    facts |= facts_of_members(members, facts, release.kind)
    seen = _seen(parts.validation, recipe)
    others = networks_of(net, [lambda: DeepLab(recipe.net)], members, ROLE, drawn=fit.HEADS)
    served = Served(net, learned(net, parts.train, recipe), recipe.preprocess.own, release.mirrored, others)
    facts["looks"] = served.looks
    return bundle.write(served, recipe, folder, version=release.version, seen=seen, facts=facts)


def run_calibrate(args: argparse.Namespace) -> str:
    """Choose what the card decides by."""
    choice = calibrated(read_bundle(args.bundle), patients(args.data), args.threads, args.part)
    asked = choice.calibration
    return (
        f"Other series weigh {asked.fusion}; mask {choice.thresholds.mask}; temperatures {asked.temperature} (bias "
        f"{asked.background_bias}) of pixels, {asked.study_temperature} (bias {asked.study_bias}) of "
        f"studies, {asked.kind_temperature} of kinds; "
        f"calibration error of pixels {choice.pixel_ece[0]} before, {choice.pixel_ece[1]} after, of studies "
        f"{choice.study_ece[0]} before, {choice.study_ece[1]} after. "
        f"Next: osteon-train evaluate hand --bundle {args.bundle} --data {args.data} --write"
    )


def calibrated(sound: Bundle[Card], cases: Sequence[Case], threads: int, part: str = VALIDATION) -> calibrate.Choice:
    """Calibrate a bundle and write its card."""
    cases = withheld(sound, cases, part, split)
    model = _open(sound, threads)
    choice = calibrate.choose(evaluate.look(model, cases), model.card)
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
    model = _open(sound, threads)
    looked = evaluate.together(evaluate.look(model, cases), model.card)
    judged = evaluate.judge(looked, model.card)
    measured: evaluate.Figures = {
        **measured_on("hand", "patients", part, sound.card.training, kind),
        "interval": "95 %, bootstrap over patients: [value, low, high]",
        **evaluate.figures(looked, judged, model.card),
        **evaluate.strangers(model, cases),
    }
    return measured, partial(told_of, looked, judged, model.card)


def run_compare(args: argparse.Namespace) -> str:
    """Two bundles on the same patients, or one on other images of them."""

    def chosen(sound: Bundle[Card], cases: Sequence[Case]) -> Chosen[tuple[Case, ...]]:
        return doubted(sound, cases, args.part, split)

    def measured(sound: Bundle[Card], cases: Sequence[Case]) -> Measures:
        model = _open(sound, args.threads)
        looked = evaluate.together(evaluate.look(model, cases), model.card)
        return evaluate.measures(evaluate.judge(looked, model.card), model.card)

    return compared(asked_of(args), SYSTEM, patients, chosen, measured)


def _open(sound: Bundle[Card], threads: int) -> HandModel:
    return load(sound, SessionOptions(device=Device.CPU, threads=threads))


def _asked(recipe: Recipe) -> Mapping[str, str]:
    """What the card of a bundle must say whose network is to go on, or to answer with that of a run."""
    return bundle.blank(recipe, "0.0.0", {"kind": "phantom"}).contract(ROLE)


def _seen(cases: Sequence[Case], recipe: Recipe) -> npt.NDArray[np.float32]:
    """A few slices with a tumour as the network sees them."""
    some = [case for case in cases if any(scan.mask.any() for scan in case.scans)] or cases
    rows, columns = recipe.preprocess.size
    slices: list[Slice] = []
    for case in some[:SEEN]:
        chosen = {place: [int(scan.mask.any(axis=(1, 2)).argmax())] for place, scan in enumerate(case.scans)}
        slices += slices_of(case, recipe.preprocess, chosen)
    return np.stack([each.image[:, :rows, :columns] for each in slices[:SEEN]]).astype(np.float32) / np.float32(255.0)


def _counted(cases: Sequence[Case]) -> str:
    return ", ".join(f"{sum(case.kind == kind for case in cases)} {name}" for kind, name in enumerate(CLASSES))


COMMANDS: Mapping[str, Callable[[argparse.Namespace], str]] = {
    "fit": run_fit,
    "folds": run_folds,
    "export": run_export,
    "calibrate": run_calibrate,
    "evaluate": run_evaluate,
    "compare": run_compare,
}
