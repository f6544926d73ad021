"""Trains the two networks of the knee system: the global one, then the patch one from its weights (§2.3)."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.knee.augment import STILL
from training.knee.batches import Batch, BatchSpec, Drawer
from training.knee.dataset import Radiographs
from training.knee.losses import total
from training.knee.nets import SegUNet
from training.knee.recipe import Recipe, Stage
from training.knee.scores import Seen, answers, seen
from training.knee.serving import Served, ServeSpec
from training.loop import Plan, fit, progress_of
from training.run import TURN, Told, claim, keep, with_weights
from training.split import Split, Turn
from training.start import VIEWS, Start, begin, claimed
from training.taught import taught_of
from training.turns import refuse_start, words_of

log = logging.getLogger(__name__)

STAGES = ("global", "patch")
HEADS = "coarse_heads."
"""What only training looks at, by the names of its parameters."""
FINE = "fine."
"""The level that a network may have been without (`NetSpec.fine`), likewise."""
DISTANCE = "distance_head"
"""What a file does not hold of a network that answers for the classes alone (`export --outlined-by`)."""
WHITENED = 8
"""Every eighth training image is enough for the principal components of pixel blocks."""
EXAMINED = 3
"""While training, every third validation image is looked at: enough to see where it goes."""


def train(
    data: Radiographs,
    recipe: Recipe,
    folder: Path,
    minutes: float | None = None,
    start: Start | None = None,
    turn: Turn | None = None,
) -> dict[str, SegUNet]:
    """Train, or go on with, both networks; their averaged weights end in `folder`/global.pt and patch.pt.

    Parameters
    ----------
    minutes
        The budget of both together; None takes the steps of the recipe.
    start
        The bundle whose global network the global one begins with; None begins with random weights.
    turn
        Of the validation part, the one from which nothing is learned; None: from none of it.
    """
    refuse_start(start, turn, data.kept_out)
    kept: Told = {TURN: words_of(turn, data.kept_out)} if turn else {}
    division = data.split(turn)
    claim(folder, recipe, minutes, {**claimed(start), **kept, **taught_of(data.named(division.train))})
    nets: dict[str, SegUNet] = {}
    for name, stage in zip(STAGES, (recipe.global_stage, recipe.patch_stage), strict=True):
        share = recipe.patch_share if name == "patch" else 1.0 - recipe.patch_share
        plan = stage.plan if minutes is None else replace(stage.plan, steps=None, minutes=minutes * share)
        before = nets.get("global") or start
        net = _stage(data, division.train, division.validation, recipe, stage, plan, folder / name, before)
        keep(net, folder / f"{name}.pt")
        nets[name] = net
    return nets


def train_global(
    data: Radiographs, recipe: Recipe, folder: Path, minutes: float | None = None, division: Split | None = None
) -> SegUNet:
    """Train, or go on with, the global network alone; on parts that were divided otherwise, as a fold is, if given."""
    stage, parts = recipe.global_stage, division or data.split()
    claim(folder, recipe, minutes, taught_of(data.named(parts.train)))
    plan = stage.plan if minutes is None else replace(stage.plan, steps=None, minutes=minutes)
    net = _stage(data, parts.train, parts.validation, recipe, stage, plan, folder / "global", None)
    keep(net, folder / "global.pt")
    return net


def load(recipe: Recipe, folder: Path, start_share: float = 0.0) -> dict[str, SegUNet]:
    """The trained networks of a run; the global one may be its mean with what it began with (see `run.with_weights`).

    The patch network always begins with the global one that was trained just before.
    """
    whole, patch = STAGES
    return {
        whole: with_weights(SegUNet(recipe.net), folder / f"{whole}.pt", folder / whole, start_share),
        patch: with_weights(SegUNet(recipe.net), folder / f"{patch}.pt"),
    }


def spent(folder: Path) -> dict[str, list[int]]:
    """Seconds and steps of both stages of a run."""
    states = [progress_of(folder / name) for name in STAGES]
    return {"seconds": [round(state.seconds) for state in states], "steps": [state.step for state in states]}


def _examiner(data: Radiographs, look_at: Sequence[int], recipe: Recipe, spec: BatchSpec) -> Callable[[SegUNet], Seen]:
    """How a network is judged on validation images while it trains.

    On whole ones; where it learns windows of the images' own pixels, on such windows, the same each time.
    """
    if spec.window_px is None:
        examined = list(look_at[::EXAMINED])
        labels, look = data.labels[examined], ServeSpec((recipe.looks,), mirrored=False)
        return lambda net: Seen(*answers(Served(net, look), data, examined), labels)
    there = set(data.labels[list(look_at)].tolist())
    normal, benign, malignant = (count if label in there else 0 for label, count in enumerate(spec.composition))
    phase = replace(spec.phases[-1], start=0.0, views=STILL, mixed=0.0)
    still = replace(spec, phases=(phase,), composition=(normal, benign, malignant))
    drawer = Drawer(data, look_at, still, recipe.loss, seed=0)
    count = math.ceil(len(look_at) / EXAMINED / sum(spec.composition))
    return lambda net: seen(net, (drawer(number, 1.0) for number in range(count)))


def _stage(
    data: Radiographs,
    train_on: Sequence[int],
    look_at: Sequence[int],
    recipe: Recipe,
    stage: Stage,
    plan: Plan,
    folder: Path,
    start: SegUNet | Start | None,
) -> SegUNet:
    torch.manual_seed(plan.seed)
    net = SegUNet(recipe.net)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a gap in torch's stubs
    if isinstance(start, SegUNet):
        net.load_state_dict(start.state_dict())
    elif start is None and recipe.net.whitens:
        net.whiten(torch.from_numpy(data.images[list(train_on)[::WHITENED]]).float().div_(255.0)[:, None])
    drawer = Drawer(data, train_on, stage.batches, recipe.loss, plan.seed)
    examine = _examiner(data, look_at, recipe, stage.batches)

    def loss_of(trained: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(trained, SegUNet)  # what went in is what is trained
        outputs, coarse = trained.supervised(batch.images)
        return total(outputs, batch.targets, recipe.loss, coarse)

    def observe(average: nn.Module, step: int, share: float) -> float:
        assert isinstance(average, SegUNet)  # what went in is what is averaged
        found = examine(average)
        told = 100 * share, found.auc, np.nanmean(found.dices)
        log.info("Step %d, %.0f %%: validation AUC %.3f, Dice %.3f.", step, *told)
        return found.auc

    if isinstance(start, Start):
        views = (drawer(step, 0.0).images for step in range(VIEWS))
        begin(net, start, STAGES[0], views, folder, drawn=(HEADS, FINE))
    averaged = fit(net, drawer, loss_of, plan, folder, observe=observe)
    assert isinstance(averaged, SegUNet)  # what went in is what is averaged
    return averaged
