"""One 2D U-Net family for the systems that look at stacks of MR slices; what differs is a `UNetSpec`.

Legend: `(batch, channels, rows, columns)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor, nn

from training.familiarity import moments

FAMILIAR_LEVELS = 2
"""Levels of the encoder, from the image on, by which a strange image is told."""


class MaskOutputs(NamedTuple):
    """What the exported network answers."""

    mask_logits: Tensor
    """(batch, 1, rows, columns)."""


@dataclass(frozen=True, slots=True)
class UNetSpec:
    """The measures of one U-Net."""

    channels: int
    """Of the input."""
    widths: tuple[int, ...]
    """Channels of the encoder levels, the last is the bottleneck."""
    depths: tuple[int, ...]
    """3x3 convolutions per encoder level."""
    decoder_depth: int
    stem_stride: int
    """Pixel-unshuffle factor of the stem: 1 is the published net; 2 costs a quarter."""
    is_residual: bool
    deep_levels: int
    """Decoder levels that are supervised; 1 is the last alone."""

    @property
    def granularity(self) -> int:
        """What the side of an input must be a multiple of."""
        return int(self.stem_stride * 2 ** (len(self.widths) - 1))


class _Block(nn.Module):
    """3x3 convolution, batch norm, ReLU; repeated, the repetitions with a residual path where the spec says so."""

    def __init__(self, inputs: int, outputs: int, depth: int, is_residual: bool) -> None:
        super().__init__()
        self.is_residual = is_residual
        self.convs = nn.ModuleList(_conv(inputs if place == 0 else outputs, outputs) for place in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        for place, conv in enumerate(self.convs):
            y = conv(x)
            x = F.relu(y + x if self.is_residual and place else y)
        return x


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs))


class UNet(nn.Module):
    """Image `(batch, channels, rows, columns)`, air 0, to `MaskOutputs`."""

    def __init__(self, spec: UNetSpec) -> None:
        super().__init__()
        self.spec = spec
        inputs = (spec.channels * spec.stem_stride**2, *spec.widths[:-1])
        self.encoder = nn.ModuleList(
            _Block(below, width, depth, spec.is_residual)
            for below, width, depth in zip(inputs, spec.widths, spec.depths, strict=True)
        )
        pairs = list(zip(spec.widths[1:], spec.widths[:-1], strict=True))[::-1]
        self.ups = nn.ModuleList(nn.ConvTranspose2d(below, width, 2, stride=2) for below, width in pairs)
        self.decoder = nn.ModuleList(
            _Block(2 * width, width, spec.decoder_depth, spec.is_residual) for _, width in pairs
        )
        supervised = [width for _, width in pairs][-spec.deep_levels :]
        self.heads = nn.ModuleList(nn.Conv2d(width, spec.stem_stride**2, 1) for width in supervised)
        for head in self.heads:
            nn.init.constant_(head.bias, -2.0)  # type: ignore[arg-type]  # tumours are the lesser part of an image

    def joined(self, state: Mapping[str, Tensor]) -> Mapping[str, tuple[int, ...]]:
        """See `training.growth.Growing`: each level of the decoder joins two maps."""
        firsts = [f"decoder.{place}.convs.0.0" for place in range(len(self.decoder))]
        return {first: (len(state[f"{first}.weight"]),) * 2 for first in firsts}

    def additions(self, state: Mapping[str, Tensor]) -> tuple[str, ...]:
        """See `training.growth.Growing`."""
        blocks = [(name, part) for name, part in self.named_modules() if isinstance(part, _Block)]
        mine = [f"{name}.convs.{place}" for name, part in blocks for place in range(1, len(part.convs))]
        return tuple(conv for conv in mine if f"{conv}.0.weight" not in state) if self.spec.is_residual else ()

    def levels(self, image: Tensor) -> tuple[Tensor, ...]:
        """Logits of the supervised levels, fine to coarse, each on its own grid."""
        return tuple(self._head(place, x) for place, x in self._supervised(image))[::-1]

    def forward(self, image: Tensor) -> MaskOutputs:
        return MaskOutputs(self._head(len(self.heads) - 1, self._supervised(image)[-1][1]))

    def looked(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of `forward`, and what the layers near the image make of it: `(batch, width)`."""
        skips, deepest = self._encoded(image)
        seen = moments(image, skips[:FAMILIAR_LEVELS])
        return self._head(len(self.heads) - 1, self._decoded(skips, deepest)[-1][1]), seen

    def _head(self, place: int, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.heads[place](x), self.spec.stem_stride)

    def _supervised(self, image: Tensor) -> list[tuple[int, Tensor]]:
        return self._decoded(*self._encoded(image))

    def _encoded(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        x = F.pixel_unshuffle(image, self.spec.stem_stride)
        skips: list[Tensor] = []
        for block in self.encoder[:-1]:
            x = block(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        return skips, self.encoder[-1](x)

    def _decoded(self, skips: list[Tensor], x: Tensor) -> list[tuple[int, Tensor]]:
        features: list[Tensor] = []
        for up, block, skip in zip(self.ups, self.decoder, skips[::-1], strict=True):
            x = block(torch.cat((up(x), skip), dim=1))
            features.append(x)
        return list(enumerate(features[-len(self.heads) :]))
