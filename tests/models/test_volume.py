"""A stack of slices is one volume on the source grid, however it was sent; what makes none is refused in words."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from models.encoded import Limits
from models.errors import DecodeError, GeometryError, ImageTooLargeError
from models.volume import volume
from tests.models.stacks import SPACING, body, directions, enhanced, positions, single_frames

STORED = body()[0]
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def real(*parts):
    """Data sets of a real series, or a reason to skip."""
    folder = DATA.joinpath(*parts)
    if not folder.is_dir():
        pytest.skip(f"no real series: {'/'.join(parts)} is not there")
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def test_slices_are_sorted_by_position_whatever_their_numbers_and_arrival():
    made = single_frames(STORED)
    for number, ds in enumerate(made):
        ds.InstanceNumber = 99 - 7 * number % 5
    found = volume([made[index] for index in (3, 0, 5, 1, 4, 2)])
    assert np.array_equal(found.voxels, STORED)
    assert [ref.sop_instance_uid for ref in found.images] == [ds.SOPInstanceUID for ds in made]


def test_geometry_is_that_of_the_headers():
    grid = volume(single_frames(STORED)).grid
    row, column = directions()
    assert grid.spacing == pytest.approx(SPACING)
    assert grid.origin == pytest.approx(positions(1)[0])
    assert grid.directions == pytest.approx(np.stack([np.cross(row, column), column, row]), abs=1e-6)
    wanted = positions(6)[5] + 12 * SPACING[1] * column + 7 * SPACING[2] * row
    assert grid.point(np.array([5, 12, 7])) == pytest.approx(wanted, abs=1e-4)
    assert grid.voxel_mm3 == pytest.approx(4.0 * 0.9 * 0.7)


def test_each_slice_has_its_own_slope_and_intercept():
    slopes = np.linspace(0.5, 3.0, len(STORED))
    found = volume(single_frames(STORED, slope=slopes, intercept=-4.0))
    assert found.voxels == pytest.approx(STORED * slopes[:, None, None] - 4.0, abs=1e-3)


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 2, 0, 4, 1, 3)], ids=["in order", "shuffled"])
def test_a_multi_frame_object_is_the_volume_of_its_single_frame_twin(order):
    single = single_frames(STORED, slope=np.linspace(0.5, 3.0, len(STORED)), intercept=2.0)
    one, other = volume(single), volume([enhanced(single, order)])
    assert np.array_equal(one.voxels, other.voxels)
    assert one.grid.is_that_of(other.grid)
    assert [ref.frame for ref in other.images] == [order.index(number) + 1 for number in range(6)]


def test_some_frames_of_an_object_can_be_taken():
    ds = enhanced(single_frames(STORED))
    assert np.array_equal(volume([ds], {ds.SOPInstanceUID: (2, 3, 4)}).voxels, STORED[1:4])


def change(number, **values):
    made = single_frames(STORED)
    for keyword, value in values.items():
        if value is None:
            delattr(made[number], keyword)
        else:
            setattr(made[number], keyword, value)
    return made


@pytest.mark.parametrize(
    ("made", "words"),
    [
        pytest.param(lambda: single_frames(STORED)[:2] + single_frames(STORED)[3:], r"8.00 mm apart.*4.00 mm is usual"
                     ".*missing", id="a slice is missing"),
        pytest.param(lambda: single_frames(STORED) + single_frames(STORED)[2:3], "lie at one place", id="doubled"),
        pytest.param(lambda: change(2, Rows=50, Columns=60), "has 50 x 60 pixels, the first 60 x 50", id="size"),
        pytest.param(lambda: change(2, PixelSpacing=[1.0, 1.0]), "has a Pixel Spacing .* of 1 x 1", id="spacing"),
        pytest.param(lambda: change(2, PixelSpacing=[0.0, 0.7]), "0 x 0.7 mm; from 0.01 to 50", id="no spacing"),
        pytest.param(lambda: change(2, ImagePositionPatient=None), "ImagePositionPatient of the image is absent",
                     id="no position"),
        pytest.param(lambda: change(2, ImageOrientationPatient=[1, 0, 0, 0, 0, 1]), "another direction", id="turned"),
        pytest.param(lambda: change(2, ImageOrientationPatient=[2, 0, 0, 0, 1, 0]), "of length 2, not 1", id="long"),
        pytest.param(lambda: change(3, ImagePositionPatient=[-15.0, *positions(6)[3][1:]]), "shifted by 5.00 mm",
                     id="shifted"),
        pytest.param(lambda: [], "holds no slice", id="nothing"),
        pytest.param(lambda: [_short(enhanced(single_frames(STORED)))], "has 5 items", id="groups missing"),
    ],
)  # fmt: skip
def test_what_makes_no_volume_is_refused_with_what_is_wrong(made, words):
    with pytest.raises(GeometryError, match=words) as caught:
        volume(made())
    assert caught.value.outcome == "REJECTED_GEOMETRY"


def _short(ds):
    ds.PerFrameFunctionalGroupsSequence = ds.PerFrameFunctionalGroupsSequence[:5]
    return ds


def test_an_all_black_series_is_refused():
    with pytest.raises(DecodeError, match="Every voxel of the series has the same value"):
        volume(single_frames(np.zeros_like(STORED)))


def test_more_voxels_than_the_limit_are_refused_before_they_are_decoded():
    with pytest.raises(ImageTooLargeError, match="6 slices of 60 x 50 pixels are more than the limit of 15000"):
        volume(single_frames(STORED), limits=Limits(pixels=15000))
    with pytest.raises(ImageTooLargeError, match="Rows 65535 x Columns 65535"):
        volume(change(0, Rows=65535, Columns=65535))


def test_padding_is_as_dark_as_the_darkest():
    stored = STORED.copy()
    stored[:, :5] = -2000
    found = volume(single_frames(stored, PixelPaddingValue=-2000)).voxels
    assert found.min() == 0.0


def test_a_real_series_is_a_regular_volume():
    found = volume(real("sts-mr", "dicom", "STS_032", "image"))
    assert found.voxels.shape == (47, 114, 85)
    assert found.grid.spacing == pytest.approx((3.27, 0.976562, 0.976562), abs=1e-3)


def test_a_real_enhanced_object_is_the_volume_of_its_frames_as_single_images():
    objects = [ds for ds in real("mr-dwi", "siemens-xa30-enhanced") if "ADC" in str(ds.get("ImageType"))]
    found = volume(objects[:1])
    ds = objects[0]
    order = sorted(
        range(int(ds.NumberOfFrames)),
        key=lambda frame: ds.PerFrameFunctionalGroupsSequence[frame].PlanePositionSequence[0].ImagePositionPatient[2],
    )
    assert found.voxels.shape == (39, 72, 72)
    slope = float(ds.PerFrameFunctionalGroupsSequence[0].PixelValueTransformationSequence[0].RescaleSlope)
    assert np.array_equal(found.voxels, (ds.pixel_array[order] * slope).astype(np.float32))


def test_a_real_object_whose_frames_lie_at_one_place_is_refused():
    with pytest.raises(GeometryError, match="lie at one place"):
        volume(real("mr-series", "knee-enhanced-sag"))
