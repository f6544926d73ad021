"""A stack of slices on its way into a network and back: one preparation for training and for the node.

Grey values are scaled by the whole stack, as the card's `normalisation` says (`SCALINGS`), the plane is resampled to
the card's spacing (slices stay where they are), and a plane larger than the network's input is covered by tiles that
overlap by half; a smaller one is padded with 0 on all sides alike. Answers of tiles are averaged with weights that fall
to their borders.

Legend: volumes are `(slices, rows, columns)` float32, channels `(channels, slices, rows, columns)`; spacings are
`(row_mm, column_mm)`. Nothing here reads DICOM (that is models/volume.py).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from models.errors import GeometryError
from models.pixels import axis_weights

Float = npt.NDArray[np.float32]

LOW_PERCENTILE, HIGH_PERCENTILE = 0.5, 99.5
BACKGROUND = 0.05
"""Voxels below this share of the high percentile are air, and are left out of the percentiles."""
MEAN, PER_DEVIATION = 0.5, 1.0 / 6.0
"""What the mean of the body becomes, and what each standard deviation adds: 0, air, is three of them below the mean."""
ADC_RANGE = 3.0
"""1e-3 mm2/s: the ADC that becomes 1."""
MAX_PLANE_PX = 4096
"""Of a resampled plane: more is a spacing that cannot be true."""
_LEAST_WEIGHT = 1e-3
_AIR, _LEAST_TISSUE = 0.02, 0.05
"""Pixels below are air; a tile with a smaller share of others is not asked how strange it is."""


def normalise(volume: Float) -> Float:
    """Stretch a stack to 0..1 by the 0.5 and the 99.5 percentile of its tissue.

    Parameters
    ----------
    volume
        Any range, finite.

    Returns
    -------
    float32 in 0..1; all zeros where the stack holds one value only.
    """
    top = float(np.percentile(volume, HIGH_PERCENTILE))
    tissue = volume[volume > BACKGROUND * top] if top > 0 else volume
    low, high = np.percentile(tissue if tissue.size else volume, (LOW_PERCENTILE, HIGH_PERCENTILE))
    if high <= low:
        return np.zeros(volume.shape, dtype=np.float32)
    scaled = (volume - np.float32(low)) * np.float32(1.0 / (high - low))
    np.clip(scaled, 0.0, 1.0, out=scaled)
    return scaled


def standardised(volume: Float) -> Float:
    """The z-score of a stack over the body, as nnU-Net has it for MR, moved so that 0 is what lies outside the body.

    Isensee et al. 2021 (Nature Methods 18:203), online methods: each image less its mean, divided by its standard
    deviation, both of the foreground; outside it 0. There the mean tissue and what pads an image are then both 0; here
    the mean is 0.5 and a deviation 1/6, which a network's first layer cannot tell from z-scores, and 0 is air alone.
    The body is what the percentiles of `normalise` are taken of, and what it encloses within a slice.

    Parameters
    ----------
    volume
        Any range, finite.

    Returns
    -------
    float32 from 0 on, with no upper limit; all zeros where the body holds one value only.
    """
    top = float(np.percentile(volume, HIGH_PERCENTILE))
    body = np.ones(volume.shape, dtype=np.bool_)
    if top > 0:
        plane = scipy.ndimage.generate_binary_structure(2, 1)[None]
        body = scipy.ndimage.binary_fill_holes(volume > BACKGROUND * top, plane)
    values = volume[body]
    mean, deviation = values.mean(dtype=np.float64), values.std(dtype=np.float64)
    made = np.zeros(volume.shape, dtype=np.float32)
    if values.min() < values.max():
        made[body] = np.maximum(MEAN + (values - mean) * (PER_DEVIATION / deviation), 0.0)
    return made


PERCENTILES, Z_SCORE = "volume-percentiles", "body-z-score"
SCALINGS: Mapping[str, Callable[[Float], Float]] = MappingProxyType({PERCENTILES: normalise, Z_SCORE: standardised})
"""By a card's `normalisation`: how the signal of a stack becomes grey values, in training and in the node."""


def scaled_adc(adc: Float) -> Float:
    """An ADC map in 1e-3 mm2/s as a network sees it: divided by 3, clipped to 0..1."""
    return np.asarray(np.clip(adc * np.float32(1.0 / ADC_RANGE), 0.0, 1.0), dtype=np.float32)


def has_tissue(tile: Float) -> bool:
    """Whether a tile `(channels, rows, columns)` shows enough to be strange or not: air and padding are neither."""
    return bool((tile.mean(axis=0) > _AIR).mean() >= _LEAST_TISSUE)


@dataclass(frozen=True, slots=True)
class Plan:
    """How planes of one size and spacing become inputs of one size and spacing, and come back."""

    source: tuple[int, int]
    """Rows and columns of the source."""
    plane: tuple[int, int]
    """Rows and columns after resampling; both cover the same surface."""
    size: tuple[int, int]
    """Of the network's input."""

    @property
    def padded(self) -> tuple[int, int]:
        """Rows and columns with padding: never less than the input."""
        return max(self.plane[0], self.size[0]), max(self.plane[1], self.size[1])

    @property
    def corner(self) -> tuple[int, int]:
        """Where the plane begins in what is padded."""
        return (self.padded[0] - self.plane[0]) // 2, (self.padded[1] - self.plane[1]) // 2

    @property
    def tiles(self) -> tuple[tuple[int, int], ...]:
        """First row and column of each tile in what is padded."""
        rows, columns = (_starts(length, side) for length, side in zip(self.padded, self.size, strict=True))
        return tuple(product(rows, columns))

    def resampled(self, volume: Float) -> Float:
        """A volume of the source on the grid of the network, padded."""
        moved = _resampled(volume, self.plane)
        (top, left), (rows, columns) = self.corner, self.padded
        below, right = rows - self.plane[0] - top, columns - self.plane[1] - left
        return np.pad(moved, ((0, 0), (top, below), (left, right)))

    def restored(self, volume: Float) -> Float:
        """A volume on the padded grid of the network, back on the grid of the source."""
        top, left = self.corner
        return _resampled(volume[:, top : top + self.plane[0], left : left + self.plane[1]], self.source)

    def inputs(self, channels: Float, neighbours: int) -> Iterator[tuple[int, tuple[int, int], Float]]:
        """Slice by slice and tile by tile what the network takes.

        Parameters
        ----------
        channels
            `(channels, slices, rows, columns)`, each as `resampled` gives it.

        Yields
        ------
        The slice, the tile's corner, and `(channels * (2 * neighbours + 1), *size)`: of each channel the slices from
        before to behind, the outermost repeated beyond the ends.
        """
        slices = channels.shape[1]
        for index in range(slices):
            seen = np.clip(np.arange(index - neighbours, index + neighbours + 1), 0, slices - 1)
            thick = channels[:, seen].reshape(-1, *channels.shape[2:])
            for top, left in self.tiles:
                yield index, (top, left), thick[:, top : top + self.size[0], left : left + self.size[1]]

    def merged(self, answers: Sequence[tuple[tuple[int, int], Float]]) -> Float:
        """The answers `size` of the tiles of one slice as one plane `padded`, weighted down to their borders."""
        if len(answers) == 1 and answers[0][1].shape == self.padded:
            return answers[0][1]
        total = np.zeros(self.padded, dtype=np.float32)
        weight = np.zeros(self.padded, dtype=np.float32)
        share = np.outer(_hill(self.size[0]), _hill(self.size[1])).astype(np.float32)
        for (top, left), answer in answers:
            place = slice(top, top + self.size[0]), slice(left, left + self.size[1])
            total[place] += answer * share
            weight[place] += share
        return total / weight


def plan(source: tuple[int, int], spacing: tuple[float, float], spacing_mm: float, size: tuple[int, int]) -> Plan:
    """The plan for planes of `source` pixels at `spacing`.

    Raises
    ------
    GeometryError
        The planes would become larger than any network's.
    """
    rows, columns = (max(1, round(n * mm / spacing_mm)) for n, mm in zip(source, spacing, strict=True))
    if max(rows, columns) > MAX_PLANE_PX:
        raise GeometryError(
            f"{source[0]} rows x {source[1]} columns at a Pixel Spacing (0028,0030) of {spacing[0]:g} x {spacing[1]:g} "
            f"mm become {rows} x {columns} pixels of {spacing_mm:g} mm; at most {MAX_PLANE_PX} are taken. Correct the "
            "spacing where the images come from, and send them again."
        )
    return Plan(source, (rows, columns), size)


def _starts(length: int, side: int) -> list[int]:
    """Where tiles of `side` begin that cover `length` and overlap by half or more."""
    count = 1 + int(np.ceil(max(0, length - side) / max(1, side // 2)))
    return [int(start) for start in np.linspace(0, length - side, count).round()]


def _hill(side: int) -> npt.NDArray[np.float64]:
    """From near 0 at both ends to 1 in the middle."""
    place = np.arange(side) + 0.5
    return np.asarray(np.maximum(np.minimum(place, side - place) * (2.0 / side), _LEAST_WEIGHT))


def _resampled(volume: Float, shape: tuple[int, int]) -> Float:
    """Every plane brought to `shape`, as models.pixels.resize does it."""
    slices, rows, columns = volume.shape
    moved = volume.astype(np.float32, copy=True)
    if rows != shape[0]:
        flat = axis_weights(rows, shape[0]) @ np.ascontiguousarray(moved.transpose(1, 0, 2)).reshape(rows, -1)
        moved = flat.reshape(shape[0], slices, columns).transpose(1, 0, 2)
    if columns != shape[1]:
        flat = axis_weights(columns, shape[1]) @ np.ascontiguousarray(moved.transpose(2, 0, 1)).reshape(columns, -1)
        moved = flat.reshape(shape[1], slices, shape[0]).transpose(1, 2, 0)
    return np.ascontiguousarray(moved)
