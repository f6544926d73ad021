"""Windows cover every pixel, and their answers become one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.patches import merge, merge_classes, windows


@given(st.integers(1, 90), st.integers(1, 90))
def test_every_pixel_lies_in_a_window_of_half_the_side(rows: int, columns: int) -> None:
    covered = np.zeros((rows, columns), dtype=int)
    for top, bottom, left, right in windows(rows, columns):
        assert 0 <= top < bottom <= rows
        assert 0 <= left < right <= columns
        assert (bottom - top, right - left) == ((rows + 1) // 2, (columns + 1) // 2)
        covered[top:bottom, left:right] += 1
    assert covered.min() >= 1


@pytest.mark.parametrize("side", [(4, 4), (5, 7), (597, 330), (4000, 3001), (512, 512)])
def test_there_are_three_by_three_windows(side: tuple[int, int]) -> None:
    assert len(windows(*side)) == 9


def test_windows_overlap_by_half_and_run_left_to_right_then_down() -> None:
    assert windows(8, 8)[:4] == [(0, 4, 0, 4), (0, 4, 2, 6), (0, 4, 4, 8), (2, 6, 0, 4)]


def test_the_last_window_is_shifted_back_to_the_edge() -> None:
    assert [left for top, _, left, _ in windows(4, 7) if top == 0] == [0, 2, 3]


def test_a_pixel_takes_its_highest_probability() -> None:
    maps = np.zeros((9, 4, 4), dtype=np.float32)
    maps[0], maps[1], maps[4] = 0.2, 0.7, 0.5
    merged = merge(maps, (8, 8))
    assert merged[0, 0] == np.float32(0.2)
    assert merged[0, 3] == np.float32(0.7)
    assert merged[5, 5] == np.float32(0.5)
    assert merged[7, 7] == 0.0


def test_maps_of_another_grid_are_brought_to_the_window() -> None:
    assert np.allclose(merge(np.full((9, 16, 16), 0.4, dtype=np.float32), (100, 61)), 0.4)


def test_a_map_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="8 maps for the 9 windows"):
        merge(np.zeros((8, 4, 4), dtype=np.float32), (8, 8))


def test_classes_are_the_maximum_over_windows_with_tumour() -> None:
    classes = np.array([[0.9, 0.05, 0.05], [0.2, 0.6, 0.2], [0.3, 0.1, 0.6]])
    merged = merge_classes(classes, np.array([False, True, True]))
    assert np.allclose(merged, np.array([0.3, 0.6, 0.6]) / 1.5)


def test_classes_are_the_maximum_over_all_windows_when_none_holds_tumour() -> None:
    classes = np.array([[0.9, 0.05, 0.05], [0.6, 0.3, 0.1]])
    assert np.allclose(merge_classes(classes, np.zeros(2, dtype=bool)), np.array([0.9, 0.3, 0.1]) / 1.3)
