"""Where to cut a map of probabilities so that the outline's Dice may be expected to be highest.

One threshold for all images is no such place: of a tumour that the network is sure of, its doubtful rim is better left
out; of one that it hardly sees, the doubtful pixels are all there is. Were the pixels independent and many, the k
likeliest of them would have an expected Dice of about 2 (their sum) / (k + the sum of all), and the best k follows
(Dai and Li, RankSEG, JMLR 2023, 24:224; Lipton et al., ECML 2014, arXiv:1402.1892: the best threshold is half of the
highest Dice that can be expected, so never above one half). What may be expected of an outline tells good ones from bad
ones too (Borges et al., Soft Dice Confidence, arXiv:2402.10665).
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

STEPS = 4096
"""Probabilities are told apart this finely, which needs no sorting of millions of them."""
LEAST_EXPECTED = 0.1
"""An outline of which less may be expected is none: so little overlap counts as missed (MODELS.md)."""

Float = npt.NDArray[np.float32]


class Cut(NamedTuple):
    """A place to cut."""

    threshold: float
    """The probability from which a pixel belongs to the outline, as the map has it; above 1 where none does."""
    expected: float | None = None
    """The Dice that may be expected of it; None of a threshold that was given."""


NOTHING = 1.5
"""A threshold that no probability reaches."""


def best_cut(probability: Float, bias: float, least: float = LEAST_EXPECTED) -> Cut:
    """The cut with the highest expected Dice.

    Parameters
    ----------
    probability
        Of tumour, in 0..1, one per pixel, any shape.
    bias
        Added to every logit first: what the map must be set right by before it may be taken at its word. A network
        taught by a loss that weighs tumour pixels more than others says too much, and needs a negative one.
    least
        If a lower Dice may be expected of the best outline, there is none.
    """
    odds = math.exp(bias)
    right = probability * odds / (probability * odds + (1.0 - probability))
    step = np.minimum((right * STEPS).astype(np.intp), STEPS - 1).ravel()
    counts = np.bincount(step, minlength=STEPS)[::-1].cumsum()
    sums = np.bincount(step, weights=right.ravel(), minlength=STEPS)[::-1].cumsum()
    expected = 2.0 * sums / np.maximum(counts + sums[-1], 1e-12)
    best = int(expected.argmax())
    if expected[best] < least:
        return Cut(NOTHING, float(expected[best]))
    edge = (STEPS - 1 - best) / STEPS
    return Cut(edge / (edge + odds * (1.0 - edge)), float(expected[best]))
