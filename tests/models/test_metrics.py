"""Metrics against numbers worked out by hand (papers: knee-seg-unet A7-A9, review)."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.metrics import (
    Counts,
    Detections,
    accuracy,
    average_precision,
    bootstrap,
    confusion,
    counts,
    dice,
    dice_with_background,
    difference,
    expected_calibration_error,
    f1s,
    false_positives_per_image,
    iou,
    least_calibration_error,
    macro_f1,
    mean_accuracy,
    mean_average_precision,
    recalls,
    reliability,
    roc_auc,
    roc_curve,
    weighted_f1,
)

MATRIX = np.array([[76, 0, 0], [1, 210, 2], [0, 3, 24]])


def test_the_review_numbers() -> None:
    four = Counts(true_positive=2, false_positive=1, false_negative=1, true_negative=4)
    assert four.precision == pytest.approx(2 / 3)
    assert four.recall == pytest.approx(2 / 3)
    assert four.specificity == pytest.approx(0.8)
    assert four.accuracy == pytest.approx(0.75)
    assert four.f1 == pytest.approx(2 / 3)
    assert four.kappa == pytest.approx(0.4667, abs=5e-5)


def test_counts_are_taken_from_two_masks() -> None:
    truth = np.array([1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
    answer = np.array([1, 1, 0, 1, 0, 0, 0, 0], dtype=bool)
    assert counts(truth, answer) == Counts(2, 1, 1, 4)


def test_a7_mean_and_spread_of_the_confusion_matrix() -> None:
    spread = mean_accuracy(MATRIX)
    assert spread.mean == pytest.approx(95.827, abs=5e-4)
    assert spread.population == pytest.approx(4.939, abs=5e-4)
    assert accuracy(MATRIX) == pytest.approx(0.9810, abs=5e-5)


@pytest.mark.parametrize(
    ("diagonal", "mean", "sample"), [((100, 100, 24 / 0.27), 96.30, 6.42), ((100, 93.0, 88.9), 93.97, 5.61)]
)
def test_the_printed_spread_is_the_sample_one(diagonal: tuple[float, ...], mean: float, sample: float) -> None:
    cases = 100_000
    right = np.rint(np.array(diagonal) / 100 * cases).astype(np.int64)
    matrix = np.diag(right)
    matrix[[0, 1, 2], [1, 2, 0]] += cases - right
    spread = mean_accuracy(matrix)
    assert spread.mean == pytest.approx(mean, abs=0.01)
    assert spread.sample == pytest.approx(sample, abs=0.01)


def test_a_confusion_matrix_has_a_row_per_true_class() -> None:
    matrix = confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert recalls(matrix).tolist() == [0.5, 1.0, 0.0]


def test_f1_of_each_class_and_its_two_means() -> None:
    """Right 3, 2 and 0; answered 5, 3 and 0; there 4, 3 and 1: 6 / 9, 4 / 6 and 0 / 1."""
    matrix = np.array([[3, 1, 0], [1, 2, 0], [1, 0, 0]])
    assert f1s(matrix).tolist() == pytest.approx([2 / 3, 2 / 3, 0.0])
    assert macro_f1(matrix) == pytest.approx(4 / 9)
    assert weighted_f1(matrix) == pytest.approx(7 / 8 * 2 / 3)


def test_a_class_that_is_neither_there_nor_answered_has_no_f1() -> None:
    matrix = np.array([[2, 2, 0], [0, 4, 0], [0, 0, 0]])
    assert f1s(matrix)[:2].tolist() == pytest.approx([2 / 3, 0.8])
    assert math.isnan(f1s(matrix)[2])
    assert macro_f1(matrix) == pytest.approx((2 / 3 + 0.8) / 2)
    assert weighted_f1(matrix) == pytest.approx((2 / 3 + 0.8) / 2)
    assert math.isnan(macro_f1(np.zeros((3, 3), dtype=np.int64)))
    assert math.isnan(weighted_f1(np.zeros((3, 3), dtype=np.int64)))


def test_f1_of_two_classes_is_that_of_the_counts() -> None:
    four = Counts(true_positive=2, false_positive=1, false_negative=1, true_negative=4)
    assert f1s(np.array([[4, 1], [1, 2]])).tolist() == pytest.approx([0.8, four.f1])


def squares() -> tuple[np.ndarray, np.ndarray]:
    truth, answer = np.zeros((4, 4), dtype=bool), np.zeros((4, 4), dtype=bool)
    truth[:2, :2] = True
    answer[:2, :3] = True
    return truth, answer


def test_a9_overlap_of_tumour_and_of_background() -> None:
    truth, answer = squares()
    assert dice(truth, answer) == pytest.approx(0.8)
    assert iou(truth, answer) == pytest.approx(2 / 3)
    assert dice(~truth, ~answer) == pytest.approx(0.9091, abs=5e-5)
    assert iou(~truth, ~answer) == pytest.approx(0.8333, abs=5e-5)
    assert dice_with_background(truth, answer) == pytest.approx((4 / 5 + 20 / 22) / 2)
    assert dice_with_background(truth, answer) == dice_with_background(~truth, ~answer) != iou(truth, answer)


def test_two_empty_masks_have_no_overlap_to_speak_of() -> None:
    empty = np.zeros((3, 3), dtype=bool)
    assert math.isnan(dice(empty, empty))
    assert math.isnan(iou(empty, empty))
    assert math.isnan(dice_with_background(empty, empty))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_dice_is_two_j_over_one_plus_j(pairs: list[tuple[bool, bool]]) -> None:
    truth, answer = np.array(pairs).T
    if truth.any() or answer.any():
        overlap = iou(truth, answer)
        assert dice(truth, answer) == pytest.approx(2 * overlap / (1 + overlap))


def test_the_area_under_the_curve_counts_ties_half() -> None:
    positive = np.array([False, False, True, True])
    assert roc_auc(np.array([0.1, 0.4, 0.35, 0.8]), positive) == pytest.approx(0.75)
    assert roc_auc(np.zeros(4), positive) == 0.5
    assert math.isnan(roc_auc(np.zeros(2), np.array([True, True])))


def test_average_precision_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    hits = np.array([True, False, True, False])
    assert average_precision(scores, hits, 2) == pytest.approx((1.0 + 2 / 3) / 2)
    assert average_precision(scores, hits, 4) == pytest.approx((1.0 + 2 / 3) / 4)
    assert average_precision(np.zeros(0), np.zeros(0, dtype=bool), 2) == 0.0
    assert math.isnan(average_precision(scores, hits, 0))


def test_mean_average_precision_by_hand() -> None:
    """The first class has two objects: met at 1 and at 2 / 3 by the first limit, at 1 and never by the second. The
    other has one, met by the second of two boxes, at 1 / 2 by both limits. A class without an object has no say."""
    one = Detections(np.array([0.7, 0.9, 0.8]), np.array([[True, True, False], [False, True, False]]), 2)
    other = Detections(np.array([0.3, 0.6]), np.array([[True, False], [True, False]]), 1)
    none = Detections(np.array([0.5]), np.array([[False], [False]]), 0)
    assert mean_average_precision([one]) == pytest.approx((5 / 6 + 1 / 2) / 2)
    assert mean_average_precision([one, other]) == pytest.approx(((5 / 6 + 1 / 2) / 2 + 1 / 2) / 2)
    assert mean_average_precision([one, other, none]) == mean_average_precision([one, other])
    first = [each._replace(is_hit=each.is_hit[:1]) for each in (one, other)]
    assert mean_average_precision(first) == pytest.approx((5 / 6 + 1 / 2) / 2)
    assert math.isnan(mean_average_precision([none]))
    missed = Detections(np.zeros(0), np.zeros((2, 0), dtype=bool), 3)
    assert mean_average_precision([other, missed]) == pytest.approx(1 / 4), "a class of which nothing was found"


def test_false_positives_per_image_at_a_recall() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    hits = np.array([True, False, True, False])
    assert false_positives_per_image(scores, hits, 2, 4, 0.5) == 0.0
    assert false_positives_per_image(scores, hits, 2, 4, 1.0) == 0.25
    assert math.isnan(false_positives_per_image(scores, hits, 3, 4, 1.0))


def test_calibration_error_is_the_gap_between_sure_and_right() -> None:
    probabilities = np.array([[0.8, 0.2]] * 10)
    truth = np.array([0] * 6 + [1] * 4)
    assert expected_calibration_error(probabilities, truth) == pytest.approx(0.2)
    assert expected_calibration_error(probabilities, np.array([0] * 8 + [1] * 2)) == pytest.approx(0.0)


def test_the_curve_is_drawn_through_every_threshold_and_ties_are_one() -> None:
    scores, positive = np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False])
    false, true = roc_curve(scores, positive)
    assert false.tolist() == [0.0, 0.0, 0.5, 1.0]
    assert true.tolist() == [0.0, 0.5, 1.0, 1.0]
    assert float(np.trapezoid(true, false)) == pytest.approx(roc_auc(scores, positive))


def test_bins_of_confidence_say_how_often_they_were_right() -> None:
    probabilities = np.array([[0.9, 0.1], [0.92, 0.08], [0.4, 0.6], [0.45, 0.55]])
    low, high = reliability(probabilities, np.array([0, 1, 1, 1]), bins=4)
    assert (low.sure, low.right, low.share) == (pytest.approx(0.575), 1.0, 0.5)
    assert (high.sure, high.right, high.share) == (pytest.approx(0.91), 0.5, 0.5)


def test_a_better_model_is_told_from_one_that_is_as_good() -> None:
    rng = np.random.default_rng(1)
    groups, right = np.repeat(np.arange(40), 5), rng.random(200) < 0.6
    better, other = right | (rng.random(200) < 0.4), rng.permutation(right)
    estimate, chance = difference(lambda i: float(better[i].mean()), lambda i: float(right[i].mean()), groups)
    assert estimate.value == pytest.approx(float(better.mean() - right.mean()))
    assert 0.0 < estimate.low < estimate.value < estimate.high
    assert chance < 0.01
    assert difference(lambda i: float(other[i].mean()), lambda i: float(right[i].mean()), groups)[1] > 0.1
    assert difference(lambda i: 0.5, lambda i: 0.5, groups)[1] == 1.0


def test_an_interval_of_grouped_cases_is_wider_than_of_single_ones() -> None:
    values = np.repeat([0.0, 1.0, 0.0, 1.0, 1.0, 0.0], 20)
    grouped = bootstrap(lambda chosen: float(values[chosen].mean()), np.repeat(np.arange(6), 20), draws=300)
    single = bootstrap(lambda chosen: float(values[chosen].mean()), np.arange(120), draws=300)
    assert grouped.value == single.value == 0.5
    assert grouped.low < single.low < 0.5 < single.high < grouped.high


def test_an_interval_is_the_same_each_time() -> None:
    values, groups = np.arange(12.0), np.arange(12) // 2
    first = bootstrap(lambda chosen: float(values[chosen].mean()), groups, draws=100)
    assert first == bootstrap(lambda chosen: float(values[chosen].mean()), groups, draws=100)


def test_the_error_that_few_calibrated_answers_have_all_the_same():
    """One answer of a half is off by a half, whatever is true; a hundred of them by 0.8 * sqrt(0.25 / 100) = 0.04."""
    assert least_calibration_error(np.array([[1.0, 0.0]] * 9)) == 0.0
    assert least_calibration_error(np.array([[0.5, 0.5]])) == pytest.approx(0.5)
    assert least_calibration_error(np.full((100, 2), 0.5)) == pytest.approx(0.04, rel=0.15)
