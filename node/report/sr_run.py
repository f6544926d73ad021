"""What the report says of its run: which images were read, which series were used or left out, and how soon it came."""

from collections.abc import Iterator, Sequence

import highdicom.sr as hd
from pydicom.sr.coding import Code

from node.report.codes import (
    IMAGE_LIBRARY,
    IMAGE_LIBRARY_GROUP,
    LEFT_OUT,
    MODALITIES,
    MODALITY,
    SECOND,
    SOURCE,
    USED,
    WAIT,
)
from node.report.encode import ascii_text
from node.report.request import Request
from node.report.subject import Subject
from node.report.words import seconds_waited, used_and_left_out


def image_library(subjects: Sequence[Subject]) -> hd.ContainerContentItem:
    """Every image that was read, one group for each source (TID 1600)."""
    library = hd.ContainerContentItem(IMAGE_LIBRARY, template_id="1600", relationship_type="CONTAINS")
    library.ContentSequence = hd.ContentSequence([_group(subject) for subject in subjects])
    return library


def _group(subject: Subject) -> hd.ContainerContentItem:
    group = hd.ContainerContentItem(IMAGE_LIBRARY_GROUP, relationship_type="CONTAINS")
    modality = MODALITIES.get(str(subject.images[0].Modality))
    told = [hd.CodeContentItem(MODALITY, modality, "HAS ACQ CONTEXT")] if modality else []
    images = [
        hd.ImageContentItem(SOURCE, str(image.SOPClassUID), str(image.SOPInstanceUID), relationship_type="CONTAINS")
        for image in subject.images
    ]
    group.ContentSequence = hd.ContentSequence([*told, *images])
    return group


def series_texts(request: Request) -> Iterator[hd.TextContentItem]:
    """What became of each series of the study."""
    used, left_out, _ = used_and_left_out(request.routing)
    for name, sentences in ((USED, used), (LEFT_OUT, left_out)):
        for sentence in sentences:
            yield hd.TextContentItem(name, ascii_text(sentence), "CONTAINS")


def wait_numbers(request: Request) -> list[tuple[Code, float, Code]]:
    """How long after its last image the study was analysed, where that is known."""
    seconds = seconds_waited(request.now, request.last_image_at)
    return [] if seconds is None else [(WAIT, round(seconds, 1), SECOND)]
