"""Grey values of one radiograph: bone is bright, and what is no image is masked out."""

import tracemalloc

import numpy as np
import pytest
from pydicom import config, dcmread, uid
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut
from pydicom.sequence import Sequence

from models import images
from tests.models.films import body, film, ramp, shared, wire, with_raw


def test_monochrome1_and_monochrome2_copies_give_the_same_pixels():
    values = ramp()
    dark_bone = film(4095 - values, photometric="MONOCHROME1")
    first, second = images.radiograph(film(values)), images.radiograph(dark_bone)
    assert np.array_equal(first.pixels, second.pixels)
    assert np.abs(first.display.astype(int) - second.display).max() <= 1


def test_the_presentation_lut_shape_inverse_inverts_once():
    values = ramp()
    plain = images.radiograph(film(values)).pixels
    assert np.array_equal(images.radiograph(film(4095 - values, PresentationLUTShape="INVERSE")).pixels, plain)
    both = film(4095 - values, photometric="MONOCHROME1", PresentationLUTShape="INVERSE")
    assert np.array_equal(images.radiograph(both).pixels, plain)


def test_slope_and_intercept_are_applied_before_the_inversion():
    values = ramp()
    read = images.radiograph(film(values, photometric="MONOCHROME1", RescaleSlope="-2", RescaleIntercept="100"))
    assert np.allclose(read.pixels, (100 + 100 - 2 * 4095) - (-2.0 * values + 100))


@pytest.mark.parametrize("slope", ["0", "nan", "abc", "1e300"])
def test_a_slope_that_is_no_slope_is_not_used_and_said(slope):
    read = images.radiograph(with_raw(film(ramp(), RescaleIntercept="5"), 0x00281053, slope))
    assert np.array_equal(read.pixels, ramp())
    assert "Rescale Slope" in read.notes[0]


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian], ids=lambda s: s.name)
def test_the_modality_lut_sequence_is_applied(syntax):
    item = Dataset()
    item.LUTDescriptor = [100, 50, 16]
    item.ModalityLUTType = "US"
    item.LUTData = [3000 + 7 * entry for entry in range(100)]
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "US"
    values = ramp(bits=8)
    read = images.radiograph_from_bytes(wire(film(values, 8, ModalityLUTSequence=Sequence([item])), syntax), syntax)
    assert np.array_equal(read.pixels, 3000 + 7 * np.clip(values - 50, 0, 99))


def test_a_real_modality_lut_sequence_gives_what_pydicom_gives():
    path = shared("xray", "cr-modality-lut-sequence", "CR-ModalitySequenceLUT.dcm")
    ds = dcmread(path)
    expected = apply_modality_lut(ds.pixel_array, ds).astype(np.float32)
    read = images.radiograph_from_bytes(*body(path))
    assert ds.PhotometricInterpretation == "MONOCHROME1"
    assert np.ptp(read.pixels + expected) == 0


def test_values_are_taken_from_where_the_high_bit_says_and_overlay_bits_are_ignored():
    values = ramp(bits=10)
    ds = film(values, bits=10, allocated=16)
    ds.HighBit = 11
    cells = (values << 2) | np.where(values % 2 == 0, 0xF003, 0)
    ds.PixelData = cells.astype("<u2").tobytes()
    assert np.array_equal(images.radiograph(ds).pixels, values)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian], ids=lambda s: s.name)
def test_padding_is_masked_out_and_filled_with_the_darkest_value(signed, syntax):
    values = ramp(bits=16, signed=signed)
    padding = -5000 if signed else 60000
    values[:10] = padding
    values[10:12] = padding + 3
    ds = film(values, 16, signed)
    ds.add_new("PixelPaddingValue", "SS" if signed else "US", padding)
    ds.add_new("PixelPaddingRangeLimit", "SS" if signed else "US", padding + 5)
    read = images.radiograph_from_bytes(wire(ds, syntax), syntax)
    assert read.valid is not None
    assert not read.valid[:12].any()
    inside = (values[12:] < padding) | (values[12:] > padding + 5)
    assert np.array_equal(read.valid[12:], inside)
    assert np.all(read.pixels[:12] == values[12:][inside].min())
    assert read.display[:12].max() == 0


def shutter(shape, **attributes):
    return film(ramp(), ShutterShape=shape, **attributes)


def test_a_rectangular_shutter_masks_what_is_outside_its_edges():
    read = images.radiograph(
        shutter(
            "RECTANGULAR",
            ShutterLeftVerticalEdge=11,
            ShutterRightVerticalEdge=70,
            ShutterUpperHorizontalEdge=5,
            ShutterLowerHorizontalEdge=60,
        )
    )
    expected = np.zeros((64, 80), dtype=bool)
    expected[4:60, 10:70] = True
    assert np.array_equal(read.valid, expected)
    assert np.all(read.pixels[~expected] == ramp()[expected].min())


def test_a_circular_and_a_polygonal_shutter_leave_open_what_both_leave_open():
    read = images.radiograph(
        shutter(
            ["CIRCULAR", "POLYGONAL"],
            CenterOfCircularShutter=[32, 40],
            RadiusOfCircularShutter=20,
            VerticesOfThePolygonalShutter=[1, 1, 1, 40, 64, 40, 64, 1],
        )
    )
    rows, columns = np.mgrid[1:65, 1:81]
    expected = ((rows - 32) ** 2 + (columns - 40) ** 2 <= 400) & (columns <= 40)
    assert np.count_nonzero(read.valid ^ expected) <= 64


@pytest.mark.parametrize(
    "attributes",
    [
        {"ShutterShape": "RECTANGULAR"},
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [1, 1], "RadiusOfCircularShutter": 1},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1]},
    ],
    ids=["no edges", "hides nearly everything", "one vertex"],
)
def test_a_shutter_that_cannot_be_is_not_used_and_said(attributes):
    read = images.radiograph(film(ramp(), **attributes))
    assert read.valid is None
    assert "was not used" in read.notes[0]


def test_the_window_shapes_the_picture_and_not_the_pixels():
    values = ramp()
    read = images.radiograph(film(values, WindowCenter="1000", WindowWidth="500"))
    assert np.array_equal(read.pixels, values)
    assert read.display[values < 740].max() == 0
    assert read.display[values > 1260].min() == 255
    assert 120 <= read.display[np.abs(values - 1000) <= 1].mean() <= 135


def test_a_voi_lut_shapes_the_picture():
    item = Dataset()
    item.LUTDescriptor = [4096, 0, 8]
    item.LUTData = [255 - entry // 16 for entry in range(4096)]
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "US"
    read = images.radiograph(film(ramp(), VOILUTSequence=Sequence([item])))
    assert (read.display[0, 0], read.display[-1, -1]) == (255, 0)


@pytest.mark.parametrize("width", ["0", "nan", "-5", "wide"])
def test_a_window_that_shows_nothing_is_replaced_by_percentiles(width):
    read = images.radiograph(with_raw(film(ramp(), WindowCenter="100"), 0x00281051, width))
    assert (read.display.min(), read.display.max()) == (0, 255)


def test_a_full_size_radiograph_is_decoded_within_its_memory():
    values = ramp(4000, 3000)
    data = wire(film(values))
    del values
    tracemalloc.start()
    read = images.radiograph_from_bytes(data, uid.ExplicitVRLittleEndian)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read.pixels.shape == (4000, 3000)
    assert peak < 120 << 20


def test_reading_leaves_the_settings_of_pydicom_alone():
    before = config.settings.reading_validation_mode
    images.radiograph(film(ramp()))
    assert config.settings.reading_validation_mode == before
