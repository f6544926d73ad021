"""From the network's grid back to the source grid."""

import numpy as np
import pytest

from models.grid import likeliest_on, mask_on, nearest_on, spread_on


def interpolated(probability, shape):
    """The same by the textbook, one axis after the other."""
    values = np.asarray(probability, np.float64)
    for axis in (0, 1):
        cells, length = values.shape[axis], shape[axis]
        centres = (np.arange(length) + 0.5) * cells / length - 0.5
        lines = np.moveaxis(values, axis, 0)
        values = np.moveaxis(
            np.array([np.interp(centres, np.arange(cells), line) for line in lines.reshape(cells, -1).T]).T, 0, axis
        ).reshape(*(length if index == axis else size for index, size in enumerate(values.shape)))
    return values


@pytest.mark.parametrize("shape", [(97, 61), (20, 16), (11, 40), (300, 7), (2000, 1500)], ids=str)
def test_the_mask_is_where_linear_interpolation_reaches_the_threshold(shape):
    probability = np.random.default_rng(2).random((20, 16)).astype(np.float32)
    probability[5:9, 4:8] = 0.95
    expected = interpolated(probability, shape)
    for threshold in (0.3, 0.9):
        sure = np.abs(expected - threshold) > 1e-6
        assert np.array_equal(mask_on(probability, shape, threshold)[sure], (expected >= threshold)[sure])


def test_on_its_own_grid_the_mask_is_the_cut_probability():
    probability = np.random.default_rng(3).random((31, 17)).astype(np.float32)
    assert np.array_equal(mask_on(probability, (31, 17), 0.5), probability >= 0.5)


def test_where_no_cell_reaches_the_threshold_the_mask_is_empty():
    mask = mask_on(np.full((8, 8), 0.4, np.float32), (50, 40), 0.5)
    assert mask.shape == (50, 40)
    assert not mask.any()


@pytest.mark.parametrize("shape", [(97, 61), (11, 40), (2000, 1500)], ids=str)
def test_a_map_is_spread_by_linear_interpolation(shape):
    probability = np.random.default_rng(4).random((20, 16)).astype(np.float32)
    assert np.abs(spread_on(probability, shape) - interpolated(probability, shape)).max() < 1e-5


def test_of_a_mask_a_coarser_or_finer_grid_has_what_lies_at_its_centres():
    mask = np.zeros((6, 4), bool)
    mask[3:, 2:] = True
    assert np.array_equal(nearest_on(mask, (2, 2)), [[False, False], [False, True]])
    assert np.array_equal(nearest_on(mask, (12, 8)), mask.repeat(2, axis=0).repeat(2, axis=1))
    assert np.array_equal(nearest_on(mask, (6, 4)), mask)


@pytest.mark.parametrize("shape", [(97, 61), (11, 40)], ids=str)
def test_the_likeliest_of_several_maps_is_named_at_every_pixel(shape):
    maps = np.random.default_rng(5).random((5, 20, 16)).astype(np.float32)
    expected = np.stack([interpolated(each, shape) for each in maps])
    best, second = -np.sort(-expected, axis=0)[:2]
    sure = best - second > 1e-5
    assert np.array_equal(likeliest_on(maps, shape)[sure], expected.argmax(axis=0)[sure])


@pytest.mark.parametrize("shape", [(97, 61), (700, 900), (2000, 1500)], ids=str)
def test_what_lies_in_a_few_places_is_found_there_to_the_pixel(shape):
    """Most of an image is background, where nothing is interpolated."""
    rng = np.random.default_rng(6)
    maps = np.zeros((3, 40, 30), dtype=np.float32)
    maps[0] = 0.8
    for row, column in ((0, 0), (39, 29), (20, 3), (21, 25)):
        maps[1:, row, column] = rng.uniform(0.85, 1.0, 2)
    expected = np.stack([interpolated(each, shape) for each in maps])
    best, second = -np.sort(-expected, axis=0)[:2]
    sure = best - second > 1e-5
    found = likeliest_on(maps, shape)
    assert np.array_equal(found[sure], expected.argmax(axis=0)[sure])
    assert 0 < (found > 0).sum() < 0.02 * found.size
    clear = np.abs(expected[1] - 0.6) > 1e-6
    assert np.array_equal(mask_on(maps[1], shape, 0.6)[clear], (expected[1] >= 0.6)[clear])
