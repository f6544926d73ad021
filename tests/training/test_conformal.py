"""The least probability of a possible class, worked out by hand."""

import numpy as np

from training.conformal import least_possible


def test_nine_of_ten_true_classes_reach_the_conformal_limit() -> None:
    probabilities = np.arange(1, 100) / 100
    assert least_possible(probabilities) == 0.1
    assert (probabilities >= least_possible(probabilities)).mean() >= 0.9
    assert least_possible(np.array([0.9, 0.8])) == 0.0, "two patients promise nothing"
