"""Connected regions of a mask in space: which there are, how large they are, and their outlines slice by slice.

The rules of models/regions.py, one dimension up: voxels that touch by a corner belong together; holes of a slice are
filled, so that mask, volume and outlines describe the same body; sizes are those of the union of the voxels' boxes.

Legend: masks are `(slices, rows, columns)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from models.findings import ImageRef, Measurement, MeasurementKind, Outline, Spacing, SpacingSource, Unit
from models.regions import SLICE_TOLERANCE_PX, Region, axes, outline, regions, without_holes
from models.volume import Grid

MAX_MASSES = 255
"""A mask numbers its regions in uint8."""
_TOUCHING = np.ones((3, 3, 3), dtype=bool)
_MM3_PER_CM3 = 1000.0

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Mass:
    """One connected body; `mask` is the part of the volume at `box` that holds it."""

    box: tuple[slice, slice, slice]
    mask: Mask
    voxels: int

    def plane(self, index: int, shape: tuple[int, int]) -> tuple[Region, ...]:
        """Its regions on one slice of the volume, largest first, at their places in the whole plane."""
        inside = index - self.box[0].start
        if not 0 <= inside < len(self.mask):
            return ()
        full = np.zeros(shape, dtype=bool)
        full[self.box[1:]] = self.mask[inside]
        return regions(full, 1.0)

    @property
    def key_slice(self) -> int:
        """The slice of the volume on which it has the largest surface; the first of equals."""
        return int(self.box[0].start) + int(np.argmax(self.mask.sum(axis=(1, 2))))


def masses(mask: Mask, least_voxels: float) -> tuple[Mass, ...]:
    """The bodies of at least `least_voxels`, largest first; equal ones in the order of slices, rows, columns."""
    if not mask.any():
        return ()
    labels, _ = ndimage.label(filled(mask), structure=_TOUCHING)
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[box] == number
        voxels = int(np.count_nonzero(part))
        if voxels >= least_voxels:
            found.append(Mass(box, part, voxels))
    found.sort(key=lambda mass: (-mass.voxels, *(side.start for side in mass.box)))
    return tuple(found[:MAX_MASSES])


def filled(mask: Mask) -> Mask:
    """The mask with the holes of every slice filled."""
    whole = mask.copy()
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        whole[index] = without_holes(mask[index])
    return whole


def paint(found: Sequence[Mass], shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """The mask of a result: 0 where nothing is, else the number of the body, from 1 in the order given."""
    numbers = np.zeros(shape, dtype=np.uint8)
    for number, mass in enumerate(found, start=1):
        numbers[mass.box][mass.mask] = number
    return numbers


def measurements(mass: Mass, grid: Grid) -> tuple[Measurement, ...]:
    """Volume, largest diameter in space, and both axes on the slice with the largest surface."""
    spacing = Spacing(grid.spacing[1], grid.spacing[2], SpacingSource.CALIBRATED)
    region = mass.plane(mass.key_slice, (grid.shape[1], grid.shape[2]))[0]
    long_axis, short_axis = axes(region, spacing)
    return (
        Measurement(MeasurementKind.VOLUME, mass.voxels * grid.voxel_mm3 / _MM3_PER_CM3, Unit.CM3),
        Measurement(MeasurementKind.DIAMETER, diameter(mass, grid), Unit.MM),
        Measurement(MeasurementKind.LONG_AXIS, long_axis, Unit.MM),
        Measurement(MeasurementKind.SHORT_AXIS, short_axis, Unit.MM),
    )


def diameter(mass: Mass, grid: Grid) -> float:
    """The largest distance between two points of the voxels' boxes, mm."""
    points = _row_ends(mass.mask) * np.array(grid.spacing)
    return float(pdist(points[ConvexHull(points).vertices]).max())


def _row_ends(mask: Mask) -> npt.NDArray[np.float64]:
    """Of all corners of the voxels' boxes the first and the last on each line along a row: no other is on the hull."""
    held = mask.any(axis=2)
    columns = mask.shape[2]
    lines = (mask.shape[0] + 1, mask.shape[1] + 1)
    first, last = np.full(lines, columns + 1), np.full(lines, -1)
    starts = np.where(held, mask.argmax(axis=2), columns + 1)
    ends = np.where(held, columns - mask[:, :, ::-1].argmax(axis=2), -1)
    for place in ((slice(a, a + len(mask)), slice(b, b + mask.shape[1])) for a in (0, 1) for b in (0, 1)):
        np.minimum(first[place], starts, out=first[place])
        np.maximum(last[place], ends, out=last[place])
    there = np.argwhere(last >= 0)
    row = there[:, 0], there[:, 1]
    return np.concatenate([np.column_stack([there, side[row]]) for side in (first, last)]).astype(np.float64)


def outlines(mass: Mass, images: Sequence[ImageRef], shape: tuple[int, int]) -> tuple[Outline, ...]:
    """Its outline on every slice, in their order; the parts of a slice the largest first."""
    return tuple(
        Outline(images[index].sop_instance_uid, images[index].frame, outline(region, tolerance_px=SLICE_TOLERANCE_PX))
        for index in range(mass.box[0].start, mass.box[0].stop)
        for region in mass.plane(index, shape)
    )
