"""Where a map is cut, beside every other place at which it could be."""

import math

import numpy as np
import pytest

from models.cut import LEAST_EXPECTED, STEPS, best_cut

RNG_SEED = 5


def blob(peak: float, width: float, side: int = 64) -> np.ndarray:
    """A tumour that fades: logits fall from a peak with the distance from the middle."""
    rows, columns = np.mgrid[:side, :side] - side / 2
    logits = peak - (np.hypot(rows, columns) / width) ** 2
    return (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)


def expected_of(probability: np.ndarray, chosen: np.ndarray) -> float:
    return 2.0 * float(probability[chosen].sum()) / (chosen.sum() + float(probability.sum()))


def test_a_map_of_three_pixels_worked_out_by_hand() -> None:
    """0.8: 1.6 / (1 + 1.5); with 0.5: 2.6 / (2 + 1.5); with 0.2: 3 / (3 + 1.5)."""
    found = best_cut(np.array([0.8, 0.5, 0.2], dtype=np.float32), 0.0)
    assert found.expected == pytest.approx(2.6 / 3.5, abs=1e-3)
    assert 0.2 < found.threshold <= 0.5


@pytest.mark.parametrize("peak", [6.0, 2.0, 0.0, -1.0])
def test_no_other_threshold_may_be_expected_to_do_better(peak: float) -> None:
    probability = blob(peak, 6.0)
    found = best_cut(probability, 0.0)
    others = [expected_of(probability, probability >= other) for other in np.unique(probability)]
    assert found.expected == pytest.approx(max(others), abs=2 / STEPS)
    assert expected_of(probability, probability >= found.threshold) == pytest.approx(found.expected, abs=2 / STEPS)
    inside = probability >= found.threshold
    assert probability[~inside].max() - 2 / STEPS <= found.expected / 2 <= probability[inside].min() + 2 / STEPS


def test_what_may_be_expected_comes_true_where_pixels_are_drawn_as_the_map_says() -> None:
    rng, probability = np.random.default_rng(RNG_SEED), blob(1.0, 8.0)
    found = best_cut(probability, 0.0)

    def dice(threshold: float) -> float:
        outline = probability >= threshold
        drawn = [rng.random(probability.shape) < probability for _ in range(200)]
        return float(np.mean([2 * (outline & truth).sum() / (outline.sum() + truth.sum()) for truth in drawn]))

    assert dice(found.threshold) == pytest.approx(found.expected, abs=0.01)
    assert dice(found.threshold) > max(dice(0.5), dice(found.threshold / 3)) + 0.02


def test_a_map_that_says_too_much_is_set_right_first() -> None:
    true = blob(1.0, 8.0)
    loud = (1.0 / (1.0 + np.exp(-(np.log(true / (1.0 - true)) + 2.5)))).astype(np.float32)
    plain, corrected = best_cut(true, 0.0), best_cut(loud, -2.5)
    assert corrected.expected == pytest.approx(plain.expected, abs=1e-3)
    assert np.array_equal(loud >= corrected.threshold, true >= plain.threshold)


@pytest.mark.parametrize("level", [0.0, 1e-4, 0.02])
def test_a_map_without_a_tumour_is_not_outlined(level: float) -> None:
    found = best_cut(np.full((64, 64), level, dtype=np.float32), 0.0)
    assert found.expected < LEAST_EXPECTED
    assert found.threshold > 1.0


def test_a_map_that_is_sure_everywhere_is_outlined_everywhere() -> None:
    found = best_cut(np.ones((8, 8), dtype=np.float32), -2.5)
    assert found.expected == pytest.approx(1.0)
    assert found.threshold <= 1.0
    assert math.isfinite(found.threshold)
