"""The sequence classifier: a ResNeXt on 16 slices of one box, 112 x 112 (spine-wff, "Sequence classification model").

The paper does not say whether its ResNeXt101 sees the slices as channels or as a third axis; the size is that of the
published 3D family, so the `paper` preset is 3D, and a CPU gets 2D. Input and output are the same for both.

Legend: `(b, 16, 112, 112)` in, logits `(b, 2)` of benign and malignant out.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.spine_input import SLICES

KINDS = ("benign", "malignant")


@dataclass(frozen=True, slots=True)
class ClassifierSpec:
    """A ResNeXt in two or three dimensions; one entry per stage."""

    ndim: int
    folds_stem: bool
    """Fold 4 x 4 pixels into channels instead of a 7 x 7 convolution and a pool (2D only)."""
    stem: int
    inner: tuple[int, ...]
    outer: tuple[int, ...]
    depths: tuple[int, ...]
    groups: int
    dropout: float
    takes_roots: bool = False
    """As of the detector."""


class Said(NamedTuple):
    """What service sees."""

    class_logits: Tensor
    """`(b, 2)`."""


class Block(nn.Module):
    """1, grouped 3, 1, and the way around them."""

    def __init__(self, spec: ClassifierSpec, enters: int, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        norm = _norm(spec.ndim)
        self.body = nn.Sequential(
            _conv(spec.ndim, enters, inner, 1), norm(inner), nn.ReLU(inplace=True),
            _conv(spec.ndim, inner, inner, 3, stride, spec.groups), norm(inner), nn.ReLU(inplace=True),
            _conv(spec.ndim, inner, outer, 1), norm(outer),
        )  # fmt: skip
        self.around = (
            nn.Identity()
            if stride == 1 and enters == outer
            else nn.Sequential(_conv(spec.ndim, enters, outer, 1, stride), norm(outer))
        )

    def forward(self, values: Tensor) -> Tensor:
        """The sum of both ways, rectified."""
        return torch.relu(self.body(values) + self.around(values))


class Classifier(nn.Module):
    """See the module."""

    def __init__(self, spec: ClassifierSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stem = _stem(spec)
        blocks, enters = [], spec.stem
        for place, (inner, outer, depth) in enumerate(zip(spec.inner, spec.outer, spec.depths, strict=True)):
            for block in range(depth):
                blocks.append(Block(spec, enters, inner, outer, 2 if place and not block else 1))
                enters = outer
        self.stages = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.Dropout(spec.dropout), nn.Linear(enters, len(KINDS)))

    def forward(self, image: Tensor) -> Said:
        """Logits of benign and malignant."""
        seen = image.clamp(min=0.0).sqrt() if self.spec.takes_roots else image
        seen = seen[:, None] if self.spec.ndim == 3 else seen
        values = self.stages(self.stem(seen))
        return Said(self.head(values.flatten(2).mean(dim=-1)))


def _norm(ndim: int) -> type[nn.BatchNorm2d] | type[nn.BatchNorm3d]:
    return nn.BatchNorm3d if ndim == 3 else nn.BatchNorm2d


def _conv(ndim: int, enters: int, leaves: int, size: int, stride: int = 1, groups: int = 1) -> nn.Module:
    kind = nn.Conv3d if ndim == 3 else nn.Conv2d
    conv = kind(enters, leaves, size, stride, size // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def _stem(spec: ClassifierSpec) -> nn.Module:
    if spec.ndim == 3:
        return nn.Sequential(
            nn.Conv3d(1, spec.stem, 7, (1, 2, 2), 3, bias=False),
            nn.BatchNorm3d(spec.stem),
            nn.ReLU(inplace=True),
            nn.MaxPool3d(3, 2, 1),
        )
    if spec.folds_stem:
        return nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(16 * SLICES, spec.stem, 1, bias=False),
            nn.BatchNorm2d(spec.stem),
            nn.ReLU(inplace=True),
        )
    return nn.Sequential(
        nn.Conv2d(SLICES, spec.stem, 7, 2, 3, bias=False),
        nn.BatchNorm2d(spec.stem),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    )
