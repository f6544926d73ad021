"""The average of several directions of diffusion, with numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from models.averages import averaged
from models.diffusion import two_point
from models.errors import GeometryError
from models.volume import volume
from tests.models.stacks import body, single_frames

SHAPE = (3, 4, 5)


def of(values, series=1, **extra):
    stored = np.broadcast_to(np.asarray(values, np.int16), SHAPE).copy()
    stored[0, 0, 0] = 999  # a volume of one value is none
    return volume(single_frames(stored, series=series, **extra))


def test_the_average_is_the_geometric_mean_whose_exponent_is_the_mean_of_the_exponents():
    each = [of(value, series) for series, value in enumerate((800, 400, 100), start=1)]
    made = averaged(each)
    assert made.voxels[1, 1, 1] == pytest.approx((800 * 400 * 100) ** (1 / 3), rel=1e-6)
    low = np.full(SHAPE, 1000.0, np.float32)
    exponents = [two_point(low, one.voxels, 0.0, 800.0).values[1, 1, 1] for one in each]
    assert two_point(low, made.voxels, 0.0, 800.0).values[1, 1, 1] == pytest.approx(np.mean(exponents), rel=1e-5)


@pytest.mark.parametrize("nothing", [0, -5])
def test_where_one_direction_has_no_signal_the_average_is_zero_and_its_adc_not_valid(nothing):
    holed = np.full(SHAPE, 300)
    holed[1, 2, 3] = nothing
    made = averaged([of(400), of(holed, 2), of(200, 3)])
    assert made.voxels[1, 2, 3] == 0.0
    assert np.count_nonzero(made.voxels == 0.0) == 1
    found = two_point(np.full(SHAPE, 1000.0, np.float32), made.voxels, 0.0, 800.0)
    assert np.argwhere(~found.valid).tolist() == [[1, 2, 3]]


def test_results_refer_to_the_first_direction_and_every_image_is_known_by_its_slice():
    each = [of(value, series) for series, value in enumerate((800, 400, 100), start=1)]
    made = averaged(each)
    assert made.images == each[0].images
    assert made.all_images == tuple(zip(*(one.images for one in each), strict=True))
    assert each[0].all_images == tuple((image,) for image in each[0].images)


def test_directions_on_other_voxels_have_no_average():
    elsewhere = volume(single_frames(body(SHAPE, at=(1, 2), radius=1)[0], series=2, spacing=(4.0, 0.9, 0.8)))
    with pytest.raises(GeometryError, match="number 2 lies on other voxels"):
        averaged([of(400), elsewhere])
    with pytest.raises(GeometryError, match="No direction"):
        averaged([])


def test_notes_of_all_directions_are_told_once():
    each = [replace(of(value), notes=("lossy", str(value))) for value in (800, 400, 200)]
    assert averaged(each).notes == ("lossy", "800", "400", "200")
