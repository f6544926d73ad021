"""Split conformal prediction: which answers stay possible, so that the true one is among them as often as promised."""

import math

import numpy as np
import numpy.typing as npt

COVERED = 0.9
"""The share of true classes that are to be among the possible ones."""


def least_possible(of_truth: npt.NDArray[np.float64], covered: float = COVERED) -> float:
    """The least probability of a possible class: that which `covered` of true classes reach, with the usual correction.

    Too few cases to promise anything leave every class possible: 0.

    Parameters
    ----------
    of_truth
        `(n,)`: the probability of each case's true class, on cases that nobody trained on.
    """
    rank = math.ceil((len(of_truth) + 1) * covered)
    if rank > len(of_truth):
        return 0.0
    return math.floor(float(np.sort(of_truth)[::-1][rank - 1]) * 1e4) / 1e4
