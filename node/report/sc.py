"""The overlay as a Secondary Capture: what every viewer can show, the last resort for those that show nothing else."""

import numpy as np
from highdicom.sc import SCImage
from pydicom.dataset import Dataset

from models.findings import ImageRef, ModelIdentity
from node.report.encode import ascii_text
from node.report.envelope import Envelope, finish, place
from node.report.naming import place_line
from node.report.patient import text_of
from node.report.picture import Caption, Mark, picture
from node.report.subject import Subject, largest_plane
from node.report.words import LABEL, headlines, lesion_line, model_line, notes_of, size_line, standing_notes

MAX_LINES = 4
"""Lesions described in the caption; the rest are only outlined and numbered."""


def planes_to_show(subject: Subject) -> tuple[int, ...]:
    """Of which planes of a source there are pictures: none without lesions or without anything to draw on; of a volume
    those on which its largest lesions are largest."""
    display = subject.source.display
    if display is None or not subject.lesions:
        return ()
    if display.ndim == 2:
        return (subject.source.display_slice,)
    return tuple(dict.fromkeys(largest_plane(subject.findings, lesion) for lesion in subject.lesions[:MAX_LINES]))


def secondary_capture(subject: Subject, plane: int, model: ModelIdentity, cover: Envelope) -> Dataset:
    """The picture of one plane of a source."""
    display = subject.source.display
    if display is None:
        raise ValueError("there is no picture to draw on")
    display = display if display.ndim == 2 else display[plane]
    shown = subject.findings.images[plane]
    header = subject.headers[shown.sop_instance_uid]
    if display.shape != (int(header.Rows), int(header.Columns)):
        raise ValueError(f"the display is {display.shape}, its image is {(int(header.Rows), int(header.Columns))}")
    spacing = subject.findings.spacing
    pixels = picture(
        display, _marks(subject, shown), _caption(subject, plane, model, cover), spacing.row_mm / spacing.column_mm
    )
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
    _describe(ds, subject, shown, header, model)
    finish(ds, cover, header, subject.anatomy)
    return ds


def _describe(ds: Dataset, subject: Subject, shown: ImageRef, header: Dataset, model: ModelIdentity) -> None:
    """What the library leaves out, and what it must not claim: two panels have no orientation."""
    ds.PatientOrientation = None
    ds.ConversionType = "WSD"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.DerivationDescription = ascii_text(f"{LABEL}: outlines of {model.name} {model.version} beside the original")
    ds.BurnedInAnnotation = "YES" if text_of(header, "BurnedInAnnotation") == "YES" else "NO"
    reference = Dataset()
    reference.ReferencedSOPClassUID = text_of(header, "SOPClassUID")
    reference.ReferencedSOPInstanceUID = text_of(header, "SOPInstanceUID")
    if shown.frame is not None:
        reference.ReferencedFrameNumber = shown.frame
    ds.SourceImageSequence = [reference]
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in subject.images[0]:
            setattr(ds, keyword, subject.images[0][keyword].value)


def _marks(subject: Subject, shown: ImageRef) -> list[Mark]:
    marks = []
    for lesion in subject.lesions:
        label = lesion_line(lesion)
        for outline in lesion.outlines:
            if (outline.sop_instance_uid, outline.frame) == (shown.sop_instance_uid, shown.frame):
                marks.append(Mark(outline.points, label, lesion.answer))
                label = str(lesion.number)
    return marks


def _caption(subject: Subject, plane: int, model: ModelIdentity, cover: Envelope) -> Caption:
    found = subject.findings
    lines = [*headlines(found, subject.study, subject.is_projection)]
    lines += [
        f"Lesion {lesion_line(lesion)}" + (f": {sizes}" if (sizes := size_line(lesion.measurements)) else "")
        for lesion in subject.lesions[:MAX_LINES]
    ]
    if len(subject.lesions) > MAX_LINES:
        lines.append(f"and {len(subject.lesions) - MAX_LINES} more")
    notes = (*standing_notes(model, cover.content_qualification), *notes_of(found))
    return Caption(
        label=f"{LABEL}   {model_line(model)}",
        lines=tuple(lines),
        notes=tuple(ascii_text(note) for note in notes),
        shown=place_line(subject, plane),
    )
