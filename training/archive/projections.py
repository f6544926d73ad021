"""What a SEG or an RTSTRUCT says of one radiograph, which has no place in space: by what it refers to, pixel by pixel.

A frame or a contour belongs to the image that it names, else to the one that the whole label names, else to the only
one of its study. Contours are in mm from the centre of the first pixel, x to the right along a row and y down a column,
where viewers lay an image without a place; a pixel has the size that its header states, 1 mm where it states none.

Legend: masks `(rows, columns)`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models.encoded import READING_FAULTS
from models.polygons import filled
from training.archive import rtstruct, seg
from training.errors import DataFault

Mask = npt.NDArray[np.bool_]

SAME_PLANE_MM = 0.5
BESIDE = 0.02
"""Share of the rows or columns by which an outline may be drawn over the border of the image."""
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing")
"""(0028,0030), which viewers believe first, and (0018,1164)."""


@dataclass(frozen=True, slots=True, eq=False)
class Outlined:
    """The tumours of one image."""

    mask: Mask
    said: tuple[str, ...]
    """What the labels say of those that lie on this image."""


def images_of(label: Dataset, known: Collection[str]) -> set[str]:
    """Which of the `known` images of its study (SOP Instance UIDs) a label was drawn on.

    Raises
    ------
    DataFault
        It names an image that is none of them, does not tell which it means, or outlines nothing; or it cannot be read.
    """
    homes = _homes(label, known)
    if not homes:
        raise DataFault("A label outlines nothing. Strike it, or draw it again.")
    return set().union(*homes)


def outlined(labels: Sequence[Dataset], image: Dataset, known: Collection[str]) -> Outlined:
    """What labels say of an image.

    Parameters
    ----------
    image
        Its header at least.
    known
        All images of its study, by SOP Instance UID.

    Raises
    ------
    DataFault
        As `images_of`; and a label does not fit the image, or outlines nothing on it.
    """
    mask = np.zeros((int(image.Rows), int(image.Columns)), dtype=np.bool_)
    said: list[str] = []
    for label in labels:
        mine = [str(image.SOPInstanceUID) in each for each in _homes(label, known)]
        found, words = (_segmented if _is_seg(label) else _drawn)(label, image, mine)
        mask |= found
        said += words
    if not mask.any():
        raise DataFault("A label names an image and outlines nothing on it. Strike it, or draw it again.")
    return Outlined(mask, tuple(said))


def _segmented(label: Dataset, image: Dataset, mine: Sequence[bool]) -> tuple[Mask, list[str]]:
    frames = seg.frames_of(label, (int(image.Rows), int(image.Columns)))[np.array(mine)]
    names = seg.names(label)
    return (frames > 0).any(axis=0), [names[number - 1] for number in np.unique(frames[frames > 0])]


def _drawn(label: Dataset, image: Dataset, mine: Sequence[bool]) -> tuple[Mask, list[str]]:
    mask, said = np.zeros((int(image.Rows), int(image.Columns)), dtype=np.bool_), []
    belongs = iter(mine)
    for words, lines in rtstruct.regions(label):
        chosen = [_on(image, rtstruct.points_of(line)) for line in lines if next(belongs)]
        if chosen:
            mask |= filled(chosen, mask.shape)
            said.append(words)
    return mask, said


def _on(image: Dataset, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A contour as (column, row).

    Raises
    ------
    DataFault
        It is not flat, or lies beyond the image.
    """
    if np.ptp(points[:, 2]) > SAME_PLANE_MM:
        raise DataFault(
            f"A contour spans {np.ptp(points[:, 2]):.1f} mm across the plane of the image; {SAME_PLANE_MM} mm is flat. "
            "It was not drawn on a radiograph."
        )
    row_mm, column_mm = _spacing(image)
    placed = points[:, :2] / (column_mm, row_mm)
    size = np.array([int(image.Columns), int(image.Rows)])
    over = float(np.maximum(-0.5 - placed, placed - (size - 0.5)).max())
    if (placed < -0.5 - BESIDE * size).any() or (placed > size - 0.5 + BESIDE * size).any():
        raise DataFault(
            f"A contour lies up to {over:.0f} pixels beyond the image of {size[1]} x {size[0]} pixels of {row_mm:g} x "
            f"{column_mm:g} mm; {BESIDE:.0%} of a side are allowed. It was drawn on another image, or with pixels of "
            "another size. Export it again from this one."
        )
    return placed


def _spacing(image: Dataset) -> tuple[float, float]:
    """Between rows and between columns, mm."""
    for keyword in _SPACINGS:
        try:
            row, column = (float(value) for value in image.get(keyword) or ())
        except READING_FAULTS:
            continue
        if row > 0 and column > 0:
            return row, column
    return 1.0, 1.0


def _homes(label: Dataset, known: Collection[str]) -> list[set[str]]:
    """Of each frame of a segmentation, or each contour of a tumour, the images it belongs to."""
    try:
        each = [_uids(piece) for piece in (_frames(label) if _is_seg(label) else _contours(label))]
        whole = _uids(_named(label))
    except READING_FAULTS as exc:
        raise DataFault(f"A label cannot be read: {type(exc).__name__} {exc}. Write it again.") from exc
    if not whole and not any(each) and len(known) == 1:
        whole = set(known)
    return [_home(own, whole, known) for own in each]


def _home(own: set[str], whole: set[str], known: Collection[str]) -> set[str]:
    named = own or whole
    if not own and len(whole) != 1:
        raise DataFault(
            f"A label does not say which of {len(whole or known)} images it was drawn on. Write it again with "
            "references (0008,1155), or leave only that image in the study."
        )
    if not named <= set(known):
        raise DataFault(
            f"A label refers to an image that is none of the {len(known)} radiographs of its study. Put that image "
            "beside, or strike the label."
        )
    return named


def _is_seg(label: Dataset) -> bool:
    return "SegmentSequence" in label


def _frames(label: Dataset) -> Iterator[list[Dataset]]:
    """What each frame refers to."""
    path = ("DerivationImageSequence", "SourceImageSequence")
    shared = _within([*(label.get("SharedFunctionalGroupsSequence") or [])], *path)
    groups = label.get("PerFrameFunctionalGroupsSequence") or [Dataset()] * int(label.get("NumberOfFrames", 1) or 1)
    for group in groups:
        yield _within([group], *path) or shared


def _contours(label: Dataset) -> Iterator[list[Dataset]]:
    """What each contour refers to, in the order of `rtstruct.regions`."""
    for _, lines in rtstruct.regions(label):
        for line in lines:
            yield _within([line], "ContourImageSequence")


def _named(label: Dataset) -> list[Dataset]:
    """What a label as a whole refers to."""
    if _is_seg(label):
        return _within([label], "ReferencedSeriesSequence", "ReferencedInstanceSequence")
    return _within(
        [label], "ReferencedFrameOfReferenceSequence", "RTReferencedStudySequence", "RTReferencedSeriesSequence",
        "ContourImageSequence",
    )  # fmt: skip


def _within(items: Sequence[Dataset], *path: str) -> list[Dataset]:
    """The items of sequences within sequences."""
    found = list(items)
    for keyword in path:
        found = [inner for item in found for inner in item.get(keyword) or []]
    return found


def _uids(items: Sequence[Dataset]) -> set[str]:
    return {str(uid) for item in items if (uid := item.get("ReferencedSOPInstanceUID"))}
