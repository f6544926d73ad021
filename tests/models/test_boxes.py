import numpy as np
import pytest

from models.boxes import area, chains, hits, overlap


def test_overlap_has_its_known_values():
    one = np.array([[0, 0, 2, 2]])
    other = np.array([[0, 0, 2, 3], [2, 2, 4, 4], [0, 0, 2, 2]])
    assert overlap(one, other)[0] == pytest.approx([2 / 3, 0.0, 1.0])
    assert area(other) == pytest.approx([6.0, 4.0, 4.0])


def test_a_true_box_is_met_once_and_by_the_best_one():
    truth = np.array([[0, 0, 10, 10], [30, 30, 40, 40]])
    found = np.array([[1, 0, 11, 10], [0, 0, 10, 10], [30, 30, 40, 39], [60, 60, 70, 70]])
    assert hits(found, np.array([0.5, 0.9, 0.3, 0.8]), truth).tolist() == [False, True, True, False]


def test_nothing_meets_nothing():
    none = np.zeros((0, 4))
    assert hits(none, np.zeros(0), np.array([[0, 0, 1, 1]])).tolist() == []
    assert hits(np.array([[0, 0, 1, 1]]), np.ones(1), none).tolist() == [False]


def test_boxes_on_neighbouring_slices_over_one_another_are_one_lesion():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [40, 40, 50, 50], [2, 2, 12, 12], [0, 0, 10, 10]])
    assert chains([3, 4, 4, 5, 8], boxes) == [[0, 1, 3], [2], [4]]


def test_boxes_that_were_found_late_join_two_chains():
    boxes = np.array([[0, 0, 10, 10]] * 3)
    assert chains([1, 3, 2], boxes) == [[0, 2, 1]]
    assert chains([], np.zeros((0, 4))) == []
