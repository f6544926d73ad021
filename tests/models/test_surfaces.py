"""Surface distances worked out by hand."""

import math

import numpy as np

from models.surfaces import hausdorff95


def square(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((20, 20), bool)
    mask[rows, columns] = True
    return mask


def test_a_shifted_square_is_as_far_as_its_shift_in_millimetres() -> None:
    one, shifted = square(slice(5, 10), slice(5, 10)), square(slice(5, 10), slice(8, 13))
    assert hausdorff95(one, shifted, (1.0, 1.0)) == 3.0
    assert hausdorff95(one, shifted, (1.0, 0.5)) == 1.5
    assert hausdorff95(one, one, (1.0, 1.0)) == 0.0


def test_a_speck_far_away_is_forgiven_and_a_missing_mask_has_no_distance() -> None:
    one = square(slice(2, 18), slice(2, 18))
    specked = one & ~square(slice(2, 3), slice(2, 3))
    assert hausdorff95(one, specked, (1.0, 1.0)) == 0.0
    assert math.isnan(hausdorff95(one, np.zeros_like(one), (1.0, 1.0)))


def test_the_larger_direction_counts_in_three_dimensions() -> None:
    near, both = np.zeros((9, 9, 9), bool), np.zeros((9, 9, 9), bool)
    near[4, 4, 1] = True
    both[4, 4, 1] = both[4, 4, 7] = True
    assert hausdorff95(near, both, (2.0, 2.0, 2.0)) > 11.0
