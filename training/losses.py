"""Losses of masks that every system shares.

What is of one system alone stays with it: the sum A4 (training/knee/losses.py), the weighted cross-entropy of six
classes (training/hand/losses.py), what a detector is told (training/spine/detector_loss.py).

Legend: masks and logits `(batch, 1, rows, columns)`; sums run over the last two axes unless said.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor

EPSILON = 1.0
"""Smooth term of A3 (knee-seg-unet), in pixels."""


def soft_dices(probability: Tensor, target: Tensor, axes: tuple[int, ...], epsilon: float = EPSILON) -> Tensor:
    """A3, 1 - Dice with the smooth term above and below the line, summed over `axes`: 0 where both are empty.

    Returns
    -------
    The axes that were not summed.
    """
    overlap = (probability * target).sum(dim=axes)
    total = probability.sum(dim=axes) + target.sum(dim=axes)
    return 1.0 - (2.0 * overlap + epsilon) / (total + epsilon)


def soft_dice(probability: Tensor, target: Tensor, epsilon: float = EPSILON) -> Tensor:
    """The mean of A3 over images and channels, each `(..., rows, columns)` for itself."""
    return soft_dices(probability, target, (-2, -1), epsilon).mean()


def soft_dice_of_classes(probabilities: Tensor, truth: Tensor) -> Tensor:
    """A3 of each class over the whole batch, the mean of the classes that the batch has; 0 where it has none.

    Parameters
    ----------
    probabilities, truth
        `(batch, classes, rows, columns)`; truth is 0 or 1.
    """
    axes = (0, 2, 3)
    loss = soft_dices(probabilities, truth, axes)
    present = (truth.sum(axes) > 0).to(loss.dtype)
    return (loss * present).sum() / present.sum().clamp(min=1.0)


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
