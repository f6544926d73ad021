"""What the commands of `osteon-train` do for a system that looks at stacks; each returns the text to print."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from models.card import Bundle, Card, read_bundle
from models.session import Device, SessionOptions
from models.stack import StackModel, load
from models.stack_card import ROLE, StackCard
from training.errors import RunFault
from training.folds import in_turn, table
from training.loop import progress_of
from training.measures import Measures, asked_of, compared
from training.parts import VALIDATION, Chosen, calibrated_on, doubted, keep_apart, measured_on, withheld
from training.release import Release, release_of
from training.report import Told, publish
from training.run import options_of, recipe_of, run_of, seeded
from training.stacks import bundle, calibrate, evaluate, fit, spacing
from training.stacks.case import Case, Parts, folds, split, stack_of
from training.stacks.crossed import Judges, fold, judges, learning
from training.stacks.recipe import Recipe
from training.stacks.report import told_of
from training.stacks.serving import Served, learned
from training.stacks.system import Facts, System, recipe_card
from training.start import facts_of, start_of
from training.taught import facts_of_taught
from training.together import alike, facts_of_members, members_of, networks_of
from training.unet import UNet

FOLDS = 5
SPACING_RULE = "median in-plane spacing of the training patients, or that of the bundle that was begun with"
Command = Callable[[argparse.Namespace], str]


def commands_of(system: System) -> Mapping[str, Command]:
    """By name."""
    return {
        "fit": partial(run_fit, system),
        "folds": partial(run_folds, system),
        "export": partial(run_export, system),
        "calibrate": partial(run_calibrate, system),
        "evaluate": partial(run_evaluate, system),
        "compare": partial(run_compare, system),
    }


def run_fit(system: System, args: argparse.Namespace) -> str:
    """Train, or go on."""
    torch.set_num_threads(args.threads)
    recipe = seeded(system.recipes[args.preset], args.seed)
    asked = recipe_card(system, recipe).contract(ROLE)
    if recipe.takes_median:
        del asked[spacing.KEY]
    start = start_of(args.start, (recipe.name,), asked)
    net = fit.train(system, system.read(args.data), recipe, args.out, args.minutes, start)
    return (
        f"Trained a network of {_parameters(net)} parameters into {args.out}. "
        f"Next: osteon-train export {system.name} --run {args.out} --data {args.data} --bundle BUNDLE "
        "--kind real|phantom"
    )


def run_folds(system: System, args: argparse.Namespace) -> str:
    """Cross-validate by patient; each fold is a run of its own below RUN."""
    torch.set_num_threads(args.threads)
    cases = system.read(args.data)
    cases = learning(cases) if args.learning else cases
    return cross_validated(system, cases, system.recipes[args.preset], args.out, args.minutes, args.count or FOLDS)


def cross_validated(
    system: System, cases: Sequence[Case], recipe: Recipe, out: Path, minutes: float | None, count: int
) -> str:
    """Dice of each fold, of the network alone: before a threshold or a smallest region is chosen."""

    def score(number: int, others: tuple[Case, ...], held: tuple[Case, ...]) -> list[float]:
        each = None if minutes is None else minutes / count
        run = fold(out, number)
        net = fit.train_on(system, Parts(others, held, held), recipe, run, each)
        card = recipe_card(system, spacing.kept(recipe, run))
        model = fit.model_of(net.eval(), card)
        pairs = [(case.mask, model.probability(stack_of(case, card)) > 0.5) for case in held]
        pixels = np.array([((mask & said).sum(), mask.sum(), said.sum()) for mask, said in pairs])
        ill = [evaluate.pooled_dice(row[None]) for row in pixels if row[1]]
        return [float(np.median(ill)) if ill else float("nan"), evaluate.pooled_dice(pixels)]

    turns = in_turn(folds(cases, count))
    return table(turns, ("median Dice of patients", "pooled Dice"), score)


def run_export(system: System, args: argparse.Namespace) -> str:
    """Write and prove a bundle."""
    torch.set_num_threads(args.threads)
    release = release_of(args, ("start_share", "mirror", "together"))
    recipe = recipe_of(run_of(args.run), system.recipes)
    export(system, args.run, recipe, system.read(args.data), args.bundle, release)
    return f"Wrote {args.bundle}. Next: osteon-train calibrate {system.name} --bundle {args.bundle} --data {args.data}"


def export(
    system: System, run: Path, recipe: Recipe, cases: Sequence[Case], folder: Path, release: Release
) -> StackCard:
    """A bundle of a run."""
    recipe = spacing.kept(recipe, run)
    net, told, parts = fit.load(recipe, run, release.start_share), run_of(run), split(cases)
    card, progress = recipe_card(system, recipe), progress_of(run)
    facts: Facts = {
        "kind": release.kind,
        "data": system.described(len(cases), release.kind),
        "split": _split_words(parts),
        **facts_of_taught(told, *([case.name for case in part] for part in (parts.train, parts.test))),
        "command": f"osteon-train fit {system.name} --preset {recipe.name} --data DIR --out RUN{options_of(told)}",
        "seconds": round(progress.seconds),
        "steps": progress.step,
        "parameters": _parameters(net),
        **({"spacing_rule": SPACING_RULE} if recipe.takes_median else {}),
        **facts_of(told, release.kind, release.start_share),
    }
    members = members_of(release.together, alike(recipe, system.recipes), card.contract(ROLE))
    facts = {**facts, **facts_of_members(members, facts, release.kind)}
    others = networks_of(net, [lambda: UNet(recipe.net)], members, ROLE, drawn=fit.HEADS)
    served = Served(net, learned(net, parts.train, card), release.mirrored, others)
    facts["looks"] = served.looks
    return bundle.write(system, served, recipe, folder, version=release.version, cases=parts.validation, facts=facts)


def run_calibrate(system: System, args: argparse.Namespace) -> str:
    """Choose what the card decides by."""
    sound, cases = read_bundle(args.bundle), system.read(args.data)
    if args.folds and args.part != VALIDATION:
        raise RunFault(f"--folds chooses by who trains or validates, --part {args.part} by others. Give one of them.")
    by = judges(system, sound, cases, args.folds) if args.folds else None
    choice = calibrated(sound, cases, args.threads, args.part, by)
    thresholds, calibration = choice.thresholds, choice.calibration
    return (
        f"Mask {thresholds.mask}, regions from {thresholds.region_min_mm3:g} mm3 and a probability of "
        f"{thresholds.tumour} on; temperature {calibration.temperature}, bias {calibration.bias}; calibration error "
        f"{choice.ece_before} before, {choice.ece_after} after. "
        f"Next: osteon-train evaluate {system.name} --bundle {args.bundle} --data {args.data} --write"
    )


def calibrated(
    sound: Bundle[Card], cases: Sequence[Case], threads: int, part: str = VALIDATION, by: Judges | None = None
) -> calibrate.Choice:
    """Calibrate a bundle, by the answers of the networks of folds where there are some, and write its card."""
    cases = withheld(sound, cases, part, split)
    choice = calibrate.choose(_open(sound, threads), cases, by)
    names = [case.name for _, held in by for case in held] if by else [case.name for case in cases]
    of = calibrated_on(names, f"{len(by)} folds of training and validation" if by else part)
    bundle.record(sound, choice=choice, of=of)
    return choice


def run_evaluate(system: System, args: argparse.Namespace) -> str:
    """Measure, and write it down when asked to."""
    sound = read_bundle(args.bundle)
    cases = withheld(sound, system.read(args.data), args.part, split)
    keep_apart([case.name for case in cases], sound.card.measured)
    measured, showing = measure(system, sound, cases, args.part, args.threads, args.kind)
    if args.write:
        bundle.record(sound, measured=measured)
    publish(args, sound.card, measured, showing)
    return json.dumps(measured, indent=1)


def measure(
    system: System, sound: Bundle[Card], cases: Sequence[Case], part: str, threads: int, kind: str | None = None
) -> tuple[evaluate.Figures, Callable[[], Told]]:
    """The figures of a bundle on patients, and what a report of them would show."""
    model = _open(sound, threads)
    seen = evaluate.look(model, cases)
    said = evaluate.judge(model, seen)
    sample = evaluate.sampled(seen)
    measured: evaluate.Figures = {
        **measured_on(system.name, "patients", part, sound.card.training, kind),
        "interval": "95 %, bootstrap over patients: [value, low, high]",
        **evaluate.figures(said, sample),
        **evaluate.strangers(model, cases),
    }
    return measured, partial(told_of, seen, said, sample)


def run_compare(system: System, args: argparse.Namespace) -> str:
    """Two bundles on the same patients, or one on other images of them."""

    def chosen(sound: Bundle[Card], cases: Sequence[Case]) -> Chosen[tuple[Case, ...]]:
        return doubted(sound, cases, args.part, split)

    def measured(sound: Bundle[Card], cases: Sequence[Case]) -> Measures:
        model = _open(sound, args.threads)
        return evaluate.measures(evaluate.judge(model, evaluate.look(model, cases)))

    return compared(asked_of(args), system.system, system.read, chosen, measured)


def _open(sound: Bundle[Card], threads: int) -> StackModel:
    return load(sound, SessionOptions(device=Device.CPU, threads=threads))


def _parameters(net: torch.nn.Module) -> int:
    return sum(value.numel() for value in net.parameters())


def _split_words(parts: Parts) -> str:
    return (
        f"By patient, by a hash of the name: {len(parts.train)} train, {len(parts.validation)} validate and calibrate, "
        f"{len(parts.test)} test."
    )
