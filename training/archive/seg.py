"""Reads a DICOM Segmentation (PS3.3 A.51), label maps among them, onto the grid of the stack it was drawn on.

Frames are matched to slices by where they lie, as a viewer does, not by what they refer to. Each segment is one lesion,
in their order; a segment whose category is anatomy is none.
"""

import warnings

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models.encoded import READING_FAULTS
from models.errors import GeometryError
from models.planes import Plane, planes_of
from models.volume import Grid
from training.errors import DataFault

Lesions = npt.NDArray[np.uint8]

ANATOMY = ("123037004", "91723000", "85756007", "T-D0050", "T-D000A")
"""Codes of *Segmented Property Category* (0062,0003) that are no lesion: anatomical structure, tissue, body substance
(SCT, and their predecessors of SRT), CID 7150."""
SAME_PLACE = 0.25
"""Share of a voxel by which a frame may lie beside the voxels of the stack."""
HALF = 0.5
"""From this share on, a voxel of a fractional segment belongs to it."""
MOST = 255


def lesions(ds: Dataset, grid: Grid) -> Lesions:
    """The number of the lesion of every voxel, from 1; 0 where there is none.

    Raises
    ------
    DataFault
        No frame can be told from the data set, or frames lie on other voxels than those of the stack.
    """
    pixels = frames_of(ds, grid.shape[1:])
    try:
        planes = planes_of(ds, len(pixels), None, [])
    except GeometryError as exc:
        raise DataFault(f"The segmentation says not where its frames lie: {exc}") from exc
    except READING_FAULTS as exc:
        raise DataFault(f"The segmentation cannot be read: {exc}. Write it again.") from exc
    made = np.zeros(grid.shape, dtype=np.uint8)
    for plane, frame in zip(planes, pixels, strict=True):
        if frame.any():
            made[slice_of(plane, grid)][frame > 0] = frame[frame > 0]
    return made


def frames_of(ds: Dataset, shape: tuple[int, ...]) -> Lesions:
    """The number of the lesion of every pixel of every frame `(frames, rows, columns)`, wherever the frames lie.

    Raises
    ------
    DataFault
        It cannot be read, or its frames are not of the `shape` of the images, rows and columns.
    """
    try:
        count = int(ds.get("NumberOfFrames", 1) or 1)
        pixels = _labelled(ds, count) if _is_map(ds) else _segmented(ds, count)
    except READING_FAULTS as exc:
        raise DataFault(f"The segmentation cannot be read: {exc}. Write it again.") from exc
    if pixels.shape[1:] != shape:
        raise DataFault(f"The segmentation has frames of {pixels.shape[1:]} pixels, the images {shape}. Resample it.")
    return pixels


def names(ds: Dataset) -> tuple[str, ...]:
    """What is said of each lesion, in their order: the segment's label, its type in words, and its description."""
    made = []
    for item in _solid(ds):
        kinds = [str(code.get("CodeMeaning", "")) for code in item.get("SegmentedPropertyTypeCodeSequence") or []]
        words = (str(item.get("SegmentLabel", "")), *kinds, str(item.get("SegmentDescription", "")))
        made.append("; ".join(word for word in words if word))
    return tuple(made)


def slice_of(plane: Plane, grid: Grid) -> int:
    """Which slice of a stack lies where the plane does.

    Raises
    ------
    DataFault
        None does, to a quarter of a voxel at both ends of the plane.
    """
    far = np.array([grid.shape[1] - 1, grid.shape[2] - 1]) * plane.spacing
    corners = plane.position, plane.position + far[0] * plane.column + far[1] * plane.row
    first, last = ((corner - grid.origin) @ grid.directions.T / grid.spacing for corner in corners)
    place = round(float(first[0]))
    wanted = np.array([place, 0.0, 0.0]), np.array([place, grid.shape[1] - 1.0, grid.shape[2] - 1.0])
    beside = max(float(np.abs(first - wanted[0]).max()), float(np.abs(last - wanted[1]).max()))
    if not 0 <= place < grid.shape[0] or beside > SAME_PLACE:
        raise DataFault(
            f"A frame of the segmentation lies on other voxels than the images: {beside:.2f} voxels beside them. "
            "Resample it to the images it was drawn on."
        )
    return place


def _solid(ds: Dataset) -> list[Dataset]:
    """The segments that are lesions: no anatomy, and not the background, which a label map may number 0."""
    found = []
    for item in ds.SegmentSequence:
        category = item.get("SegmentedPropertyCategoryCodeSequence")
        is_anatomy = bool(category) and category[0].get("CodeValue") in ANATOMY
        if int(item.SegmentNumber) and not is_anatomy:
            found.append(item)
    return found


def _numbers(ds: Dataset) -> dict[int, int]:
    """The number of the lesion of each segment that is one."""
    numbers = {int(item.SegmentNumber): place for place, item in enumerate(_solid(ds), start=1)}
    if len(numbers) > MOST:
        raise ValueError(f"{len(numbers)} segments, {MOST} at most are told apart")
    return numbers


def _is_map(ds: Dataset) -> bool:
    """Whether each voxel holds the number of its segment (*Segmentation Type* (0062,0001), PS3.3 C.8.20.2)."""
    return str(ds.get("SegmentationType", "")) == "LABELMAP"


def _labelled(ds: Dataset, frames: int) -> Lesions:
    """`(frames, rows, columns)` of lesion numbers, of a label map."""
    if int(ds.BitsAllocated) not in (8, 16):
        raise ValueError(f"a label map has 8 or 16 bits for each voxel, this one {ds.BitsAllocated}")
    table = np.zeros(1 << int(ds.BitsAllocated), dtype=np.uint8)
    for segment, number in _numbers(ds).items():
        table[segment] = number
    return np.asarray(table[_stored(ds, frames)])


def _segmented(ds: Dataset, frames: int) -> Lesions:
    """`(frames, rows, columns)` of lesion numbers, where each frame is of one segment."""
    numbers = np.array(_segments(ds), dtype=np.uint8)
    return np.asarray(_inside(ds, frames) * numbers[:, None, None])


def _segments(ds: Dataset) -> list[int]:
    """The number of the lesion of each frame; 0 of one that shows something else."""
    numbers = _numbers(ds)
    shared = ds.get("SharedFunctionalGroupsSequence") or [Dataset()]
    return [
        numbers.get(int((group.get(_NAMED) or shared[0][_NAMED].value)[0].ReferencedSegmentNumber), 0)
        for group in ds.PerFrameFunctionalGroupsSequence
    ]


_NAMED = "SegmentIdentificationSequence"


def _inside(ds: Dataset, frames: int) -> npt.NDArray[np.bool_]:
    """`(frames, rows, columns)`."""
    kind = str(ds.get("SegmentationType", ""))
    if kind not in ("BINARY", "FRACTIONAL"):
        raise ValueError(f"its type is {kind!r}; BINARY, FRACTIONAL and LABELMAP are read")
    pixels = _stored(ds, frames)
    return pixels > 0 if kind == "BINARY" else pixels >= HALF * float(ds.MaximumFractionalValue)


def _stored(ds: Dataset, frames: int) -> npt.NDArray[np.integer]:
    """`(frames, rows, columns)` as stored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a wrong length, which the next line finds
        stored = ds.pixel_array
    return np.asarray(stored).reshape(frames, int(ds.Rows), int(ds.Columns))
