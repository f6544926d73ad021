"""Regions, sizes and outlines, against shapes whose answers are known."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from models.findings import MeasurementKind, Spacing, SpacingSource, Unit
from models.regions import MAX_POINTS, MAX_REGIONS, Region, axes, measurements, outline, paint, regions

PIXELS = Spacing(1.0, 1.0, SpacingSource.UNKNOWN)


def disc(shape, row, column, radius):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows + 0.5 - row) ** 2 + (columns + 0.5 - column) ** 2 <= radius**2


def rasterised(points, shape):
    """Even-odd fill: a pixel is inside when its centre is."""
    inside = np.zeros(shape, dtype=bool)
    centres = np.arange(shape[1]) + 0.5
    ends = np.roll(points, -1, axis=0)
    for row in range(shape[0]):
        y = row + 0.5
        crosses = (points[:, 1] <= y) != (ends[:, 1] <= y)
        a, b = points[crosses], ends[crosses]
        x = a[:, 0] + (y - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
        inside[row] = (x[:, None] > centres[None, :]).sum(axis=0) % 2 == 1
    return inside


def only(mask):
    (region,) = regions(mask, 1)
    return region


def test_pixels_that_touch_by_a_corner_are_one_region():
    mask = np.zeros((6, 6), dtype=bool)
    mask[1, 1] = mask[2, 2] = mask[3, 1] = True
    assert [region.pixels for region in regions(mask, 1)] == [3]


def test_regions_come_largest_first_then_from_top_to_bottom():
    mask = np.zeros((20, 20), dtype=bool)
    mask[15:17, 1:3] = mask[2:4, 10:12] = mask[2:4, 2:4] = True
    mask[8:12, 8:12] = True
    assert [(r.row, r.column, r.pixels) for r in regions(mask, 1)] == [(8, 8, 16), (2, 2, 4), (2, 10, 4), (15, 1, 4)]


def test_regions_below_the_smallest_size_are_dropped():
    mask = np.zeros((20, 20), dtype=bool)
    mask[1:4, 1:4] = mask[10:20, 10:20] = True
    assert [region.pixels for region in regions(mask, 9.5)] == [100]


def test_an_empty_mask_has_no_region():
    assert regions(np.zeros((5, 5), dtype=bool), 1) == ()


def test_holes_are_filled_and_what_lies_in_them_is_swallowed():
    mask = disc((60, 60), 30, 30, 25) & ~disc((60, 60), 30, 30, 15)
    mask |= disc((60, 60), 30, 30, 5)
    region = only(mask)
    assert region.pixels == np.count_nonzero(disc((60, 60), 30, 30, 25))


def test_a_bay_open_only_by_a_corner_is_a_hole():
    mask = np.ones((5, 5), dtype=bool)
    mask[1:4, 1:4] = False
    mask[0, 0] = False
    assert only(mask).pixels == 24


def test_the_mask_carries_the_number_of_each_region():
    mask = np.zeros((20, 20), dtype=bool)
    mask[1:3, 1:3] = mask[10:20, 10:20] = True
    numbers = paint(regions(mask, 1), mask.shape)
    assert numbers.dtype == np.uint8
    assert (numbers[15, 15], numbers[1, 1], numbers[5, 5]) == (1, 2, 0)


def test_more_regions_than_a_mask_can_number_leave_the_smallest_out():
    mask = np.zeros((100, 100), dtype=bool)
    mask[::3, ::3] = True
    mask[0, 1] = True
    found = regions(mask, 1)
    assert len(found) == MAX_REGIONS
    assert paint(found, mask.shape).max() == MAX_REGIONS
    with pytest.raises(ValueError, match="256 regions"):
        paint([found[0]] * 256, mask.shape)


def test_a_rectangle_measures_its_diagonal_with_pixels_that_are_not_square():
    mask = np.zeros((50, 50), dtype=bool)
    mask[10:40, 5:45] = True
    region = only(mask)
    assert axes(region, Spacing(0.2, 0.1, SpacingSource.DETECTOR)) == pytest.approx(
        (np.hypot(4, 6), 48 / np.hypot(4, 6))
    )
    assert axes(region, PIXELS)[0] == pytest.approx(50.0)


def test_without_millimetres_axes_are_in_widths_of_a_pixel_and_areas_in_pixels():
    mask = np.zeros((50, 50), dtype=bool)
    mask[10:25, 5:45] = True
    area, long_axis, short_axis = measurements(only(mask), Spacing(2.0, 1.0, SpacingSource.UNKNOWN))
    assert {each.unit for each in (area, long_axis, short_axis)} == {Unit.PIXELS}
    assert area.value == 15 * 40
    assert (long_axis.value, short_axis.value) == pytest.approx((50.0, 48.0))


def test_a_disc_measures_its_diameter_within_the_diagonal_of_a_pixel():
    long_axis, short_axis = axes(only(disc((900, 900), 450, 450, 300)), PIXELS)
    assert long_axis == pytest.approx(600, abs=1.5)
    assert short_axis == pytest.approx(600, abs=1.5)


def test_a_leaning_ellipse_measures_both_axes():
    rows, columns = np.mgrid[:600, :600] + 0.5
    x, y = columns - 300, rows - 300
    along, across = (x * 0.8 + y * 0.6), (-x * 0.6 + y * 0.8)
    long_axis, short_axis = axes(only((along / 200) ** 2 + (across / 80) ** 2 <= 1), PIXELS)
    assert long_axis == pytest.approx(400, abs=1.5)
    assert short_axis == pytest.approx(160, abs=2.5)


def test_sizes_are_millimetres_when_the_spacing_is_known_and_pixels_when_not():
    mask = np.zeros((50, 50), dtype=bool)
    mask[10:40, 10:50] = True
    known = measurements(only(mask), Spacing(0.2, 0.1, SpacingSource.CALIBRATED))
    assert [m.kind for m in known] == [MeasurementKind.AREA, MeasurementKind.LONG_AXIS, MeasurementKind.SHORT_AXIS]
    assert [m.unit for m in known] == [Unit.MM2, Unit.MM, Unit.MM]
    assert known[0].value == pytest.approx(24.0)
    unknown = measurements(only(mask), PIXELS)
    assert {m.unit for m in unknown} == {Unit.PIXELS}
    assert unknown[0].value == 1200


def test_the_first_pixel_is_outlined_around_its_centre():
    mask = np.zeros((3, 3), dtype=bool)
    mask[0, 0] = True
    points = outline(only(mask))
    assert points.dtype == np.float32
    assert points.mean(axis=0) == pytest.approx([0.5, 0.5])
    assert (points.min(), points.max()) == (0.0, 1.0)


def test_a_line_one_pixel_wide_keeps_an_outline_with_a_surface():
    mask = np.zeros((5, 30), dtype=bool)
    mask[2, 3:25] = True
    assert np.array_equal(rasterised(outline(only(mask)), mask.shape), mask)


def test_an_outline_runs_clockwise_and_does_not_repeat_its_first_point():
    points = outline(only(disc((50, 50), 25, 25, 20)))
    x, y = points.T
    assert np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0
    assert not np.array_equal(points[0], points[-1])


@settings(max_examples=60, deadline=None)
@given(arrays(np.bool_, (12, 17), elements=st.booleans()))
def test_filling_an_outline_gives_the_region_back_within_one_pixel(mask):
    for region in regions(mask, 1):
        alone = np.zeros(mask.shape, dtype=bool)
        alone[region.box] = region.mask
        points = outline(region, max_points=10_000)
        back = rasterised(points, mask.shape)
        assert not (back & ~ndimage.binary_dilation(alone, np.ones((3, 3)))).any()
        assert not (ndimage.binary_erosion(alone, np.ones((3, 3))) & ~back).any()


def test_a_large_lobed_region_is_outlined_with_few_points_within_one_pixel():
    shape = (4000, 3000)
    mask = disc(shape, 1500, 1400, 900) | disc(shape, 2600, 1500, 800) | disc(shape, 1000, 2150, 300)
    started = time.process_time()
    region = only(mask)
    points = outline(region)
    sizes = axes(region, PIXELS)
    spent = time.process_time() - started
    assert len(points) < MAX_POINTS
    assert sizes[0] > 2800
    back = rasterised(points, shape)
    off = (back ^ mask)[region.box]
    rim = ndimage.binary_dilation(region.mask, np.ones((3, 3))) & ~ndimage.binary_erosion(region.mask, np.ones((3, 3)))
    assert not (off & ~rim).any()
    assert spent < 2.0


def test_noise_gives_an_outline_no_longer_than_asked():
    noise = np.random.default_rng(1).random((400, 400)) > 0.45
    region = regions(noise, 1)[0]
    assert len(outline(region)) <= MAX_POINTS


def test_the_same_mask_gives_the_same_answer():
    mask = np.random.default_rng(3).random((80, 90)) > 0.5
    first, second = (
        [(r.row, r.column, r.pixels, outline(r).tobytes(), axes(r, PIXELS)) for r in regions(mask, 3)] for _ in range(2)
    )
    assert first == second


def test_a_region_knows_where_it_lies():
    assert Region(3, 4, np.ones((2, 5), dtype=bool), 10).box == (slice(3, 5), slice(4, 9))
