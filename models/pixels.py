"""Grey values and grids: what every radiograph passes through before a network, in the node and in training alike.

Legend: images are `(rows, columns)` float32 with bright bone. Nothing here reads DICOM (that is `models.images`).
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.sparse

Float = npt.NDArray[np.float32]

SAMPLE_SIDE = 256
"""Percentiles are taken from about this many rows and columns, evenly spaced, whatever the size of the image."""
LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.0
EXACT_SHARE, EXTREME_SHARE = 0.001, 0.02
"""Grey values this close to the darkest or brightest one are taken for collimation, air or marks: first as a share of
the whole range, which a border may have blown up, then of the range of what is left."""
LEAST_CONTENT = 0.05
"""With less than this share of pixels left, the extremes are the content, and nothing is left out."""


def normalise(image: Float) -> Float:
    """Stretch an image to 0..1 by the percentiles of its content.

    Collimation borders, black or white, and burned-in marks lie at the ends of the grey scale; they are left out when
    the two percentiles are taken, and clipped to 0 or 1 like everything beyond these.

    Parameters
    ----------
    image
        `(rows, columns)`, any range, bright bone, finite.

    Returns
    -------
    `(rows, columns)` float32 in 0..1; all zeros for a constant image.
    """
    return stretch(image, content_range(image))


def stretch(image: Float, ends: tuple[float, float]) -> Float:
    """Stretch an image, or a part of one, so that the two grey values become 0 and 1, and clip what is beyond them.

    Returns
    -------
    float32 of the image's shape; all zeros where the ends are one value.
    """
    low, high = ends
    if high <= low:
        return np.zeros(image.shape, dtype=np.float32)
    scale = np.float32(1.0 / (high - low))
    stretched = image * scale
    stretched -= np.float32(low) * scale
    return np.clip(stretched, 0.0, 1.0, out=stretched)


def resize(image: Float, shape: tuple[int, int]) -> Float:
    """Bring an image to `shape`: area averaging along an axis that shrinks, bilinear along one that grows.

    The whole image is squeezed or stretched; proportions are not kept. Pixel edges of both grids coincide at the border
    of the image, as in half-pixel centred interpolation.

    Parameters
    ----------
    image
        `(rows, columns)` float32.
    shape
        The wanted rows and columns, both at least 1.

    Returns
    -------
    float32 of the wanted shape; never outside the range of the input.
    """
    rows, columns = image.shape
    if (rows, columns) == shape:
        return image.astype(np.float32, copy=True)
    by_rows = axis_weights(rows, shape[0]) @ np.ascontiguousarray(image, dtype=np.float32)
    by_both = axis_weights(columns, shape[1]) @ np.ascontiguousarray(by_rows.T)
    return np.ascontiguousarray(by_both.T)


def content_range(image: Float) -> tuple[float, float]:
    """The two percentiles of an image's content that `normalise` stretches to 0 and 1."""
    step_rows = max(1, image.shape[0] // SAMPLE_SIDE)
    step_columns = max(1, image.shape[1] // SAMPLE_SIDE)
    sample = image[step_rows // 2 :: step_rows, step_columns // 2 :: step_columns].ravel()
    ends = float(sample.min()), float(sample.max())
    inner = _between(sample, ends, EXACT_SHARE * (ends[1] - ends[0]))
    content = _between(sample, ends, EXTREME_SHARE * float(inner.max() - inner.min())) if inner.size else sample
    if content.size < LEAST_CONTENT * sample.size:
        content = sample
    low, high = np.percentile(content, (LOW_PERCENTILE, HIGH_PERCENTILE))
    return float(low), float(high)


def _between(sample: Float, ends: tuple[float, float], margin: float) -> Float:
    return sample[(sample > ends[0] + margin) & (sample < ends[1] - margin)]


@lru_cache(maxsize=32)
def axis_weights(source: int, target: int) -> scipy.sparse.csr_array:
    """The `(target, source)` matrix that resamples one axis; each row sums to 1."""
    dense_rows, dense_columns, values = _area(source, target) if target < source else _linear(source, target)
    return scipy.sparse.csr_array(
        (values.astype(np.float32), (dense_rows, dense_columns)), shape=(target, source), dtype=np.float32
    )


Triplets = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64]]


def _area(source: int, target: int) -> Triplets:
    edges = np.arange(target + 1) * (source / target)
    first = np.floor(edges[:-1]).astype(np.intp)
    span = int(np.ceil(source / target)) + 1
    cells = first[:, None] + np.arange(span)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    wanted = (overlap > 1e-9) & (cells < source)
    weights = np.where(wanted, overlap, 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(target, dtype=np.intp)[:, None], cells.shape)
    return rows[wanted], cells[wanted], weights[wanted]


def _linear(source: int, target: int) -> Triplets:
    centres = np.clip((np.arange(target) + 0.5) * (source / target) - 0.5, 0.0, source - 1.0)
    lower = np.floor(centres).astype(np.intp)
    upper = np.minimum(lower + 1, source - 1)
    share = centres - lower
    rows = np.arange(target, dtype=np.intp)
    return np.concatenate((rows, rows)), np.concatenate((lower, upper)), np.concatenate((1.0 - share, share))
