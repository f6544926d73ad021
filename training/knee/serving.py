"""What is exported around a trained network: the size it looks at, its mirror image, and how strange an image is.

The file always takes and gives the size of its card. A network that did better on smaller views than on those it ended
with looks at smaller ones; looking at the mirror image too, and averaging the logits, costs one more pass.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor, nn

from training.familiarity import Familiarity
from training.knee.nets import Outputs, SegUNet


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

    side: int
    """Rows and columns that the network looks at."""
    mirrored: bool
    """Whether left and right are exchanged for a second look."""


class Served(nn.Module):
    """A network behind a `ServeSpec`; input and output as those of the network, on the size of the input."""

    def __init__(self, net: SegUNet, spec: ServeSpec, familiarity: Familiarity | None = None) -> None:
        super().__init__()
        self.net = net
        self.spec = spec
        self.familiarity = familiarity

    @property
    def gives(self) -> tuple[str, ...]:
        """The names of what it answers."""
        return Answers._fields if self.familiarity is None else Known._fields

    def forward(self, image: Tensor) -> Answers | Known:
        """The answers for `image` `(batch, 1, rows, columns)`, rows equal to columns."""
        side = image.shape[-1]
        outputs = self.outputs(image)
        masks, distances = outputs.mask_logits, outputs.distance_logits
        if self.spec.side != side:
            masks, distances = _resized(masks, side), _resized(distances, side)
        if self.familiarity is None:
            return Answers(outputs.class_logits, masks, distances)
        return Known(outputs.class_logits, masks, distances, self.familiarity(outputs.features))

    def outputs(self, image: Tensor) -> Outputs:
        """Those of the network, on the size it looks at."""
        seen = _resized(image, self.spec.side) if self.spec.side != image.shape[-1] else image
        outputs: Outputs = self.net(seen)
        if not self.spec.mirrored:
            return outputs
        other: Outputs = self.net(torch.flip(seen, dims=[3]))
        return Outputs(
            (outputs.class_logits + other.class_logits) / 2.0,
            (outputs.mask_logits + torch.flip(other.mask_logits, dims=[3])) / 2.0,
            (outputs.distance_logits + torch.flip(other.distance_logits, dims=[3])) / 2.0,
            (outputs.features + other.features) / 2.0,
        )


def _resized(maps: Tensor, side: int) -> Tensor:
    return F.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)
