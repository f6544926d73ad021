"""The mask as a BINARY Segmentation (66.4) on the untouched grid of its source, one segment per lesion.

A radiograph has no place in space, and the Segmentation IOD then needs none (PS3.3 A.51.3). But viewers do: without
pixel measures, a plane and a Frame of Reference OHIF 3.13 fails for the whole page and dcmqi refuses (VIEWERS.md §0.1).
So a nominal plane is laid in afterwards, in a Frame of Reference of its own that belongs to nothing else: it claims no
position that anybody could relate to another image.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

from models.findings import Answer, Lesion, ModelIdentity
from node.identity import MANUFACTURER, uid_of
from node.report.codes import ABNORMAL, ARTIFICIAL_INTELLIGENCE, finding_of
from node.report.encode import ascii_text
from node.report.envelope import Envelope, finish, place
from node.report.header import decimal
from node.report.patient import text_of
from node.report.subject import Subject, name_of

COLOURS: dict[Answer, tuple[float, float, float]] = {  # CIELab (PS3.3 C.10.7.1.1) of the colours in picture.py
    Answer.MALIGNANT: (60.0, 66.0, 47.0),
    Answer.BENIGN: (80.0, -30.0, -20.0),
    Answer.TUMOUR: (73.0, 33.0, 60.0),
}
OTHER_COLOUR = (83.0, 12.0, 76.0)


def parts(subject: Subject) -> tuple[tuple[Lesion, ...], ...]:
    """Which lesions share a Segmentation: all of a source, as a rule; none where no lesion has a pixel.

    A radiograph whose frames are not whole bytes gets one Segmentation per lesion: in a BINARY object the next frame
    then begins inside a byte (PS3.5 8.1.1), and OHIF on Orthanc 1.10 draws all but the first in the wrong place.
    """
    mask = subject.findings.mask
    found = _numbers_in(mask)
    lesions = tuple(lesion for lesion in subject.lesions if lesion.number in found)
    if not lesions:
        return ()
    if subject.is_projection and mask[0].size % 8:
        return tuple((lesion,) for lesion in lesions)
    return (lesions,)


def segmentation(
    subject: Subject, lesions: Sequence[Lesion], model: ModelIdentity, nominal_plane: bool, cover: Envelope
) -> Dataset:
    """The Segmentation of some lesions of one source, each of which has pixels."""
    mask = _numbered(subject.findings.mask, lesions)
    images, pixels = _stand_in(subject, len(lesions)) if subject.is_projection else (_read_frames(subject), mask)
    ds = Segmentation(
        source_images=images,
        pixel_array=pixels,
        segmentation_type="BINARY",
        segment_descriptions=[_segment(subject, each, number, model) for number, each in enumerate(lesions, start=1)],
        content_label="AI_SEG",
        content_description=ascii_text(f"{model.name} {model.version}", 64),
        omit_empty_frames=True,
        **place(cover),
    )
    if subject.is_projection:
        _put_pixels(ds, mask[0], len(lesions))
        ds.PatientOrientation = _orientation(subject.first)
        if nominal_plane:
            _add_nominal_plane(ds, subject)
    _name_frames(ds, subject)
    _repeat_dimension_uids(ds, cover)
    finish(ds, cover, subject.first, subject.anatomy)
    return ds


def _numbers_in(mask: npt.NDArray[np.uint8]) -> set[int]:
    """The numbers other than 0 in a mask, found in the part that holds any: most of a mask is empty."""
    rows = mask.reshape(-1, mask.shape[-1])
    held = rows[rows.max(axis=1) > 0]
    return set(np.unique(held[:, held.max(axis=0, initial=0) > 0]).tolist()) - {0}


def _numbered(mask: npt.NDArray[np.uint8], lesions: Sequence[Lesion]) -> npt.NDArray[np.uint8]:
    """The mask with these lesions only, numbered from 1 without gaps as segments are (PS3.3 C.8.20.4)."""
    table = np.zeros(256, dtype=np.uint8)
    for number, lesion in enumerate(lesions, start=1):
        table[lesion.number] = number
    same = all(number == lesion.number for number, lesion in enumerate(lesions, start=1))
    return mask if same and int(mask.max()) == len(lesions) else table[mask]


def _read_frames(subject: Subject) -> list[Dataset]:
    """The images of a volume; of a multi-frame one a copy that holds the frames that were read, in their order.

    The others may lie at the same places, with another b-value, and the library takes no two frames of one place.
    """
    numbers = _frame_numbers(subject)
    if not numbers:
        return list(subject.images)
    image = Dataset()
    image.update(subject.images[0])
    frames = image.PerFrameFunctionalGroupsSequence
    del image.PerFrameFunctionalGroupsSequence, image.NumberOfFrames  # the elements are shared, see _stand_in
    image.PerFrameFunctionalGroupsSequence = [frames[number - 1] for number in numbers]
    image.NumberOfFrames = len(numbers)
    return [image]


def _frame_numbers(subject: Subject) -> list[int]:
    """Of the one multi-frame object that a source may be, the frames that were read; () for single frames."""
    frames = [image.frame for image in subject.findings.images]
    return [frame for frame in frames if frame is not None] if len(subject.images) == 1 else []


def _name_frames(ds: Dataset, subject: Subject) -> None:
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


def _stand_in(subject: Subject, segments: int) -> tuple[list[Dataset], npt.NDArray[np.uint8]]:
    """For the library: a radiograph of one row in which each segment has one pixel.

    It goes over an image a dozen times, 50 ms for 3000x4000; all it decides is what the frames are, and they are one
    per segment whatever the pixels say.
    """
    image = Dataset()
    image.update(subject.images[0])
    del image.Rows, image.Columns  # the elements are shared: setting them would change the other's too
    image.Rows, image.Columns = 1, segments
    return [image], np.arange(1, segments + 1, dtype=np.uint8)[None, None]


def _put_pixels(ds: Dataset, mask: npt.NDArray[np.uint8], segments: int) -> None:
    """The true grid and the true frames, packed from the low bit on (PS3.5 8.1.1); each is whole bytes, see `parts`."""
    ds.Rows, ds.Columns = mask.shape
    packed = b"".join(np.packbits(mask == number, bitorder="little").tobytes() for number in range(1, segments + 1))
    ds.PixelData = packed + b"\0" * (len(packed) % 2)


def _segment(subject: Subject, lesion: Lesion, number: int, model: ModelIdentity) -> SegmentDescription:
    identifier, uid = subject.tracking[lesion.number]
    anatomy = subject.anatomy
    description = SegmentDescription(
        segment_number=number,
        segment_label=ascii_text(name_of(lesion), 64),
        segmented_property_category=ABNORMAL,
        segmented_property_type=finding_of(lesion.answer),
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=ascii_text(model.name, 64),
            family=ARTIFICIAL_INTELLIGENCE,
            version=ascii_text(model.version, 64),
            source=MANUFACTURER,
            parameters={"weights_sha256": model.weights_sha256, "trained_on": ascii_text(model.training_data, 64)},
        ),
        tracking_id=ascii_text(identifier, 64),
        tracking_uid=uid,
        anatomic_regions=[anatomy.region] if anatomy.region else None,
        display_color=CIELabColor(*COLOURS.get(lesion.answer, OTHER_COLOUR)),
    )
    if anatomy.region and anatomy.side:
        description.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [CodedConcept(*anatomy.side[:3])]
    return description


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


def _repeat_dimension_uids(ds: Dataset, cover: Envelope) -> None:
    """The library draws this UID at random; ours repeats with the run."""
    uid = uid_of("dimensions", cover.sop_instance_uid)
    for item in (*ds.DimensionOrganizationSequence, *ds.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
