"""Distances between the surfaces of two masks, in millimetres."""

import numpy as np
import numpy.typing as npt
import scipy.ndimage

Mask = npt.NDArray[np.bool_]


def hausdorff95(truth: Mask, answer: Mask, spacing_mm: tuple[float, ...]) -> float:
    """The 95th percentile of the distances from each surface to the other, the larger of both directions.

    NaN when either mask is empty: a lesion that was not found lies at no distance.

    Parameters
    ----------
    truth, answer
        Of the same shape, two- or three-dimensional.
    spacing_mm
        Between voxel centres, per axis.
    """
    if not truth.any() or not answer.any():
        return float("nan")
    one, other = _surface(truth), _surface(answer)
    to_other = scipy.ndimage.distance_transform_edt(~other, sampling=spacing_mm)[one]
    to_one = scipy.ndimage.distance_transform_edt(~one, sampling=spacing_mm)[other]
    return max(float(np.percentile(to_other, 95)), float(np.percentile(to_one, 95)))


def _surface(mask: Mask) -> Mask:
    """The voxels of a mask that have a neighbour outside it, or lie at the border of the grid."""
    surface: Mask = mask & ~scipy.ndimage.binary_erosion(mask)
    return surface
