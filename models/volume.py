"""A stack of MR slices: data sets in, one volume out, on the source grid, with where it lies (DICOM.md §3.5).

Slices are sorted by their position along the normal, never by number or order of arrival; what makes no regular stack
is refused with the slice or distance that is wrong. Cells become values by the Modality LUT or rescale of each slice.
A multi-frame object and its single-frame twin give the same volume.

Legend: volumes are `(slices, rows, columns)` float32, the first slice with the smallest position along the normal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models import lookup
from models.codecs import decode
from models.encoded import Encoded, Limits, PixelHeader, from_bytes, from_dataset, pixel_header
from models.errors import DecodeError, GeometryError, ImageTooLargeError
from models.findings import ImageRef
from models.planes import Plane, Vector, planes_of
from models.realworld import AdcUnit

VOLUME_LIMITS = Limits(pixels=64 * 1024 * 1024)
"""64 million voxels are 256 MB as numbers; a stack of 512 slices of 360 x 360 fits."""
_SAME_DIRECTION = 1e-3
_SAME_SPACING = 1e-3
_SAME_PLACE_MM = 0.01
_GAP_SHARE = 0.05
"""Share of the usual distance by which one between two slices may differ."""
_SHIFT_SHARE = 0.5
"""Share of a pixel by which a slice may be shifted in its plane against the next."""
Frames = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the voxels of a volume lie in the patient (x to the left, y to the back, z up; mm)."""

    origin: Vector
    """Centre of the first voxel."""
    directions: npt.NDArray[np.float64]
    """`(3, 3)`: unit vectors from slice to slice, from row to row, from column to column."""
    spacing: tuple[float, float, float]
    """Between slices, between rows, between columns."""
    shape: tuple[int, int, int]

    @property
    def voxel_mm3(self) -> float:
        """Of one voxel."""
        return self.spacing[0] * self.spacing[1] * self.spacing[2]

    def is_that_of(self, other: "Grid") -> bool:
        """Whether the voxels of both lie at the same places, to a tenth of a millimetre."""
        corners = [np.zeros(3), np.array(self.shape) - 1.0]
        return self.shape == other.shape and all(
            float(np.linalg.norm(self.point(corner) - other.point(corner))) <= 0.1 for corner in corners
        )

    def point(self, index: Vector) -> Vector:
        """The place of a voxel `(slice, row, column)`."""
        return np.asarray(self.origin + (index * np.array(self.spacing)) @ self.directions)


@dataclass(frozen=True, slots=True)
class Volume:
    """One decoded stack."""

    voxels: npt.NDArray[np.float32]
    grid: Grid
    images: tuple[ImageRef, ...]
    """In the order of the first axis."""
    series_instance_uid: str
    notes: tuple[str, ...] = ()
    """Sentences a reader should see."""
    unit: AdcUnit | None = None
    """Of an ADC map the unit that all its slices state."""
    made_from: tuple[tuple[ImageRef, ...], ...] = ()
    """Of an average, by slice the images that went into it; `images` are then those of the first direction."""

    @property
    def all_images(self) -> tuple[tuple[ImageRef, ...], ...]:
        """By slice, every image that was read."""
        return self.made_from or tuple((image,) for image in self.images)


def volume_from_bytes(
    objects: Sequence[tuple[bytes, str]],
    frames: Frames | None = None,
    limits: Limits = VOLUME_LIMITS,
    *,
    is_adc: bool = False,
) -> Volume:
    """Decode the objects of a stack as they came over the network.

    Parameters
    ----------
    objects
        Each a data set without file meta information, and its transfer syntax; in any order.
    frames
        Of a multi-frame object the frames to take, from 1, by SOP Instance UID; all where it is not named.
    is_adc
        Whether it is an ADC map: its values are then those of its Real World Value Mapping where it has one.

    Raises
    ------
    DecodeError, GeometryError, ImageTooLargeError
        With the sentence for the study's explanation; `.outcome` holds the code.
    """
    encoded = [from_bytes(data, syntax, limits) for data, syntax in objects]
    return volume_of_encoded(encoded, frames or {}, limits, is_adc)


def volume(
    datasets: Sequence[Dataset], frames: Frames | None = None, limits: Limits = VOLUME_LIMITS, *, is_adc: bool = False
) -> Volume:
    """The same from data sets that pydicom has read."""
    return volume_of_encoded([from_dataset(ds) for ds in datasets], frames or {}, limits, is_adc)


@dataclass(frozen=True, slots=True)
class _Slice:
    plane: Plane
    encoded: Encoded
    header: PixelHeader


def volume_of_encoded(objects: Sequence[Encoded], frames: Frames, limits: Limits, is_adc: bool) -> Volume:
    """The same from data sets that are taken apart already."""
    notes: list[str] = []
    found: list[_Slice] = []
    for encoded in objects:
        header = pixel_header(encoded, limits)
        wanted = frames.get(str(encoded.header.get("SOPInstanceUID", "")))
        planes = planes_of(encoded.header, header.frames, wanted, notes, is_adc)
        found += [_Slice(plane, encoded, header) for plane in planes]
    slices = _sorted(found)
    grid = _grid(slices, limits)
    voxels = np.empty(grid.shape, dtype=np.float32)
    for index, each in enumerate(slices):
        voxels[index] = _values(each)
    if not np.isfinite(voxels).all():
        raise DecodeError("Rescale Slope and Intercept (0028,1053), (0028,1052) make values beyond all numbers.")
    if float(np.ptp(voxels)) == 0.0:
        raise DecodeError("Every voxel of the series has the same value: there is nothing to see on it.")
    if any(lookup.text(each.encoded.header, "LossyImageCompression") == "01" for each in slices):
        notes.append("Images were compressed with loss (0028,2110) before they were analysed.")
    return Volume(
        voxels=voxels,
        grid=grid,
        images=tuple(each.plane.ref for each in slices),
        series_instance_uid=str(slices[0].encoded.header.get("SeriesInstanceUID", "")),
        notes=tuple(dict.fromkeys(notes)),
        unit=_unit(slices),
    )


def _unit(slices: list[_Slice]) -> AdcUnit | None:
    """The unit that all slices state.

    Raises
    ------
    DecodeError
        They state different ones.
    """
    units = {each.plane.unit for each in slices}
    if len(units) > 1:
        raise DecodeError(
            "The slices of the ADC map state different units (Real World Value Mapping, 0040,9096, or Rescale Type, "
            "0028,1054). Send the diffusion series itself."
        )
    return units.pop()


def _sorted(slices: list[_Slice]) -> list[_Slice]:
    """By position along the normal of the first; all must be parallel and of one size.

    Raises
    ------
    GeometryError
    """
    if not slices:
        raise GeometryError("The stack holds no slice.")
    first = slices[0]
    for number, each in enumerate(slices, start=1):
        one, other = first.plane, each.plane
        if np.abs(one.row - other.row).max() > _SAME_DIRECTION or np.abs(one.column - other.column).max() > (
            _SAME_DIRECTION
        ):
            raise GeometryError(
                f"Slice {number} of {len(slices)} lies in another direction than the first (Image Orientation, "
                "0020,0037): they make no volume. Send the stack as a series of its own."
            )
        sizes = (each.header.rows, each.header.columns), (first.header.rows, first.header.columns)
        if sizes[0] != sizes[1]:
            raise GeometryError(
                f"Slice {number} of {len(slices)} has {sizes[0][0]} x {sizes[0][1]} pixels, the first "
                f"{sizes[1][0]} x {sizes[1][1]}: they make no volume."
            )
        if any(abs(a - b) > _SAME_SPACING * b for a, b in zip(other.spacing, one.spacing, strict=True)):
            raise GeometryError(
                f"Slice {number} of {len(slices)} has a Pixel Spacing (0028,0030) of {other.spacing[0]:g} x "
                f"{other.spacing[1]:g} mm, the first {one.spacing[0]:g} x {one.spacing[1]:g} mm: they make no volume."
            )
    normal = first.plane.normal
    return sorted(slices, key=lambda each: float(each.plane.position @ normal))


def _grid(slices: list[_Slice], limits: Limits) -> Grid:
    first = slices[0]
    shape = (len(slices), first.header.rows, first.header.columns)
    if shape[0] * shape[1] * shape[2] > limits.pixels:
        raise ImageTooLargeError(
            f"{shape[0]} slices of {shape[1]} x {shape[2]} pixels are more than the limit of {limits.pixels} voxels. "
            "Send a stack of fewer slices; no setting raises it."
        )
    plane = first.plane
    return Grid(
        origin=plane.position,
        directions=np.stack([plane.normal, plane.column, plane.row]),
        spacing=(_distance([each.plane for each in slices]), *plane.spacing),
        shape=shape,
    )


def _distance(planes: list[Plane]) -> float:
    """The distance between neighbouring slices, the same throughout.

    Raises
    ------
    GeometryError
        Slices are doubled, missing or shifted in their plane.
    """
    normal, pixel = planes[0].normal, min(planes[0].spacing)
    if len(planes) == 1:
        if planes[0].thickness is None:
            raise GeometryError("A single slice without Slice Thickness (0018,0050) has no volume.")
        return planes[0].thickness
    steps = np.diff(np.stack([plane.position for plane in planes]), axis=0)
    along = steps @ normal
    usual = float(np.median(along))
    if float(along.min()) < _SAME_PLACE_MM:
        at = int(along.argmin())
        raise GeometryError(f"Slices {at + 1} and {at + 2} of {len(planes)} lie at one place: they make no volume.")
    worst = int(np.abs(along - usual).argmax())
    if abs(along[worst] - usual) > _GAP_SHARE * usual:
        raise GeometryError(
            f"Slices {worst + 1} and {worst + 2} of {len(planes)} are {along[worst]:.2f} mm apart, where {usual:.2f} "
            "mm is usual: slices are missing. Send the whole series again."
        )
    shift = float(np.linalg.norm(steps - along[:, None] * normal, axis=1).max())
    if shift > _SHIFT_SHARE * pixel:
        raise GeometryError(
            f"A slice is shifted by {shift:.2f} mm in its plane against the one before; at most half a pixel, "
            f"{_SHIFT_SHARE * pixel:.2f} mm, makes a volume of straight columns."
        )
    return float((planes[-1].position - planes[0].position) @ normal) / (len(planes) - 1)


def _values(each: _Slice) -> npt.NDArray[np.float32]:
    """One slice: cells looked up, padding as dark as the darkest."""
    frame = decode(each.encoded, each.header, each.plane.index)
    stored = lookup.stored_values(frame.cells.itemsize * 8, frame.bits, frame.shift, each.header.signed)
    table = lookup.apply_modality(stored.astype(np.float64), each.plane.transform).astype(np.float32)
    values = np.take(table, frame.cells, mode="clip")
    padding = lookup.whole_number(each.encoded.header, "PixelPaddingValue")
    if padding is not None:
        padded = np.take(stored == padding, frame.cells, mode="clip")
        if padded.any() and not padded.all():
            values[padded] = values[~padded].min()
    return values
