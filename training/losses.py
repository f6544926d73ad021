"""Losses of masks that every system shares.

Legend: masks and logits `(batch, 1, rows, columns)`; sums run over the last two axes unless said.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor

EPSILON = 1.0
"""Smooth term of A3 (knee-seg-unet)."""


def soft_dice(probability: Tensor, target: Tensor, epsilon: float = EPSILON) -> Tensor:
    """A3 with the smooth term above and below the line: 0 when both are empty, per leading index then averaged.

    `probability` and `target` are `(..., rows, columns)`; the sums run over the last two axes.
    """
    overlap = (probability * target).sum(dim=(-2, -1))
    total = probability.sum(dim=(-2, -1)) + target.sum(dim=(-2, -1))
    return (1.0 - (2.0 * overlap + epsilon) / (total + epsilon)).mean()


def balanced_cross_entropy(logits: Tensor, mask: Tensor) -> Tensor:
    """Half the mean over tumour pixels plus twice the mean over background: tumours are a hundredth of the pixels.

    The 50 pixels added below the line keep a batch with a speck of tumour from shouting.
    """
    each = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    tumour = (each * mask).sum() / (mask.sum() + 50.0)
    background = (each * (1.0 - mask)).sum() / (1.0 - mask).sum().clamp(min=1.0)
    return 0.5 * tumour + 2.0 * background


def batch_dice_ce(logits: Tensor, mask: Tensor) -> Tensor:
    """One soft Dice over the whole batch, so that empty slices do not dominate, plus the mean cross-entropy."""
    flat, wanted = torch.sigmoid(logits).reshape(1, -1), mask.reshape(1, -1)
    return soft_dice(flat, wanted) + F.binary_cross_entropy_with_logits(logits, mask)


def image_dice(logits: Tensor, mask: Tensor) -> Tensor:
    """The mean soft Dice of the images that have a tumour, a small one as much as a large one; 0 where none has."""
    ill = mask.flatten(1).any(dim=1)
    if not bool(ill.any()):
        return logits.sum() * 0.0
    return soft_dice(torch.sigmoid(logits[ill]), mask[ill])


def deep(levels: Sequence[Tensor], mask: Tensor, of_images: float = 0.0) -> Tensor:
    """`batch_dice_ce` of each level, fine to coarse, weighted 1, 1/2, 1/4 and so on to a sum of 1.

    `of_images` is the weight of `image_dice` beside it, at the finest level. All is summed in single precision.
    """
    levels = [logits.float() for logits in levels]
    weights = [0.5**place for place in range(len(levels))]
    loss = torch.zeros(())
    for weight, logits in zip(weights, levels, strict=True):
        wanted = F.adaptive_avg_pool2d(mask, (logits.shape[-2], logits.shape[-1]))
        loss = loss + weight / sum(weights) * batch_dice_ce(logits, wanted)
    return loss + of_images * image_dice(levels[0], mask) if of_images else loss
