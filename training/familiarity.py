"""How unlike an image is to those of a training, by the features that the layers near the image make of it.

What is exported gives it beside its answers; the card holds the limit from which on the node says "not assessed".
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from onnx import numpy_helper
from torch import Tensor, nn

from training.errors import DataFault

_BATCH = 8
SHRINKAGE = 0.01
"""Of the mean variance, added to each: features that never varied while training would make every image strange."""
TISSUE = 0.02
"""Pixels below are air or padding, which say how much was imaged and not what: they do not count."""
_GOLDEN = (5.0**0.5 - 1.0) / 2.0
"""Steps of so much of a whole fill it evenly, however many there are."""
FAMILIAR, SLACK = 0.99, 1.5
"""The limit of strangeness: so many times that which this share of validation patients or images stays below."""


class Familiarity(nn.Module):
    """The squared Mahalanobis distance of features to those of the training images (Lee et al. 2018).

    In units of its mean over the training images. Of the layers near the image: those below learn to ignore what makes
    an image strange, and gave a chest and noise the distance of a knee.
    """

    mean: Tensor
    whitening: Tensor

    def __init__(self, features: Tensor) -> None:
        """Learn it from the features `(images, width)` of training images."""
        super().__init__()
        exact = features.double()
        covariance = torch.cov(exact.T)
        covariance += SHRINKAGE * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
        values, vectors = torch.linalg.eigh(covariance)
        whitening = vectors / values.sqrt()
        usual = ((exact - exact.mean(dim=0)) @ whitening).square().mean()
        self.register_buffer("mean", exact.mean(dim=0).float())
        self.register_buffer("whitening", (whitening / usual.sqrt()).float())

    def forward(self, features: Tensor) -> Tensor:
        """`(batch, 1)` for features `(batch, width)`."""
        return ((features - self.mean) @ self.whitening).square().mean(dim=1, keepdim=True)


def kept_in(path: Path) -> Familiarity:
    """What an exported file knows (the buffers keep their names in it)."""
    known = Familiarity(torch.eye(2))
    for tensor in onnx.load(path).graph.initializer:
        name = tensor.name.removeprefix("familiarity.")
        if name in ("mean", "whitening") and name != tensor.name:
            known.register_buffer(name, torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32)))
    return known


def spread(places: Sequence[int], count: int, turn: int) -> list[int]:
    """`count` of the places, or as many as there are, evenly spread; other ones in each turn.

    Where many stacks give one slice each, these are of all parts of a stack and not its first.
    """
    count = min(count, len(places))
    return [places[int((turn * _GOLDEN % 1.0 + number) * len(places) / count)] for number in range(count)]


def familiar_with(tiles: Sequence[npt.NDArray[np.float32]], features_of: Callable[[Tensor], Tensor]) -> Familiarity:
    """What the features of some training images are like.

    Parameters
    ----------
    tiles
        Each `(channels, rows, columns)`.
    features_of
        `(batch, width)` of a batch of them.

    Raises
    ------
    DataFault
        Fewer than two: no slice of the training patients shows tissue.
    """
    if len(tiles) < 2:
        raise DataFault("No slice of the training patients shows tissue. Look at the images.")
    batches = [torch.from_numpy(np.stack(tiles[first : first + _BATCH])) for first in range(0, len(tiles), _BATCH)]
    return Familiarity(torch.cat([features_of(batch) for batch in batches]))


def moments(image: Tensor, maps: Sequence[Tensor]) -> Tensor:
    """Mean and deviation of every channel of some feature maps, over tissue alone: `(batch, width)`.

    Parameters
    ----------
    image
        `(batch, channels, rows, columns)` from 0 on, padded with 0.
    maps
        Each `(batch, channels, rows / k, columns / k)` for a whole k.
    """
    tissue = (image.mean(dim=1, keepdim=True) > TISSUE).to(image.dtype)
    parts = []
    for each in maps:
        factor = image.shape[-1] // each.shape[-1]
        weight = F.avg_pool2d(tissue, factor) if factor > 1 else tissue
        total = weight.sum(dim=(2, 3)).clamp(min=1.0)
        mean = (each * weight).sum(dim=(2, 3)) / total
        variance = ((each - mean[:, :, None, None]).square() * weight).sum(dim=(2, 3)) / total
        parts += [mean, (variance + 1e-6).sqrt()]
    return torch.cat(parts, dim=1)
