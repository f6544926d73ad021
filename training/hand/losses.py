"""What a hand network is told to become small (hand-deep-ht, section 3.3).

The paper's formula lacks its minus sign; with it, the loss is a cross-entropy whose pixels weigh as their true class
does, so that the few pixels of a tumour are not drowned by the background (MODELS.md §5.2, error 1).

Legend: logits `(batch, classes, rows, columns)`, truth `(batch, rows, columns)` of class numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor

from training.losses import soft_dice_of_classes


@dataclass(frozen=True, slots=True)
class LossSpec:
    """Weights of the parts."""

    background: float = 1.0
    tumour: float = 10.0
    """Of a pixel of any kind of tumour, where one of background weighs `background`."""
    dice: float = 0.0
    """Of the soft Dice, each kind apart; 0 as published."""
    binary_dice: float = 0.0
    """Of the soft Dice of tumour against background."""
    auxiliary: float = 0.0
    """Of the same loss of the auxiliary head, where the network has one; PSPNet's is 0.4."""


def weighted_cross_entropy(logits: Tensor, truth: Tensor, weights: Sequence[float], *, literal: bool = False) -> Tensor:
    """Minus the logarithm of the true class's probability, weighted by that class.

    Parameters
    ----------
    weights
        One per class.
    literal
        Whether to sum over all pixels as the formula is written; else the sum is divided by the weights' sum.
    """
    each = torch.tensor(weights, dtype=logits.dtype, device=logits.device)
    return F.cross_entropy(logits, truth, each, reduction="sum" if literal else "mean")


def supervised_loss(logits: Tensor, beside: Tensor | None, truth: Tensor, spec: LossSpec) -> Tensor:
    """`loss_of` the answer, and of what an auxiliary head says beside it."""
    loss = loss_of(logits, truth, spec)
    return loss if beside is None else loss + spec.auxiliary * loss_of(beside, truth, spec)


def loss_of(logits: Tensor, truth: Tensor, spec: LossSpec) -> Tensor:
    """The whole loss of a batch, in single precision."""
    logits, classes = logits.float(), logits.shape[1]
    total = weighted_cross_entropy(logits, truth, (spec.background, *[spec.tumour] * (classes - 1)))
    if spec.dice or spec.binary_dice:
        said = logits.softmax(dim=1)
        wanted = F.one_hot(truth, classes).permute(0, 3, 1, 2).to(said.dtype)
        total = total + spec.dice * soft_dice_of_classes(said[:, 1:], wanted[:, 1:])
        total = total + spec.binary_dice * soft_dice_of_classes(1.0 - said[:, :1], 1.0 - wanted[:, :1])
    return total
