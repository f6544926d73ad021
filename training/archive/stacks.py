"""Every labelled series of a study by itself, for the systems that look at several series of a patient."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models.errors import ImageError
from models.slices import normalise
from models.volume import Grid, Volume, volume
from training.archive import rtstruct, seg
from training.archive.cases import lesions_of, referenced
from training.archive.folder import Study, load
from training.errors import DataFault

log = logging.getLogger(__name__)

LEAST_SLICES = 3
_PLANES = ("sagittal", "coronal", "axial")
"""By the axis of the patient that the slices are stacked along (PS3.3 C.7.6.2)."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """One series and its tumours."""

    stack: Volume
    lesions: npt.NDArray[np.uint8]
    """`(slices, rows, columns)`: 0, else the number of the tumour."""
    header: Dataset
    """Of its first image."""

    @property
    def grey(self) -> npt.NDArray[np.uint8]:
        """The stack as the networks of hand and spine are trained on it: stretched, in 8 bit."""
        return np.asarray(np.rint(normalise(self.stack.voxels) * 255.0), dtype=np.uint8)

    @property
    def plane(self) -> str:
        """Axial, coronal or sagittal, whichever is nearest."""
        return _PLANES[int(np.abs(self.stack.grid.directions[0]).argmax())]


def labelled(study: Study) -> tuple[tuple[Labelled, ...], tuple[str, ...]]:
    """The series that a label was drawn on, all where the study is known to be normal; and what the labels say.

    Raises
    ------
    DataFault
        A label does not say which of several series it was drawn on, or does not fit it; no series is a stack.
    """
    labels = [load(path) for path in (*study.segmentations, *study.structures)]
    by_series: dict[str, list[Dataset]] = {uid: [] for uid in study.images} if study.is_normal else {}
    for label in labels:
        for uid in _series_of(label, study):
            by_series.setdefault(uid, []).append(label)
    found = [one for uid, mine in by_series.items() if (one := _labelled(study, uid, mine)) is not None]
    if not found:
        raise DataFault(f"None of its series is a stack of {LEAST_SLICES} slices or more with a label.")
    said = tuple(name for label in labels for name in _names(label))
    return tuple(found), said


def square_mm(grid: Grid) -> float:
    """The side of a pixel.

    Raises
    ------
    DataFault
        Pixels are not square.
    """
    rows, columns = grid.spacing[1:]
    if abs(rows - columns) > 0.01 * rows:
        raise DataFault(f"Its pixels are {rows:.3f} x {columns:.3f} mm; square ones are read. Resample the images.")
    return float(rows)


def weighting(ds: Dataset) -> str:
    """How an image is weighted, for figures by weighting: t1, t1c, t2, fs (without fat) or stir.

    By times and words alone; the node looks closer (node/facts), and no network is told.
    """
    words = str(ds.get("SeriesDescription", "")).lower()
    echo, repetition, inversion = (
        float(ds.get(keyword) or 0.0) for keyword in ("EchoTime", "RepetitionTime", "InversionTime")
    )
    if "stir" in words or 80.0 <= inversion <= 260.0:
        return "stir"
    if 0.0 < echo <= 30.0 and 0.0 < repetition <= 1200.0:
        return "t1c" if ds.get("ContrastBolusAgent") else "t1"
    options = ds.get("ScanOptions") or ()
    suppressed = "FS" in ([options] if isinstance(options, str) else list(options))
    return "fs" if suppressed or "fs" in words.split() else "t2"


def _series_of(label: Dataset, study: Study) -> set[str]:
    named = referenced(label) & study.images.keys()
    if not named and len(study.images) == 1:
        return set(study.images)
    if not named:
        raise DataFault(
            f"A label names none of the {len(study.images)} series of MR images. Leave the one it was drawn on, or "
            "write the label again from it."
        )
    return named


def _labelled(study: Study, uid: str, labels: Sequence[Dataset]) -> Labelled | None:
    """A series with its lesions; None of one without a label that is no stack, as a localizer is."""
    images = [load(path) for path in study.images[uid]]
    try:
        stack = volume(images)
    except ImageError as exc:
        if labels:
            raise
        log.info("Study %s: a series without a label is no stack (%s).", study.name, exc.outcome)
        return None
    if not labels and stack.grid.shape[0] < LEAST_SLICES:
        return None
    return Labelled(stack, lesions_of(labels, stack.grid), images[0])


def _names(label: Dataset) -> tuple[str, ...]:
    return seg.names(label) if "SegmentSequence" in label else rtstruct.names(label)
