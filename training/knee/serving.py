"""What is exported around a trained network: the size it looks at, and its mirror image.

The file always takes and gives the size of its card. A network that did better on smaller views than on those it ended
with looks at smaller ones; looking at the mirror image too, and averaging the logits, costs one more pass.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor, nn

from training.knee.nets import Outputs, SegUNet


@dataclass(frozen=True, slots=True)
class ServeSpec:
    """How a network is run; chosen on validation images."""

    side: int
    """Rows and columns that the network looks at."""
    mirrored: bool
    """Whether left and right are exchanged for a second look."""


class Served(nn.Module):
    """A network behind a `ServeSpec`; input and output as those of the network, on the size of the input."""

    def __init__(self, net: SegUNet, spec: ServeSpec) -> None:
        super().__init__()
        self.net = net
        self.spec = spec

    def forward(self, image: Tensor) -> Outputs:
        """Logits for `image` `(batch, 1, rows, columns)`, rows equal to columns."""
        side = image.shape[-1]
        seen = _resized(image, self.spec.side) if self.spec.side != side else image
        outputs: Outputs = self.net(seen)
        if self.spec.mirrored:
            other: Outputs = self.net(torch.flip(seen, dims=[3]))
            outputs = Outputs(
                (outputs.class_logits + other.class_logits) / 2.0,
                (outputs.mask_logits + torch.flip(other.mask_logits, dims=[3])) / 2.0,
                (outputs.distance_logits + torch.flip(other.distance_logits, dims=[3])) / 2.0,
            )
        if self.spec.side == side:
            return outputs
        return Outputs(
            outputs.class_logits, _resized(outputs.mask_logits, side), _resized(outputs.distance_logits, side)
        )


def _resized(maps: Tensor, side: int) -> Tensor:
    return F.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)
