"""The report: Comprehensive 3D SR or an older class, TID 1500, root (126000, DCM), with outlines as SCOORD.

What viewers made of it decides its form (VIEWERS.md §0): outlines are SCOORD polylines and never references to a
segment; numbers that a reader must see at the outline are NUM items, the probabilities first, because OHIF prints five.
A group without any coordinates takes the whole report down in OHIF 3.13, so the answer for an image or the study
(TID 1501) is inferred from regions too: a mark beside which it can be read, and the border of the image it is about.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import highdicom.sr as hd
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from models.findings import Answer, Findings, ModelIdentity
from node.identity import MANUFACTURER, MODEL_NAME, uid_of
from node.report.codes import (
    ARTIFICIAL_INTELLIGENCE,
    MR_PROCEDURE,
    PRIVATE_SCHEME,
    PRIVATE_SCHEME_NAME,
    X_RAY_PROCEDURE,
)
from node.report.encode import EncodedObject, ascii_text
from node.report.envelope import Envelope, finish
from node.report.profile import ReportClass
from node.report.references import hierarchy, observer
from node.report.request import DocumentRef, Request
from node.report.segment_sr import NO_SEGMENTS, Segment
from node.report.sr_groups import IMAGE_LINE, NO_KINDS, Group, Kinds, answer_group, lesion_group
from node.report.sr_run import image_library, series_texts, wait_numbers
from node.report.subject import Subject
from node.report.words import headline, notes_of, standing_notes, superseding_notes

CLASSES = {
    ReportClass.COMPREHENSIVE_3D: Comprehensive3DSRStorage,
    ReportClass.COMPREHENSIVE: ComprehensiveSRStorage,
    ReportClass.ENHANCED: EnhancedSRStorage,
}
"""Nothing in the tree needs more than the least of them: regions are SCOORD, no item refers to another."""


def report(
    findings: Findings,
    subjects: Sequence[Subject],
    others: Sequence[EncodedObject],
    cover: Envelope,
    request: Request,
    segments: Mapping[tuple[str, int], Segment] = NO_SEGMENTS,
) -> Dataset:
    """The report of one run.

    Parameters
    ----------
    others
        The objects of the same run that come before: named as evidence.
    segments
        What lesions refer to instead of carrying their outlines, see node/report/segment_sr.py.
    """
    algorithm = _algorithm(findings.model)
    lesions = [
        lesion_group(subject, lesion, algorithm, segments.get((subject.key, lesion.number)))
        for subject in subjects
        for lesion in subject.lesions
    ]
    first = subjects[0]
    ds = _document(cover, request.profile.report)
    request = replace(request, previous=_replaced(request.previous, str(ds.SOPClassUID)))
    content = hd.MeasurementReport(
        observation_context=hd.ObservationContext(observer(cover)),
        procedure_reported=_procedure(first),
        imaging_measurements=[*lesions, *_answers(findings, subjects, cover, request)],
    )
    # before the measurements, where TID 1500 has it
    content[0].ContentSequence.insert(len(content[0].ContentSequence) - 1, image_library(subjects))
    ds.CodingSchemeIdentificationSequence = [
        CodingSchemeIdentificationItem(PRIVATE_SCHEME, name=PRIVATE_SCHEME_NAME, responsible_organization=MANUFACTURER)
    ]
    ds.CurrentRequestedProcedureEvidenceSequence = hierarchy(_evidence(subjects, others))
    if request.previous:
        ds.PredecessorDocumentsSequence = hierarchy(request.previous)
    ds.update(content[0])
    finish(ds, cover, first.first, None)
    return ds


def _replaced(previous: Sequence[DocumentRef], sop_class_uid: str) -> tuple[DocumentRef, ...]:
    """Of the earlier reports those of the same class, if any: a peer that gets another class has seen no others."""
    return tuple(each for each in previous if each.sop_class_uid == sop_class_uid) or tuple(previous)


def _document(cover: Envelope, report_class: ReportClass) -> Dataset:
    """SR Document Series, General Equipment and SR Document General (PS3.3 C.17.1, C.17.2), as far as always the same.

    Laid out here and not by highdicom's document class, which copies and checks the finished tree once more and so
    takes four times as long as the tree itself; its templates have made every item of that tree valid.
    """
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CLASSES[report_class], cover.sop_instance_uid
    ds.Modality, ds.SeriesInstanceUID, ds.InstanceNumber = "SR", cover.series_instance_uid, 1
    ds.SeriesNumber, ds.SeriesDescription = cover.series_number, cover.series_description
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.Manufacturer, ds.ManufacturerModelName = MANUFACTURER, MODEL_NAME
    ds.DeviceSerialNumber = cover.serial_number
    ds.ContentDate, ds.ContentTime = "", ""
    ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag = "COMPLETE", "UNVERIFIED", "PRELIMINARY"
    ds.PerformedProcedureCodeSequence = []
    return ds


def _procedure(subject: Subject) -> Code:
    """From CID 100, which validators insist on."""
    return X_RAY_PROCEDURE if subject.is_projection else MR_PROCEDURE


def _algorithm(model: ModelIdentity) -> hd.AlgorithmIdentification:
    """TID 4019, with the hash that tells which weights spoke."""
    return hd.AlgorithmIdentification(
        name=ascii_text(model.name),
        version=ascii_text(model.version),
        parameters=[
            f"weights_sha256={model.weights_sha256}",
            f"trained_on={ascii_text(model.training_data)}",
            f"provider={ascii_text(model.provider)}",
        ],
        family=ARTIFICIAL_INTELLIGENCE,
        manufacturer=MANUFACTURER,
    )


def _answers(findings: Findings, subjects: Sequence[Subject], cover: Envelope, request: Request) -> list[Group]:
    """What is said of images where there are several, then of the study."""
    algorithm = _algorithm(findings.model)
    groups: list[Group] = []
    if len(subjects) > 1:
        groups += [_image_group(subject, number, cover, algorithm) for number, subject in enumerate(subjects, start=1)]
    assessed = [subject for subject in subjects if subject.findings.answer is not Answer.NOT_ASSESSED]
    comments = [
        headline(findings.answer, findings.probabilities, findings.kind),
        *superseding_notes(request.run, len(request.previous)),
        *standing_notes(findings.model, request.profile.content_qualification),
        *findings.notes,
        *(notes_of(subjects[0].findings) if len(subjects) == 1 else ()),
    ]
    groups.append(
        answer_group(
            ("AI answer for the study", uid_of("answer", cover.report_uid)),
            findings.answer,
            findings.probabilities,
            assessed or subjects,
            comments,
            algorithm,
            findings.terms,
            Kinds(findings.kinds, findings.kind),
            told=wait_numbers(request),
        )
    )
    groups[-1][0].ContentSequence.extend(series_texts(request))
    return groups


def _image_group(subject: Subject, number: int, cover: Envelope, algorithm: hd.AlgorithmIdentification) -> Group:
    found = subject.findings
    return answer_group(
        (
            f"AI answer for {'image' if subject.is_projection else 'series'} {number}",
            uid_of("answer", cover.report_uid, subject.key),
        ),
        found.answer,
        found.probabilities,
        [subject],
        [headline(found.answer, found.probabilities), *notes_of(found)],
        algorithm,
        found.terms,
        NO_KINDS,
        IMAGE_LINE,
    )


def _evidence(subjects: Sequence[Subject], others: Sequence[EncodedObject]) -> Iterator[DocumentRef]:
    """Every image that was read and every object of this run."""
    for subject in subjects:
        for image in subject.images:
            series, sop_class, sop = image.SeriesInstanceUID, image.SOPClassUID, image.SOPInstanceUID
            yield DocumentRef(str(image.StudyInstanceUID), str(series), str(sop_class), str(sop))
    study = str(subjects[0].images[0].StudyInstanceUID)
    for other in others:
        yield DocumentRef(study, other.series_instance_uid, other.sop_class_uid, other.sop_instance_uid)
