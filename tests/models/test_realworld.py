"""The unit of an ADC map, in the spellings that scanners use and at every place where it may stand."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from models.diffusion import of_vendor
from models.errors import DecodeError, GeometryError
from models.realworld import adc_unit
from models.volume import volume, volume_from_bytes
from tests.models.stacks import enhanced, single_frames
from tests.node.made_headers import item, on_the_wire

MICRO, MILLI, PLAIN = 1e-3, 1.0, 1e3
"""Factors to 1e-3 mm2/s."""
STORED = (np.arange(4 * 6 * 5).reshape(4, 6, 5) % 40 * 20 + 600).astype(np.int16)


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        ("um2/s", MICRO), ("10-6.mm2/s", MICRO), ("10*-6.mm2/s", MICRO), ("10^-6 mm^2/s", MICRO), ("1E-6 mm2/s", MICRO),
        ("x 10^-6 mm^2/s", MICRO), ("µm2/s", MICRO), ("10-3.mm2/s", MILLI), ("1e-3 mm2/s", MILLI), ("um2/ms", MILLI),
        ("10-5.cm2/s", MILLI), ("mm2/s", PLAIN), ("MM2/S", PLAIN), ("m2/s", 1e9),
    ],
)  # fmt: skip
def test_a_unit_is_known_in_every_spelling(text, factor):
    unit = adc_unit(text)
    assert unit is not None
    assert unit.factor == pytest.approx(factor)


@pytest.mark.parametrize("text", ["", "US", "HU", "mm2", "s/mm2", "10-6.mm3/s", "Doe^Jane", "10-600.mm2/s"])
def test_anything_else_is_no_unit(text):
    assert adc_unit(text) is None


def mapping(code, slope, intercept=0.0):
    """An item of *Real World Value Mapping Sequence* (0040,9096)."""
    units = item(CodeValue=code, CodingSchemeDesignator="UCUM", CodeMeaning=code)
    return item(
        MeasurementUnitsCodeSequence=[units], RealWorldValueSlope=float(slope), RealWorldValueIntercept=float(intercept)
    )


def twins(code, slope):
    """A map whose rescale is nothing but a window's, with its mapping in every slice, and as one object."""
    slices = single_frames(STORED, slope=2.0, intercept=5.0)
    whole = enhanced(slices)
    whole.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence = [mapping(code, slope)]
    for ds in slices:
        ds.RealWorldValueMappingSequence = [mapping("1", 3.0), mapping(code, slope)]
    return slices, [whole]


@pytest.mark.parametrize(("code", "slope"), [("um2/s", 1.0), ("10-3.mm2/s", 1e-3), ("mm2/s", 1e-6)])
@pytest.mark.parametrize("place", [0, 1], ids=["single frames", "Enhanced"])
def test_the_mapping_says_what_cells_are_whatever_the_rescale(place, code, slope):
    datasets = twins(code, slope)[place]
    found = volume(datasets, is_adc=True)
    made, sentence = of_vendor(found.voxels, found.unit)
    assert np.allclose(made.values, STORED * 1e-3, rtol=1e-5)
    assert sentence == f"ADC values are those of the scanner's own map, which is in {code}."
    wire = [(on_the_wire(ds), "1.2.840.10008.1.2.1") for ds in datasets]
    assert np.array_equal(volume_from_bytes(wire, is_adc=True).voxels, found.voxels)
    assert np.allclose(volume(datasets).voxels, STORED * 2.0 + 5.0), "an image is no map"


def test_without_a_mapping_the_type_of_the_rescale_says_the_unit():
    slices = single_frames(STORED // 10, slope=10.0, RescaleType="10^-6 mm^2/s")
    found = volume(slices, is_adc=True)
    made, sentence = of_vendor(found.voxels, found.unit)
    assert np.allclose(made.values, STORED // 10 * 10 * 1e-3)
    assert "which is in 10^-6mm^2/s" in sentence


def test_a_unit_in_which_nothing_is_tissue_is_not_believed_and_that_is_said():
    slices = single_frames(STORED, RescaleType="mm2/s")
    found = volume(slices, is_adc=True)
    made, sentence = of_vendor(found.voxels, found.unit)
    assert np.allclose(made.values, STORED * 1e-3)
    assert "taken for 10-6 mm2/s. Its header says mm2/s, in which no tissue has its median of" in sentence


def test_slices_of_different_units_are_no_map():
    slices = single_frames(STORED)
    for number, ds in enumerate(slices):
        ds.RescaleType = "um2/s" if number else "mm2/s"
    with pytest.raises(DecodeError, match="different units"):
        volume(slices, is_adc=True)


@pytest.mark.parametrize("scale", [1e6, 1e-9])
def test_numbers_that_are_no_adc_in_any_unit_are_refused(scale):
    with pytest.raises(GeometryError, match="no ADC of tissue in any unit"):
        of_vendor((STORED * scale).astype(np.float32))


def test_a_mapping_that_cannot_be_read_is_none():
    slices = single_frames(STORED)
    for ds in slices:
        ds.RealWorldValueMappingSequence = [Dataset(), item(RealWorldValueSlope=1.0)]
    assert volume(slices, is_adc=True).unit is None
