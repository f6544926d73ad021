"""Trains the network of the limb system, and lets it look at whole patients."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.metrics import dice
from models.slices import normalise
from training.limb.batches import Batch, Drawer
from training.limb.dataset import Patient, prepared, split
from training.limb.recipe import Recipe
from training.loop import fit
from training.losses import deep
from training.run import claim, with_weights
from training.unet import UNet

log = logging.getLogger(__name__)

WEIGHTS = "net.pt"
TILES = 8
"""That go through the network at once."""


def train(patients: Sequence[Patient], recipe: Recipe, folder: Path, minutes: float | None = None) -> UNet:
    """Train, or go on; the averaged weights end in `folder`/net.pt."""
    claim(folder, recipe, minutes)
    parts = split(patients)
    plan = recipe.plan if minutes is None else replace(recipe.plan, steps=None, minutes=minutes)
    torch.manual_seed(plan.seed)
    net = UNet(recipe.net)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a gap in torch's stubs
    drawer = Drawer([prepared(patient, recipe.spacing_mm) for patient in parts.train], recipe)

    def loss_of(trained: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(trained, UNet)  # what went in is what is trained
        return deep(trained.levels(batch.images), batch.masks)

    def observe(average: nn.Module, step: int, share: float) -> float:
        assert isinstance(average, UNet)  # what went in is what is averaged
        each = [dice(patient.mask, probability(average, patient, recipe) > 0.5) for patient in parts.validation]
        log.info("Step %d, %.0f %%: validation Dice %s.", step, 100 * share, ", ".join(f"{one:.3f}" for one in each))
        return float(np.nanmean(each))

    averaged = fit(net, drawer, loss_of, plan, folder, observe=observe)
    assert isinstance(averaged, UNet)  # what went in is what is averaged
    torch.save(averaged.state_dict(), folder / WEIGHTS)
    return averaged


def load(recipe: Recipe, folder: Path) -> UNet:
    """The trained network of a run."""
    return with_weights(UNet(recipe.net), folder / WEIGHTS)


@torch.no_grad()
def probability(net: UNet, patient: Patient, recipe: Recipe) -> npt.NDArray[np.float32]:
    """The uncalibrated probability of tumour of every voxel of a patient, on the source grid, as the node does it."""
    way = patient.way(recipe.spacing_mm, (recipe.side, recipe.side))
    channels = way.resampled(normalise(patient.voxels))[None]
    inputs = list(way.inputs(channels, recipe.neighbours))
    answers: dict[int, list[tuple[tuple[int, int], npt.NDArray[np.float32]]]] = {}
    for first in range(0, len(inputs), TILES):
        some = inputs[first : first + TILES]
        said = torch.sigmoid(net(torch.from_numpy(np.stack([tile for _, _, tile in some]))).mask_logits)
        for (index, corner, _), answer in zip(some, said[:, 0].numpy(), strict=True):
            answers.setdefault(index, []).append((corner, answer))
    return way.restored(np.stack([way.merged(answers[index]) for index in range(len(answers))]))
