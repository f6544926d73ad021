"""What is exported around a trained network: the sizes it looks at, mirror images, and how strange an image is.

The file always takes and gives the size of its card. A network that did better on smaller or larger views than on those
it ended with looks at such ones. Looking at several sizes, and at the mirror image too, and averaging the logits, costs
one more pass each. So does each further network (together.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor, nn

from training.familiarity import Familiarity
from training.knee.nets import Outputs, SegUNet
from training.looks import mean_of


class Answers(NamedTuple):
    """What the file gives; see `Outputs`."""

    class_logits: Tensor
    mask_logits: Tensor
    distance_logits: Tensor


class Known(NamedTuple):
    """The same with how strange the image is."""

    class_logits: Tensor
    mask_logits: Tensor
    distance_logits: Tensor
    strangeness: Tensor
    """(batch, 1): about 1 for an image like those of the training."""


@dataclass(frozen=True, slots=True)
class ServeSpec:
    """How a network is run; chosen on validation images."""

    sides: tuple[int, ...]
    """Rows and columns of the views that the network looks at, one after another."""
    mirrored: bool
    """Whether left and right are exchanged for a second look at each."""
    outlined_by: int = 0
    """How many of several networks, the first of them, say where a tumour is, and all what it is; 0: all of them."""


class Served(nn.Module):
    """A network behind a `ServeSpec`; input and output as those of the network, on the size of the input."""

    def __init__(
        self,
        net: SegUNet,
        spec: ServeSpec,
        familiarity: Familiarity | None = None,
        others: Sequence[SegUNet] = (),
    ) -> None:
        super().__init__()
        self.net = net
        self.others = nn.ModuleList(others)
        self.spec = spec
        self.familiarity = familiarity

    @property
    def gives(self) -> tuple[str, ...]:
        """The names of what it answers."""
        return Answers._fields if self.familiarity is None else Known._fields

    def forward(self, image: Tensor) -> Answers | Known:
        """The answers for `image` `(batch, 1, rows, columns)`, rows equal to columns."""
        outputs = self.outputs(image)
        answers = outputs.class_logits, outputs.mask_logits, outputs.distance_logits
        return Answers(*answers) if self.familiarity is None else Known(*answers, self.familiarity(outputs.features))

    def outputs(self, image: Tensor) -> Outputs:
        """Those of the network, the mean of its looks, on the size of `image`."""
        return _mean([self._at(image, side) for side in self.spec.sides])

    def _at(self, image: Tensor, side: int) -> Outputs:
        """What is said at one size, on the size of the image; maps are resized once for both looks."""
        seen = _resized(image, side)
        said = self._said(seen)
        if self.spec.mirrored:
            other = self._said(torch.flip(seen, dims=[3]))
            masks, distances = (torch.flip(one, dims=[3]) for one in (other.mask_logits, other.distance_logits))
            said = _mean([said, Outputs(other.class_logits, masks, distances, other.features)])
        masks, distances = (_resized(one, image.shape[-1]) for one in (said.mask_logits, said.distance_logits))
        return Outputs(said.class_logits, masks, distances, said.features)

    def _said(self, seen: Tensor) -> Outputs:
        """The mean of all networks, and what the first sees near the image."""
        first: Outputs = self.net(seen)
        each = [first, *(net(seen)._replace(features=first.features) for net in self.others)]
        said = _mean(each)
        if self.spec.outlined_by:
            said = _mean(each[: self.spec.outlined_by])._replace(class_logits=said.class_logits)
        return said


def _mean(looks: Sequence[Outputs]) -> Outputs:
    return Outputs(*(mean_of(each) for each in zip(*looks, strict=True)))


def _resized(maps: Tensor, side: int) -> Tensor:
    if maps.shape[-1] == side:
        return maps
    return F.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)
