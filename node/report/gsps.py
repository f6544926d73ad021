"""The outlines as a Grayscale Softcopy Presentation State: for PACS that lay graphics over the untouched image.

The grey scale is that of the source: its modality LUT, its first window, and its polarity, which a presentation state
does not inherit (PS3.3 C.11.6): INVERSE for MONOCHROME1. So are the shape of the pixels and the display shutter.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from highdicom.content import PresentationLUTTransformation
from highdicom.pr import (
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GrayscaleSoftcopyPresentationState,
    SoftcopyVOILUTTransformation,
    TextObject,
)
from pydicom.dataset import Dataset

from models.findings import ImageRef, Lesion, ModelIdentity, Outline
from node.report.display import carry_shutter, shape_pixels, window_function
from node.report.encode import ascii_text
from node.report.envelope import Envelope, finish, place
from node.report.header import numbers, rescales_differently
from node.report.patient import cleaned
from node.report.sr_groups import polyline
from node.report.subject import Subject
from node.report.words import LABEL, headlines, lesion_line, model_line

WINDOW_PERCENTILES = (0.5, 99.5)
LAYER = GraphicLayer(
    layer_name="AI",
    order=1,
    description="Outlines of an AI model - research use",
    display_color=None,
)


def presentation_state(subject: Subject, model: ModelIdentity, cover: Envelope) -> Dataset | None:
    """The presentation state of one source; None when no lesion has an outline, or no grey scale fits all frames."""
    if rescales_differently(list(subject.headers.values())):
        return None
    annotations = [
        annotation
        for image in subject.findings.images
        if (annotation := _annotation(subject, image, model)) is not None
    ]
    if not annotations:
        return None
    inverse = subject.images[0].PhotometricInterpretation == "MONOCHROME1"
    ds = GrayscaleSoftcopyPresentationState(
        referenced_images=list(subject.images),
        content_label="AI_OUTLINES",
        content_description=ascii_text(f"{LABEL}: {model.name} {model.version}", 64),
        graphic_annotations=annotations,
        graphic_layers=[LAYER],
        voi_lut_transformations=_window(subject),
        presentation_lut_transformation=PresentationLUTTransformation("INVERSE" if inverse else "IDENTITY"),
        **place(cover),
    )
    _keep_tables(ds, subject.first)
    shape_pixels(ds, subject.findings.spacing)
    carry_shutter(ds, list(subject.headers.values()))
    finish(ds, cover, subject.first, subject.anatomy)
    return ds


def _annotation(subject: Subject, image: ImageRef, model: ModelIdentity) -> GraphicAnnotation | None:
    """Outlines and texts of one plane."""
    drawn = [
        (lesion, outline)
        for lesion in subject.lesions
        for outline in lesion.outlines
        if outline.sop_instance_uid == image.sop_instance_uid
        and outline.frame == image.frame
        and len(outline.points) >= 3
    ]
    if not drawn:
        return None
    labelled = {lesion.number: (lesion, outline) for lesion, outline in reversed(drawn)}
    skeleton = subject.image(image.sop_instance_uid)
    texts = [_label(subject, lesion, outline, skeleton) for lesion, outline in labelled.values()]
    return _Annotation(
        skeleton,
        image.frame,
        [_outline(subject, lesion, outline) for lesion, outline in drawn],
        [_heading(subject, model), *texts],
    )


class _Annotation(GraphicAnnotation):
    """An item of Graphic Annotation Sequence (PS3.3 C.10.5), laid out here.

    The library's own constructor reads through the tables of the standard for each item, to learn that an MR image has
    pixels: a quarter of a second for a stack of 50 slices.
    """

    def __init__(
        self, image: Dataset, frame: int | None, outlines: Sequence[GraphicObject], texts: Sequence[TextObject]
    ) -> None:
        Dataset.__init__(self)
        reference = Dataset()
        reference.ReferencedSOPClassUID = image.SOPClassUID
        reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
        if frame is not None:
            reference.ReferencedFrameNumber = frame
        self.GraphicLayer = LAYER.GraphicLayer
        for keyword, items in (
            ("ReferencedImageSequence", [reference]),
            ("GraphicObjectSequence", outlines),
            ("TextObjectSequence", texts),
        ):
            self.add_new(keyword, "SQ", list(items))


def _outline(subject: Subject, lesion: Lesion, outline: Outline) -> GraphicObject:
    identifier, uid = subject.tracking[lesion.number]
    return GraphicObject(
        graphic_type="POLYLINE",
        graphic_data=polyline(outline, subject),
        units="PIXEL",
        tracking_id=ascii_text(identifier, 64),
        tracking_uid=uid,
    )


def _heading(subject: Subject, model: ModelIdentity) -> TextObject:
    found = subject.findings
    lines = [LABEL, *headlines(found, subject.study, subject.is_projection), model_line(model)]
    return TextObject(
        text_value="\r\n".join(lines), units="DISPLAY", bounding_box=(0.01, 0.01, 0.6, 0.1), text_justification="LEFT"
    )


def _label(subject: Subject, lesion: Lesion, outline: Outline, image: Dataset) -> TextObject:
    """The lesion's line above its outline, or below it where the image ends."""
    identifier, uid = subject.tracking[lesion.number]
    points = polyline(outline, subject)
    return TextObject(
        text_value=lesion_line(lesion),
        units="PIXEL",
        bounding_box=_box(points, int(image.Columns), int(image.Rows)),
        anchor_point=(float(points[0, 0]), float(points[0, 1])),
        anchor_point_visible=False,
        text_justification="LEFT",
        tracking_id=ascii_text(identifier, 64),
        tracking_uid=uid,
    )


def _box(points: npt.NDArray[np.float32], columns: int, rows: int) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a text about a third of the image wide and a thirtieth high, inside the image."""
    width, height = columns / 3.0, rows / 30.0
    left = min(float(points[:, 0].min()), columns - width)
    above = float(points[:, 1].min()) - 1.2 * height
    top = above if above >= 0 else min(float(points[:, 1].max()) + 0.2 * height, rows - height)
    return left, top, left + width, top + height


def _window(subject: Subject) -> list[SoftcopyVOILUTTransformation] | None:
    """The first window of the source for all its images, or one measured; None where it has a VOI LUT."""
    source = subject.first
    centre, width = numbers(source, "WindowCenter"), numbers(source, "WindowWidth")
    if source.get("VOILUTSequence"):
        return None
    function = window_function(source)
    if not centre or not width or width[0] <= 0 or (function is None and width[0] < 1):
        return None if subject.is_projection else _measured_window(subject)
    return [SoftcopyVOILUTTransformation(window_center=centre[0], window_width=width[0], voi_lut_function=function)]


def _measured_window(subject: Subject) -> list[SoftcopyVOILUTTransformation] | None:
    """A window over nearly all values of a volume that states none, which would else be shown as good as black."""
    if subject.source.display is None:
        return None
    low, high = np.percentile(subject.source.display.astype(np.float32), WINDOW_PERCENTILES)
    return [SoftcopyVOILUTTransformation(window_center=float(low + high) / 2, window_width=max(1.0, float(high - low)))]


def _keep_tables(ds: Dataset, source: Dataset) -> None:
    """A modality or VOI LUT of the source takes the place of slope or window."""
    if modality := [cleaned(item) for item in source.get("ModalityLUTSequence") or ()]:
        for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
            ds.pop(keyword, None)
        ds.ModalityLUTSequence = modality[:1]
    if tables := [cleaned(item) for item in source.get("VOILUTSequence") or ()]:
        item = Dataset()
        item.VOILUTSequence = tables[:1]
        ds.SoftcopyVOILUTSequence = [item]
