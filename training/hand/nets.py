"""DeepLab v3+ with an aligned Xception (hand-deep-ht, section 3.3): the published size, and one that a CPU can train.

Encoder: Xception whose pools are separable convolutions with a stride, then atrous pooling at several rates (ASPP).
Decoder: the encoder's answer, four times as fine, beside the features at a quarter of the input; refined, and brought
to the input's size. The small one is for tumours that are often seven pixels wide: its encoder ends at an eighth of the
input (the paper's own network offers that too), and its decoder takes the features at half the input as well. It begins
with 2 x 2 pixels side by side instead of a convolution at full size, ends with 2 x 2 answers side by side, and
convolves across channels and pixels at once: for its widths a CPU takes as long for separable convolutions, which learn
less.

Legend: `(batch, channels, rows, columns)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor, nn

from training.errors import RunFault

LOW_LEVEL = 48


class Outputs(NamedTuple):
    """What the network says, by the names of its ONNX file."""

    mask_logits: Tensor
    """`(batch, classes, rows, columns)`."""


@dataclass(frozen=True, slots=True)
class NetSpec:
    """Sizes of a network."""

    channels: int
    classes: int
    stem: tuple[int, int]
    entry: tuple[int, int, int]
    """Widths of the three blocks that each halve the grid."""
    middle: int
    """Blocks at a sixteenth of the input, as wide as the last of `entry`."""
    end: tuple[int, int, int, int]
    """Widths of the exit flow: its block's inner width, and the three convolutions after it."""
    rates: tuple[int, int, int]
    """Of ASPP."""
    aspp: int
    low_level: int
    decoder: int
    out_stride: int = 16
    """Of the encoder: 16 as published, or 8, where its last block keeps the grid."""
    half_level: int = 0
    """Channels that the decoder takes from the features at half the input, too; 0 as published."""
    roots: bool = False
    """Whether it sees square roots of grey values: what is dark beside bright fat or fluid comes forward."""
    shuffles: bool = False
    """Whether 2 x 2 pixels become channels at first, and channels 2 x 2 pixels at last; not so as published."""
    separable: bool = True
    prior: float = 0.0
    """Logit of background before anything was learned: most pixels are."""
    dropout: float = 0.0
    auxiliary: int = 0
    """Channels of a head at the end of the middle flow, which only training looks at; 0 as published, without one."""


PAPER = NetSpec(
    channels=1,
    classes=6,
    stem=(32, 64),
    entry=(128, 256, 728),
    middle=16,
    end=(1024, 1536, 1536, 2048),
    rates=(6, 12, 18),
    aspp=256,
    low_level=LOW_LEVEL,
    decoder=256,
    dropout=0.1,
)
SMALL = NetSpec(
    channels=8,
    classes=6,
    stem=(24, 32),
    entry=(40, 72, 96),
    middle=0,
    end=(96, 96, 96, 96),
    rates=(1, 2, 4),
    aspp=48,
    low_level=24,
    decoder=40,
    out_stride=8,
    half_level=16,
    roots=True,
    shuffles=True,
    separable=False,
    prior=4.0,
    dropout=0.1,
)


class DeepLab(nn.Module):
    """The network; logits of the input's size."""

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = Xception(spec)
        self.aspp = Aspp(spec)
        self.low = _conv(spec.entry[0], spec.low_level, 1)
        self.refine = nn.Sequential(
            _wide(spec, spec.aspp + spec.low_level, spec.decoder), _wide(spec, spec.decoder, spec.decoder)
        )
        if spec.half_level:
            self.low_half = _conv(spec.stem[1], spec.half_level, 1)
            self.refine_half = _wide(spec, spec.decoder + spec.half_level, spec.decoder)
        fine = 4 if spec.shuffles else 1
        self.head = nn.Conv2d(spec.decoder, spec.classes * fine, 1)
        if spec.prior:
            nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # it has one
            nn.init.constant_(self.head.bias[:fine], spec.prior)  # type: ignore[index]  # it has one
        self.auxiliary: nn.Module | None = None
        if spec.auxiliary:
            self.auxiliary = nn.Sequential(
                _conv(spec.entry[2], spec.auxiliary, 3), nn.Conv2d(spec.auxiliary, spec.classes, 1)
            )

    def joined(self, state: Mapping[str, Tensor]) -> Mapping[str, tuple[int, ...]]:
        """See `training.growth.Growing`: ASPP joins five maps, the decoder two at a quarter, and two at half.

        Raises
        ------
        RunFault
            Its convolutions are separable: a depthwise one has no outputs that could leave new channels unheard.
        """
        if self.spec.separable:
            return self._as_it_is(state)
        aspp, decoder = len(state["aspp.near.0.weight"]), len(state["refine.1.0.weight"])
        parts = {"aspp.join.0.0": (aspp,) * 5, "refine.0.0": (aspp, len(state["low.0.weight"]))}
        return parts | ({"refine_half.0": (decoder, len(state["low_half.0.weight"]))} if self.spec.half_level else {})

    def _as_it_is(self, state: Mapping[str, Tensor]) -> Mapping[str, tuple[int, ...]]:
        """Nothing, of weights of this very size."""
        mine = self.state_dict()
        if any(name in mine and value.shape != mine[name].shape for name, value in state.items()):
            raise RunFault("A network of separable convolutions cannot grow. Begin with a bundle of its own size.")
        return {}

    def additions(self, state: Mapping[str, Tensor]) -> tuple[str, ...]:
        """See `training.growth.Growing`: none, it grows wider and not deeper."""
        return ()

    def rooted(self, image: Tensor) -> Tensor:
        """What the encoder is given of `image`."""
        return image.clamp(min=0.0).sqrt() if self.spec.roots else image

    def forward(self, image: Tensor) -> Outputs:
        """Logits for `image`."""
        half, quarter, middle = self.encoder.entered(self.rooted(image))
        return self._decoded(image, half, quarter, middle)

    def supervised(self, image: Tensor) -> tuple[Outputs, Tensor | None]:
        """The same, and the logits of the auxiliary head on the size of `image`; None where there is no such head.

        A head in the middle of a deep encoder, with a loss of its own, is the deep supervision of PSPNet (Zhao et al.
        2017, arXiv:1612.01105, section 3.3).
        """
        half, quarter, middle = self.encoder.entered(self.rooted(image))
        beside = None if self.auxiliary is None else _as_large(self.auxiliary(middle), image)
        return self._decoded(image, half, quarter, middle), beside

    def _decoded(self, image: Tensor, half: Tensor, quarter: Tensor, middle: Tensor) -> Outputs:
        deep = self.encoder.left(middle)
        seen = self.refine(torch.cat([_as_large(self.aspp(deep), quarter), self.low(quarter)], dim=1))
        if self.spec.half_level:
            seen = self.refine_half(torch.cat([_as_large(seen, half), self.low_half(half)], dim=1))
        said = self.head(seen)
        return Outputs(_as_large(F.pixel_shuffle(said, 2) if self.spec.shuffles else said, image))


class Xception(nn.Module):
    """Aligned Xception: entry, middle and exit flow, 16 or 8 times coarser at its end."""

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        first, second = spec.stem
        self.shuffles = spec.shuffles
        inputs, stride = (4 * spec.channels, 1) if spec.shuffles else (spec.channels, 2)
        self.stem = nn.Sequential(_conv(inputs, first, 3, stride), _conv(first, second, 3))
        a, b, c = spec.entry
        self.quarter = Block(spec, (second, a, a, a), stride=2)
        self.eighth = Block(spec, (a, b, b, b), stride=2)
        self.sixteenth = Block(spec, (b, c, c, c), stride=spec.out_stride // 8)
        self.middle = nn.Sequential(*(Block(spec, (c, c, c, c), stride=1) for _ in range(spec.middle)))
        inner, *rest = spec.end
        self.out = Block(spec, (c, c, inner, inner), stride=1)
        steps = zip((inner, *rest), rest, strict=False)
        self.end = nn.Sequential(*(_wide(spec, wide, wider, rate=2) for wide, wider in steps))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at a half and a quarter of the input, and at the encoder's end."""
        half, quarter, middle = self.entered(image)
        return half, quarter, self.left(middle)

    def entered(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at a half and a quarter of the input, and behind the middle flow."""
        half = self.stem(F.pixel_unshuffle(image, 2) if self.shuffles else image)
        quarter = self.quarter(half)
        return half, quarter, self.middle(self.sixteenth(self.eighth(quarter)))

    def left(self, middle: Tensor) -> Tensor:
        """Features at the encoder's end, from those behind the middle flow."""
        deep: Tensor = self.end(self.out(middle))
        return deep


class Block(nn.Module):
    """Three convolutions beside a short way; the last one has the stride."""

    def __init__(self, spec: NetSpec, widths: tuple[int, int, int, int], stride: int) -> None:
        super().__init__()
        a, b, c, d = widths
        self.body = nn.Sequential(_wide(spec, a, b), _wide(spec, b, c), _wide(spec, c, d, stride=stride))
        changes = stride > 1 or a != d
        self.short = nn.Sequential(nn.Conv2d(a, d, 1, stride, bias=False), nn.BatchNorm2d(d)) if changes else None

    def forward(self, seen: Tensor) -> Tensor:
        """The sum of both ways."""
        short = seen if self.short is None else self.short(seen)
        both: Tensor = self.body(seen) + short
        return both


class Separable(nn.Module):
    """A convolution in each channel, then one across channels, each normalised and rectified."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, rate: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, stride, rate, rate, groups=inputs, bias=False), nn.BatchNorm2d(inputs)
        )
        self.pointwise = _conv(inputs, outputs, 1)

    def forward(self, seen: Tensor) -> Tensor:
        """Both in turn."""
        across: Tensor = self.pointwise(F.relu(self.depthwise(seen)))
        return across


class Aspp(nn.Module):
    """Looks at one place at several distances, and at the whole image."""

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        inputs, width = spec.end[3], spec.aspp
        self.near = _conv(inputs, width, 1)
        self.far = nn.ModuleList(_wide(spec, inputs, width, rate=rate) for rate in spec.rates)
        self.whole = nn.Sequential(nn.Conv2d(inputs, width, 1), nn.ReLU())
        self.join = nn.Sequential(_conv(width * 5, width, 1), nn.Dropout(spec.dropout))

    def forward(self, seen: Tensor) -> Tensor:
        """All distances joined."""
        whole = self.whole(seen.mean(dim=(2, 3), keepdim=True)).expand(-1, -1, seen.shape[2], seen.shape[3])
        joined: Tensor = self.join(torch.cat([self.near(seen), *(far(seen) for far in self.far), whole], dim=1))
        return joined


def parameters(net: nn.Module) -> int:
    """How many numbers training moves."""
    return sum(value.numel() for value in net.parameters())


def _wide(spec: NetSpec, inputs: int, outputs: int, stride: int = 1, rate: int = 1) -> nn.Module:
    """A convolution of 3 x 3 pixels: as published, or across channels at once."""
    if spec.separable:
        return Separable(inputs, outputs, stride, rate)
    return _conv(inputs, outputs, 3, stride, rate)


def _conv(inputs: int, outputs: int, side: int, stride: int = 1, rate: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, stride, side // 2 * rate, rate, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _as_large(maps: Tensor, other: Tensor) -> Tensor:
    """Corners on corners for an odd size, as the 513 of the paper; else centres on centres."""
    size = (other.shape[2], other.shape[3])
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=size[0] % 2 == 1)
