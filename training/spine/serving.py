"""The third file of a spine bundle: how strange a slice is, by the stem of the detector; no part of its graph."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from models.slices import has_tissue
from models.spine_input import fitted
from training.familiarity import Familiarity, familiar_with, moments, spread
from training.spine.dataset import Case
from training.spine.detector import Detector

LEARNED = 800
"""Slices of the training patients, evenly chosen, that tell what is familiar."""


class Strange(NamedTuple):
    """What the file gives."""

    strangeness: Tensor
    """(batch, 1): about 1 for a slice like those of the training."""


class Familiar(nn.Module):
    """The stem of a detector, and what was familiar to it."""

    def __init__(self, net: Detector, familiarity: Familiarity | None = None) -> None:
        super().__init__()
        self.stem = net.backbone.stem
        self.takes_roots = net.spec.takes_roots
        self.familiarity = familiarity

    def seen(self, image: Tensor) -> Tensor:
        """What the stem makes of `image` `(batch, 1, rows, columns)`: moments over tissue."""
        return moments(image, [self.stem(image.clamp(min=0.0).sqrt() if self.takes_roots else image)])

    def forward(self, image: Tensor) -> Strange:
        """How strange each image is."""
        assert self.familiarity is not None  # learned before it is exported
        return Strange(self.familiarity(self.seen(image)))


@torch.no_grad()
def learned(net: Detector, cases: Sequence[Case]) -> Familiar:
    """What slices of these patients look like to the detector, prepared as the node prepares them.

    Raises
    ------
    DataFault
        None of them shows tissue.
    """
    scans, plain = [scan for case in cases for scan in case.scans], Familiar(net.eval())
    each = max(1, LEARNED // max(1, len(scans)))
    tiles = []
    for turn, scan in enumerate(scans):
        for place in spread(range(len(scan.stack)), each, turn):
            tile = fitted(scan.stack[place].astype(np.float32) / np.float32(255.0), net.spec.size)[None]
            if has_tissue(tile):
                tiles.append(tile)
    return Familiar(net, familiar_with(tiles, plain.seen)).eval()
