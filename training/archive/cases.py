"""Labelled studies of an archive as the patients of a system: MR images with the lesions of their SEG or RTSTRUCT."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models.errors import ImageError
from models.stack_card import HIGH, LOW, NeedSpec
from models.volume import Grid, Volume, volume
from training.archive import rtstruct, seg
from training.archive.b_values import b_values
from training.archive.folder import Study, load, studies
from training.archive.repeats import stack_of
from training.errors import DataFault
from training.stacks.case import Case

_NO_SIGNAL = {"ADC", "EADC", "FA", "P", "PHASE MAP"}
"""Values of *Image Type* (0008,0008) whose images show no diffusion-weighted signal."""
Frames = dict[str, list[int]]
T = TypeVar("T")
"""What a system makes of a study."""


class OfOneKind(Protocol):
    """A patient of a system that learns one kind for each."""

    @property
    def name(self) -> str:
        """Of the study."""

    @property
    def kind(self) -> int:
        """The place of the kind among the system's kinds."""


P = TypeVar("P", bound=OfOneKind)


def cases(folder: Path, case_of: Callable[[Study], T]) -> tuple[T, ...]:
    """Every labelled study of a folder; a fault names the study it is of.

    Raises
    ------
    DataFault
    """
    made = []
    for study in studies(folder):
        try:
            made.append(case_of(study))
        except (DataFault, ImageError) as exc:
            raise DataFault(f"{folder}, study {study.name}: {exc}") from exc
    return tuple(made)


def patients(
    folder: Path,
    case_of: Callable[[Study], P],
    joined: Callable[[P, P], P],
    kinds: Sequence[str],
) -> tuple[P, ...]:
    """Every patient of a folder; the studies of one patient are one case, so that no split divides them.

    Raises
    ------
    DataFault
        Also when the studies of one patient show several of `kinds`.
    """
    found: dict[str, P] = {}
    for patient, case in cases(folder, lambda study: (study.patient, case_of(study))):
        held = found.get(patient)
        if held is not None and held.kind != case.kind:
            raise DataFault(
                f"{folder}: {held.name} and {case.name} are of one patient and show {kinds[held.kind]} and "
                f"{kinds[case.kind]}. One kind for each patient is learned; leave one of both studies."
            )
        found[patient] = case if held is None else joined(held, case)
    return tuple(found.values())


def one_series(study: Study, need: str) -> Case:
    """A patient with one stack: the series that the label was drawn on."""
    labels = [load(path) for path in (*study.segmentations, *study.structures)]
    series = _series_of(study, labels)
    stack = volume([load(path) for path in study.images[series]])
    return _case(study, {need: stack}, {}, labels)


def pair_of_b_values(study: Study, low: NeedSpec, high: NeedSpec) -> Case:
    """A patient with two stacks of one grid, chosen by their b-values as the node chooses them.

    Where a b-value was taken several times, in several directions or again, its stack is the average.
    """
    images = [load(path) for paths in study.images.values() for path in paths]
    chosen = {LOW: _of_b_value(images, low), HIGH: _of_b_value(images, high)}
    stacks = {name: stack_of(objects, frames) for name, (_, objects, frames) in chosen.items()}
    if not stacks[LOW].grid.is_that_of(stacks[HIGH].grid):
        raise DataFault("The images of the low and of the high b-value lie on different voxels.")
    labels = [load(path) for path in (*study.segmentations, *study.structures)]
    return _case(study, stacks, {name: b for name, (b, _, _) in chosen.items()}, labels)


def _case(study: Study, stacks: Mapping[str, Volume], told: Mapping[str, float], labels: Sequence[Dataset]) -> Case:
    grid = next(iter(stacks.values())).grid
    voxels = {name: stack.voxels for name, stack in stacks.items()}
    return Case(study.name, voxels, lesions_of(labels, grid), grid.spacing, told, patient=study.patient)


def lesions_of(labels: Sequence[Dataset], grid: Grid) -> npt.NDArray[np.uint8]:
    """What all labels of a stack say together: the number of the tumour of every voxel, from 1; 0 where there is none.

    Raises
    ------
    DataFault
    """
    numbers: npt.NDArray[np.uint8] = np.zeros(grid.shape, dtype=np.uint8)
    for label in labels:
        found = seg.lesions(label, grid) if "SegmentSequence" in label else rtstruct.lesions(label, grid)
        if int(numbers.max()) + int(found.max()) > seg.MOST:
            raise DataFault(f"Its labels hold more than {seg.MOST} lesions.")
        numbers[found > 0] = found[found > 0] + numbers.max()
    return numbers


def _series_of(study: Study, labels: Sequence[Dataset]) -> str:
    """The series that every label refers to, or the only one of the study."""
    named = {uid for label in labels for uid in referenced(label)} & study.images.keys()
    chosen = named or set(study.images)
    if len(chosen) != 1:
        raise DataFault(
            f"Its labels refer to {len(named)} of {len(study.images)} series of MR images; one is needed to know which "
            "images they were drawn on. Leave that one and its label in the folder."
        )
    return chosen.pop()


def referenced(label: Dataset) -> set[str]:
    """The series that a segmentation or a structure set says it was drawn on."""
    named = {str(item.get("SeriesInstanceUID", "")) for item in label.get("ReferencedSeriesSequence") or []}
    for frame in label.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            for series in study.get("RTReferencedSeriesSequence") or []:
                named.add(str(series.get("SeriesInstanceUID", "")))
    return named


def _of_b_value(images: Sequence[Dataset], need: NeedSpec) -> tuple[float, list[Dataset], Frames]:
    """The b-value nearest to the best one that serves, the objects that have it, and which frames of them."""
    lowest, highest = need.b_values or (0.0, np.inf)
    best = need.b_best or 0.0
    each = [b_values(ds) if not _is_map(ds) else [] for ds in images]
    serving = {b for told in each for b in told if b is not None and lowest <= b <= highest}
    if not serving:
        seen = sorted({b for told in each for b in told if b is not None})
        raise DataFault(
            f"No image has a b-value from {lowest:g} to {highest:g} s/mm2; there are "
            f"{', '.join(map(str, seen)) or 'none'}."
        )
    chosen = min(serving, key=lambda b: (abs(b - best), b))
    objects, frames = [], {}
    for ds, told in zip(images, each, strict=True):
        mine = [number for number, b in enumerate(told, start=1) if b == chosen]
        if mine:
            objects.append(ds)
            frames[str(ds.SOPInstanceUID)] = mine
    return chosen, objects, frames


def _is_map(ds: Dataset) -> bool:
    """Whether it is a map of the diffusion, which some vendors give a b-value too, or a phase."""
    return not _NO_SIGNAL.isdisjoint(str(part) for part in ds.get("ImageType") or [])
