"""Seg-UNet (knee-seg-unet §2.2, figure A3): U-Net skips and SegNet pooling indices, three heads.

Legend: `(batch, channels, rows, columns)`. Two presets share this file: the published net (full-resolution stem, dense
layer on the averaged bottleneck) and the small one (pixel-unshuffle stem, pooled decoder features beside the
bottleneck).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor, nn

CLASSES = ("normal", "benign", "malignant")
LEVELS = 5
FLAT = 0.004
"""Blocks of pixels that vary less than this are air or collimation, and say nothing of texture."""
NOISE = 3e-4
"""Added to each variance when the stem is whitened, so that noise is not blown up."""


LEAST_DEVIATION = 0.05
"""Added to the deviation of grey values, so that the noise of air is not raised to the level of bone."""


class Outputs(NamedTuple):
    """Logits of the three heads; the last two on the grid of the input."""

    class_logits: Tensor
    """(batch, 3): normal, benign, malignant."""
    mask_logits: Tensor
    """(batch, 1, rows, columns)."""
    distance_logits: Tensor
    """(batch, 5, rows, columns): background, tumour, near to far. On the grid of the stem while training."""
    features: Tensor
    """(batch, features): mean and deviation of every channel above the bottleneck, by which a strange image is told."""


@dataclass(frozen=True, slots=True)
class NetSpec:
    """The measures of one Seg-UNet."""

    widths: tuple[int, ...]
    """Channels of the encoder levels, the last is the bottleneck."""
    depths: tuple[int, ...]
    """3x3 convolutions per encoder level."""
    decoder_depth: int
    """3x3 convolutions per decoder level."""
    stem_stride: int
    """Pixel-unshuffle factor of the stem: 1 is the published net."""
    pools_decoder: bool
    """Whether the class head also sees pooled decoder features and the mask, or, as published, the bottleneck only."""
    whitens: bool
    """Whether the stem turns each block of pixels into uncorrelated channels of like variance (see `whiten`)."""
    evens: bool
    """Whether grey values are first taken relative to their surroundings (see `even`)."""
    dropout: float
    deep_levels: int = 1
    """Decoder levels whose mask is supervised; 1 is the last alone. What the others say only training looks at."""
    fine: int = 0
    """Channels of one more level, at half the stem's stride (see `_Fine`); 0 has none."""

    def becomes(self, other: "NetSpec") -> bool:
        """Whether a network of these measures may go on as one of those: as it is, or wider, deeper or finer."""
        grown = replace(self, widths=other.widths, depths=other.depths, fine=other.fine)
        mine, theirs = ((*each.widths, *each.depths, each.fine) for each in (self, other))
        same_levels = len(self.widths) == len(other.widths)
        return grown == other and same_levels and all(old <= new for old, new in zip(mine, theirs, strict=True))


def even(image: Tensor) -> Tensor:
    """Grey values less the mean of their surroundings, in units of the deviation there; `(batch, 1, rows, columns)`.

    Films of other sources differ in level and contrast from place to place, and a net that sees neither cannot learn
    to tell the sources by them. The surroundings are about a fifth of the side.
    """
    size = image.shape[-1] // 16
    coarse = F.avg_pool2d(torch.cat((image, image * image), dim=1), size)
    near = F.avg_pool2d(coarse, 3, stride=1, padding=1, count_include_pad=False)
    moments = F.interpolate(near, size=image.shape[-2:], mode="bilinear", align_corners=False)
    mean, square = moments[:, :1], moments[:, 1:]
    deviation = ((square - mean * mean).clamp(min=0.0) + LEAST_DEVIATION**2).sqrt()
    return ((image - mean) / deviation).clamp(-3.0, 3.0) * 0.2


def _moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of every channel: (batch, channels) each."""
    mean = maps.mean(dim=(2, 3))
    return mean, ((maps * maps).mean(dim=(2, 3)) - mean * mean).clamp(min=1e-8).sqrt()


class _ConvBlock(nn.Module):
    """3x3 convolution, batch norm, ReLU; repeated, the repetitions with a residual path."""

    def __init__(self, inputs: int, outputs: int, depth: int) -> None:
        super().__init__()
        self.first = _conv(inputs, outputs)
        self.rest = nn.ModuleList(_conv(outputs, outputs) for _ in range(depth - 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.relu(self.first(x))
        for conv in self.rest:
            y = F.relu(y + conv(y))
        return y


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs))


class _Up(nn.Module):
    """One decoder level: reduce, unpool with the encoder's indices, join the skip.

    The indices are per channel, so the map is first reduced to the channels of the map that was pooled.
    """

    def __init__(self, below: int, width: int, depth: int) -> None:
        super().__init__()
        self.reduce = nn.Sequential(nn.Conv2d(below, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.join = _ConvBlock(2 * width, width, depth)

    def forward(self, x: Tensor, indices: Tensor, skip: Tensor) -> Tensor:
        unpooled = F.max_unpool2d(self.reduce(x), indices, [2, 2], output_size=skip.shape[-2:])
        joined: Tensor = self.join(torch.cat((unpooled, skip), dim=1))
        return joined


class _Fine(nn.Module):
    """One more level above the stem's, on a grid twice as fine: what is a few pixels wide is there more than one cell.

    What it adds to the level below and to the mask begins as nothing, so a network without it can go on with it.
    """

    def __init__(self, width: int, below: int, depth: int, cell: int) -> None:
        super().__init__()
        self.cell = cell
        self.block = _ConvBlock(cell**2, width, depth)
        self.down = nn.Conv2d(width, below, 1, bias=False)
        self.up = _Up(below, width, depth)
        self.mask_head = nn.Conv2d(width, cell**2, 1)
        for new in (*self.down.parameters(), *self.mask_head.parameters()):
            nn.init.zeros_(new)

    def seen(self, evened: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of grey values: the level's map, what it adds to the level below, and the indices of what was pooled."""
        skip = self.block(F.pixel_unshuffle(evened, self.cell))
        pooled, index = F.max_pool2d(skip, 2, return_indices=True)
        return skip, self.down(pooled), index

    def mask(self, features: Tensor, index: Tensor, skip: Tensor) -> Tensor:
        """What the level adds to the mask's logits, on the grid of the image."""
        return F.pixel_shuffle(self.mask_head(self.up(features, index, skip)), self.cell)


class SegUNet(nn.Module):
    """Image `(batch, 1, rows, columns)` in 0..1 to `Outputs`. Rows and columns are multiples of `granularity`."""

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        self.spec = spec
        channels = spec.stem_stride**2
        self.stem: Tensor
        self.register_buffer("stem", torch.eye(channels).reshape(channels, 1, spec.stem_stride, spec.stem_stride))
        inputs = (channels, *spec.widths[:-1])
        self.encoder = nn.ModuleList(
            _ConvBlock(below, width, depth)
            for below, width, depth in zip(inputs, spec.widths, spec.depths, strict=True)
        )
        pairs = list(zip(spec.widths[1:], spec.widths[:-1], strict=True))
        self.decoder = nn.ModuleList(_Up(below, width, spec.decoder_depth) for below, width in reversed(pairs))
        half = spec.stem_stride // 2
        self.fine = _Fine(spec.fine, spec.widths[0], spec.decoder_depth, half) if spec.fine else nn.Identity()
        self.mask_head = nn.Conv2d(spec.widths[0], spec.stem_stride**2, 1)
        self.distance_head = nn.Conv2d(spec.widths[0], LEVELS, 1)
        pooled = spec.widths[-1] if not spec.pools_decoder else 2 * spec.widths[-1] + 2 * spec.widths[0] + 1
        self.steady = nn.BatchNorm1d(pooled, affine=False) if spec.pools_decoder else nn.Identity()
        self.dropout = nn.Dropout(spec.dropout)
        self.class_head = nn.Linear(pooled, len(CLASSES))
        coarse = spec.widths[1:-1][: spec.deep_levels - 1]
        self.coarse_heads = nn.ModuleList(nn.Conv2d(width, spec.stem_stride**2, 1) for width in coarse)
        for head in (self.mask_head, *self.coarse_heads):
            nn.init.constant_(head.bias, -3.0)  # tumours cover about 1 % of an image

    @property
    def granularity(self) -> int:
        """What the side of an input must be a multiple of."""
        return int(self.spec.stem_stride * 2 ** (len(self.spec.widths) - 1))

    def joined(self, state: Mapping[str, Tensor]) -> Mapping[str, tuple[int, ...]]:
        """See `training.growth.Growing`: the decoder joins two maps, the class head is given `_classify`'s parts."""
        ups = range(len(self.decoder))
        widths = [len(state[f"decoder.{place}.reduce.0.weight"]) for place in ups]
        deep, fine = len(state[f"encoder.{len(ups)}.first.0.weight"]), widths[-1]
        pooled = (deep, deep, fine, fine, 1) if self.spec.pools_decoder else (deep,)
        joins = {f"decoder.{place}.join.first.0": (width, width) for place, width in zip(ups, widths, strict=True)}
        if "fine.down.weight" in state:
            joins["fine.up.join.first.0"] = (state["fine.down.weight"].shape[1],) * 2
        return {**joins, "steady": pooled, "class_head": pooled}

    def additions(self, state: Mapping[str, Tensor]) -> tuple[str, ...]:
        """See `training.growth.Growing`."""
        blocks = [(name, part) for name, part in self.named_modules() if isinstance(part, _ConvBlock)]
        blocks = [(name, part) for name, part in blocks if f"{name}.first.0.weight" in state]
        mine = [f"{name}.rest.{place}" for name, part in blocks for place in range(len(part.rest))]
        return tuple(conv for conv in mine if f"{conv}.0.weight" not in state)

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the stem from training images `(n, 1, rows, columns)`: the principal components of their pixel blocks.

        Neighbouring pixels of a radiograph are nearly equal, so without this the fine texture that tells a tumour is a
        hundredth of the input and is learned late.
        """
        stride = self.spec.stem_stride
        blocks = F.pixel_unshuffle(self._evened(images), stride).permute(0, 2, 3, 1).reshape(-1, stride**2)
        blocks = blocks[blocks.std(dim=1) > FLAT].double()
        values, vectors = torch.linalg.eigh(torch.cov(blocks.T))
        weights = vectors / (values + NOISE).sqrt()
        self.stem.copy_(weights.T.reshape(self.stem.shape).to(self.stem.dtype))

    def forward(self, image: Tensor) -> Outputs:
        return self._answered(image)[0]

    def supervised(self, image: Tensor) -> tuple[Outputs, tuple[Tensor, ...]]:
        """The outputs, and mask logits of the coarser supervised levels, finer first, each `(batch, 1, ...)`.

        The first of them has half the rows and columns of the image, the next a quarter, and so on.
        """
        outputs, levels = self._answered(image)
        coarse = zip(self.coarse_heads, levels[-2::-1], strict=False)
        return outputs, tuple(F.pixel_shuffle(head(level), self.spec.stem_stride) for head, level in coarse)

    def _answered(self, image: Tensor) -> tuple[Outputs, list[Tensor]]:
        """The outputs, and what each decoder level gives, coarse to fine."""
        evened = self._evened(image)
        x = F.conv2d(evened, self.stem, stride=self.spec.stem_stride)
        fine = self.fine.seen(evened) if isinstance(self.fine, _Fine) else None
        skips, indices = [], []
        for place, block in enumerate(self.encoder[:-1]):
            skip = block(x) if place or fine is None else F.relu(block(x) + fine[1])
            x, index = F.max_pool2d(skip, 2, return_indices=True)
            skips.append(skip)
            indices.append(index)
        seen = torch.cat([moment for skip in skips for moment in _moments(skip)], dim=1)
        bottleneck = self.encoder[-1](x)
        features, levels = bottleneck, []
        for up in self.decoder:
            features = up(features, indices.pop(), skips.pop())
            levels.append(features)
        mask = F.pixel_shuffle(self.mask_head(features), self.spec.stem_stride)
        if isinstance(self.fine, _Fine) and fine is not None:
            mask = mask + self.fine.mask(features, fine[2], fine[0])
        distance = self.distance_head(features)
        if self.spec.stem_stride > 1 and not self.training:
            distance = F.interpolate(
                distance, scale_factor=float(self.spec.stem_stride), mode="bilinear", align_corners=False
            )
        said = self._classify(bottleneck, features, mask)
        return Outputs(said, mask, distance, seen), levels

    def _evened(self, image: Tensor) -> Tensor:
        return even(image) if self.spec.evens else image - 0.5

    def _classify(self, bottleneck: Tensor, features: Tensor, mask: Tensor) -> Tensor:
        pooled = [bottleneck.mean(dim=(2, 3))]
        if self.spec.pools_decoder:
            pooled += [bottleneck.amax(dim=(2, 3)), features.mean(dim=(2, 3)), features.amax(dim=(2, 3))]
            pooled.append(torch.logsumexp(mask.flatten(1), dim=1, keepdim=True) * 0.2)
        logits: Tensor = self.class_head(self.dropout(self.steady(torch.cat(pooled, dim=1))))
        return logits
