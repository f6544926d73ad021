"""What the commands of `osteon-train ... knee` do; each returns the text to print."""

import argparse
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from models.card import Bundle, Card, KneeCard, of_kind, read_bundle
from models.knee import load
from models.knee_card import SYSTEM
from models.metrics import roc_auc
from models.session import Device, SessionOptions
from training.errors import DataFault, RunFault
from training.familiarity import Familiarity
from training.folds import table
from training.knee import ablate, bundle, calibrate, evaluate, fit, judges
from training.knee.dataset import Radiographs, read
from training.knee.judges import OUTLINED_BY, panels, refuse_taught
from training.knee.montage import montage
from training.knee.nets import CLASSES, SegUNet
from training.knee.recipe import RECIPES, Recipe, ancestors
from training.knee.report import told_of
from training.knee.scores import answers, features
from training.knee.serving import Served, ServeSpec
from training.measures import Measures, asked_of, compared
from training.parts import VALIDATION, Chosen, calibrated_on, keep_apart, measured_on, part_of
from training.release import CHOICES, release_of
from training.report import publish
from training.run import TURN, folded, halved, options_of, recipe_of, run_of, seeded
from training.split import BLOCK, EDGE, Split, Turn, turn_of
from training.start import Start, facts_of, start_of
from training.taught import doubt_of, facts_of_taught, mark_of, refuse_others
from training.together import alike, count_of, facts_of_members, members_of, networks_of
from training.turns import TURNS, facts_of_turns, turn_in, turns_in

SIDE = 256
"""The grid on which truth and answer are compared: that of btxrd256."""
FOLDS = 5
REAL_INPUTS = 4
"""Validation images that an export is proved on, beside noise."""
_Images = tuple[Radiographs, tuple[int, ...]]


def run_fit(args: argparse.Namespace) -> str:
    """Train, or go on."""
    torch.set_num_threads(args.threads)
    recipe = seeded(RECIPES[args.preset], args.seed)
    start, turn = (
        start_of(args.start, _presets(recipe), _asked(recipe)),
        None if args.turn is None else turn_of(args.turn),
    )
    nets = fit.train(read(args.data, recipe.side), recipe, args.out, args.minutes, start, turn)
    parameters = sum(value.numel() for value in nets["global"].parameters())
    return (
        f"Trained both networks of {parameters} parameters into {args.out}. "
        f"Next: osteon-train export knee --run {args.out} --data {args.data} --bundle BUNDLE --kind real|phantom"
    )


def run_folds(args: argparse.Namespace) -> str:
    """Cross-validate by patients, or blocks of ids where none is told; each fold is a run of its own below RUN."""
    torch.set_num_threads(args.threads)
    recipe = RECIPES[args.preset]
    return cross_validated(read(args.data, recipe.side), recipe, args.out, args.minutes, args.count or FOLDS)


def cross_validated(data: Radiographs, recipe: Recipe, out: Path, minutes: float | None, count: int) -> str:
    """Classes and outlines of each fold, of the global network alone: before it is fused, calibrated or cut."""

    def score(number: int, others: tuple[int, ...], held: tuple[int, ...]) -> list[float]:
        each = None if minutes is None else minutes / count
        net = fit.train_global(data, recipe, out / f"fold-{number}", each, Split(others, held, held, ()))
        classes, dices = answers(Served(net, ServeSpec((recipe.looks,), mirrored=False)), data, held)
        labels = data.labels[list(held)]
        right = float((classes.argmax(axis=1) == labels).mean())
        return [roc_auc(1.0 - classes[:, 0], labels > 0), right, float(np.nanmean(dices[labels > 0]))]

    turns = [(each.train, each.test) for each in data.folds(count)]
    return table(turns, ("AUC of tumour", "accuracy", "mean Dice"), score)


def run_export(args: argparse.Namespace) -> str:
    """Write and prove a bundle."""
    torch.set_num_threads(args.threads)
    release, told = release_of(args, CHOICES), run_of(args.run)
    recipe, turn = recipe_of(told, RECIPES), turn_in(str(told.get(TURN, "")))
    data = read(args.data, recipe.side)
    nets = fit.load(recipe, args.run, release.start_share)
    chosen = data.split(turn).validation[:REAL_INPUTS]
    real = [data.images[index].astype("float32") / 255.0 for index in chosen]
    specs = {
        "global": ServeSpec(tuple(args.global_side or (recipe.looks,)), release.mirrored, release.outlined_by),
        "patch": ServeSpec((args.patch_side or recipe.side,), mirrored=False, outlined_by=release.outlined_by),
    }
    facts: dict[str, str | int | float | bool | list[str | int | float | bool]] = {
        "kind": release.kind,
        "data": _described(data, release.kind),
        "split": _split_words(data, turn),
        **facts_of_taught(told, data.named(data.split(turn).train), data.named(data.split(turn).test)),
        "command": f"osteon-train fit knee --preset {recipe.name} --data DIR --out RUN{options_of(told)}",
        "seconds": list(fit.spent(args.run)["seconds"]),
        "steps": list(fit.spent(args.run)["steps"]),
        **{f"{name}_looks_at_px": list(specs[name].sides) for name in fit.STAGES},
        "mirrored": [specs[name].mirrored for name in fit.STAGES],
        **({OUTLINED_BY: release.outlined_by} if release.outlined_by else {}),
        **({"weights": "half precision"} if release.half else {}),
        "parameters": sum(value.numel() for value in nets["global"].parameters()),
        **facts_of(told, release.kind, release.start_share),
    }
    members = members_of(release.together, _presets(recipe), _asked(recipe))
    turns = facts_of_turns(str(told.get(TURN, "")), members, data.kept_out)
    facts |= turns
    facts |= facts_of_members(members, facts, release.kind, _kin(data, turns.get(TURNS, [])))
    refuse_voters(members, release.outlined_by)
    if turns and members:
        panels(list(map(str, turns[TURNS])), release.outlined_by)
    unused = (fit.HEADS, fit.DISTANCE) if release.outlined_by else fit.HEADS
    draws = [partial(SegUNet, each.net) for each in ancestors(recipe)]
    known = Familiarity(features(Served(folded(nets["global"]), specs["global"]), data, data.split(turn).train))
    served = {
        name: Served(
            folded(net),
            specs[name],
            known if name == "global" else None,
            networks_of(net, draws, members, name, drawn=unused),
        )
        for name, net in nets.items()
    }
    if release.half:
        served = {name: halved(net) for name, net in served.items()}
    bundle.write(served, recipe, args.bundle, version=release.version, real=real, facts=facts)
    if turns and not members:
        return (
            f"Wrote {args.bundle}. Next: export the other turns, and one of them or of none with all others (--with)."
        )
    return f"Wrote {args.bundle}. Next: osteon-train calibrate knee --bundle {args.bundle} --data {args.data}"


def _kin(data: Radiographs, turns: Sequence[object]) -> set[str]:
    """The marks of whom the split lets teach, without a turn and with each of these: the same images test them all."""
    marks = {mark_of(data.named(data.split().train))}
    for turn in {turn_in(str(words)) for words in turns if words}:
        with contextlib.suppress(DataFault):  # too small for it: then nobody learned in that turn here
            marks.add(mark_of(data.named(data.split(turn).train)))
    return marks


def refuse_voters(members: Sequence[Start], outlined_by: int) -> None:
    """See to it that so many networks can outline: the run's own, then those of the members in their order.

    Raises
    ------
    RunFault
        There are fewer networks, or one of them is in its file for the classes only.
    """
    holders = ["the run"] + [str(member.folder) for member in members for _ in range(count_of(member))]
    able = [True] + [place < _outliners(member) for member in members for place in range(count_of(member))]
    if outlined_by < 0 or outlined_by > len(able):
        raise RunFault(f"--outlined-by {outlined_by}: there are {len(able)} networks. Give a number from 1 to that.")
    for holder, can in list(zip(holders, able, strict=True))[: outlined_by or None]:
        if not can:
            raise RunFault(
                f"{holder} was exported with --outlined-by: some of its networks answer for the classes only. Give "
                f"--outlined-by {able.index(False)} here, or the bundles that these networks came from."
            )


def _outliners(member: Start) -> int:
    """How many of its networks outline; a card that says so in words, as 0.10.0's, is of one."""
    told = member.card.training.get(OUTLINED_BY, count_of(member))
    return told if isinstance(told, int) else 1


def run_calibrate(args: argparse.Namespace) -> str:
    """Choose what the card decides by."""
    sound, data = of_kind(read_bundle(args.bundle), KneeCard), _data(args)
    refuse_others(sound, args.part, *_divided(sound, data))
    if args.part == VALIDATION:
        jury = judges.of_validation(sound, data, args.threads)
    else:
        jury = judges.whole(sound, _part(data, args.part), args.threads)
    choice = calibrate.choose(calibrate.Bench(sound, data, jury))
    seen = sorted(index for judge in jury for index in judge.indices)
    of = calibrated_on(data.named(seen), args.part)
    bundle.record(sound, choice=choice, of=of | ({judges.JUDGED: judges.JUDGED_APART} if len(jury) > 1 else {}))
    return (
        f"Mask {choice.thresholds.mask}, pixel bias {choice.thresholds.pixel_bias}, alone {choice.thresholds.alone}, "
        f"T {choice.thresholds.normal_total}, tumour {choice.thresholds.tumour}, "
        f"certain {choice.thresholds.certain}, unlike {choice.thresholds.unlike}, "
        f"temperature {choice.calibration.temperature}, bias {choice.calibration.bias}; calibration error "
        f"{choice.ece_before} before, {choice.ece_after} after. "
        f"Next: osteon-train evaluate knee --bundle {args.bundle} --data {args.data} --write"
    )


def run_evaluate(args: argparse.Namespace) -> str:
    """Measure, and write it down when asked to."""
    sound, data = of_kind(read_bundle(args.bundle), KneeCard), _data(args)
    knee = load(sound, SessionOptions(device=Device.CPU, threads=args.threads))
    refuse_others(sound, args.part, *_divided(sound, data))
    refuse_taught(sound, data, args.part)
    indices = _part(data, args.part)
    keep_apart(data.named(indices), sound.card.measured)
    cases = evaluate.examine([knee], data, args.data, indices)[0]
    measured: evaluate.Figures = {
        **measured_on("knee", "radiographs", args.part, sound.card.training, args.kind),
        "interval": f"95 %, bootstrap over {data.groups}: [value, low, high]",
        **evaluate.figures(cases, sound.card.thresholds.tumour, data.groups),
        **evaluate.strangers(knee, data, args.data, indices),
    }
    if args.write:
        bundle.record(sound, measured=measured)
    publish(args, sound.card, measured, lambda: told_of(cases, montage(cases, knee, data, args.data)))
    return json.dumps(measured, indent=1)


def run_compare(args: argparse.Namespace) -> str:
    """Two bundles on the same images, or one on other copies of them."""

    def chosen(bundle: Bundle[Card], data: Radiographs) -> Chosen[_Images]:
        sound, indices = of_kind(bundle, KneeCard), _part(data, args.part)
        refuse_taught(sound, data, args.part)
        return Chosen(data.named(indices), (data, indices), doubt_of(sound, args.part, *_divided(sound, data)))

    def measured(bundle: Bundle[Card], examined: _Images) -> Measures:
        sound, (data, indices) = of_kind(bundle, KneeCard), examined
        knee = load(sound, SessionOptions(device=Device.CPU, threads=args.threads))
        cases = evaluate.examine([knee], data, data.folder, indices)[0]
        return evaluate.measures(cases, sound.card.thresholds.tumour)

    return compared(asked_of(args), SYSTEM, lambda folder: read(folder, SIDE), chosen, measured)


def run_ablate(args: argparse.Namespace) -> str:
    """The paper's Tables 2 to 4 on our images."""
    if args.out is None:
        raise RunFault("ablate knee trains three times: give the folder of these runs with --out.")
    torch.set_num_threads(args.threads)
    recipe = RECIPES[args.preset]
    rows = ablate.ablate(read(args.data, recipe.side), recipe, args.out, args.part, args.minutes)
    return ablate.table(rows, args.part, args.kind)


def _divided(
    bundle: Bundle[KneeCard], data: Radiographs
) -> tuple[Callable[[], set[str]], Callable[[], tuple[str, ...]]]:
    """Who teaches, as marks, and who tests, by names; neither is asked for before it is needed."""
    turns = turns_in(bundle.card.training)
    return lambda: _kin(data, turns), lambda: data.named(data.split().test)


def _part(data: Radiographs, part: str) -> tuple[int, ...]:
    return part_of(range(len(data.labels)), part, lambda cases: data.split())


COMMANDS: Mapping[str, Callable[[argparse.Namespace], str]] = {
    "fit": run_fit,
    "folds": run_folds,
    "export": run_export,
    "calibrate": run_calibrate,
    "evaluate": run_evaluate,
    "compare": run_compare,
    "ablate": run_ablate,
}


def _presets(recipe: Recipe) -> tuple[str, ...]:
    """Of the bundles that a run of this recipe may begin with, or answer together with."""
    return tuple(dict.fromkeys(name for each in ancestors(recipe) for name in alike(each, RECIPES)))


def _asked(recipe: Recipe) -> Mapping[str, str]:
    """What the card of a bundle must say whose networks are to go on, or to answer with those of a run."""
    return bundle.blank(recipe, "0.0.0", {"kind": "phantom"}).contract(fit.STAGES[0])


def _data(args: argparse.Namespace) -> Radiographs:
    return read(args.data, SIDE)


def _described(data: Radiographs, kind: str) -> str:
    if kind == "phantom":
        return f"{len(data.names)} phantom radiographs of osteon-train phantoms"
    if data.patients:
        return (
            f"{len(data.names)} radiographs (CR, DX) of {len(set(data.patients))} patients, labelled in {data.words}: "
            f"{_counted(data, range(len(data.names)))}"
        )
    return (
        f"BTXRD (Yao et al., Scientific Data 2025) as {data.words}: {len(data.names)} radiographs of limbs and "
        f"pelvis, {_counted(data, range(len(data.names)))}"
    )


def _split_words(data: Radiographs, turn: Turn | None = None) -> str:
    division, validation = data.split(turn), f"validation, turn {turn} (the others train)" if turn else "validation"
    parts = {"training": division.train, validation: division.validation, "test": division.test}
    told = "; ".join(f"{name} {len(part)} ({_counted(data, part)})" for name, part in parts.items())
    if data.patients:
        return (
            f"By patient, drawn by SHA-256 within the most frequent class of a patient: {told}. "
            f"{len(division.dropped)} left out: near duplicates across parts."
        )
    return (
        f"By blocks of {BLOCK} consecutive ids, drawn by SHA-256 within the most frequent class of a block: {told}. "
        f"{len(division.dropped)} left out: {EDGE} ids at each edge of a test block, and near duplicates across parts."
    )


def _counted(data: Radiographs, part: Sequence[int]) -> str:
    labels = data.labels[list(part)]
    return ", ".join(f"{int((labels == number).sum())} {name}" for number, name in enumerate(CLASSES))
