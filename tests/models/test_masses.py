"""Bodies in space, with sizes that can be worked out by hand."""

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial.distance import pdist

from models.findings import ImageRef, MeasurementKind
from models.masses import diameter, masses, measurements, outlines, paint
from models.volume import Grid

SHAPE = (5, 20, 20)
GRID = Grid(np.zeros(3), np.eye(3), (4.0, 0.5, 2.0), SHAPE)


def box(slices, rows, columns):
    mask = np.zeros(SHAPE, bool)
    mask[slice(*slices), slice(*rows), slice(*columns)] = True
    return mask


def test_bodies_come_largest_first_and_small_ones_not_at_all():
    mask = box((0, 1), (0, 2), (0, 2)) | box((1, 4), (8, 12), (8, 12)) | box((4, 5), (19, 20), (19, 20))
    found = masses(mask, 4)
    assert [each.voxels for each in found] == [48, 4]
    numbers = paint(found, SHAPE)
    assert (numbers[2, 9, 9], numbers[0, 1, 1], numbers[4, 19, 19]) == (1, 2, 0)


def test_voxels_that_touch_by_a_corner_are_one_body():
    assert len(masses(box((0, 1), (0, 2), (0, 2)) | box((1, 2), (2, 4), (2, 4)), 1)) == 1
    assert len(masses(box((0, 1), (0, 2), (0, 2)) | box((2, 3), (2, 4), (2, 4)), 1)) == 2


def test_holes_of_a_slice_are_filled():
    mask = box((2, 3), (4, 9), (4, 9)) & ~box((2, 3), (6, 7), (6, 7))
    (found,) = masses(mask, 1)
    assert found.voxels == 25


def test_sizes_are_those_of_the_boxes_of_the_voxels():
    (found,) = masses(box((1, 3), (2, 8), (3, 6)), 1)
    told = {each.kind: each.value for each in measurements(found, GRID)}
    assert told[MeasurementKind.VOLUME] == pytest.approx(2 * 6 * 3 * 4.0 / 1000)
    assert told[MeasurementKind.DIAMETER] == pytest.approx(math.hypot(8.0, 3.0, 6.0))
    assert told[MeasurementKind.LONG_AXIS] == pytest.approx(math.hypot(3.0, 6.0))
    assert told[MeasurementKind.SHORT_AXIS] < told[MeasurementKind.LONG_AXIS] < told[MeasurementKind.DIAMETER]


def test_a_single_voxel_has_sizes():
    (found,) = masses(box((1, 2), (2, 3), (3, 4)), 1)
    assert diameter(found, GRID) == pytest.approx(math.hypot(4.0, 0.5, 2.0))


def test_the_key_slice_is_the_one_with_the_largest_surface():
    (found,) = masses(box((0, 4), (4, 6), (4, 6)) | box((2, 3), (3, 9), (3, 9)), 1)
    assert found.key_slice == 2


def test_outlines_name_their_slices_in_order():
    images = [ImageRef(f"1.{number}", number + 1) for number in range(5)]
    (found,) = masses(box((1, 4), (4, 8), (5, 10)), 1)
    made = outlines(found, images, SHAPE[1:])
    assert [(each.sop_instance_uid, each.frame) for each in made] == [("1.1", 2), ("1.2", 3), ("1.3", 4)]
    for each in made:
        assert each.points.min(axis=0) == pytest.approx([5, 4], abs=0.5)
        assert each.points.max(axis=0) == pytest.approx([10, 8], abs=0.5)


def test_an_outline_on_a_slice_follows_the_mask_within_half_a_pixel():
    rows, columns = np.mgrid[:40, :40]
    shape = (1, 40, 40)
    mask = (np.hypot(rows - 21.3, columns - 18.2) < 15)[None]
    (found,) = masses(mask, 1)
    (made,) = outlines(found, [ImageRef("0")], shape[1:])
    image = Image.new("1", (400, 400))
    ImageDraw.Draw(image).polygon([(10 * float(x), 10 * float(y)) for x, y in made.points], fill=1)
    shares = np.asarray(image).reshape(40, 10, 40, 10).mean(axis=(1, 3))
    overlap = np.minimum(shares, mask[0]).sum() / np.maximum(shares, mask[0]).sum()
    assert overlap > 0.97


def test_a_body_of_two_parts_on_a_slice_has_two_outlines_there():
    mask = box((1, 2), (4, 6), (4, 6)) | box((1, 2), (10, 13), (4, 6)) | box((2, 3), (4, 13), (4, 6))
    (found,) = masses(mask, 1)
    assert [each.sop_instance_uid for each in outlines(found, [ImageRef(str(n)) for n in range(5)], SHAPE[1:])] == [
        "1",
        "1",
        "2",
    ]


@pytest.mark.parametrize("seed", range(8))
def test_the_diameter_is_the_largest_distance_of_any_two_corners(seed):
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal(SHAPE), (0.5, 1.5, 1.5))
    body = masses(noise > np.quantile(noise, 0.9), 1)[0]
    corners = np.argwhere(body.mask)[:, None, :] + np.argwhere(np.ones((2, 2, 2)))[None]
    every = np.unique(corners.reshape(-1, 3), axis=0) * np.array(GRID.spacing)
    assert diameter(body, GRID) == pytest.approx(float(pdist(every).max()), rel=1e-12)
