"""Where each slice of an MR object lies and what its cells mean, from a single-frame or a multi-frame header.

A multi-frame object says these things in functional groups (PS3.3 C.7.6.16), shared by all frames or frame by frame; a
single-frame object in the data set itself. Here both become the same `Plane`.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models import lookup
from models.encoded import READING_FAULTS
from models.errors import GeometryError
from models.findings import ImageRef
from models.realworld import AdcUnit, adc_mapping, rescale_unit

Vector = npt.NDArray[np.float64]

_UNIT_TOLERANCE = 0.05
MIN_MM, MAX_MM = 0.01, 50.0
"""Outside this range a spacing is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One slice before its pixels are decoded."""

    ref: ImageRef
    index: int
    """Frame within its object, from 0."""
    row: Vector
    """Unit vector along a row, that is from column to column; patient coordinates (PS3.3 C.7.6.2.1.1)."""
    column: Vector
    position: Vector
    """Of the centre of the first pixel, mm."""
    spacing: tuple[float, float]
    """Between rows and between columns, mm."""
    thickness: float | None
    transform: lookup.Lut | tuple[float, float]
    unit: AdcUnit | None = None
    """Of an ADC map what its header says that values are in, once they are transformed."""

    @property
    def normal(self) -> Vector:
        """Row x column, of length 1."""
        normal = np.cross(self.row, self.column)
        return normal / float(np.linalg.norm(normal))


def planes_of(
    ds: Dataset, frames: int, wanted: Sequence[int] | None, notes: list[str], is_adc: bool = False
) -> list[Plane]:
    """The planes of one object.

    Parameters
    ----------
    frames
        How many it holds, as its checked header says.
    wanted
        Which of them, from 1; None for all.
    is_adc
        Whether it is an ADC map, whose values may be mapped to a unit beside the rescale.

    Raises
    ------
    GeometryError
        Position, orientation or spacing of a slice is absent or impossible.
    """
    uid = str(ds.get("SOPInstanceUID", ""))
    shared = _items(ds, "SharedFunctionalGroupsSequence")
    each = _items(ds, "PerFrameFunctionalGroupsSequence")
    if not each and frames == 1:
        return [_plane(ds, [ds], ImageRef(uid), 0, notes, is_adc)]
    if len(each) != frames:
        raise GeometryError(
            f"Number of Frames (0028,0008) is {frames} and Per-Frame Functional Groups Sequence (5200,9230) has "
            f"{len(each)} items: where the slices lie cannot be told. Send the image again."
        )
    chosen = range(1, frames + 1) if wanted is None else wanted
    return [
        _plane(ds, [each[number - 1], *shared], ImageRef(uid, number), number - 1, notes, is_adc)
        for number in chosen
        if 1 <= number <= frames
    ]


def _plane(ds: Dataset, groups: list[Dataset], ref: ImageRef, index: int, notes: list[str], is_adc: bool) -> Plane:
    place = "the image" if ref.frame is None else f"frame {ref.frame}"
    direction = _needed(groups, "PlaneOrientationSequence", "ImageOrientationPatient", 6, place)
    position = _needed(groups, "PlanePositionSequence", "ImagePositionPatient", 3, place)
    spacing = _needed(groups, "PixelMeasuresSequence", "PixelSpacing", 2, place)
    if not all(MIN_MM <= mm <= MAX_MM for mm in spacing):
        raise GeometryError(
            f"Pixel Spacing (0028,0030) of {place} is {spacing[0]:g} x {spacing[1]:g} mm; from {MIN_MM:g} to "
            f"{MAX_MM:g} mm is believed. Correct it where the image comes from, and send it again."
        )
    row, column = _unit(direction[:3], place), _unit(direction[3:], place)
    if abs(float(row @ column)) > _UNIT_TOLERANCE:
        raise GeometryError(f"Image Orientation (0020,0037) of {place} is not two directions at a right angle.")
    thickness = _numbers(groups, "PixelMeasuresSequence", "SliceThickness", 1)
    transform, unit = _values_of(ds, groups, notes, is_adc)
    return Plane(
        ref=ref,
        index=index,
        row=row,
        column=column,
        position=position,
        spacing=(float(spacing[0]), float(spacing[1])),
        thickness=float(thickness[0]) if thickness is not None and thickness[0] > 0 else None,
        transform=transform,
        unit=unit,
    )


def _values_of(
    ds: Dataset, groups: list[Dataset], notes: list[str], is_adc: bool
) -> tuple[lookup.Lut | tuple[float, float], AdcUnit | None]:
    """How cells become values, and of an ADC map in which unit, where its header says so."""
    places = [*groups, ds]
    if is_adc and (mapped := adc_mapping(places)):
        return mapped
    transform = lookup.modality(_holder(ds, groups, "PixelValueTransformationSequence", "RescaleSlope"), notes)
    return transform, rescale_unit(places) if is_adc else None


def _unit(vector: Vector, place: str) -> Vector:
    length = float(np.linalg.norm(vector))
    if abs(length - 1.0) > _UNIT_TOLERANCE:
        raise GeometryError(
            f"Image Orientation (0020,0037) of {place} holds a direction of length {length:.3g}, not 1."
        )
    return vector / length


def _needed(groups: list[Dataset], macro: str, keyword: str, count: int, place: str) -> Vector:
    found = _numbers(groups, macro, keyword, count)
    if found is None:
        raise GeometryError(
            f"{keyword} of {place} is absent or not {count} numbers: where the slice lies is unknown. Send the series "
            "again as the scanner made it."
        )
    return found


def _numbers(groups: list[Dataset], macro: str, keyword: str, count: int) -> Vector | None:
    value = _value(_holder(groups[0], groups, macro, keyword), keyword)
    try:
        several = [float(each) for each in (value if count > 1 else [value])]
    except READING_FAULTS:
        return None
    return np.array(several) if len(several) == count and np.isfinite(several).all() else None


def _holder(fallback: Dataset, groups: list[Dataset], macro: str, keyword: str) -> Dataset:
    """The item that holds an attribute: in the macro of the frame, in the shared one, else the data set itself."""
    for group in groups:
        for item in _items(group, macro):
            if keyword in item:
                return item
    return fallback


def _items(ds: Dataset, keyword: str) -> list[Dataset]:
    value = _value(ds, keyword)
    return list(value) if value else []


def _value(ds: Dataset, keyword: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ds.get(keyword)
        except READING_FAULTS:
            return None
