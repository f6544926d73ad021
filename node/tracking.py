"""Which lesions of a run are those of an earlier run of the study: they keep their tracking UIDs. Pure.

Two lesions are one when their outlines overlap on the same planes: the same image (SOP Instance UID and frame), or
images of one Frame of Reference whose planes have the same place, directions, spacing and size, as those of a b-value
and of the ADC map made from it. Overlap is the Dice coefficient over all planes of both, so that it does not matter on
how many more slices a lesion is seen when a late series or late slices came. Each lesion is matched once, and all
together so that the sum of the overlaps is the largest (Hungarian method).
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from scipy.optimize import linear_sum_assignment

from models.encoded import READING_FAULTS
from models.errors import GeometryError
from models.findings import Findings, Outline
from models.planes import planes_of
from models.polygons import filled
from node.report.earlier import EarlierLesion

SAME_LESION = 0.2
"""Dice coefficient from which on two outlines are of one lesion. Two runs of one model on one slice agree far better; a
lesion that was seen on one of nine slices at first and on all of them later still reaches it."""
_PIXEL_CENTRE = 0.5  # coordinates of a report are those of edges (PS3.3 C.18.6.1.2)

Key = tuple[str, int]
Place = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Surface:
    """What a lesion covers on one plane: `mask` is the part of it at (`row`, `column`)."""

    row: int
    column: int
    mask: npt.NDArray[np.bool_]

    def common(self, other: "_Surface") -> int:
        """Pixels that both cover."""
        top, left = max(self.row, other.row), max(self.column, other.column)
        bottom = min(self.row + self.mask.shape[0], other.row + other.mask.shape[0])
        right = min(self.column + self.mask.shape[1], other.column + other.mask.shape[1])
        if bottom <= top or right <= left:
            return 0
        parts = (
            each.mask[top - each.row : bottom - each.row, left - each.column : right - each.column]
            for each in (self, other)
        )
        return int(np.count_nonzero(np.logical_and(*parts)))


@dataclass(slots=True)
class Places:
    """Where planes lie: the same for two images whose pixels cover the same tissue."""

    header: Callable[[str], Dataset | None]
    """The header of an image by its SOP Instance UID; None when it is not at hand."""
    _known: dict[str, tuple[Place, ...]] = field(default_factory=dict)

    def of(self, sop_instance_uid: str, frame: int | None) -> Place:
        """The place of a plane; that of a radiograph is the image itself."""
        if sop_instance_uid not in self._known:
            ds = self.header(sop_instance_uid)
            self._known[sop_instance_uid] = _places(ds) if ds is not None else ()
        planes, number = self._known[sop_instance_uid], (frame or 1) - 1
        return planes[number] if 0 <= number < len(planes) else (sop_instance_uid, frame)


def kept_tracking(
    findings: Findings, earlier: Sequence[EarlierLesion], places: Places, others: frozenset[str] = frozenset()
) -> dict[Key, str]:
    """The tracking UIDs to keep, by first image of the source and number of the lesion (`Request.tracking_uids`).

    Parameters
    ----------
    earlier
        Lesions of earlier runs that no other model of this run has matched yet.
    others
        The names of the other models that answer in this run: what they saw earlier is theirs to match.
    """
    now = {
        (source.images[0].sop_instance_uid, lesion.number): _surfaces(lesion.outlines, places)
        for source in findings.sources
        for lesion in source.lesions
    }
    kept: dict[Key, str] = {}
    own = [lesion for lesion in earlier if lesion.model == findings.model.name]
    ownerless = [lesion for lesion in earlier if lesion.model != findings.model.name and lesion.model not in others]
    for candidates in (own, ownerless):
        left = {key: surfaces for key, surfaces in now.items() if key not in kept}
        kept |= _matched(left, candidates, places)
    return kept


def _matched(
    now: Mapping[Key, Mapping[Place, _Surface]], earlier: Sequence[EarlierLesion], places: Places
) -> dict[Key, str]:
    if not now or not earlier:
        return {}
    before = [_surfaces(lesion.outlines, places) for lesion in earlier]
    overlaps = np.array([[_dice(surfaces, former) for former in before] for surfaces in now.values()])
    overlaps[overlaps < SAME_LESION] = 0.0
    rows, columns = linear_sum_assignment(overlaps, maximize=True)
    keys = list(now)
    return {
        keys[row]: earlier[column].tracking_uid
        for row, column in zip(rows, columns, strict=True)
        if overlaps[row, column] > 0.0 and earlier[column].tracking_uid
    }


def _dice(one: Mapping[Place, _Surface], other: Mapping[Place, _Surface]) -> float:
    common = sum(one[place].common(other[place]) for place in one.keys() & other.keys())
    both = sum(int(np.count_nonzero(each.mask)) for each in itertools.chain(one.values(), other.values()))
    return 2.0 * common / both if both else 0.0


def _surfaces(outlines: Sequence[Outline], places: Places) -> dict[Place, _Surface]:
    """What a lesion covers, by plane."""
    drawn: dict[Place, list[npt.NDArray[np.float64]]] = defaultdict(list)
    for each in outlines:
        if len(each.points) >= 3:
            drawn[places.of(each.sop_instance_uid, each.frame)].append(np.asarray(each.points, dtype=np.float64))
    return {place: _surface(polygons) for place, polygons in drawn.items()}


def _surface(polygons: Sequence[npt.NDArray[np.float64]]) -> _Surface:
    points = np.concatenate(polygons)
    column, row = np.floor(points.min(axis=0)).astype(int).tolist()
    width, height = (np.ceil(points.max(axis=0)).astype(int) - [column, row]).tolist()
    moved = [polygon - [column + _PIXEL_CENTRE, row + _PIXEL_CENTRE] for polygon in polygons]
    return _Surface(row, column, filled(moved, (max(1, height), max(1, width))))


def _places(ds: Dataset) -> tuple[Place, ...]:
    """The place of each plane of an image; () where the header says none, as a radiograph's."""
    try:
        planes = planes_of(ds, int(ds.get("NumberOfFrames", 1) or 1), None, [])
        shared = (str(ds.get("FrameOfReferenceUID", "")), int(ds.Rows), int(ds.Columns))
    except (GeometryError, *READING_FAULTS):
        return ()
    if not shared[0]:
        return ()
    return tuple(
        (*shared, *_rounded(plane.position, 2), *_rounded((*plane.row, *plane.column), 4), *_rounded(plane.spacing, 4))
        for plane in planes
    )


def _rounded(values: Sequence[float] | npt.NDArray[np.float64], digits: int) -> tuple[float, ...]:
    """Without a difference between 0.0 and -0.0."""
    return tuple(round(float(value), digits) + 0.0 for value in values)
