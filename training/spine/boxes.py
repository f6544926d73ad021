"""Boxes as tensors: anchors, overlaps, and the four numbers that move one box onto another.

Legend: a box is left, top, right, bottom in pixels; a move is right, down, wider, higher: the first two in sizes of the
box that is moved, the others as logarithms (Faster R-CNN §3.1.2).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

FURTHEST = math.log(1000.0 / 16.0)
"""No box grows by more than this in one move: an exponential of noise has no end."""


def anchors(size: tuple[int, int], strides: Sequence[int], scale: float, ratios: Sequence[float]) -> Tensor:
    """`(n, 4)`: at each point of each level one box per ratio of height to width, of `scale` strides.

    Ordered by level, row, column and ratio, as the maps of a head are once their channels are put last.
    """
    made = []
    for stride in strides:
        rows, columns = (math.ceil(side / stride) for side in size)
        shapes = [(scale * stride / math.sqrt(ratio), scale * stride * math.sqrt(ratio)) for ratio in ratios]
        halves = torch.tensor([[-w / 2, -h / 2, w / 2, h / 2] for w, h in shapes])
        down, right = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
        centres = torch.stack((right, down, right, down), dim=-1) * stride
        made.append((centres[:, :, None] + halves).reshape(-1, 4))
    return torch.cat(made)


def overlap(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of `(n, 4)` with `(m, 4)`: `(n, m)`."""
    least = torch.maximum(one[:, None, :2], other[None, :, :2])
    most = torch.minimum(one[:, None, 2:], other[None, :, 2:])
    common = (most - least).clamp(min=0).prod(dim=-1)
    return common / (area(one)[:, None] + area(other)[None] - common).clamp(min=1e-6)


def generalised_overlap(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of each pair of `(n, 4)` and `(n, 4)`, less the share of the hull that neither covers.

    From -1 to 1; unlike the plain overlap it says of boxes that are apart how far (Rezatofighi et al. 2019).
    """
    inner = (torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])).clamp(min=0)
    hull = torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])
    common, around = inner.prod(dim=-1), hull.prod(dim=-1).clamp(min=1e-6)
    union = (area(one) + area(other) - common).clamp(min=1e-6)
    return common / union - (around - union) / around


def area(boxes: Tensor) -> Tensor:
    """In square pixels."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def moves(start: Tensor, end: Tensor, weights: tuple[float, float]) -> Tensor:
    """The move of each box of `start` onto that of `end`, times the weights of place and size."""
    place, size = _middle(start)
    to_place, to_size = _middle(end)
    return torch.cat(
        ((to_place - place) / size * weights[0], (to_size.clamp(min=1e-3) / size).log() * weights[1]), dim=-1
    )


def moved(start: Tensor, move: Tensor, weights: tuple[float, float], size: tuple[int, int]) -> Tensor:
    """`start` moved, and cut at the borders of an image of `size` rows and columns."""
    place, extent = _middle(start)
    centre = place + move[..., :2] / weights[0] * extent
    half = 0.5 * extent * (move[..., 2:] / weights[1]).clamp(max=FURTHEST).exp()
    left, top = (centre - half).unbind(-1)
    right, bottom = (centre + half).unbind(-1)
    rows, columns = float(size[0]), float(size[1])
    return torch.stack(
        (left.clamp(0.0, columns), top.clamp(0.0, rows), right.clamp(0.0, columns), bottom.clamp(0.0, rows)), dim=-1
    )


def _middle(boxes: Tensor) -> tuple[Tensor, Tensor]:
    extent = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3)
    return boxes[..., :2] + 0.5 * extent, extent
