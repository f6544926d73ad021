"""Overlap per class and over classes, from a confusion of pixels (hand-deep-ht, section 4).

Legend: a confusion matrix has a row per true class and a column per answer, background first.
"""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def ious(matrix: Ints) -> Floats:
    """The IoU of each class; NaN for one that is neither there nor answered."""
    both = np.diag(matrix).astype(np.float64)
    either = matrix.sum(axis=0) + matrix.sum(axis=1) - both
    return np.asarray(np.divide(both, either, out=np.full(both.shape, np.nan), where=either > 0), dtype=np.float64)


def mean_iou(matrix: Ints) -> float:
    """The mean IoU of all classes, background among them."""
    each = ious(matrix)
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")


def binary(matrix: Ints) -> Ints:
    """The same pixels as background and tumour only, two by two."""
    parts = np.array([matrix[0, 0], matrix[0, 1:].sum(), matrix[1:, 0].sum(), matrix[1:, 1:].sum()])
    return parts.reshape(2, 2)
