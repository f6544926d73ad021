"""What is exported around a trained network of hands: its answer, mirror images' too, and how strange a slice is."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor, nn

from models.hand_input import plan_of, with_neighbours
from models.slices import has_tissue
from training.familiarity import TISSUE, Familiarity, familiar_with, moments, spread
from training.hand.batches import slices_of
from training.hand.dataset import Case
from training.hand.nets import DeepLab
from training.hand.recipe import Recipe
from training.looks import looked_twice, mean_of

Array = npt.NDArray[np.float32]

LEARNED = 600
"""Tiles of the training patients, evenly chosen, that tell what is familiar."""
LEVELS = (0.5, 0.9)
LEAST = 1e-3
"""Of a difference of grey values: a flat slice has none."""
SMOOTH = 0.02
"""Below this share of the deviation, or this deviation, neighbours are equal."""


class Known(NamedTuple):
    """What the file gives."""

    mask_logits: Tensor
    """(batch, classes, rows, columns)."""
    strangeness: Tensor
    """(batch, 1): about 1 for a slice like those of the training."""


class Served(nn.Module):
    """A network with what was familiar to it, which may look at mirror images too, and answer with others together."""

    def __init__(
        self,
        net: DeepLab,
        familiarity: Familiarity,
        own: int,
        is_mirrored: bool = False,
        others: Sequence[DeepLab] = (),
    ) -> None:
        super().__init__()
        self.net = net
        self.others = nn.ModuleList(others)
        self.familiarity = familiarity
        self.own = own
        self.is_mirrored = is_mirrored

    @property
    def looks(self) -> int:
        """How often each network is asked."""
        return 2 if self.is_mirrored else 1

    def forward(self, image: Tensor) -> Known:
        """The answers for `image` `(batch, channels, rows, columns)`: the mean logits of all looks of all networks."""

        def logits_of(seen: Tensor) -> Tensor:
            return mean_of([net(seen).mask_logits for net in (self.net, *self.others)])

        logits = looked_twice(logits_of, image) if self.is_mirrored else logits_of(image)
        return Known(logits, self.familiarity(seen(self.net, image, self.own)))


def seen(net: DeepLab, image: Tensor, own: int) -> Tensor:
    """What the first layers make of the `own` channels of a slice, and how rough, grained and bright these are.

    Its companions are blacked out: which of them came says nothing of how strange the slice is.
    """
    alone = image[:, :own]
    encoder, given = net.encoder, net.rooted(torch.cat([alone, torch.zeros_like(image[:, own:])], dim=1))
    stem = encoder.stem(F.pixel_unshuffle(given, 2) if encoder.shuffles else given)
    return torch.cat([moments(alone, [stem]), roughness(alone), grain(alone), brightness(alone)], dim=1)


def roughness(image: Tensor) -> Tensor:
    """How much neighbours differ within each channel, and from slice to slice, as shares of the channel's deviation.

    Anatomy goes on from pixel to pixel and from slice to slice, and noise does not, whatever its grey values. As
    logarithms, over tissue alone.

    Parameters
    ----------
    image
        `(batch, channels, rows, columns)`; from the third channel on, other slices of what the second shows.
    """
    tissue = (image.mean(dim=1, keepdim=True) > TISSUE).to(image.dtype)
    mean = _over(image, tissue)
    deviation = _over((image - mean[:, :, None, None]).square(), tissue).add(SMOOTH**2).sqrt()
    shares = [_difference(image, tissue, 1) / (2.0 * deviation)]
    if image.shape[1] > 2:
        shares.append(_over((image[:, 2:] - image[:, 1:2]).abs(), tissue) / deviation[:, 1:2])
    return (torch.cat(shares, dim=1) + SMOOTH).log()


def grain(image: Tensor) -> Tensor:
    """How much more pixels two apart differ than neighbours do, in every channel: `(batch, channels)`, as logarithms.

    In noise no more, whatever its strength; in anatomy, and wherever a scanner blurs, a good deal.
    """
    tissue = (image.mean(dim=1, keepdim=True) > TISSUE).to(image.dtype)
    near, far = (_difference(image, tissue, step) for step in (1, 2))
    return ((far + LEAST) / (near + LEAST)).log()


def _difference(image: Tensor, tissue: Tensor, step: int) -> Tensor:
    """The mean difference of pixels `step` apart, down and across, both of tissue."""
    down = _over((image[:, :, step:] - image[:, :, :-step]).abs(), tissue[:, :, step:] * tissue[:, :, :-step])
    across = _over((image[..., step:] - image[..., :-step]).abs(), tissue[..., step:] * tissue[..., :-step])
    return down + across


def brightness(image: Tensor) -> Tensor:
    """Which shares of the tissue are brighter than each of `LEVELS`: `(batch, levels)`.

    Of a slice whose grey values are reversed the air counts as tissue, and is as bright as can be. Grey values as they
    are, which the second channel has; CLAHE evens them out.
    """
    tissue = (image.mean(dim=1, keepdim=True) > TISSUE).to(image.dtype)
    plain = image[:, min(1, image.shape[1] - 1)][:, None]
    return torch.cat([_over((plain > level).to(image.dtype), tissue) for level in LEVELS], dim=1)


def _over(values: Tensor, weight: Tensor) -> Tensor:
    """The weighted mean of every channel, `(batch, channels)`."""
    return (values * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)).clamp(min=1.0)


@torch.no_grad()
def learned(net: DeepLab, cases: Sequence[Case], recipe: Recipe) -> Familiarity:
    """What slices of these patients look like to the network, prepared and cut as the node does it.

    Raises
    ------
    DataFault
        None of them shows tissue.
    """
    net.eval()
    own = recipe.preprocess.own
    tiles = [tile for tile in _tiles(cases, recipe) if has_tissue(tile[:own])]
    return familiar_with(tiles, lambda batch: seen(net, batch, own))


def _tiles(cases: Sequence[Case], recipe: Recipe) -> Iterator[Array]:
    """From each scan, or from so many of them, the same number of slices, and of each slice one of the node's tiles.

    The outermost slices are left out, as the node leaves them out: they see themselves in the place of the neighbour
    that they lack. Learned among others they make every change from slice to slice familiar, alone any change strange.
    """
    scans = [(case, number) for case in cases for number in range(len(case.scans))]
    each = max(1, round(LEARNED / max(1, len(scans))))
    for turn, (case, number) in enumerate(scans[:: max(1, len(scans) // LEARNED)]):
        scan = case.scans[number]
        plane, spacing = (scan.stack.shape[1], scan.stack.shape[2]), (scan.spacing_mm, scan.spacing_mm)
        corners = plan_of(recipe.preprocess, plane, spacing).tiles
        places = spread(with_neighbours(len(scan.stack)), each, turn)
        alone = replace(case, scans=(scan,))
        for turned, one in enumerate(slices_of(alone, recipe.preprocess, {0: places}), start=turn):
            (top, left), (rows, columns) = corners[turned % len(corners)], recipe.preprocess.size
            yield one.image[:, top : top + rows, left : left + columns].astype(np.float32) / np.float32(255.0)
