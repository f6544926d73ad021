"""ADC maps with the numbers of MODELS.md §5.1."""

import numpy as np
import pytest

from models.diffusion import check_pair, log_linear, of_vendor, two_point
from models.errors import DecodeError, GeometryError, SignalError


def signal(*values):
    return np.array(values, np.float32).reshape(1, 1, -1)


def test_the_signal_of_449_at_b_800_has_an_adc_of_one():
    made = two_point(signal(1000.0), signal(449.329), 0.0, 800.0)
    assert made.values[0, 0, 0] == pytest.approx(1.0, abs=1e-5)
    assert made.valid.all()
    assert made.clipped == 0


def test_a_signal_that_grows_with_b_is_zero_and_counted():
    made = two_point(signal(100.0, 500.0), signal(120.0, 400.0), 0.0, 800.0)
    assert made.values[0, 0, 0] == 0.0
    assert made.values[0, 0, 1] > 0.0
    assert made.clipped == 1
    assert made.valid.all()


@pytest.mark.parametrize(("low", "high"), [(0.0, 10.0), (-5.0, 10.0), (10.0, 0.0), (10.0, -1.0)])
def test_where_a_signal_is_zero_or_negative_nothing_is_told(low, high):
    made = two_point(signal(low), signal(high), 0.0, 800.0)
    assert not made.valid.any()
    assert made.values[0, 0, 0] == 0.0
    assert made.clipped == 0


def test_the_low_b_need_not_be_zero():
    made = two_point(signal(1000 * np.exp(-0.05)), signal(1000 * np.exp(-0.8)), 50.0, 800.0)
    assert made.values[0, 0, 0] == pytest.approx(1.0, abs=1e-5)


def test_a_line_through_several_b_values_averages_their_noise():
    b = [0.0, 40.0, 273.0, 800.0]
    exact = [signal(1000 * np.exp(-value * 1.3e-3)) for value in b]
    assert log_linear(exact, b).values[0, 0, 0] == pytest.approx(1.3, abs=1e-4)
    noisy = [each * factor for each, factor in zip(exact, (1.02, 0.97, 1.01, 0.99), strict=True)]
    wanted = -np.polyfit(b, [float(np.log(each[0, 0, 0])) for each in noisy], 1)[0] * 1000
    assert log_linear(noisy, b).values[0, 0, 0] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("b", [(0.0,), (0.0, 50.0), (800.0, 0.0), (0.0, 800.0, 800.0)])
def test_b_values_that_tell_no_slope_are_refused_with_the_limit(b):
    with pytest.raises(GeometryError, match=r"give no ADC: at least two are needed, rising by 100"):
        log_linear([signal(1.0)] * len(b), b)


@pytest.mark.parametrize(("unit", "factor"), [("10-6 mm2/s", 1000.0), ("10-3 mm2/s", 1.0), ("mm2/s", 0.001)])
def test_a_map_of_the_scanner_is_taken_for_the_unit_in_which_tissue_is_tissue(unit, factor):
    made, sentence = of_vendor(signal(0.0, 0.9, 1.2, 1.5) * factor)
    assert made.values.ravel() == pytest.approx([0.0, 0.9, 1.2, 1.5], abs=1e-5)
    assert made.valid.ravel().tolist() == [False, True, True, True]
    assert f"taken for {unit}" in sentence


def test_an_empty_map_of_the_scanner_is_refused():
    with pytest.raises(GeometryError, match="no positive number"):
        of_vendor(signal(0.0, -1.0))


@pytest.mark.parametrize("high", [0.0, -3.0], ids=["zero", "negative"])
def test_a_pair_without_signal_in_most_of_the_tissue_is_no_pair(high):
    low = signal(*[500.0] * 10)
    with pytest.raises(DecodeError, match="no signal above zero in most of the tissue"):
        check_pair(low, two_point(low, signal(*[high] * 6, *[200.0] * 4), 0.0, 800.0))
    check_pair(low, two_point(low, signal(*[high] * 4, *[200.0] * 6), 0.0, 800.0))
    for nothing in (signal(*[0.0] * 10), signal(*[-5.0] * 10)):
        with pytest.raises(DecodeError):
            check_pair(nothing, two_point(nothing, low, 0.0, 800.0))


def test_images_whose_b_values_are_exchanged_are_no_pair():
    low, high = signal(*[500.0] * 9, 1.0), signal(*[200.0] * 9, 1.0)
    check_pair(low, two_point(low, high, 0.0, 800.0))
    with pytest.raises(SignalError, match="100% of the tissue.*not the b-values of these images") as refused:
        check_pair(high, two_point(high, low, 0.0, 800.0))
    assert refused.value.outcome == "AMBIGUOUS_SEQUENCE"
