"""Contrast limited adaptive histogram equalisation, one function for training and the node (hand-deep-ht, section 2.2).

The image is cut into tiles. The histogram of each is cut off at a limit, what is cut off is spread over the bins below
the limit, and the tile's mapping is the sum of the histogram up to a grey value. Between the centres of tiles the
mappings are interpolated linearly, so that no tile shows.

Tiles begin at the top left corner; beyond the border the image is mirrored, as scikit-image does, whose
`equalize_adapthist` this follows within two of 256 grey levels.

Legend: images `(rows, columns)`; histograms and mappings `(tiles down, tiles across, bins)`.
"""

import numpy as np
import numpy.typing as npt

BINS = 256
GREYS = 1 << 14
"""Grey values before they fall into bins."""
WIDTH = 1 + GREYS // BINS
"""Grey values of a bin; the last few bins stay empty."""
CLIP = 0.01
"""Of the pixels of a tile, the largest share that one bin keeps."""

Float = npt.NDArray[np.float32]


def clahe(image: Float, tile: tuple[int, int], clip: float = CLIP) -> Float:
    """Equalise an image locally.

    Parameters
    ----------
    image
        In 0..1; values beyond are clipped.
    tile
        Rows and columns of a tile.
    clip
        Of the pixels of a tile, the largest share that one bin keeps; from 1 on nothing is cut off.

    Returns
    -------
    float32 in 0..1, stretched to that range; all zeros for an image of one value.
    """
    if image.min() == image.max():
        return np.zeros(image.shape, dtype=np.float32)
    bins = np.rint(np.clip(image, 0.0, 1.0) * np.float32(GREYS - 1)).astype(np.int64) // WIDTH
    halves = [side // 2 for side in tile]
    counts = [-(-length // side) for length, side in zip(image.shape, tile, strict=True)]
    ends = [
        count * side - length + side - half
        for count, side, length, half in zip(counts, tile, image.shape, halves, strict=True)
    ]
    padded = np.pad(
        bins, tuple(zip(halves, ends, strict=True)), mode="symmetric" if min(image.shape) < 2 else "reflect"
    )
    own = padded[halves[0] : halves[0] + counts[0] * tile[0], halves[1] : halves[1] + counts[1] * tile[1]]
    maps = _mappings(_histograms(own, tile), max(1, int(clip * tile[0] * tile[1])))
    mapped = _interpolated(padded, maps, tile)
    mapped = mapped[halves[0] : halves[0] + image.shape[0], halves[1] : halves[1] + image.shape[1]]
    low, high = mapped.min(), mapped.max()
    return np.asarray((mapped - low) / max(float(high - low), 1e-6), dtype=np.float32)


def _histograms(bins: npt.NDArray[np.int64], tile: tuple[int, int]) -> npt.NDArray[np.int64]:
    down, across = bins.shape[0] // tile[0], bins.shape[1] // tile[1]
    numbers = np.arange(down * across).reshape(down, 1, across, 1) * BINS
    tiled = bins.reshape(down, tile[0], across, tile[1]) + numbers
    return np.bincount(tiled.ravel(), minlength=down * across * BINS).reshape(down, across, BINS)


def _mappings(histograms: npt.NDArray[np.int64], limit: int) -> Float:
    """The share of a tile's pixels up to each bin, after the limit."""
    pixels = int(histograms[0, 0].sum())
    limited = _limited(histograms.reshape(-1, BINS), limit).reshape(histograms.shape)
    return np.asarray(np.minimum(np.cumsum(limited, axis=-1) / pixels, 1.0), dtype=np.float32)


def _limited(histograms: npt.NDArray[np.int64], limit: int) -> npt.NDArray[np.int64]:
    """Histograms `(tiles, bins)` cut off at the limit, with whole pixels of the excess given to bins below it.

    First each bin gets the same share, as far as the limit allows. Then one pixel goes to every so many bins from the
    first on, from the second on, and so forth, until nothing is left; the last such turn may give out more than there
    is, as in scikit-image, so that a mapping may reach white before the last bin.
    """
    kept = np.minimum(histograms, limit)
    pixels = histograms.sum(axis=1)
    grown = np.minimum(kept + ((pixels - kept.sum(axis=1)) // BINS)[:, None], limit)
    left = pixels - grown.sum(axis=1)
    places = np.arange(BINS)
    for first in range(BINS):
        room = grown < limit
        count = room.sum(axis=1)
        waiting = (left > 0) & (count > 0)
        if not waiting.any():
            break
        step = np.maximum(1, count // np.maximum(left, 1))
        turn = (places >= first) & ((places - first) % step[:, None] == 0)
        given = room & turn & waiting[:, None]
        grown = grown + given
        left = left - given.sum(axis=1)
    return np.asarray(grown)


def _interpolated(padded: npt.NDArray[np.int64], maps: Float, tile: tuple[int, int]) -> Float:
    """Each pixel mapped by the four tiles whose centres surround it; beyond the outermost centres their map holds."""
    edged = np.pad(maps, ((1, 1), (1, 1), (0, 0)), mode="edge")
    across = edged.shape[1]
    flat = edged.reshape(-1)
    row, column = (np.arange(length) // side for length, side in zip(padded.shape, tile, strict=True))
    down, right = (
        ((np.arange(length) % side) / side).astype(np.float32) for length, side in zip(padded.shape, tile, strict=True)
    )
    result = np.zeros(padded.shape, dtype=np.float32)
    for below, weight_down in ((0, 1.0 - down), (1, down)):
        for beside, weight_right in ((0, 1.0 - right), (1, right)):
            which = (row[:, None] + below) * across + (column[None, :] + beside)
            result += flat[which * BINS + padded] * (weight_down[:, None] * weight_right[None, :])
    return result
