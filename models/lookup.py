"""Look-up tables: what a cell of at most 16 bits means, worked out once per value instead of once per pixel.

A radiograph of 12 million pixels has 65 536 different cells at most. Bits, sign, Modality LUT, VOI LUT and inversion
are therefore done on a table, and the image is one look-up.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models.encoded import READING_FAULTS

MIN_SLOPE, MAX_SLOPE = 1e-9, 1e9
"""What a rescale may be; beyond it float32 loses the image."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lut:
    """A LUT Sequence item (PS3.3 C.11.1.1.1)."""

    first: int
    data: Values

    def __call__(self, values: Values) -> Values:
        """Values before the first entry get the first, those behind the last get the last."""
        index = np.clip(np.rint(values) - self.first, 0, len(self.data) - 1).astype(np.intp)
        mapped: Values = self.data[index]
        return mapped


def stored_values(cell_bits: int, bits: int, shift: int, signed: bool) -> npt.NDArray[np.int32]:
    """The stored value of every possible cell; bits outside (overlays, in old images) are masked away."""
    cells = np.arange(1 << cell_bits, dtype=np.int32) >> shift
    values = cells & ((1 << bits) - 1)
    if signed:
        values = np.where(values >> (bits - 1) == 1, values - (1 << bits), values)
    return values.astype(np.int32)


def stored_range(bits: int, signed: bool) -> tuple[int, int]:
    """Least and largest stored value."""
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def modality(ds: Dataset, notes: list[str]) -> Lut | tuple[float, float]:
    """Modality LUT (PS3.3 C.11.1) as a table, else as slope and intercept; 1 and 0 where nothing usable is said."""
    lut = _lut(ds, "ModalityLUTSequence")
    if lut is not None:
        return lut
    slope, intercept = _number(ds, "RescaleSlope"), _number(ds, "RescaleIntercept")
    if slope is None and intercept is None:
        return 1.0, 0.0
    slope = 1.0 if slope is None else slope
    intercept = 0.0 if intercept is None else intercept
    if not (MIN_SLOPE <= abs(slope) <= MAX_SLOPE and abs(intercept) <= MAX_SLOPE):
        notes.append("Rescale Slope or Intercept (0028,1053), (0028,1052) was not used: it is no usable number.")
        return 1.0, 0.0
    return slope, intercept


def apply_modality(values: Values, transform: Lut | tuple[float, float]) -> Values:
    """Stored values to modality values."""
    return transform(values) if isinstance(transform, Lut) else values * transform[0] + transform[1]


def voi(ds: Dataset, values: Values) -> Values | None:
    """Modality values to 0..1 by the image's own first VOI LUT or window (PS3.3 C.11.2); None where it has none.

    For display only: the networks see what the detector saw, not what somebody windowed.
    """
    lut = _lut(ds, "VOILUTSequence")
    if lut is not None and np.ptp(lut.data) > 0:
        return np.asarray((lut(values) - lut.data.min()) / np.ptp(lut.data))
    centre, width = _number(ds, "WindowCenter"), _number(ds, "WindowWidth")
    if centre is None or width is None or not np.isfinite([centre, width]).all() or width < 1:
        return None
    function = text(ds, "VOILUTFunction")
    if function == "SIGMOID":
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -700.0, 700.0))))
    if function == "LINEAR_EXACT" or width == 1:
        return np.clip((values - centre) / width + 0.5, 0.0, 1.0)
    return np.clip((values - (centre - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def _lut(ds: Dataset, keyword: str) -> Lut | None:
    """The first item of a LUT sequence; None where there is none that can be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            item = ds[keyword].value[0]
            entries, first, bits = (int(value) for value in item.LUTDescriptor)
            data = _lut_data(item["LUTData"].value, entries or 65536, bits, item)
        except READING_FAULTS:
            return None
    if not len(data):
        return None
    return Lut(first - 65536 if _is_negative(first, ds) else first, data)


def _is_negative(first: int, ds: Dataset) -> bool:
    """The first mapped value is signed where the pixels are, whatever the descriptor was read as."""
    return first > 32767 and int(ds.get("PixelRepresentation") or 0) == 1


def _lut_data(value: Any, entries: int, bits: int, item: Dataset) -> Values:
    """LUT Data (0028,3006) as OW bytes or as US values; 8-bit tables may be packed two to a word."""
    if isinstance(value, bytes):
        little = item.original_encoding[1] is not False
        if bits <= 8 and len(value) in (entries, entries + entries % 2):
            return np.frombuffer(value, np.uint8, entries).astype(np.float64)
        data = np.frombuffer(value, "<u2" if little else ">u2").astype(np.float64)
    else:
        data = np.atleast_1d(np.asarray(value, dtype=np.float64))
    if len(data) < entries:
        raise ValueError("LUT Data is shorter than its descriptor says")
    return data[:entries]


def _number(ds: Dataset, keyword: str) -> float | None:
    """The first value; NaN where it is no number, None where it is absent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = ds.get(keyword)
            if isinstance(value, Sequence) and not isinstance(value, str):
                value = value[0] if len(value) else None
            return None if value in (None, "") else float(value)
        except READING_FAULTS:
            return float("nan")


def whole_number(ds: Dataset, keyword: str) -> int | None:
    """One integer; None where it is absent or none."""
    value = _number(ds, keyword)
    return None if value is None or not np.isfinite(value) else int(value)


def text(ds: Dataset, keyword: str) -> str:
    """A code string, upper case; empty where it is absent or unreadable."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return str(ds.get(keyword) or "").strip().upper()
        except READING_FAULTS:
            return ""
