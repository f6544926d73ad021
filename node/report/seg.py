"""The mask as a Segmentation on the untouched grid of its source, one segment per lesion: BINARY as a rule (66.4).

FRACTIONAL says of each pixel full or nothing, for software that wants shares; how probable each pixel is says
node/report/map.py. LABELMAP (66.7) holds each plane once, its pixels the numbers of segments.

Where its frames lie, and what a radiograph says of its place: node/report/frames.py.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

from models.findings import Lesion, ModelIdentity
from node.identity import MANUFACTURER
from node.report.codes import ABNORMAL, ARTIFICIAL_INTELLIGENCE, finding_of
from node.report.colours import colour_of
from node.report.encode import ascii_text
from node.report.envelope import Envelope, finish, place
from node.report.frames import name_frames, place_projection, read_frames, repeat_dimension_uids, stand_in
from node.report.profile import Profile, SegmentationType
from node.report.subject import Subject, name_of


def encoding_of(subject: Subject, wanted: SegmentationType) -> SegmentationType:
    """The encoding of the Segmentation of a source, where the choice depends on its grid."""
    if wanted is not SegmentationType.WHOLE_BYTES:
        return wanted
    begins_inside_a_byte = subject.findings.mask[0].size % 8 and not subject.is_projection  # of those see `parts`
    return SegmentationType.FRACTIONAL if begins_inside_a_byte else SegmentationType.BINARY


def parts(subject: Subject, encoding: SegmentationType = SegmentationType.BINARY) -> tuple[tuple[Lesion, ...], ...]:
    """Which lesions share a Segmentation: all of a source, as a rule; none where no lesion has a pixel.

    A radiograph whose frames are not whole bytes gets one Segmentation per lesion: in a BINARY object the next frame
    then begins inside a byte (PS3.5 8.1.1), and OHIF on Orthanc 1.10 draws all but the first in the wrong place.
    """
    mask = subject.findings.mask
    found = _numbers_in(mask)
    lesions = tuple(lesion for lesion in subject.lesions if lesion.number in found)
    if not lesions:
        return ()
    if encoding is SegmentationType.BINARY and subject.is_projection and mask[0].size % 8:
        return tuple((lesion,) for lesion in lesions)
    return (lesions,)


def segmentation(
    subject: Subject, lesions: Sequence[Lesion], model: ModelIdentity, profile: Profile, cover: Envelope
) -> Dataset:
    """The Segmentation of some lesions of one source, each of which has pixels, as the profile wants it."""
    mask = _numbered(subject.findings.mask, lesions)
    images, pixels = stand_in(subject, len(lesions)) if subject.is_projection else (read_frames(subject), mask)
    if profile.segmentation is SegmentationType.FRACTIONAL:  # the library scales what it is given where it lies
        pixels = np.stack([pixels == number for number in range(1, len(lesions) + 1)], axis=-1).astype(np.float32)
    ds = Segmentation(
        source_images=images,
        pixel_array=pixels,
        segmentation_type=profile.segmentation.value,
        fractional_type="OCCUPANCY",
        segment_descriptions=[_segment(subject, each, number, model) for number, each in enumerate(lesions, start=1)],
        content_label="AI_SEG",
        content_description=ascii_text(f"{model.name} {model.version}", 64),
        omit_empty_frames=profile.omit_empty_frames,
        **place(cover),
    )
    if subject.is_projection:
        put_pixels(ds, mask[0], len(lesions), profile.segmentation)
        place_projection(ds, subject, profile.nominal_plane)
    if profile.segmentation is SegmentationType.LABELMAP:
        background, *segments = ds.SegmentSequence  # OHIF 3.13 takes the first item for segment 1, colour and all
        ds.SegmentSequence = [*segments, background]
    name_frames(ds, subject)
    repeat_dimension_uids(ds, cover)
    finish(ds, cover, subject.first, subject.anatomy)
    return ds


def segmentation_name(subject: Subject, lesions: Sequence[Lesion]) -> str:
    """What tells a Segmentation from the others of its source: nothing, where it is the only one."""
    return "" if tuple(lesions) == subject.lesions else f"#{lesions[0].number}"


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


def put_pixels(
    ds: Dataset,
    mask: npt.NDArray[np.uint8],
    segments: int,
    encoding: SegmentationType = SegmentationType.BINARY,
) -> None:
    """The true grid and the true frames of a radiograph: one per segment, or of a LABELMAP one for all.

    BINARY ones are packed from the low bit on (PS3.5 8.1.1); each is whole bytes, see `parts`.
    """
    ds.Rows, ds.Columns = mask.shape
    if encoding is SegmentationType.LABELMAP:
        frames = [mask.tobytes()]
    elif encoding is SegmentationType.FRACTIONAL:
        full = int(ds.MaximumFractionalValue)
        frames = [(np.uint8(full) * (mask == number)).tobytes() for number in range(1, segments + 1)]
    else:
        frames = [np.packbits(mask == number, bitorder="little").tobytes() for number in range(1, segments + 1)]
    pixels = b"".join(frames)
    ds.PixelData = pixels + b"\0" * (len(pixels) % 2)


def algorithm_of(model: ModelIdentity) -> AlgorithmIdentificationSequence:
    """Which weights made a segment (PS3.3 10.16)."""
    return AlgorithmIdentificationSequence(
        name=ascii_text(model.name, 64),
        family=ARTIFICIAL_INTELLIGENCE,
        version=ascii_text(model.version, 64),
        source=MANUFACTURER,
        parameters={"weights_sha256": model.weights_sha256, "trained_on": ascii_text(model.training_data, 64)},
    )


def _segment(subject: Subject, lesion: Lesion, number: int, model: ModelIdentity) -> SegmentDescription:
    identifier, uid = subject.tracking[lesion.number]
    anatomy = subject.anatomy
    description = SegmentDescription(
        segment_number=number,
        segment_label=ascii_text(name_of(lesion), 64),
        segmented_property_category=ABNORMAL,
        segmented_property_type=finding_of(lesion.answer),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm_of(model),
        tracking_id=ascii_text(identifier, 64),
        tracking_uid=uid,
        anatomic_regions=[anatomy.region] if anatomy.region else None,
        display_color=CIELabColor.from_rgb(*colour_of(lesion.answer)),
    )
    if anatomy.region and anatomy.side:
        description.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [CodedConcept(*anatomy.side[:3])]
    return description
