"""The mask as a BINARY Segmentation (66.4) on the untouched grid of its source, one segment per lesion.

A radiograph has no place in space, and the Segmentation IOD then needs none (PS3.3 A.51.3). But viewers do: without
pixel measures, a plane and a Frame of Reference OHIF 3.13 fails for the whole page and dcmqi refuses (VIEWERS.md §0.1).
So a nominal plane is laid in afterwards, in a Frame of Reference of its own that belongs to nothing else: it claims no
position that anybody could relate to another image.
"""

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
}
OTHER_COLOUR = (83.0, 12.0, 76.0)


def segmentation(subject: Subject, model: ModelIdentity, cover: Envelope, nominal_plane: bool) -> Dataset | None:
    """The Segmentation of one source; None when no lesion has a pixel: an empty mask never makes a SEG."""
    mask, present = _segments(subject)
    if not present:
        return None
    ds = Segmentation(
        source_images=list(subject.images),
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=[_segment(subject, lesion, number, model) for number, lesion in present.items()],
        content_label="AI_SEG",
        content_description=ascii_text(f"{model.name} {model.version}", 64),
        omit_empty_frames=True,
        **place(cover),
    )
    if subject.is_projection:
        ds.PatientOrientation = orientation_of(subject.first)
        if nominal_plane:
            _add_nominal_plane(ds, subject)
    _repeat_dimension_uids(ds, cover)
    finish(ds, cover, subject.first, subject.anatomy)
    return ds


def _segments(subject: Subject) -> tuple[npt.NDArray[np.uint8], dict[int, Lesion]]:
    """The mask with segment numbers from 1 without gaps (PS3.3 C.8.20.4), and the lesion of each."""
    mask = subject.findings.mask
    found = set(np.unique(mask[mask != 0]).tolist())
    numbers = dict(enumerate((lesion for lesion in subject.lesions if lesion.number in found), start=1))
    if found != set(numbers) or any(number != lesion.number for number, lesion in numbers.items()):
        table = np.zeros(256, dtype=np.uint8)
        for number, lesion in numbers.items():
            table[lesion.number] = number
        mask = table[mask]
    return _all_frames(mask, subject), numbers


def _all_frames(mask: npt.NDArray[np.uint8], subject: Subject) -> npt.NDArray[np.uint8]:
    """For a multi-frame source: one plane per frame of it, empty where the findings name none."""
    frames = [image.frame for image in subject.findings.images]
    if len(subject.images) != 1 or frames[0] is None:
        return mask
    full = np.zeros((int(subject.images[0].NumberOfFrames), *mask.shape[1:]), dtype=np.uint8)
    full[[frame - 1 for frame in frames if frame is not None]] = mask
    return full


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


def orientation_of(source: Dataset) -> list[str] | None:
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
