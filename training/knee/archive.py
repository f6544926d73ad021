"""Labelled DICOM studies of radiographs (CR, DX): each image with a segmentation (SEG) or a structure set (RTSTRUCT).

Whether its tumours are benign or malignant the labels of an image must say (training/archive/verdicts.py). An image
without a label is left out, for nobody looked; a study named in normals.txt shows no tumour on any. Pixels come the way
they come in the node: `models.images`.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models.errors import ImageError
from models.images import radiograph
from training.archive.folder import RADIOGRAPHS, Study, load, studies
from training.archive.projections import images_of, outlined
from training.archive.verdicts import kind_of
from training.errors import DataFault

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Labelled:
    """One image of a study, and the labels that were drawn on it."""

    path: Path
    kind: int
    """0 normal, 1 benign, 2 malignant."""
    patient: str
    labels: tuple[Path, ...]
    beside: frozenset[str]
    """All images of its study, by SOP Instance UID."""

    def mask(self) -> npt.NDArray[np.float32]:
        """Its tumours `(rows, columns)`: 0 or 1.

        Raises
        ------
        DataFault
        """
        labels = [load(path) for path in self.labels]
        try:
            return outlined(labels, _header(self.path), self.beside).mask.astype(np.float32)
        except DataFault as exc:
            raise DataFault(f"{self.path}: {exc}") from exc


def read_images(folder: Path) -> tuple[Labelled, ...]:
    """Every image of a folder of which somebody said what it shows.

    Raises
    ------
    DataFault
        With the study, or the file, that it is of.
    """
    made: list[Labelled] = []
    for study in studies(folder, RADIOGRAPHS):
        try:
            made += _images(study)
        except DataFault as exc:
            raise DataFault(f"{folder}, study {study.name}: {exc}") from exc
    return tuple(made)


def pixels(path: Path) -> npt.NDArray[np.float32]:
    """An image `(rows, columns)` as the node sees it: modality values, bone bright.

    Raises
    ------
    DataFault
    """
    try:
        return radiograph(load(path)).pixels
    except ImageError as exc:
        raise DataFault(f"{path} is no radiograph that is read here: {exc} Fetch it again, or take it away.") from exc


def _images(study: Study) -> list[Labelled]:
    headers = {path: _header(path) for paths in study.images.values() for path in paths}
    beside = frozenset(str(ds.SOPInstanceUID) for ds in headers.values())
    if study.is_normal:
        return [Labelled(path, 0, study.patient, (), beside) for path in headers]
    labels = {path: load(path) for path in (*study.segmentations, *study.structures)}
    drawn_on = {path: images_of(label, beside) for path, label in labels.items()}
    made = []
    for path, ds in headers.items():
        mine = tuple(label for label, uids in drawn_on.items() if str(ds.SOPInstanceUID) in uids)
        if mine:
            kind = _kind([labels[label] for label in mine], path, ds, beside)
            made.append(Labelled(path, kind, study.patient, mine, beside))
    if len(made) < len(headers):
        log.info(
            "Study %s: left out %d of %d images without a label.", study.name, len(headers) - len(made), len(headers)
        )
    return made


def _kind(labels: list[Dataset], path: Path, ds: Dataset, beside: frozenset[str]) -> int:
    try:
        return kind_of(outlined(labels, ds, beside).said)
    except DataFault as exc:
        raise DataFault(f"image {path.name}: {exc}") from exc


def _header(path: Path) -> Dataset:
    """All but the pixels.

    Raises
    ------
    DataFault
        It lacks what a label is matched by.
    """
    ds = load(path, with_pixels=False)
    missing = [keyword for keyword in ("SOPInstanceUID", "Rows", "Columns") if not ds.get(keyword)]
    if missing:
        raise DataFault(f"{path} has no {' and no '.join(missing)}. Fetch it again, or take it away.")
    return ds
