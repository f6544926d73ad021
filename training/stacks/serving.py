"""What is exported around a trained network of stacks: its answer, and how strange a slice is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.slices import has_tissue
from models.stack_card import StackCard
from training.familiarity import Familiarity, familiar_with, spread
from training.looks import looked_twice, mean_of
from training.stacks.case import Case, stack_of, way_of
from training.unet import UNet

LEARNED = 800
"""Slices of the training patients, evenly chosen, that tell what is familiar."""


class Known(NamedTuple):
    """What the file gives."""

    mask_logits: Tensor
    """(batch, 1, rows, columns)."""
    strangeness: Tensor
    """(batch, 1): about 1 for a slice like those of the training."""


class Served(nn.Module):
    """A network with what was familiar to it, which may look at mirror images too, and answer with others together."""

    def __init__(
        self, net: UNet, familiarity: Familiarity, is_mirrored: bool = False, others: Sequence[UNet] = ()
    ) -> None:
        super().__init__()
        self.net = net
        self.others = nn.ModuleList(others)
        self.familiarity = familiarity
        self.is_mirrored = is_mirrored

    @property
    def looks(self) -> int:
        """How often each network is asked."""
        return 2 if self.is_mirrored else 1

    def forward(self, image: Tensor) -> Known:
        """The answers for `image` `(batch, channels, rows, columns)`; the mean logits of all looks of all networks."""
        features: list[Tensor] = []

        def logits_of(seen: Tensor) -> Tensor:
            logits, layers = self.net.looked(seen)
            features.append(layers)
            return mean_of([logits, *(other(seen).mask_logits for other in self.others)])

        logits = looked_twice(logits_of, image) if self.is_mirrored else logits_of(image)
        return Known(logits, self.familiarity(features[0]))


@torch.no_grad()
def learned(net: UNet, cases: Sequence[Case], card: StackCard) -> Familiarity:
    """What slices of these patients look like to the network, prepared as the node prepares them.

    Raises
    ------
    DataFault
        None of them shows tissue.
    """
    each = max(1, LEARNED // max(1, len(cases)))
    tiles = [tile for turn, case in enumerate(cases) for tile in _tiles(case, card, each, turn)]
    net.eval()
    return familiar_with(tiles, lambda batch: net.looked(batch)[1])


def _tiles(case: Case, card: StackCard, count: int, turn: int) -> list[npt.NDArray[np.float32]]:
    """About `count` slices of a patient, those without tissue left out."""
    stack, way = stack_of(case, card), way_of(case, card, card.preprocess.size)
    channels = np.stack([way.resampled(channel) for channel in stack.channels])
    chosen = set(spread(range(channels.shape[1]), count, turn))
    inputs = way.inputs(channels, card.preprocess.neighbours)
    return [tile for index, _, tile in inputs if index in chosen and has_tissue(tile)]
