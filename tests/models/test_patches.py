"""Windows cover every pixel, and their answers become one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.patches import cut, lay, merge_classes, sliding, tiling, windows


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


@given(st.integers(1, 300), st.integers(1, 300), st.integers(16, 90))
def test_every_pixel_lies_in_a_window_that_slides(rows: int, columns: int, side: int) -> None:
    covered = np.zeros((rows, columns), dtype=int)
    for top, bottom, left, right in sliding(rows, columns, side):
        assert (bottom - top, right - left) == (side, side)
        assert 0 <= top < rows
        assert 0 <= left < columns
        assert bottom <= max(rows, side)
        assert right <= max(columns, side)
        covered[top:bottom, left:right] += 1
    assert covered.min() >= 1


@pytest.mark.parametrize(
    ("shape", "tops", "lefts"),
    [
        ((416, 416), [0], [0]),
        ((417, 624), [0, 1], [0, 208]),
        ((330, 597), [0], [0, 181]),
        ((3480, 4240), [*range(0, 2913, 208), 3064], [*range(0, 3745, 208), 3824]),
    ],
    ids=["one window", "a little more", "the paper's smallest image", "the paper's largest image"],
)
def test_windows_of_416_slide_by_half_and_the_last_is_shifted_back(shape, tops, lefts) -> None:
    found = tiling(shape, (416, 416), 416)
    assert found.places == found.on_grid == tuple((top, top + 416, left, left + 416) for top in tops for left in lefts)
    assert found.grid == shape


def test_windows_of_half_the_sides_meet_on_twice_the_input() -> None:
    found = tiling((900, 600), (256, 256), None)
    assert found.grid == (512, 512)
    assert (found.places[8], found.on_grid[8]) == ((450, 900, 300, 600), (256, 512, 256, 512))


def test_a_window_of_the_size_of_the_input_shows_the_pixels_as_they_are() -> None:
    image = np.random.default_rng(1).random((700, 500), dtype=np.float32)
    assert np.array_equal(cut(image, (208, 624, 84, 500), (416, 416)), image[208:624, 84:500])


def test_behind_an_image_that_is_smaller_than_416_it_is_black() -> None:
    image = np.full((330, 597), 0.7, dtype=np.float32)
    shown = cut(image, (0, 416, 181, 597), (416, 416))
    assert shown.shape == (416, 416)
    assert (shown[:330] == np.float32(0.7)).all()
    assert not shown[330:].any()


def laid(maps, shape, places) -> np.ndarray:
    canvas = np.zeros(shape, dtype=np.float32)
    for one, place in zip(maps, places, strict=True):
        lay(canvas, one, place)
    return canvas


def test_a_pixel_takes_its_highest_probability() -> None:
    maps = np.zeros((9, 4, 4), dtype=np.float32)
    maps[0], maps[1], maps[4] = 0.2, 0.7, 0.5
    merged = laid(maps, (8, 8), windows(8, 8))
    assert merged[0, 0] == np.float32(0.2)
    assert merged[0, 3] == np.float32(0.7)
    assert merged[5, 5] == np.float32(0.5)
    assert merged[7, 7] == 0.0


def test_maps_of_another_grid_are_brought_to_the_window() -> None:
    maps = np.full((9, 16, 16), 0.4, dtype=np.float32)
    assert np.allclose(laid(maps, (100, 61), windows(100, 61)), 0.4)


def test_what_is_said_of_the_black_behind_an_image_is_lost() -> None:
    one = np.zeros((1, 416, 416), dtype=np.float32)
    one[0, :330], one[0, 330:] = 0.3, 0.9
    assert np.array_equal(laid(one, (330, 400), [(0, 416, 0, 416)]), np.full((330, 400), 0.3, dtype=np.float32))


def test_classes_are_the_maximum_over_windows_with_tumour() -> None:
    classes = np.array([[0.9, 0.05, 0.05], [0.2, 0.6, 0.2], [0.3, 0.1, 0.6]])
    merged = merge_classes(classes, np.array([False, True, True]))
    assert np.allclose(merged, np.array([0.3, 0.6, 0.6]) / 1.5)


def test_classes_are_the_maximum_over_all_windows_when_none_holds_tumour() -> None:
    classes = np.array([[0.9, 0.05, 0.05], [0.6, 0.3, 0.1]])
    assert np.allclose(merge_classes(classes, np.zeros(2, dtype=bool)), np.array([0.9, 0.3, 0.1]) / 1.3)
