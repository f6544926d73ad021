"""The frames of a Segmentation or a map, laid on those of its source: what the library cannot or should not do.

A radiograph has no place in space, and the Segmentation IOD then needs none (PS3.3 A.51.3). But viewers do: without
pixel measures, a plane and a Frame of Reference OHIF 3.13 fails for the whole page and dcmqi refuses (VIEWERS.md §0.1).
So a nominal plane is laid in afterwards, in a Frame of Reference of its own that belongs to nothing else: it claims no
position that anybody could relate to another image.
"""

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from node.identity import uid_of
from node.report.envelope import Envelope
from node.report.header import decimal
from node.report.patient import text_of
from node.report.subject import Subject


def read_frames(subject: Subject) -> list[Dataset]:
    """The images of a volume; of a multi-frame one a copy that holds the frames that were read, in their order.

    The others may lie at the same places, with another b-value, and the library takes no two frames of one place.
    """
    numbers = _frame_numbers(subject)
    if not numbers:
        return list(subject.images)
    image = Dataset()
    image.update(subject.images[0])
    frames = image.PerFrameFunctionalGroupsSequence
    del image.PerFrameFunctionalGroupsSequence, image.NumberOfFrames  # the elements are shared, see stand_in
    image.PerFrameFunctionalGroupsSequence = [frames[number - 1] for number in numbers]
    image.NumberOfFrames = len(numbers)
    return [image]


def _frame_numbers(subject: Subject) -> list[int]:
    """Of the one multi-frame object that a source may be, the frames that were read; () for single frames."""
    frames = [image.frame for image in subject.findings.images]
    return [frame for frame in frames if frame is not None] if len(subject.images) == 1 else []


def name_frames(ds: Dataset, subject: Subject) -> None:
    """The frames that were read by their numbers in their own object, not in the copy that the library saw."""
    numbers = _frame_numbers(subject)
    if not numbers or subject.is_projection:
        return
    sources = {
        id(source): source  # the segments of a plane share it
        for frame in ds.PerFrameFunctionalGroupsSequence
        for derivation in frame.DerivationImageSequence
        for source in derivation.SourceImageSequence
    }
    for source in sources.values():
        source.ReferencedFrameNumber = numbers[int(source.ReferencedFrameNumber) - 1]


def stand_in(subject: Subject, segments: int) -> tuple[list[Dataset], npt.NDArray[np.uint8]]:
    """For the library: a radiograph of one row in which each segment has one pixel.

    It goes over an image a dozen times, 50 ms for 3000x4000; all it decides is what the frames are, and they are one
    per segment whatever the pixels say.
    """
    image = Dataset()
    image.update(subject.images[0])
    del image.Rows, image.Columns  # the elements are shared: setting them would change the other's too
    image.Rows, image.Columns = 1, segments
    return [image], np.arange(1, segments + 1, dtype=np.uint8)[None, None]


def _orientation(source: Dataset) -> list[str] | None:
    """*Patient Orientation* (0020,0020) as the source states it, empty when it does not (PS3.3 C.7.6.1, type 2C)."""
    stated = text_of(source, "PatientOrientation").split("\\")
    return stated if len(stated) == 2 else None


def _add_nominal_plane(ds: Dataset, subject: Subject) -> None:
    spacing = subject.findings.spacing
    ds.FrameOfReferenceUID = uid_of("nominal plane", str(ds.SOPInstanceUID))
    ds.PositionReferenceIndicator = ""
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing = [decimal(spacing.row_mm), decimal(spacing.column_mm)]
    measures.SliceThickness = "1"
    orientation.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    shared = ds.SharedFunctionalGroupsSequence[0]
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    for frame in ds.PerFrameFunctionalGroupsSequence:
        position = Dataset()
        position.ImagePositionPatient = ["0", "0", "0"]
        frame.PlanePositionSequence = [position]


def repeat_dimension_uids(ds: Dataset, cover: Envelope) -> None:
    """The library draws this UID at random; ours repeats with the run."""
    uid = uid_of("dimensions", cover.sop_instance_uid)
    for item in (*ds.DimensionOrganizationSequence, *ds.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


def place_projection(ds: Dataset, subject: Subject, nominal_plane: bool) -> None:
    """What an object on the grid of a radiograph says of its place: its orientation, and a nominal plane if wanted."""
    ds.PatientOrientation = _orientation(subject.first)
    if nominal_plane:
        _add_nominal_plane(ds, subject)
