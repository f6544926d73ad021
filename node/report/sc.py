"""The overlay as a Secondary Capture: what every viewer can show, the last resort for those that show nothing else."""

import numpy as np
from highdicom.sc import SCImage
from pydicom.dataset import Dataset

from models.findings import ModelIdentity
from node.report.encode import ascii_text
from node.report.envelope import Envelope, finish, place
from node.report.patient import text_of
from node.report.picture import Caption, Mark, picture
from node.report.subject import Subject
from node.report.words import LABEL, headline, lesion_line, model_line, notes_of, size_line, standing_notes

MAX_LINES = 4
"""Lesions described in the caption; the rest are only outlined and numbered."""


def secondary_capture(subject: Subject, model: ModelIdentity, cover: Envelope) -> Dataset | None:
    """The picture of one source; None without lesions or without a picture to draw on."""
    display = subject.source.display
    if display is None or not subject.lesions:
        return None
    shown = subject.findings.images[subject.source.display_slice]
    header = subject.headers[shown.sop_instance_uid]
    if display.shape != (int(header.Rows), int(header.Columns)):
        raise ValueError(f"the display is {display.shape}, its image is {(int(header.Rows), int(header.Columns))}")
    spacing = subject.findings.spacing
    pixels = picture(display, _marks(subject), _caption(subject, model, cover), spacing.row_mm / spacing.column_mm)
    ds = SCImage(
        pixel_array=np.ascontiguousarray(pixels),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=subject.images[0].StudyInstanceUID,
        patient_orientation=("L", "F"),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **place(cover),
    )
    _describe(ds, subject, header, model)
    finish(ds, cover, header, subject.anatomy)
    return ds


def _describe(ds: Dataset, subject: Subject, header: Dataset, model: ModelIdentity) -> None:
    """What the library leaves out, and what it must not claim: two panels have no orientation."""
    ds.PatientOrientation = None
    ds.ConversionType = "WSD"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.DerivationDescription = ascii_text(f"{LABEL}: outlines of {model.name} {model.version} beside the original")
    ds.BurnedInAnnotation = "YES" if text_of(header, "BurnedInAnnotation") == "YES" else "NO"
    reference = Dataset()
    reference.ReferencedSOPClassUID = text_of(header, "SOPClassUID")
    reference.ReferencedSOPInstanceUID = text_of(header, "SOPInstanceUID")
    frame = subject.findings.images[subject.source.display_slice].frame
    if frame is not None:
        reference.ReferencedFrameNumber = frame
    ds.SourceImageSequence = [reference]
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in subject.images[0]:
            setattr(ds, keyword, subject.images[0][keyword].value)


def _marks(subject: Subject) -> list[Mark]:
    shown = subject.findings.images[subject.source.display_slice]
    marks = []
    for lesion in subject.lesions:
        label = lesion_line(lesion)
        for outline in lesion.outlines:
            if (outline.sop_instance_uid, outline.frame) == (shown.sop_instance_uid, shown.frame):
                marks.append(Mark(outline.points, label, lesion.answer))
                label = str(lesion.number)
    return marks


def _caption(subject: Subject, model: ModelIdentity, cover: Envelope) -> Caption:
    found = subject.findings
    lines = [headline(found.answer, found.probabilities)]
    lines += [
        f"Lesion {lesion_line(lesion)}" + (f": {sizes}" if (sizes := size_line(lesion.measurements)) else "")
        for lesion in subject.lesions[:MAX_LINES]
    ]
    if len(subject.lesions) > MAX_LINES:
        lines.append(f"and {len(subject.lesions) - MAX_LINES} more")
    notes = (*standing_notes(model, cover.content_qualification), *notes_of(found))
    return Caption(f"{LABEL}   {model_line(model)}", tuple(lines), tuple(ascii_text(note) for note in notes))
