"""The summary page as an Encapsulated PDF (PS3.3 A.45.1): the answer for people who open no report."""

from collections.abc import Iterator, Sequence

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from models.findings import Findings
from node.identity import MANUFACTURER, MODEL_NAME
from node.report.codes import REPORT_TITLE
from node.report.encode import ascii_text
from node.report.envelope import Envelope, finish
from node.report.page import page_file
from node.report.request import Request
from node.report.subject import Subject
from node.report.summary import summary
from node.report.words import LABEL, headline


def summary_page(findings: Findings, subjects: Sequence[Subject], cover: Envelope, request: Request) -> Dataset:
    """The page of one run."""
    file = page_file(summary(findings, subjects, cover, request))
    first = subjects[0]
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = EncapsulatedPDFStorage, cover.sop_instance_uid
    ds.Modality, ds.SeriesInstanceUID, ds.InstanceNumber = "DOC", cover.series_instance_uid, 1
    ds.SeriesNumber, ds.SeriesDescription = cover.series_number, cover.series_description
    ds.Manufacturer, ds.ManufacturerModelName = MANUFACTURER, MODEL_NAME
    ds.DeviceSerialNumber = cover.serial_number
    ds.ConversionType = "WSD"
    ds.ContentDate, ds.ContentTime, ds.AcquisitionDateTime = "", "", None
    ds.BurnedInAnnotation = "YES"  # the page says who the patient is
    said = headline(findings.answer, findings.probabilities, findings.kind)
    ds.DocumentTitle = ascii_text(f"{LABEL}. {said}", 1024)
    ds.ConceptNameCodeSequence = [_title()]
    ds.SourceInstanceSequence = list(_sources(subjects))
    ds.VerificationFlag = "UNVERIFIED"
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocumentLength = len(file)
    ds.add_new("EncapsulatedDocument", "OB", file)
    finish(ds, cover, first.first, None)
    return ds


def _title() -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = REPORT_TITLE[:3]
    return item


def _sources(subjects: Sequence[Subject]) -> Iterator[Dataset]:
    for subject in subjects:
        for image in subject.images:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
            yield item
