"""Reads an RT Structure Set (PS3.3 A.19) onto the grid of a stack.

Contours are matched to slices by where they lie: the nearest slice, half its distance to the next at most. The
references of a contour to images are not looked at, because in collections that were anonymised or exported twice they
name images that are not there (sts-mr is one).

Legend: contours `(points, 3)`, mm in the patient's coordinates.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models.encoded import READING_FAULTS
from models.polygons import filled
from models.volume import Grid
from training.errors import DataFault
from training.stacks.case import numbered

Points = npt.NDArray[np.float64]

CLOSED = "CLOSED_PLANAR"
SAME_MM = 0.05
"""Contours that lie this near to one another are of one plane."""
_TUMOUR = re.compile(r"gtv|tumou?r|lesion|mass|sarcoma", re.IGNORECASE)
_KINDS = re.compile(
    r"malign|benign|metast|myeloma|plasm[ao]cytoma|lymphoma|chordoma|carcinoma|h(?:a)?emangioma|angioma|schwannoma|"
    r"neurilemmoma|neurinoma|neurofibroma|meningioma|osteoid|osteoblastoma|lipoma|ganglion|giant[-_ ]*cell|gct|cyst|"
    r"chondroma|exostosis|osteoma\b|fibroma|ewing|adamantinoma",
    re.IGNORECASE,
)
"""Kinds by which those are called that the systems for hand, knee and spine learn to tell."""
_ELSE = re.compile(r"o?edema", re.IGNORECASE)


def lesions(ds: Dataset, grid: Grid) -> npt.NDArray[np.uint8]:
    """The number of the tumour of every voxel, from 1: what is connected is one; 0 where there is none.

    Raises
    ------
    DataFault
        It cannot be read, does not say which of several regions is the tumour, or lies elsewhere than the stack.
    """
    try:
        found = contours(ds)
    except READING_FAULTS as exc:
        raise DataFault(f"The structure set cannot be read: {exc}. Export it again.") from exc
    return numbered(mask_of(found, grid))


def contours(ds: Dataset) -> list[Points]:
    """The closed contours of the tumour.

    With several regions the tumour is every one that is interpreted as GTV (3006,00A4), else every one that is named as
    a tumour is, else every one that is named for a kind of tumour; an oedema is none.

    Raises
    ------
    DataFault
        None of several regions is called a tumour.
    """
    return [points_of(line) for _, lines in regions(ds) for line in lines]


def names(ds: Dataset) -> tuple[str, ...]:
    """What is said of each region of the tumour: its name, and its description.

    Raises
    ------
    DataFault
        As `contours`.
    """
    return tuple(said for said, _ in regions(ds))


def regions(ds: Dataset) -> list[tuple[str, list[Dataset]]]:
    """Of each region of the tumour what is said of it, and its closed contours.

    Raises
    ------
    DataFault
        As `contours`.
    """
    wanted = _wanted(ds)
    told = {int(item.ROINumber): str(item.get("ROIDescription", "") or "") for item in ds.StructureSetROISequence}
    lines: dict[int, list[Dataset]] = {number: [] for number in wanted}
    for item in ds.ROIContourSequence:
        drawn = item.get("ContourSequence") or []
        mine = lines.get(int(item.ReferencedROINumber), [])
        mine += [line for line in drawn if line.ContourGeometricType == CLOSED]
    return [("; ".join(filter(None, (name, told[number]))), lines[number]) for number, name in wanted.items()]


def points_of(line: Dataset) -> Points:
    """The points of a contour as they are written."""
    return np.array([float(value) for value in line.ContourData], dtype=np.float64).reshape(-1, 3)


def _wanted(ds: Dataset) -> dict[int, str]:
    """The regions that are the tumour, by number, and what they are called."""
    names = {int(item.ROINumber): str(item.get("ROIName", "")) for item in ds.StructureSetROISequence}
    said = {
        int(item.ReferencedROINumber): str(item.get("RTROIInterpretedType", "") or "")
        for item in ds.get("RTROIObservationsSequence") or []
    }
    wanted = list(names)
    if len(names) > 1:
        solid = [number for number in names if not _ELSE.search(names[number])]
        wanted = [number for number in solid if said.get(number) == "GTV"]
        for pattern in (_TUMOUR, _KINDS):
            wanted = wanted or [number for number in solid if pattern.search(names[number])]
    if not wanted:
        raise DataFault(
            f"The structure set has {len(names)} regions, and none is interpreted as GTV or named as a tumour. Name it "
            "so in the program that drew it."
        )
    return {number: names[number] for number in wanted}


def mask_of(found: Sequence[Points], grid: Grid) -> npt.NDArray[np.bool_]:
    """The voxels inside: of each slice the contours of the plane nearest to it, by the even-odd rule.

    Raises
    ------
    DataFault
        A contour is not parallel to the slices, or lies beyond the stack.
    """
    mask = np.zeros(grid.shape, dtype=np.bool_)
    placed = [_placed(points, grid) for points in found]
    heights = np.array([height for height, _ in placed])
    for place in np.unique(np.rint(heights)).astype(int):
        mine = np.flatnonzero(np.rint(heights) == place)
        nearest = heights[mine][np.abs(heights[mine] - place).argmin()]
        chosen = mine[np.abs(heights[mine] - nearest) * grid.spacing[0] <= SAME_MM]
        mask[place] = filled([placed[number][1] for number in chosen], grid.shape[1:])
    return mask


def _placed(points: Points, grid: Grid) -> tuple[float, Points]:
    """How many slices from the first a contour lies, and its points as (column, row)."""
    index = (points - grid.origin) @ grid.directions.T / grid.spacing
    height, spread = float(index[:, 0].mean()), float(np.ptp(index[:, 0]))
    if spread > 0.5:
        raise DataFault(
            f"A contour goes through {spread:.1f} slices: it was drawn in another plane than that of the images."
        )
    if not -0.5 <= height <= grid.shape[0] - 0.5:
        beyond = max(-height, height - grid.shape[0] + 1) * grid.spacing[0]
        raise DataFault(
            f"A contour lies {beyond:.1f} mm beyond the images, more than half the distance of slices "
            f"({grid.spacing[0]:.1f} mm): these are not the images it was drawn on."
        )
    return height, index[:, [2, 1]]
