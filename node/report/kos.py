"""Key Object Selections (TID 2010): the images that a reader should open first, and the objects that are withdrawn.

A selection of key images names the slices on which each lesion is largest, and the pictures made of them. A rejection
note (IHE Image Object Change Management) names every object of an earlier run, and nothing else, under a title that
tells an archive to hide them; archives that do not know the titles show it as one more selection.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

import highdicom.sr as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import KeyObjectSelectionDocumentStorage

from models.findings import ImageRef, Lesion, SourceFindings
from node.identity import MANUFACTURER, MODEL_NAME
from node.report.codes import (
    KEY_OBJECT_DESCRIPTION,
    OF_INTEREST,
    REJECTED_FOR_PATIENT_SAFETY,
    REJECTED_FOR_QUALITY,
    SOURCE,
)
from node.report.encode import EncodedObject, ascii_text
from node.report.envelope import Envelope, finish
from node.report.kind import Kind
from node.report.patient import text_of
from node.report.references import hierarchy, observer
from node.report.request import DocumentRef
from node.report.subject import Subject, largest_plane
from node.report.words import LABEL

_DOCUMENTS = (
    "1.2.840.10008.5.1.4.1.1.88.",  # SR and KOS
    "1.2.840.10008.5.1.4.1.1.11.",  # presentation states
    "1.2.840.10008.5.1.4.1.1.104.",  # encapsulated documents
)
"""Beginnings of the SOP classes of ours that are no image; they are named as COMPOSITE."""


class Rejection(StrEnum):
    """Why the objects of an earlier run are withdrawn; CID 7011 of DICOM, of which a node can know two."""

    QUALITY = "quality"
    """A newer run, with more images or a newer model, takes their place."""
    PATIENT_SAFETY = "patient-safety"
    """They are wrong for this patient, for example made of images that were filed under the wrong one."""


_TITLES = {Rejection.QUALITY: REJECTED_FOR_QUALITY, Rejection.PATIENT_SAFETY: REJECTED_FOR_PATIENT_SAFETY}
_REASONS = {
    Rejection.QUALITY: "Superseded by a newer analysis of the same study.",
    Rejection.PATIENT_SAFETY: "Withdrawn: these results are not valid for this patient.",
}


def key_images(
    subjects: Sequence[Subject], others: Sequence[EncodedObject], headline: str, cover: Envelope
) -> Dataset | None:
    """The selection of one run; None where nothing was outlined.

    Parameters
    ----------
    others
        The objects of the same run that come before it; its Secondary Captures are selected too.
    headline
        The answer for the study, in words.
    """
    shown = [(subject, image) for subject in subjects for image in dict.fromkeys(_key_planes(subject))]
    if not shown:
        return None
    study = str(subjects[0].images[0].StudyInstanceUID)
    pictures = [
        DocumentRef(study, each.series_instance_uid, each.sop_class_uid, each.sop_instance_uid)
        for each in others
        if each.kind is Kind.SC
    ]
    refs = [(_reference(subject, image), image.frame) for subject, image in shown]
    words = f"{LABEL}: key images. {headline}"
    return _document(OF_INTEREST, words, [*refs, *((picture, None) for picture in pictures)], subjects[0].first, cover)


def rejection_note(
    source: Dataset, rejected: Sequence[DocumentRef], reason: Rejection, cover: Envelope
) -> Dataset | None:
    """The note that withdraws objects of an earlier run; None where there is nothing to withdraw.

    Parameters
    ----------
    source
        The header of an image of the study: patient and study are its.
    rejected
        Every object of the earlier run, and nothing else.

    Raises
    ------
    ValueError
        When an object belongs to another study than the source.
    """
    if not rejected:
        return None
    study = text_of(source, "StudyInstanceUID")
    strangers = sum(ref.study_instance_uid != study for ref in rejected)
    if strangers:
        raise ValueError(f"{strangers} of {len(rejected)} objects to withdraw belong to another study than the note")
    refs = [(ref, None) for ref in rejected]
    return _document(_TITLES[reason], f"{LABEL}: {_REASONS[reason]}", refs, source, cover)


def _key_planes(subject: Subject) -> Iterator[ImageRef]:
    """Of each lesion the plane on which it is largest; of one that is boxes only, every plane that has a box."""
    for lesion in subject.lesions:
        if _has_mask(subject.findings, lesion):
            yield subject.findings.images[largest_plane(subject.findings, lesion)]
        else:
            yield from (ImageRef(each.sop_instance_uid, each.frame) for each in lesion.outlines)


def _has_mask(findings: SourceFindings, lesion: Lesion) -> bool:
    return bool(np.any(findings.mask == lesion.number))


def _reference(subject: Subject, image: ImageRef) -> DocumentRef:
    shown = subject.image(image.sop_instance_uid)
    return DocumentRef(
        study_instance_uid=str(shown.StudyInstanceUID),
        series_instance_uid=str(shown.SeriesInstanceUID),
        sop_class_uid=str(shown.SOPClassUID),
        sop_instance_uid=image.sop_instance_uid,
    )


def _document(
    title: Code, words: str, refs: Sequence[tuple[DocumentRef, int | None]], source: Dataset, cover: Envelope
) -> Dataset:
    """A Key Object Selection Document (PS3.3 A.35.4); each reference with the frame that is meant, if one is."""
    content = hd.ContainerContentItem(name=title, template_id="2010")
    content.ContentSequence = hd.ContentSequence(
        [
            *observer(cover),
            hd.TextContentItem(KEY_OBJECT_DESCRIPTION, ascii_text(words), "CONTAINS"),
            *_items(refs),
        ]
    )
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = KeyObjectSelectionDocumentStorage, cover.sop_instance_uid
    ds.Modality, ds.SeriesInstanceUID, ds.InstanceNumber = "KO", cover.series_instance_uid, 1
    ds.SeriesNumber, ds.SeriesDescription = cover.series_number, cover.series_description
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.Manufacturer, ds.ManufacturerModelName = MANUFACTURER, MODEL_NAME
    ds.DeviceSerialNumber = cover.serial_number
    ds.ContentDate, ds.ContentTime = "", ""
    ds.CurrentRequestedProcedureEvidenceSequence = hierarchy(ref for ref, _ in refs)
    ds.update(content)
    finish(ds, cover, source, None)
    return ds


def _items(refs: Iterable[tuple[DocumentRef, int | None]]) -> Iterator[hd.ImageContentItem | hd.CompositeContentItem]:
    for ref, frame in refs:
        if ref.sop_class_uid.startswith(_DOCUMENTS):
            yield hd.CompositeContentItem(SOURCE, ref.sop_class_uid, ref.sop_instance_uid, "CONTAINS")
        else:
            frames = None if frame is None else [frame]
            yield hd.ImageContentItem(
                SOURCE, ref.sop_class_uid, ref.sop_instance_uid, frames, relationship_type="CONTAINS"
            )
