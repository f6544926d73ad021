"""What is exported around a trained network of hands: its answer, and how strange a slice is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor, nn

from models.slices import has_tissue
from training.familiarity import Familiarity, familiar_with, moments
from training.hand.batches import slices_of
from training.hand.dataset import Case
from training.hand.nets import DeepLab
from training.hand.recipe import Recipe

LEARNED = 600
"""Slices of the training patients, evenly chosen, that tell what is familiar."""


class Known(NamedTuple):
    """What the file gives."""

    mask_logits: Tensor
    """(batch, classes, rows, columns)."""
    strangeness: Tensor
    """(batch, 1): about 1 for a slice like those of the training."""


class Served(nn.Module):
    """A network with what was familiar to it."""

    def __init__(self, net: DeepLab, familiarity: Familiarity) -> None:
        super().__init__()
        self.net = net
        self.familiarity = familiarity

    def forward(self, image: Tensor) -> Known:
        """The answers for `image` `(batch, channels, rows, columns)`."""
        return Known(self.net(image).mask_logits, self.familiarity(seen(self.net, image)))


def seen(net: DeepLab, image: Tensor) -> Tensor:
    """What the first layers make of it: the moments of the stem, which onnxruntime computes once for both answers."""
    encoder, given = net.encoder, net.rooted(image)
    return moments(image, [encoder.stem(F.pixel_unshuffle(given, 2) if encoder.shuffles else given)])


@torch.no_grad()
def learned(net: DeepLab, cases: Sequence[Case], recipe: Recipe) -> Familiarity:
    """What slices of these patients look like to the network, prepared as the node prepares them.

    Raises
    ------
    DataFault
        None of them shows tissue.
    """
    scans = [scan for case in cases for scan in case.scans]
    each = max(1, LEARNED // max(1, len(scans)))
    rows, columns = recipe.preprocess.size
    tiles = []
    for scan in scans:
        places = np.unique(np.linspace(0, len(scan.stack) - 1, min(each, len(scan.stack))).round().astype(int))
        for one in slices_of(scan, recipe.preprocess, places.tolist()):
            top, left = (one.image.shape[1] - rows) // 2, (one.image.shape[2] - columns) // 2
            tile = one.image[:, top : top + rows, left : left + columns].astype(np.float32) / np.float32(255.0)
            if has_tissue(tile):
                tiles.append(tile)
    net.eval()
    return familiar_with(tiles, lambda batch: seen(net, batch))
