"""What the groups of the second report refer to: the segments of the SEG, as IHE AIR has it (TID 1410, 1411).

Apart from the report that people see, because OHIF 3.13 shows a black viewport for an SR with a group that refers to a
segment, whatever else is in it (VIEWERS.md §0.2).
"""

from collections.abc import Mapping

import highdicom.sr as hd

from models.findings import Lesion
from node.report.encode import EncodedObject
from node.report.kind import Kind
from node.report.parts import Making
from node.report.profile import SegmentationType
from node.report.seg import parts, segmentation_name
from node.report.subject import Subject

Segment = hd.ReferencedSegment | hd.ReferencedSegmentationFrame
NO_SEGMENTS: Mapping[tuple[str, int], Segment] = {}


def referenced_segments(making: Making) -> Mapping[tuple[str, int], Segment]:
    """The segment of each lesion that has one, by key of its source and number of the lesion."""
    encoding = making.request.profile.segmentation
    found: dict[tuple[str, int], Segment] = {}
    for subject in making.subjects:
        for lesions in parts(subject, encoding):
            seg = making.parts.get((Kind.SEG, subject.key + segmentation_name(subject, lesions)))
            if seg is not None:
                for number, lesion in enumerate(lesions, start=1):
                    found[subject.key, lesion.number] = _segment(subject, lesion, seg, number, encoding)
    return found


def _segment(subject: Subject, lesion: Lesion, seg: EncodedObject, number: int, encoding: SegmentationType) -> Segment:
    if not subject.is_projection:
        return hd.ReferencedSegment(
            seg.sop_class_uid,
            seg.sop_instance_uid,
            number,
            source_series=hd.SourceSeriesForSegmentation(str(subject.images[0].SeriesInstanceUID)),
        )
    frame = 1 if encoding is SegmentationType.LABELMAP else number
    image = hd.SourceImageForSegmentation(str(subject.images[0].SOPClassUID), str(subject.images[0].SOPInstanceUID))
    referenced = hd.ReferencedSegmentationFrame(seg.sop_class_uid, seg.sop_instance_uid, frame, number, image)
    del referenced[0].ReferencedSOPSequence[0].ReferencedSegmentNumber  # 1C: not beside a frame (PS3.3 C.18.4)
    return referenced
