"""In which unit an ADC map is: by its Real World Value Mapping, else by the type of its rescale.

Real World Value Mapping (PS3.3 C.7.6.16.2.11) says what the stored cells are, past the rescale and independent of it;
*Rescale Type* (0028,1054) is free text for what the rescale gives. Vendors write units in either, in many spellings.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from models.encoded import READING_FAULTS

_SPELLING = re.compile(r"(?:x?(?:10\*{0,2}\^?|1e)([-+]?\d{1,2}))?[.*x]?(um|µm|μm|mm|cm|m)\^?2/(ms|s|sec)")
_SQUARE = {"um": 1e-6, "µm": 1e-6, "μm": 1e-6, "mm": 1.0, "cm": 1e2, "m": 1e6}
"""In mm2."""
_PER_SECOND = {"ms": 1e3, "s": 1.0, "sec": 1.0}
_MILLI = 1e3


@dataclass(frozen=True, slots=True)
class AdcUnit:
    """A unit of diffusion."""

    factor: float
    """To 1e-3 mm2/s."""
    name: str
    """As it was written, without blanks."""


def adc_unit(text: str) -> AdcUnit | None:
    """The unit that a text names: "um2/s", "10-6.mm2/s", "1E-3 mm^2/s"; None for anything else."""
    plain = re.sub(r"[\s\x00()]+", "", text)[:64]
    match = _SPELLING.fullmatch(plain.lower())
    if not match:
        return None
    power, length, time = match.groups()
    return AdcUnit(10.0 ** int(power or 0) * _SQUARE[length] * _PER_SECOND[time] * _MILLI, plain)


def adc_mapping(groups: Sequence[Dataset]) -> tuple[tuple[float, float], AdcUnit] | None:
    """Slope and intercept of stored cells, and their unit, where a mapping to a unit of diffusion is given.

    Parameters
    ----------
    groups
        Where it may stand: the functional groups of the frame, the shared ones, the data set itself.
    """
    for group in groups:
        for item in _items(group, "RealWorldValueMappingSequence"):
            units = [adc_unit(str(code.get("CodeValue", ""))) for code in _items(item, "MeasurementUnitsCodeSequence")]
            numbers = _number(item, "RealWorldValueSlope"), _number(item, "RealWorldValueIntercept")
            if units and units[0] and numbers[0] is not None:
                return (numbers[0], numbers[1] or 0.0), units[0]
    return None


def rescale_unit(groups: Sequence[Dataset]) -> AdcUnit | None:
    """What *Rescale Type* (0028,1054) says the rescaled values are."""
    for group in groups:
        for holder in (*_items(group, "PixelValueTransformationSequence"), group):
            if unit := adc_unit(str(holder.get("RescaleType", ""))):
                return unit
    return None


def _items(ds: Dataset, keyword: str) -> list[Dataset]:
    try:
        return list(ds.get(keyword) or ())
    except READING_FAULTS:
        return []


def _number(item: Dataset, keyword: str) -> float | None:
    try:
        return float(item[keyword].value) if keyword in item else None
    except READING_FAULTS:
        return None
