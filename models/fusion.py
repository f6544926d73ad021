"""Joins the global and the patch model (knee-seg-unet, equations A5 and A6), and calibrates what comes out.

The paper leaves gaps; what is decided here:

* A5: K are the 8-connected regions of the patch mask that overlap the global mask or lie within one pixel of it, less
  the intersection of the two masks. Only the tumour channel is fused, clipped to 0..1: renormalising over two classes
  or stretching each image to 0..1 would push lone patch regions below one half, or turn noise on normal images into
  tumours.
* A6: read literally it zeroes the normal class of a confidently normal image. The text says that normal is zeroed when
  the tumour total *reaches* it by T, so that is what is done: P_normal = 0 exactly when
  G_benign + G_malignant - G_normal > T. A difference cannot exceed 1, so T = 1 switches the rule off.

Legend: maps `(rows, columns)` in 0..1; classes `(3,)`: normal, benign, malignant.
"""

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from models.pixels import Float

BETA = 2.0 / 3.0
"""The paper's priority of the global model."""

_NEIGHBOURS = np.ones((3, 3), dtype=bool)

Mask = npt.NDArray[np.bool_]
Vector = npt.NDArray[np.float64]


def combine(whole: Float, patch: Float, touching: Mask, beta: float = BETA) -> Float:
    """A5: beta G + (1 - beta) A + (1 - beta) A K, clipped to 0..1."""
    fused = beta * whole + (1.0 - beta) * patch * (1.0 + touching.astype(np.float32))
    clipped: Float = np.clip(fused, 0.0, 1.0).astype(np.float32)
    return clipped


def touching_regions(whole: Mask, patch: Mask) -> Mask:
    """K of A5: the regions of the patch mask that touch the global mask, without the intersection."""
    labels, count = scipy.ndimage.label(patch, structure=_NEIGHBOURS)
    if not count or not whole.any():
        return np.zeros(patch.shape, dtype=bool)
    near = scipy.ndimage.binary_dilation(whole, structure=_NEIGHBOURS)
    touched = np.zeros(count + 1, dtype=bool)
    touched[np.unique(labels[near])] = True
    touched[0] = False
    chosen: Mask = touched[labels] & ~(patch & whole)
    return chosen


def fuse_masks(whole: Float, patch: Float, threshold: float = 0.5, beta: float = BETA) -> Float:
    """A5 with K taken from both maps cut at `threshold`."""
    return combine(whole, patch, touching_regions(whole >= threshold, patch >= threshold), beta)


def fuse_classes(whole: Vector, patch: Vector, normal_total: float, beta: float = BETA) -> Vector:
    """A6 as its text says: the weighted mean, without normal where the global model is sure enough of a tumour.

    Normal is zeroed when the global tumour total exceeds it by more than `normal_total` (T).

    Returns
    -------
    `(3,)`, sums to 1.
    """
    fused: Vector = beta * np.asarray(whole, dtype=np.float64) + (1.0 - beta) * np.asarray(patch, dtype=np.float64)
    if whole[1] + whole[2] - whole[0] > normal_total:
        fused[0] = 0.0
    fused /= fused.sum()
    return fused


def calibrate(classes: Vector, temperature: float, bias: Vector | tuple[float, ...] = (0.0, 0.0, 0.0)) -> Vector:
    """softmax(log(classes) / temperature + bias): the calibration of a card, on fused probabilities.

    A temperature of 1 and no bias return the input; a class with probability 0 keeps it.
    """
    with np.errstate(divide="ignore"):
        logits = np.log(np.asarray(classes, dtype=np.float64)) / temperature + np.asarray(bias, dtype=np.float64)
    grown = np.exp(logits - logits.max(axis=-1, keepdims=True))
    calibrated: Vector = grown / grown.sum(axis=-1, keepdims=True)
    return calibrated
