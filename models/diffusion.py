"""Apparent diffusion coefficients from diffusion-weighted images, or from the scanner's own map (MODELS.md §5.1).

S(b) = S(0) exp(-b ADC). Two b-values give it by one logarithm, more by a straight line through the logarithms. Where a
signal is zero or negative there is nothing to tell, and where it grows with b the model does not hold: 0.

Legend: maps are `(slices, rows, columns)` float32 in 1e-3 mm2/s, b-values in s/mm2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import DecodeError, GeometryError, SignalError
from models.realworld import AdcUnit
from models.slices import BACKGROUND, HIGH_PERCENTILE

Float = npt.NDArray[np.float32]

LEAST_STEP = 100.0
"""s/mm2 between the lowest and the highest b-value: with less there is more noise than diffusion."""
_PER_MILLE = 1000.0
_MOST = 0.5
_TISSUE = (0.02, 20.0)
_UNITS = ((20.0, 1e-3, "10-6 mm2/s"), (0.02, 1.0, "10-3 mm2/s"), (0.0, 1e3, "mm2/s"))
"""From this median of tissue on: the factor to 1e-3 mm2/s, and the unit. Tissue has 0.2 to 3.5 times 1e-3 mm2/s."""


@dataclass(frozen=True, slots=True)
class AdcMap:
    """An ADC for every voxel."""

    values: Float
    """0 where `valid` is False, and where the signal grew with b."""
    valid: npt.NDArray[np.bool_]
    """False where a signal was zero or negative."""
    clipped: int
    """Voxels in which the signal grew with b."""


def two_point(low: Float, high: Float, b_low: float, b_high: float) -> AdcMap:
    """ln(S(b_low) / S(b_high)) / (b_high - b_low).

    Raises
    ------
    GeometryError
        The b-values are no pair: too near each other, or in the wrong order.
    """
    return log_linear([low, high], [b_low, b_high])


def check_pair(low: Float, made: AdcMap) -> None:
    """Whether a map made of two b-values can be believed, by the tissue on the images of the lower one.

    Raises
    ------
    DecodeError
        Most of it has no signal to take a logarithm of.
    SignalError
        Most of it is brighter at the higher b-value: those are not the b-values of these images.
    """
    top = float(np.percentile(low, HIGH_PERCENTILE))
    tissue = low > BACKGROUND * top
    count = int(np.count_nonzero(tissue)) if top > 0 else 0
    valid = int(np.count_nonzero(made.valid[tissue])) if count else 0
    if valid < _MOST * count or not count:
        raise DecodeError(
            "The diffusion-weighted images have no signal above zero in most of the tissue, so that no ADC can be "
            "computed. Look at their Rescale Intercept (0028,1052) and pixels, and send the series again."
        )
    grown = int(np.count_nonzero(made.valid[tissue] & (made.values[tissue] == 0.0)))
    if grown > _MOST * valid:
        raise SignalError(
            f"{grown / valid:.0%} of the tissue is at least as bright at the high b-value as at the low one: these "
            "are not the b-values of these images. Mend Diffusion b-value (0018,9087) and send them under new UIDs."
        )


def log_linear(signals: Sequence[Float], b_values: Sequence[float]) -> AdcMap:
    """Minus the slope of the least-squares line through ln S over b; for two b-values that through both points.

    Raises
    ------
    GeometryError
        The b-values do not tell a slope.
    """
    b = np.array(b_values, dtype=np.float64)
    if len(b) < 2 or len(b) != len(signals) or float(b[-1] - b[0]) < LEAST_STEP or (np.diff(b) <= 0).any():
        told = ", ".join(f"{value:g}" for value in b_values)
        raise GeometryError(
            f"b-values of {told} s/mm2 give no ADC: at least two are needed, rising by {LEAST_STEP:g} or more in all. "
            "Send the series with b near 0 and the one with the high b-value."
        )
    weights = -(b - b.mean()) / float(((b - b.mean()) ** 2).sum()) * _PER_MILLE
    valid = np.ones(signals[0].shape, dtype=bool)
    slope = np.zeros(signals[0].shape, dtype=np.float32)
    for signal, weight in zip(signals, weights, strict=True):
        valid &= signal > 0
        slope += np.float32(weight) * np.log(np.where(signal > 0, signal, 1.0)).astype(np.float32)
    slope[~valid] = 0.0
    clipped = int(np.count_nonzero(slope < 0))
    return AdcMap(np.maximum(slope, 0.0), valid, clipped)


def of_vendor(voxels: Float, stated: AdcUnit | None = None) -> tuple[AdcMap, str]:
    """The scanner's map in our unit, and a sentence that says which unit its numbers are in.

    Parameters
    ----------
    stated
        What the header says; without it, and where no tissue could have such values, the numbers themselves tell.

    Raises
    ------
    GeometryError
        The map holds no positive number, or none that an ADC of tissue could be in any unit.
    """
    valid = voxels > 0
    if not valid.any():
        raise GeometryError("The ADC map of the scanner holds no positive number. Send the diffusion series itself.")
    tissue = float(np.median(voxels[valid]))
    likely, unit = next((factor, unit) for least, factor, unit in _UNITS if tissue >= least)
    factor, sentence = likely, f"ADC values are those of the scanner's own map, taken for {unit}."
    if stated and _is_tissue(tissue * stated.factor):
        factor, sentence = stated.factor, f"ADC values are those of the scanner's own map, which is in {stated.name}."
    elif stated:
        sentence = f"{sentence} Its header says {stated.name}, in which no tissue has its median of {tissue:.3g}."
    if not _is_tissue(tissue * factor):
        raise GeometryError(
            f"The ADC map of the scanner has a median of {tissue:.3g}, which is no ADC of tissue in any unit. Send the "
            "diffusion series itself."
        )
    values = np.where(valid, voxels, 0.0).astype(np.float32) * np.float32(factor)
    return AdcMap(values, valid, 0), sentence


def _is_tissue(adc: float) -> bool:
    """Whether a median in 1e-3 mm2/s can be one of a body, with room for fluid and for noise."""
    return _TISSUE[0] <= adc <= _TISSUE[1]
