"""CutMix (Yun et al., ICCV 2019) with outlines: a rectangle of a view is replaced by that of another view of the batch.

Normal and tumour images of a collection come from different sources, and a net that has seen the same two thousand
images for hours knows each of them. Half of one film beside half of another is a film that it has not seen, and what
the view holds is still known to the pixel, so no label need be mixed: it is that of the tumours that are left.

Legend: images and masks `(batch, 1, rows, columns)`, masks 0 or 1; labels `(batch,)`: 0 normal, 1 benign, 2 malignant.
"""

import numpy as np
from torch import Tensor

SIDES = (0.3, 0.8)
"""Between which shares of the view's side the sides of a rectangle lie."""
GONE, THERE = 0.1, 0.6
"""A tumour of which at most the first share is left, and that a small one, is gone; one with at least the second is
there. Between the two it is in doubt what a reader would call it, and the view is left as it was."""


def cutmix(
    images: Tensor, masks: Tensor, labels: Tensor, chance: float, rng: np.random.Generator, *, least: float
) -> Tensor:
    """Mix views with others of the batch, images and masks in place, each with this chance.

    Parameters
    ----------
    least
        From how many tumour pixels on what is left of a tumour is not gone, however small its share.

    Returns
    -------
    What the views hold now, `(batch,)`: the worse of two tumours where both are there, 0 where none is.
    """
    sources, count, side = (images.clone(), masks.clone()), len(images), images.shape[-1]
    donors, chosen = rng.permutation(count), rng.random(count) < chance
    sides = np.maximum(1, rng.uniform(*SIDES, (count, 2)) * side).astype(int)
    corners = (rng.random((count, 2)) * (side - sides + 1)).astype(int)
    held = labels.clone()
    for view, donor in enumerate(donors.tolist()):
        if not chosen[view] or donor == view:
            continue
        (top, left), (rows, columns) = corners[view].tolist(), sides[view].tolist()
        place = slice(top, top + rows), slice(left, left + columns)
        inside = [float(sources[1][each, 0][place].sum()) for each in (view, donor)]
        whole = [float(sources[1][each].sum()) for each in (view, donor)]
        stays = _verdict(whole[0] - inside[0], whole[0], least)
        comes = _verdict(inside[1], whole[1], least) if whole[1] else False
        if stays is None or comes is None:
            continue
        for mixed, source in zip((images, masks), sources, strict=True):
            mixed[view, 0][place] = source[donor, 0][place]
        held[view] = max(int(labels[view]) * stays, int(labels[donor]) * comes)
    return held


def _verdict(left: float, whole: float, least: float) -> bool | None:
    """Whether a tumour of so many pixels is there with those that are left; None where that is in doubt."""
    if left >= THERE * whole:  # also where no pixel shows it: the view keeps the label that it has
        return True
    return False if left <= GONE * whole and left < least else None
