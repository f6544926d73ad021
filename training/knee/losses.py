"""The losses and the distance maps of knee-seg-unet, appendices B.1 and B.2.

Legend: masks `(rows, columns)` or `(batch, 1, rows, columns)`; level maps hold 0 background, 1 tumour, 2-4 near to far
(figure 10); networks give logits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import scipy.ndimage
import torch
import torch.nn.functional as F  # noqa: N812  # its name everywhere
from torch import Tensor

from training.knee.nets import LEVELS, Outputs
from training.losses import EPSILON, balanced_cross_entropy, soft_dice

STEPS = (0.25, 0.5, 0.75)


class Unit(StrEnum):
    """What a distance is divided by before A2; the paper says two things (appendix B.1 and §4)."""

    LARGEST = "largest"
    """The largest distance in this image (appendix B.1: "after normalizing the values to [0, 1]")."""
    DIAGONAL = "diagonal"
    """The diagonal of the image: independent of where the farthest pixel lies."""


def distance_map(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """A1: Euclidean distance to the nearest tumour pixel, in pixels; infinite everywhere without a tumour."""
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    return np.asarray(scipy.ndimage.distance_transform_edt(~mask), dtype=np.float32)


def distance_levels(mask: npt.NDArray[np.bool_], unit: Unit) -> npt.NDArray[np.uint8]:
    """A2: 1 tumour, 2, 3, 4 below a quarter, a half, three quarters of the unit; 0 beyond and without tumour."""
    distance = distance_map(mask)
    if not np.isfinite(distance).all():
        return np.zeros(mask.shape, dtype=np.uint8)
    whole = distance.max() if unit is Unit.LARGEST else np.hypot(*mask.shape)
    ratio = distance / max(float(whole), 1e-6)
    levels: npt.NDArray[np.uint8] = np.digitize(ratio, STEPS).astype(np.uint8) + np.uint8(2)
    levels[levels == LEVELS] = 0
    levels[mask] = 1
    return levels


@dataclass(frozen=True, slots=True)
class LossSpec:
    """A4 and what the small preset adds to it."""

    alphas: tuple[float, float, float]
    """Weights of class, segmentation and distance (A4)."""
    smoothing: float
    """Label smoothing of the class term."""
    mask_ce: float
    """Weight of a cross-entropy beside the mask's Dice; 0 in the paper."""
    distance_ce: float
    """Weight of a pixel-wise cross-entropy beside the distance's Dice; 0 in the paper."""
    distance_stride: int
    """The distance term is taken on a grid this much coarser: levels are wide, the transform is not cheap."""
    unit: Unit
    balanced: bool = True
    """Whether that cross-entropy averages tumour and background apart, or, as nnU-Net does, all pixels alike: a network
    taught so gives probabilities that may be taken at their word."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What a batch should have answered."""

    labels: Tensor
    """(batch,) int64."""
    mask: Tensor
    """(batch, 1, rows, columns) float 0 or 1."""
    levels: Tensor
    """(batch, rows/stride, columns/stride) int64."""


def total(outputs: Outputs, targets: Targets, spec: LossSpec, coarse: Sequence[Tensor] = ()) -> Tensor:
    """A4: the weighted sum of the three terms, in single precision.

    Parameters
    ----------
    coarse
        Mask logits of coarser decoder levels, finer first: the mask's term is then the mean of all levels, the mask's
        own counting 1, these 1/2, 1/4 and so on (deep supervision as nnU-Net weighs it, Isensee et al. 2021).
    """
    outputs = Outputs(*(each.float() for each in outputs))
    alpha_class, alpha_mask, alpha_distance = spec.alphas
    loss = alpha_class * F.cross_entropy(outputs.class_logits, targets.labels, label_smoothing=spec.smoothing)
    loss = loss + alpha_mask * _deep_mask_term((outputs.mask_logits, *coarse), targets.mask, spec)
    return loss + alpha_distance * _distance_term(outputs.distance_logits, targets.levels, spec)


def _deep_mask_term(levels: Sequence[Tensor], mask: Tensor, spec: LossSpec) -> Tensor:
    """The mask's term at each level, fine to coarse; a coarse pixel should say its share of tumour."""
    weights = [0.5**place for place in range(len(levels))]
    term = _mask_term(levels[0], mask, spec) * (weights[0] / sum(weights))
    for weight, logits in zip(weights[1:], levels[1:], strict=True):
        wanted = F.adaptive_avg_pool2d(mask, (logits.shape[-2], logits.shape[-1]))
        term = term + _mask_term(logits.float(), wanted, spec) * (weight / sum(weights))
    return term


def _mask_term(logits: Tensor, mask: Tensor, spec: LossSpec) -> Tensor:
    holds = mask.sum(dim=(1, 2, 3)) > 0
    chosen = holds if spec.mask_ce and bool(holds.any()) else torch.ones_like(holds)
    term = soft_dice(torch.sigmoid(logits[chosen]), mask[chosen], EPSILON)
    if spec.mask_ce:
        cross_entropy = balanced_cross_entropy if spec.balanced else F.binary_cross_entropy_with_logits
        term = term + spec.mask_ce * cross_entropy(logits, mask)
    return term


def _distance_term(logits: Tensor, levels: Tensor, spec: LossSpec) -> Tensor:
    if logits.shape[-1] != levels.shape[-1]:
        logits = F.avg_pool2d(logits, logits.shape[-1] // levels.shape[-1])
    wanted = F.one_hot(levels, LEVELS).permute(0, 3, 1, 2).to(logits.dtype)
    term = soft_dice(torch.softmax(logits, dim=1), wanted, EPSILON)
    if spec.distance_ce:
        term = term + spec.distance_ce * F.cross_entropy(logits, levels)
    return term
