"""One radiograph: a data set in, bright bone out, on the source grid (DICOM.md §3.4).

The order is the standard's: decode, Modality LUT, inversion where the image is stored dark-bone. The VOI LUT is not
applied to what a network sees, only to the picture for people. Collimator shutters and padding are masked out, so that
a white frame around the limb is neither bone nor contrast.

A volume (MR) has other rules: it starts from the same `encoded`, `codecs` and `lookup`, not from here.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models import lookup
from models.codecs import Cells, Frame, decode
from models.encoded import Encoded, Limits, PixelHeader, from_bytes, from_dataset, pixel_header
from models.errors import DecodeError, GeometryError
from models.shutters import open_area
from models.syntaxes import SUPPORTED_TRANSFER_SYNTAXES

_T = TypeVar("_T", bound=np.generic)

__all__ = ["SUPPORTED_TRANSFER_SYNTAXES", "Limits", "Radiograph", "radiograph", "radiograph_from_bytes"]

_STRIP_PIXELS = 1 << 20
"""Pixels looked up at once: numpy turns an index into 8 bytes per pixel."""
_SAMPLES = 1 << 20
"""Pixels that the display range is estimated from."""
_DISPLAY_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One decoded radiograph; arrays are `(rows, columns)`."""

    pixels: npt.NDArray[np.float32]
    """Modality values, inverted where stored dark-bone: bone is bright. Outside `valid`: the darkest valid value."""
    display: npt.NDArray[np.uint8]
    """What a viewer would show, bone bright: the image's own window or VOI LUT, else its 0.5 to 99.5 percentiles."""
    valid: npt.NDArray[np.bool_] | None
    """False where the image is padding or behind a shutter; None when it is valid everywhere."""
    notes: tuple[str, ...]
    """Sentences a reader should see."""


@dataclass(frozen=True, slots=True)
class _Tables:
    """Per possible cell: what it means."""

    pixels: npt.NDArray[np.float32]
    display: npt.NDArray[np.uint8]
    padding: npt.NDArray[np.bool_]


def radiograph_from_bytes(data: bytes, transfer_syntax_uid: str, limits: Limits | None = None) -> Radiograph:
    """Decode a data set as it came over the network, without file meta information.

    Raises
    ------
    DecodeError, GeometryError, ImageTooLargeError
        With the sentence for the study's explanation; `.outcome` holds the code.
    """
    limits = limits or Limits()
    return _radiograph(from_bytes(data, transfer_syntax_uid, limits), limits)


def radiograph(ds: Dataset, limits: Limits | None = None) -> Radiograph:
    """Decode a data set that pydicom has read; its `file_meta` names the transfer syntax (else Explicit VR LE)."""
    return _radiograph(from_dataset(ds), limits or Limits())


def _radiograph(encoded: Encoded, limits: Limits) -> Radiograph:
    ds, header = encoded.header, pixel_header(encoded, limits)
    if header.frames != 1:
        raise GeometryError(
            f"Number of Frames (0028,0008) is {header.frames}: a radiograph has one. Multi-frame images are not read."
        )
    notes = _compression_notes(ds)
    frame = decode(encoded, header)
    valid, seen = _valid(ds, header, frame, notes)
    if np.ptp(seen) == 0 and np.ptp(frame.cells if valid is None else frame.cells[valid]) == 0:
        raise DecodeError("Every pixel has the same value: there is nothing to see on this image.")
    tables = _tables(ds, header, frame, seen, notes)
    pixels = _looked_up(tables.pixels, frame.cells)
    display = _looked_up(tables.display, frame.cells)
    if valid is not None:
        pixels[~valid] = tables.pixels[seen].min()
        display[~valid] = 0
    return Radiograph(pixels, display, valid, tuple(notes))


def _valid(
    ds: Dataset, header: PixelHeader, frame: Frame, notes: list[str]
) -> tuple[npt.NDArray[np.bool_] | None, Cells]:
    """The valid area, None for everywhere, and a sample of the cells in it."""
    valid = open_area(ds, header.rows, header.columns, notes)
    values = _stored(header, frame)
    padding = _padding(ds, values)
    if padding.any():
        real = _looked_up(~padding, frame.cells)
        if not real.all():
            valid = real if valid is None else valid & real
    step = max(1, int(np.sqrt(frame.cells.size / _SAMPLES)))
    seen = frame.cells[::step, ::step]
    if valid is not None:
        seen = seen[valid[::step, ::step]]
        if seen.size == 0:
            raise GeometryError("Every pixel is padding (0028,0120) or behind a shutter (0018,1600): nothing to see.")
    return valid, seen.ravel()


def _stored(header: PixelHeader, frame: Frame) -> npt.NDArray[np.int32]:
    return lookup.stored_values(frame.cells.itemsize * 8, frame.bits, frame.shift, header.signed)


def _padding(ds: Dataset, values: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Which stored values are *Pixel Padding Value* (0028,0120), or from there to (0028,0121) (PS3.3 C.7.5.1.1.2)."""
    first = lookup.whole_number(ds, "PixelPaddingValue")
    if first is None:
        return np.zeros(len(values), dtype=bool)
    last = lookup.whole_number(ds, "PixelPaddingRangeLimit")
    last = first if last is None else last
    return np.asarray((values >= min(first, last)) & (values <= max(first, last)))


def _tables(ds: Dataset, header: PixelHeader, frame: Frame, seen: Cells, notes: list[str]) -> _Tables:
    stored = _stored(header, frame)
    transform = lookup.modality(ds, notes)
    values = lookup.apply_modality(stored.astype(np.float64), transform)
    low, high = lookup.apply_modality(np.array(lookup.stored_range(frame.bits, header.signed), np.float64), transform)
    inverted = header.photometric == "MONOCHROME1" or lookup.text(ds, "PresentationLUTShape") == "INVERSE"
    shown = lookup.voi(ds, values)
    if shown is None or np.ptp(shown[seen]) == 0:
        first, last = np.percentile(values[seen], _DISPLAY_PERCENTILES)
        shown = np.clip((values - first) / max(last - first, 1e-12), 0.0, 1.0)
    pixels = (low + high) - values if inverted else values
    grey = np.rint(255.0 * ((1.0 - shown) if inverted else shown))
    return _Tables(pixels.astype(np.float32), grey.astype(np.uint8), _padding(ds, stored))


def _compression_notes(ds: Dataset) -> list[str]:
    if lookup.text(ds, "LossyImageCompression") == "01":
        return ["The image was compressed with loss (0028,2110) before it was analysed."]
    return []


def _looked_up(table: npt.NDArray[_T], cells: Cells) -> npt.NDArray[_T]:
    """`table[cells]`, a strip at a time."""
    result = np.empty(cells.shape, dtype=table.dtype)
    rows = max(1, _STRIP_PIXELS // cells.shape[1])
    for first in range(0, cells.shape[0], rows):
        np.take(table, cells[first : first + rows], out=result[first : first + rows], mode="clip")
    return result
