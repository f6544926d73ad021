"""Millimetres of a radiograph, and what must be said about them (PS3.3 10.7.1.3)."""

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from models.findings import Spacing, SpacingSource
from models.spacing import ruler


def header(**values):
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def with_raw(keyword_tag, value, vr="DS", **values):
    """A header as it comes off the wire, with a value that no maker would accept."""
    ds = header(**values)
    ds._dict[Tag(keyword_tag)] = RawDataElement(Tag(keyword_tag), vr, len(value), value, 0, False, True)
    return ds


@pytest.mark.checklist(29)
@pytest.mark.parametrize("kind", ["GEOMETRY", "FIDUCIAL"])
def test_a_calibrated_pixel_spacing_comes_first(kind):
    found = ruler(header(PixelSpacing=[0.2, 0.1], PixelSpacingCalibrationType=kind, ImagerPixelSpacing=[0.3, 0.3]))
    assert (found.spacing.row_mm, found.spacing.column_mm) == (0.2, 0.1)
    assert found.spacing.source is SpacingSource.CALIBRATED
    assert kind in found.notes[0]


@pytest.mark.checklist(29)
def test_without_calibration_the_detector_plane_counts_and_is_named():
    found = ruler(header(PixelSpacing=[0.2, 0.2], ImagerPixelSpacing=[0.15, 0.14]))
    assert (found.spacing.row_mm, found.spacing.column_mm) == (0.15, 0.14)
    assert found.spacing.source is SpacingSource.DETECTOR
    assert "detector plane" in found.notes[0]


def test_the_stated_magnification_divides_the_detector_spacing_and_is_said():
    found = ruler(header(ImagerPixelSpacing=[0.15, 0.15], EstimatedRadiographicMagnificationFactor="1.25"))
    assert found.spacing.row_mm == pytest.approx(0.12)
    assert found.spacing.source is SpacingSource.DETECTOR
    assert "1.25" in found.notes[0]


@pytest.mark.parametrize("factor", ["0", "-1", "0.5", "11", "nan"])
def test_a_magnification_that_cannot_be_is_not_used_and_said(factor):
    ds = with_raw(0x00181114, factor.encode(), ImagerPixelSpacing=[0.15, 0.15])
    found = ruler(ds)
    assert found.spacing.row_mm == 0.15
    assert any("(0018,1114) was not used" in note for note in found.notes)


def test_a_pixel_spacing_alone_holds_for_the_detector_plane():
    found = ruler(header(PixelSpacing=[0.2, 0.2]))
    assert found.spacing.source is SpacingSource.DETECTOR
    assert "no calibration" in found.notes[0]


def test_a_scanned_film_has_the_nominal_spacing():
    found = ruler(header(NominalScannedPixelSpacing=[0.17, 0.17]))
    assert found.spacing.source is SpacingSource.FILM
    assert "film" in found.notes[0]


@pytest.mark.checklist(29)
def test_without_any_spacing_sizes_are_in_pixels():
    found = ruler(Dataset())
    assert found.spacing.source is SpacingSource.UNKNOWN
    assert (found.spacing.row_mm, found.spacing.column_mm) == (1.0, 1.0)
    assert "in pixels" in found.notes[0]


@pytest.mark.parametrize(
    "value",
    [b"0\\0", b"-0.1\\0.1", b"nan\\0.1", b"inf\\0.1", b"0.1", b"0.1\\0.1\\0.1", b"abc\\0.1", b"500\\500", b"1e-9\\0.1"],
    ids=["zero", "negative", "nan", "infinite", "one value", "three values", "letters", "half a metre", "atomic"],
)
def test_nonsense_is_unknown_with_a_note(value):
    found = ruler(with_raw(0x00181164, value))
    assert found.spacing.source is SpacingSource.UNKNOWN
    assert any("(0018,1164) was not used" in note for note in found.notes)


@pytest.mark.parametrize(("stated", "height"), [([2, 1], 2.0), ([3, 4], 0.75), ([1, 1], 1.0)])
def test_without_millimetres_the_aspect_ratio_still_says_how_high_a_pixel_is(stated, height):
    found = ruler(header(PixelAspectRatio=stated))
    assert found.spacing == Spacing(height, 1.0, SpacingSource.UNKNOWN)
    assert ("widths of a pixel" in found.notes[0]) is (height != 1.0)
    assert "pixels" in found.notes[0]


def test_a_spacing_goes_before_the_aspect_ratio():
    found = ruler(header(ImagerPixelSpacing=[0.15, 0.15], PixelAspectRatio=[2, 1]))
    assert (found.spacing.row_mm, found.spacing.column_mm) == (0.15, 0.15)


@pytest.mark.parametrize("value", [b"0\\1", b"1\\0 ", b"-2\\1", b"2 ", b"1\\1\\1 ", b"a\\b ", b"11\\1"])
def test_an_aspect_ratio_that_cannot_be_is_not_used_and_said(value):
    found = ruler(with_raw(0x00280034, value, vr="IS"))
    assert found.spacing == Spacing(1.0, 1.0, SpacingSource.UNKNOWN)
    assert any("(0028,0034) was not used" in note for note in found.notes)


def test_nonsense_in_one_place_does_not_hide_a_good_value_in_another():
    found = ruler(header(PixelSpacing=[0, 0], PixelSpacingCalibrationType="FIDUCIAL", ImagerPixelSpacing=[0.14, 0.14]))
    assert found.spacing.source is SpacingSource.DETECTOR
    assert len(found.notes) == 2


def test_an_element_of_an_unknown_kind_is_nonsense_too():
    ds = header(ImagerPixelSpacing=[0.15, 0.15])
    ds._dict[Tag(0x00280A02)] = RawDataElement(Tag(0x00280A02), "XX", 2, b"ab", 0, False, True)
    ds._dict[Tag(0x00280030)] = RawDataElement(Tag(0x00280030), "XX", 2, b"ab", 0, False, True)
    assert ruler(ds).spacing.source is SpacingSource.DETECTOR
