"""Trains the network of a system, and lets it look at whole patients as the node does."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.findings import ModelIdentity
from models.metrics import dice
from models.stack import StackModel
from models.stack_card import ROLE, StackCard
from training.loop import fit
from training.losses import deep
from training.run import claim, keep, with_weights
from training.session import TorchSession
from training.stacks import spacing
from training.stacks.batches import Batch, Drawer
from training.stacks.case import Case, Parts, prepared_case, split, stack_of
from training.stacks.recipe import Recipe
from training.stacks.system import System, recipe_card
from training.start import VIEWS, Start, begin, claimed
from training.taught import taught_of
from training.unet import UNet

log = logging.getLogger(__name__)

WEIGHTS = "net.pt"
HEADS = "heads."
"""What only training looks at, by the names of its parameters."""
OBSERVED = 8
"""Validation patients that are looked at while training."""


def model_of(net: UNet, card: StackCard) -> StackModel:
    """The node's pipeline around a network in training."""
    identity = ModelIdentity(card.system, card.name, card.version, "", "torch", card.training_kind)
    return StackModel(card, identity, TorchSession(net))


def train(
    system: System,
    cases: Sequence[Case],
    recipe: Recipe,
    folder: Path,
    minutes: float | None = None,
    start: Start | None = None,
) -> UNet:
    """Train, or go on; the averaged weights end in `folder`/net.pt. With `start` the weights of a bundle begin."""
    return train_on(system, split(cases), recipe, folder, minutes, start)


def train_on(
    system: System,
    parts: Parts,
    recipe: Recipe,
    folder: Path,
    minutes: float | None = None,
    start: Start | None = None,
) -> UNet:
    """The same with parts that were divided otherwise, as a fold is."""
    recipe = spacing.chosen(recipe, parts.train, folder, start)
    claim(
        folder, recipe, minutes, claimed(start) | taught_of([case.name for case in parts.train]) | spacing.told(recipe)
    )
    card = recipe_card(system, recipe)
    plan = recipe.plan if minutes is None else replace(recipe.plan, steps=None, minutes=minutes)
    torch.manual_seed(plan.seed)
    net = UNet(recipe.net)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a gap in torch's stubs
    drawer = Drawer([prepared_case(case, card) for case in parts.train], recipe)
    watched = [(case, stack_of(case, card)) for case in parts.validation[:OBSERVED]]

    def loss_of(trained: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(trained, UNet)  # what went in is what is trained
        return deep(trained.levels(batch.images), batch.masks, recipe.image_dice)

    def observe(average: nn.Module, step: int, share: float) -> float:
        assert isinstance(average, UNet)  # what went in is what is averaged
        model = model_of(average, card)
        each = [dice(case.mask, model.probability(stack) > 0.5) for case, stack in watched]
        log.info("Step %d, %.0f %%: validation Dice %s.", step, 100 * share, ", ".join(f"{one:.3f}" for one in each))
        return float(np.mean([one for one in each if not np.isnan(one)] or [0.0]))

    begin(net, start, ROLE, (drawer(step, 0.0).images for step in range(VIEWS)), folder, drawn=HEADS)
    averaged = fit(net, drawer, loss_of, plan, folder, observe=observe)
    assert isinstance(averaged, UNet)  # what went in is what is averaged
    keep(averaged, folder / WEIGHTS)
    return averaged


def load(recipe: Recipe, folder: Path, start_share: float = 0.0) -> UNet:
    """The trained network of a run, or its mean with what it began with (see `run.with_weights`).

    Raises
    ------
    RunFault
        It has not ended.
    """
    return with_weights(UNet(recipe.net), folder / WEIGHTS, folder, start_share)
