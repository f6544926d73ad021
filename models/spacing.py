"""Millimetres of a projection radiograph, and the sentence a reader needs beside them (PS3.3 10.7.1.3).

A radiograph magnifies: millimetres hold for the plane of the detector unless somebody calibrated them in the patient.
Where nothing believable is stated, sizes stay in pixels; a spacing is never guessed. What is known even then is how
high a pixel is for its width, *Pixel Aspect Ratio* (0028,0034): lengths are then in widths of a pixel.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from pydicom.dataset import Dataset

from models.encoded import READING_FAULTS
from models.findings import Spacing, SpacingSource
from models.lookup import text

MIN_MM = 0.005
MAX_MM = 10.0
"""Outside this range a spacing is a slip of the pen: detectors have 0.05 to 0.4 mm."""
MAX_MAGNIFICATION = 10.0
MAX_RATIO = 10.0
"""Of the height of a pixel to its width, or the other way round."""


@dataclass(frozen=True, slots=True)
class Ruler:
    """A spacing with what must be said about it."""

    spacing: Spacing
    notes: tuple[str, ...]


def ruler(ds: Dataset) -> Ruler:
    """Where the millimetres of a radiograph come from, best first.

    Order (DICOM.md §3.4): *Pixel Spacing* (0028,0030) when *Pixel Spacing Calibration Type* (0028,0A02) is GEOMETRY
    or FIDUCIAL; *Imager Pixel Spacing* (0018,1164), divided by *Estimated Radiographic Magnification Factor*
    (0018,1114) where stated; *Pixel Spacing* without a type, which then holds for the detector plane;
    *Nominal Scanned Pixel Spacing* (0018,2010); else widths of a pixel, see `_unknown`.
    """
    notes: list[str] = []
    calibrated_by = text(ds, "PixelSpacingCalibrationType")
    plane = _pair(ds, "PixelSpacing", "Pixel Spacing (0028,0030)", notes)
    if plane and calibrated_by in ("GEOMETRY", "FIDUCIAL"):
        notes.append(f"Sizes use a pixel spacing calibrated in the patient ({calibrated_by}).")
        return _ruler(plane, SpacingSource.CALIBRATED, notes)
    detector = _pair(ds, "ImagerPixelSpacing", "Imager Pixel Spacing (0018,1164)", notes)
    if detector:
        return _detector(detector, _magnification(ds, notes), notes)
    if plane:
        notes.append(
            "Sizes are measured in the detector plane: Pixel Spacing states no calibration, "
            "so true sizes in the patient are smaller."
        )
        return _ruler(plane, SpacingSource.DETECTOR, notes)
    film = _pair(ds, "NominalScannedPixelSpacing", "Nominal Scanned Pixel Spacing (0018,2010)", notes)
    if film:
        notes.append("Sizes are measured on a scanned film, with the scanner's nominal spacing.")
        return _ruler(film, SpacingSource.FILM, notes)
    return _unknown(ds, notes)


def _unknown(ds: Dataset, notes: list[str]) -> Ruler:
    """No millimetres: the unit of length is the width of a pixel, and its height is what the ratio says."""
    ratio = _ratio(ds, notes)
    if ratio == 1.0:
        notes.append("The image states no usable pixel spacing: sizes are in pixels.")
    else:
        notes.append(
            f"The image states no usable pixel spacing, only that its pixels are {ratio:.3g} times as high as wide: "
            "lengths are in widths of a pixel, areas in pixels."
        )
    return _ruler((ratio, 1.0), SpacingSource.UNKNOWN, notes)


def _ratio(ds: Dataset, notes: list[str]) -> float:
    """*Pixel Aspect Ratio* (0028,0034), vertical size over horizontal size (PS3.3 C.7.6.3.1.7); 1.0 when absent."""
    values = _numbers(ds, "PixelAspectRatio")
    if not values:
        return 1.0
    believable = len(values) == 2 and all(value > 0 for value in values)
    if not believable or not 1.0 / MAX_RATIO <= values[0] / values[1] <= MAX_RATIO:
        notes.append(
            f"Pixel Aspect Ratio (0028,0034) was not used: it is not two numbers above 0 with a ratio up to "
            f"{MAX_RATIO:g}."
        )
        return 1.0
    return values[0] / values[1]


def _detector(pair: tuple[float, float], magnification: float | None, notes: list[str]) -> Ruler:
    if magnification is None:
        notes.append("Sizes are measured in the detector plane: true sizes in the patient are smaller.")
        return _ruler(pair, SpacingSource.DETECTOR, notes)
    notes.append(
        f"Sizes are measured in the detector plane and divided by the magnification that the image estimates "
        f"({magnification:g})."
    )
    return _ruler((pair[0] / magnification, pair[1] / magnification), SpacingSource.DETECTOR, notes)


def _ruler(pair: tuple[float, float], source: SpacingSource, notes: list[str]) -> Ruler:
    return Ruler(Spacing(pair[0], pair[1], source), tuple(notes))


def _magnification(ds: Dataset, notes: list[str]) -> float | None:
    values = _numbers(ds, "EstimatedRadiographicMagnificationFactor")
    if not values:
        return None
    if len(values) != 1 or not 1.0 <= values[0] <= MAX_MAGNIFICATION:
        notes.append(
            "Estimated Radiographic Magnification Factor (0018,1114) was not used: "
            f"it is not one number from 1 to {MAX_MAGNIFICATION:g}."
        )
        return None
    return values[0]


def _pair(ds: Dataset, keyword: str, name: str, notes: list[str]) -> tuple[float, float] | None:
    """Between rows, between columns (PS3.3 10.7.1.3); None when absent or not believable."""
    values = _numbers(ds, keyword)
    if not values:
        return None
    if len(values) != 2 or not all(MIN_MM <= value <= MAX_MM for value in values):
        notes.append(f"{name} was not used: it is not two numbers from {MIN_MM:g} to {MAX_MM:g} mm.")
        return None
    return values[0], values[1]


def _numbers(ds: Dataset, keyword: str) -> list[float]:
    """The values of a DS or IS element; one NaN where they are no numbers, empty where it is absent or empty."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = ds.get(keyword)
            if value is None or value == "":
                return []
            several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
            numbers = [float(each) for each in (value if several else [value])]
        except READING_FAULTS:
            return [float("nan")]
    return [number if isfinite(number) else float("nan") for number in numbers]
