"""ResNeXt with modulated deformable convolution, and the feature pyramid over it (spine-wff, "Detection model").

Five levels: 1/4, 1/8, 1/16 and 1/32 of the image from the four stages, and 1/64 from the coarsest of them by a stride
of two. The paper's list of channels, 128 to 2048 for five levels, is not what a ResNeXt101 has; ours are 256, 512, 1024
and 2048 (MODELS.md §5.4).

Legend: maps `(b, channels, rows, columns)`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.spine.ops import TAPS, deform_conv


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """A ResNeXt; one entry per stage."""

    channels: int
    """Of the image."""
    folds_stem: bool
    """Fold 4 x 4 pixels into channels (cheap on a CPU) instead of a 7 x 7 convolution and a pool."""
    stem: int
    """Channels after the stem."""
    inner: tuple[int, ...]
    """Channels of the grouped convolution."""
    outer: tuple[int, ...]
    """Channels that a stage gives."""
    depths: tuple[int, ...]
    groups: int
    deforms: tuple[bool, ...]
    """Which stages have deformable convolutions."""


class DeformConv(nn.Module):
    """A deformable 3 x 3 convolution that starts as an ordinary one at half its strength."""

    def __init__(self, inner: int, stride: int, groups: int) -> None:
        super().__init__()
        self.stride, self.groups = stride, groups
        self.weight = nn.Parameter(torch.empty(inner, inner // groups, 3, 3))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.wander = nn.Conv2d(inner, 3 * TAPS, 3, stride, 1)
        nn.init.zeros_(self.wander.weight)
        if self.wander.bias is not None:
            nn.init.zeros_(self.wander.bias)

    def forward(self, values: Tensor) -> Tensor:
        """`(b, inner, rows / stride, columns / stride)`."""
        offset, mask = self.wander(values).split((2 * TAPS, TAPS), dim=1)
        return deform_conv(values, offset, mask.sigmoid(), self.weight, self.stride, self.groups)


class Bottleneck(nn.Module):
    """1 x 1, grouped 3 x 3, 1 x 1, and the way around them."""

    def __init__(self, enters: int, inner: int, outer: int, stride: int, groups: int, *, deforms: bool) -> None:
        super().__init__()
        middle = DeformConv(inner, stride, groups) if deforms else _conv(inner, inner, 3, stride=stride, groups=groups)
        self.body = nn.Sequential(
            _conv(enters, inner, 1), nn.BatchNorm2d(inner), nn.ReLU(inplace=True),
            middle, nn.BatchNorm2d(inner), nn.ReLU(inplace=True),
            _conv(inner, outer, 1), nn.BatchNorm2d(outer),
        )  # fmt: skip
        last = self.body[-1]
        assert isinstance(last, nn.BatchNorm2d)  # as built above
        nn.init.zeros_(last.weight)
        self.around = (
            nn.Identity()
            if stride == 1 and enters == outer
            else nn.Sequential(_conv(enters, outer, 1, stride=stride), nn.BatchNorm2d(outer))
        )

    def forward(self, values: Tensor) -> Tensor:
        """The sum of both ways, rectified."""
        return functional.relu(self.body(values) + self.around(values))


class ResNeXt(nn.Module):
    """Maps of every stage, the finest (1/4) first."""

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__()
        self.stem = _stem(spec)
        stages, enters = [], spec.stem
        for place, (inner, outer, depth) in enumerate(zip(spec.inner, spec.outer, spec.depths, strict=True)):
            blocks = []
            for block in range(depth):
                stride = 2 if place and not block else 1
                blocks.append(Bottleneck(enters, inner, outer, stride, spec.groups, deforms=spec.deforms[place]))
                enters = outer
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        """One map per stage."""
        values, maps = self.stem(image), []
        for stage in self.stages:
            values = stage(values)
            maps.append(values)
        return maps


class Pyramid(nn.Module):
    """Coarse maps added to fine ones, so that all levels know what they look at (FPN)."""

    def __init__(self, enters: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in enters)
        self.output = nn.ModuleList(nn.Conv2d(width, width, 3, 1, 1) for _ in enters)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """One level more than maps went in: the last is every second point of the coarsest."""
        levels = [lateral(values) for lateral, values in zip(self.lateral, maps, strict=True)]
        for place in range(len(levels) - 2, -1, -1):
            levels[place] = levels[place] + functional.interpolate(levels[place + 1], scale_factor=2.0, mode="nearest")
        levels = [output(values) for output, values in zip(self.output, levels, strict=True)]
        return [*levels, levels[-1][:, :, ::2, ::2]]


def _stem(spec: BackboneSpec) -> nn.Module:
    if spec.folds_stem:
        return nn.Sequential(
            nn.PixelUnshuffle(4),
            _conv(16 * spec.channels, spec.stem, 3),
            nn.BatchNorm2d(spec.stem),
            nn.ReLU(inplace=True),
        )
    return nn.Sequential(
        _conv(spec.channels, spec.stem, 7, stride=2),
        nn.BatchNorm2d(spec.stem),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    )


def _conv(enters: int, leaves: int, size: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(enters, leaves, size, stride, size // 2, groups=groups, bias=False)
    nn.init.normal_(conv.weight, std=math.sqrt(2.0 / (size * size * leaves / groups)))
    return conv
