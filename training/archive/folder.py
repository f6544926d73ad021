"""A folder of DICOM files, at any depth, as studies: their images by series, and the objects that label them."""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    EnhancedMRImageStorage,
    MRImageStorage,
    RTStructureSetStorage,
    SegmentationStorage,
)

from models.encoded import READING_FAULTS
from training.errors import DataFault

log = logging.getLogger(__name__)

NORMALS = "normals.txt"
"""Beside the studies: the names of those that show no tumour, one on a line. Without a label nobody looked."""
_TAGS = ("SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID")
LABEL_MAP = UID("1.2.840.10008.5.1.4.1.1.66.7")
"""Label Map Segmentation Storage (PS3.4 B.5), which pydicom does not know yet."""
_SEGMENTATIONS = (SegmentationStorage, LABEL_MAP)


@dataclass(frozen=True, slots=True)
class Images:
    """Which images a system looks at."""

    words: str
    classes: tuple[UID, ...]
    """*SOP Class UID* (0008,0016)."""
    are_single: bool = False
    """Whether each file is looked at by itself: where it lies right in the folder it then names its study."""


MR = Images("MR images", (MRImageStorage, EnhancedMRImageStorage))
RADIOGRAPHS = Images(
    "radiographs (CR, DX)", (ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation), are_single=True
)


@dataclass(slots=True)
class Study:
    """The files of one study."""

    name: str
    """That of the folder its first image lies in, of those in the folder that was named; different for each study."""
    patient: str = ""
    """*Patient ID* (0010,0020), else the name: what splits go by. It is never written anywhere."""
    images: dict[str, list[Path]] = field(default_factory=dict)
    """Images by *Series Instance UID* (0020,000E)."""
    segmentations: list[Path] = field(default_factory=list)
    structures: list[Path] = field(default_factory=list)
    is_normal: bool = False
    """Said to show no tumour."""

    @property
    def is_labelled(self) -> bool:
        """Whether somebody said where its tumours are, or that there are none."""
        return bool(self.segmentations or self.structures or self.is_normal)


def holds_dicom(folder: Path) -> bool:
    """Whether any file below is one of PS3.10."""
    return any(_is_dicom(path) for path in folder.rglob("*") if path.is_file())


def studies(folder: Path, images: Images = MR) -> tuple[Study, ...]:
    """The labelled studies, by name; those without a label are counted in the log and left out.

    Raises
    ------
    DataFault
        None is labelled, or `normals.txt` names a study that is labelled, or not there.
    """
    found: dict[str, Study] = {}
    for path in sorted(folder.rglob("*")):
        header = _header(path)
        if header is not None:
            _add(found, folder, path, header, images)
    made = {study.name: study for study in found.values() if study.images}
    _mark_normals(folder, made)
    labelled = tuple(made[name] for name in sorted(made) if made[name].is_labelled)
    if not labelled:
        raise DataFault(
            f"{folder} holds {len(made)} studies of {images.words}, none with a segmentation (SEG) or a structure set "
            f"(RTSTRUCT) of its study, none named in {NORMALS}. Put the labels beside the images."
        )
    if len(labelled) < len(made):
        log.info(
            "Left out %d of %d studies: nobody said where their tumours are.", len(made) - len(labelled), len(made)
        )
    return labelled


def load(path: Path, *, with_pixels: bool = True) -> Dataset:
    """A file with everything in it, or with all but its pixels.

    Raises
    ------
    DataFault
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a sender wrote too long is no reason not to read it
            return pydicom.dcmread(path, stop_before_pixels=not with_pixels)
    except READING_FAULTS as exc:
        raise DataFault(f"{path} cannot be read: {type(exc).__name__}. Fetch it again.") from exc


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _header(path: Path) -> Dataset | None:
    """What the file is, None of one that is no DICOM or that cannot be read so far."""
    if not path.is_file() or not _is_dicom(path):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
    except READING_FAULTS as exc:
        log.warning("Left out %s: it cannot be read (%s).", path, type(exc).__name__)
        return None


def _add(found: dict[str, Study], folder: Path, path: Path, header: Dataset, images: Images) -> None:
    uid, kind = str(header.get("StudyInstanceUID", "")), str(header.get("SOPClassUID", ""))
    study = found.setdefault(uid, Study(""))
    if kind in images.classes:
        study.name = study.name or _name(folder, path, {study.name for study in found.values()}, images)
        study.images.setdefault(str(header.get("SeriesInstanceUID", "")), []).append(path)
        study.patient = study.patient or str(header.get("PatientID", "") or "").strip() or study.name
    elif kind in _SEGMENTATIONS:
        study.segmentations.append(path)
    elif kind == RTStructureSetStorage:
        study.structures.append(path)


def _name(folder: Path, path: Path, taken: set[str], images: Images) -> str:
    parts = path.relative_to(folder).parts
    name = parts[0] if len(parts) > 1 else path.stem if images.are_single else folder.name
    if name not in taken:
        return name
    return next(made for number in range(2, len(taken) + 3) if (made := f"{name}-{number}") not in taken)


def _mark_normals(folder: Path, made: Mapping[str, Study]) -> None:
    path = folder / NORMALS
    if not path.is_file():
        return
    for name in filter(None, map(str.strip, path.read_text(encoding="utf-8").splitlines())):
        if name not in made:
            raise DataFault(f"{path} names {name}, and there is no such study. Correct it, or strike it.")
        if made[name].is_labelled:
            raise DataFault(f"{path} says that {name} shows no tumour, and a label lies beside it. Strike one of both.")
        made[name].is_normal = True
