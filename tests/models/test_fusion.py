"""A5 and A6 of knee-seg-unet, with the numbers worked out by hand, and the calibration after them."""

import numpy as np
import pytest

from models.fusion import calibrate, combine, fuse_classes, fuse_masks, touching_regions


@pytest.mark.parametrize(
    ("whole", "patch", "touching", "expected"),
    [(0.9, 0.8, False, 0.8667), (0.9, 0.0, False, 0.6), (0.0, 0.9, False, 0.3), (0.0, 0.9, True, 0.6)],
    ids=["both", "global-only", "patch-alone", "patch-touching"],
)
def test_a5_gives_the_four_cases(whole: float, patch: float, touching: bool, expected: float) -> None:
    fused = combine(
        np.array([[whole]], dtype=np.float32), np.array([[patch]], dtype=np.float32), np.array([[touching]])
    )
    assert fused[0, 0] == pytest.approx(expected, abs=5e-5)


def test_a5_never_exceeds_one() -> None:
    one = np.ones((1, 1), dtype=np.float32)
    assert combine(one, one, np.array([[True]]))[0, 0] == 1.0


def masks() -> tuple[np.ndarray, np.ndarray]:
    whole, patch = np.zeros((12, 12), dtype=bool), np.zeros((12, 12), dtype=bool)
    whole[2:5, 2:5] = True
    patch[3:5, 3:8] = True  # overlaps
    patch[5, 0:2] = True  # touches by a corner
    patch[9:11, 9:11] = True  # far away
    return whole, patch


def test_regions_that_overlap_or_touch_count_without_the_intersection() -> None:
    whole, patch = masks()
    expected = np.zeros((12, 12), dtype=bool)
    expected[3:5, 5:8] = True
    expected[5, 0:2] = True
    assert np.array_equal(touching_regions(whole, patch), expected)


def test_nothing_touches_an_empty_global_mask() -> None:
    whole, patch = masks()
    assert not touching_regions(np.zeros_like(whole), patch).any()


def test_a_lone_patch_region_stays_below_one_half_and_a_touching_one_passes() -> None:
    whole, patch = masks()
    fused = fuse_masks(0.9 * whole.astype(np.float32), 0.9 * patch.astype(np.float32))
    assert fused[9, 9] == pytest.approx(0.3)
    assert fused[3, 7] == pytest.approx(0.6)
    assert fused[3, 3] == pytest.approx(0.9)
    assert fused[2, 2] == pytest.approx(0.6)


CASES = [
    ((0.8, 0.15, 0.05), (0.2, 0.3, 0.5), (0.6, 0.2, 0.2)),
    ((0.45, 0.35, 0.2), (0.2, 0.3, 0.5), (0.3667, 0.3333, 0.3)),
    ((0.1, 0.7, 0.2), (0.1, 0.2, 0.7), (0.0, 0.5926, 0.4074)),
]


@pytest.mark.parametrize(("whole", "patch", "expected"), CASES, ids=["normal", "balanced", "tumour"])
def test_a6_as_its_text_says(whole: tuple[float, ...], patch: tuple[float, ...], expected: tuple[float, ...]) -> None:
    assert np.allclose(fuse_classes(np.array(whole), np.array(patch), 0.2), expected, atol=5e-5)


def test_a6_as_printed_would_deny_a_confidently_normal_image() -> None:
    """The formula zeroes normal whenever the two sides differ by more than T, in either direction."""
    whole, patch = np.array(CASES[0][0]), np.array(CASES[0][1])
    printed = (2 * whole + patch) / 3
    if abs(whole[1:].sum() - whole[0]) > 0.2:
        printed[0] = 0.0
    assert np.allclose(printed / printed.sum(), (0.0, 0.5, 0.5))
    assert fuse_classes(whole, patch, 0.2).argmax() == 0


def test_a_total_of_one_switches_the_rule_off() -> None:
    whole, patch = np.array([0.0, 0.9, 0.1]), np.array([0.3, 0.6, 0.1])
    assert fuse_classes(whole, patch, 1.0)[0] == pytest.approx(0.1)


def test_calibration_at_one_changes_nothing() -> None:
    assert np.allclose(calibrate(np.array([0.2, 0.5, 0.3]), 1.0), (0.2, 0.5, 0.3))


def test_a_higher_temperature_is_less_sure_and_keeps_the_order() -> None:
    cooled = calibrate(np.array([0.05, 0.9, 0.05]), 2.0)
    assert cooled.argmax() == 1
    assert 1 / 3 < cooled[1] < 0.9


def test_a_bias_moves_the_odds() -> None:
    moved = calibrate(np.array([0.5, 0.4, 0.1]), 1.0, (0.0, 0.0, np.log(2.0)))
    assert np.allclose(moved, np.array([0.5, 0.4, 0.2]) / 1.1)


def test_a_class_with_no_probability_keeps_none() -> None:
    assert np.allclose(calibrate(np.array([0.0, 0.5, 0.5]), 1.7), (0.0, 0.5, 0.5))


def test_rows_are_calibrated_each_for_itself() -> None:
    rows = np.array([[0.2, 0.5, 0.3], [0.7, 0.2, 0.1]])
    both = calibrate(rows, 1.4, (0.1, 0.0, -0.2))
    assert np.allclose(both[1], calibrate(rows[1], 1.4, (0.1, 0.0, -0.2)))
