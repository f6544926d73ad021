"""Corrected segmentations as labels to train on: each study as a folder of DICOM files, the label beside its images.

The folder is what `osteon-train` reads as a folder of an archive (training/archive): its images as they were received,
and of each series the newest correction. Names of folders and files are our own numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from node.errors import OsteonError
from node.part10 import file_head
from storage import journal, returned, studies
from storage.classes import is_segmentation
from storage.engine import Connection
from storage.journal import Place


@dataclass(frozen=True, slots=True)
class Exported:
    """How much was written."""

    studies: int
    corrections: int
    images: int


def export(conn: Connection, journal_folder: Path, folder: Path) -> Exported:
    """Write every study that has a corrected segmentation into `folder`, which is made, or must be empty.

    Raises
    ------
    OsteonError
        The folder holds something, or cannot be written.
    Damaged
        An object is not what was stored.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OsteonError(f"{folder} is not empty. Name a folder that is, or is not there yet.")
        labels = _newest(returned.corrections(conn))
        images = 0
        for study_id in sorted({label.study_id for label in labels}):
            own = folder / f"study-{study_id}"
            own.mkdir()
            for label in labels:
                if label.study_id == study_id:
                    _write(own / f"label-{label.document_id}.dcm", journal_folder, label)
            for instance in _images(conn, study_id):
                _write(own / f"image-{instance.id}.dcm", journal_folder, instance)
                images += 1
    except OSError as exc:
        raise OsteonError(f"{folder} cannot be written: {exc.strerror}. Name another folder, or make room.") from exc
    return Exported(len({label.study_id for label in labels}), len(labels), images)


def _newest(corrections: list[returned.Correction]) -> list[returned.Correction]:
    """Of each series the correction that came last; one that names no series stands for itself."""
    last: dict[tuple[int, str], returned.Correction] = {}
    for each in corrections:
        if is_segmentation(each.sop_class_uid):
            last[each.study_id, each.source_series_uid or each.sop_instance_uid] = each
    return list(last.values())


def _images(conn: Connection, study_id: int) -> Iterator[studies.Instance]:
    return (each for each in studies.instances(conn, study_id) if each.is_image and not each.is_own)


def _write(path: Path, journal_folder: Path, stored: returned.Correction | studies.Instance) -> None:
    place: Place = stored.place
    head = file_head(stored.sop_class_uid, stored.sop_instance_uid, stored.transfer_syntax_uid)
    path.write_bytes(head + journal.read(journal_folder, place))
