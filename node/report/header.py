"""What the object library gets to see of a source: a cleaned skeleton of its header, never the header itself.

highdicom raises on much that real archives send: missing type 2 attributes, a sex of "0000", times with colons, a
character set that begins with an empty value, no slice thickness. The skeleton holds only what the library needs to
know of the image (identity, grid, geometry, grey scale), each value valid or left out; patient and study come later,
byte for byte (node/report/patient.py). The source is never changed.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from node.identity import uid_of
from node.report.codes import BODY_PARTS, LATERALITIES, UNPAIRED
from node.report.patient import REQUIRED, cleaned, text_of

PROJECTION_MODALITIES = frozenset({"CR", "DX", "RG", "RF", "XA", "IO", "PX"})
_EMPTY = tuple(keyword for keyword in REQUIRED if not keyword.endswith("UID"))
_TYPE_1 = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_GREY_SCALE = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept")
_TERM = re.compile(r"[A-Z0-9_ ]{1,16}")
_LOSSY_RATIO_UNKNOWN = "1"


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What was imaged: the code of the region, its side, and the term and side for the series attributes."""

    region: Code | None
    side: Code | None
    body_part: str
    laterality: str
    """R or L; empty when unknown, unpaired or both."""


def is_projection(ds: Dataset) -> bool:
    """True for an image without a place in space, that is a radiograph."""
    return text_of(ds, "Modality") in PROJECTION_MODALITIES or not (
        "ImageOrientationPatient" in ds or "SharedFunctionalGroupsSequence" in ds
    )


def skeleton(ds: Dataset, slice_thickness: float = 1.0) -> Dataset:
    """What highdicom may know of one source image; patient and study are present and empty."""
    made = Dataset()
    for keyword in _TYPE_1:
        setattr(made, keyword, text_of(ds, keyword))
    for keyword in _EMPTY:
        setattr(made, keyword, "")
    made.Modality = text_of(ds, "Modality") or "OT"
    made.InstanceNumber = 1
    made.Rows, made.Columns = int(ds.Rows), int(ds.Columns)
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = text_of(ds, "PhotometricInterpretation") or "MONOCHROME2"
    for keyword in _GREY_SCALE:
        if (value := numbers(ds, keyword)) and len(value) == 1:
            setattr(made, keyword, value[0] if keyword.startswith("Rescale") else int(value[0]))
    if "RescaleSlope" not in made or "RescaleIntercept" not in made:
        for keyword in ("RescaleSlope", "RescaleIntercept"):
            made.pop(keyword, None)
    _add_lossy(made, ds)
    if not is_projection(ds):
        _add_geometry(made, ds, slice_thickness)
    return made


def numbers(ds: Dataset, keyword: str) -> list[float]:
    """The finite values of a numeric element; empty when absent or when one of them is no number."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = ds.get(keyword)
        if value is None or value == "":
            return []
        several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        found = [float(each) for each in (value if several else [value])]
    except (ValueError, TypeError, OverflowError, AttributeError):
        return []
    return found if all(np.isfinite(found)) else []


def slice_thickness_of(datasets: Sequence[Dataset]) -> float:
    """Of a series, in mm: as stated, else the stated or measured distance of its slices, else 1.0."""
    first = datasets[0]
    for keyword in ("SliceThickness", "SpacingBetweenSlices"):
        stated = numbers(first, keyword)
        if len(stated) == 1 and stated[0] > 0:
            return stated[0]
    orientation = numbers(first, "ImageOrientationPatient")
    positions = [numbers(ds, "ImagePositionPatient") for ds in datasets]
    if len(orientation) == 6 and len(positions) > 1 and all(len(position) == 3 for position in positions):
        normal = np.cross(orientation[:3], orientation[3:])
        gaps = np.diff(np.sort(np.array(positions) @ normal))
        gaps = gaps[gaps > 1e-3]
        if gaps.size:
            return round(float(np.median(gaps)), 4)
    return 1.0


def anatomy_of(ds: Dataset, body_part: str, laterality: str, fallback: str) -> Anatomy:
    """Region and side, best first: what the route decided, the header's codes, its terms, the system's own region."""
    term = body_part.upper() if body_part.upper() in BODY_PARTS else text_of(ds, "BodyPartExamined").upper()
    region = BODY_PARTS.get(body_part.upper()) or _coded_region(ds) or BODY_PARTS.get(term)
    if region is None:
        region, term = BODY_PARTS.get(fallback), term or fallback
    side = (laterality or text_of(ds, "ImageLaterality") or text_of(ds, "Laterality")).upper()
    side = "" if term in UNPAIRED else side or _coded_side(ds)
    return Anatomy(
        region=region,
        side=LATERALITIES.get(side),
        body_part=term if _TERM.fullmatch(term) else "",
        laterality=side if side in ("R", "L") else "",
    )


def _coded_region(ds: Dataset) -> Code | None:
    """*Anatomic Region Sequence* (0008,2218), when it holds a SNOMED CT code."""
    for item in ds.get("AnatomicRegionSequence") or ():
        item = cleaned(item)
        if item.get("CodingSchemeDesignator") == "SCT" and item.get("CodeValue") and item.get("CodeMeaning"):
            meaning = str(item.CodeMeaning)
            known = {code.value: code for code in BODY_PARTS.values()}.get(str(item.CodeValue))
            return known or (Code(str(item.CodeValue), "SCT", meaning) if meaning.isascii() else None)
    return None


def _coded_side(ds: Dataset) -> str:
    """The side from the modifier of *Anatomic Region Sequence*; empty when it states none."""
    sides = {code.value: side for side, code in LATERALITIES.items()}
    for item in ds.get("AnatomicRegionSequence") or ():
        for modifier in item.get("AnatomicRegionModifierSequence") or ():
            if str(modifier.get("CodeValue", "")) in sides:
                return sides[str(modifier.CodeValue)]
    return ""


def _add_lossy(made: Dataset, ds: Dataset) -> None:
    """*Lossy Image Compression* with the method and ratio that it demands (PS3.3 C.7.6.1.1.5)."""
    if text_of(ds, "LossyImageCompression") != "01":
        made.LossyImageCompression = "00"
        return
    made.LossyImageCompression = "01"
    ratios = text_of(ds, "LossyImageCompressionRatio")
    methods = text_of(ds, "LossyImageCompressionMethod")
    made.LossyImageCompressionRatio = (
        ratios.split("\\") if numbers(ds, "LossyImageCompressionRatio") else [_LOSSY_RATIO_UNKNOWN]
    )
    count = len(made.LossyImageCompressionRatio) if isinstance(made.LossyImageCompressionRatio, list) else 1
    made.LossyImageCompressionMethod = methods.split("\\") if methods else [_method_of(ds)] * count


def _method_of(ds: Dataset) -> str:
    """The defined term (PS3.3 C.7.6.1.1.5.1) for the syntax in which the source came; JPEG where it no longer shows."""
    syntax = str(getattr(getattr(ds, "file_meta", None), "TransferSyntaxUID", ""))
    if syntax.startswith("1.2.840.10008.1.2.4.9"):
        return "ISO_15444_1"
    return "ISO_14495_1" if syntax == "1.2.840.10008.1.2.4.81" else "ISO_10918_1"


def _add_geometry(made: Dataset, ds: Dataset, slice_thickness: float) -> None:
    frame_of_reference = text_of(ds, "FrameOfReferenceUID")
    made.FrameOfReferenceUID = frame_of_reference or uid_of("frame of reference", text_of(ds, "SeriesInstanceUID"))
    made.PositionReferenceIndicator = text_of(ds, "PositionReferenceIndicator")
    if "SharedFunctionalGroupsSequence" in ds:
        made.NumberOfFrames = int(ds.NumberOfFrames)
        made.SharedFunctionalGroupsSequence = [cleaned(item) for item in ds.SharedFunctionalGroupsSequence]
        made.PerFrameFunctionalGroupsSequence = [cleaned(item) for item in ds.PerFrameFunctionalGroupsSequence]
        _share_planes(made, slice_thickness)
        return
    for keyword, count in (("ImageOrientationPatient", 6), ("ImagePositionPatient", 3), ("PixelSpacing", 2)):
        value = numbers(ds, keyword)
        if len(value) == count:
            written = text_of(ds, keyword).split("\\")
            setattr(made, keyword, [decimal(each, text) for each, text in zip(value, written, strict=True)])
    made.SliceThickness = decimal(slice_thickness)


def _share_planes(made: Dataset, slice_thickness: float) -> None:
    """Orientation and pixel measures as groups shared by all frames, which the library insists on.

    Many writers repeat them frame by frame (PS3.3 C.7.6.16 leaves the choice); what the frames of a volume say is the
    same, so the first one's is taken.
    """
    shared, frames = made.SharedFunctionalGroupsSequence[0], made.PerFrameFunctionalGroupsSequence
    for macro in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        if macro not in shared and frames and macro in frames[0]:
            setattr(shared, macro, frames[0][macro].value)
            for frame in frames:
                frame.pop(macro, None)
    _share_rescale(shared, frames)
    for measures in shared.get("PixelMeasuresSequence") or ():
        if len(numbers(measures, "SliceThickness")) != 1:
            measures.SliceThickness = decimal(slice_thickness)


def _share_rescale(shared: Dataset, frames: Sequence[Dataset]) -> None:
    """One rescale for all frames where it is the same; none where it differs, see `rescales_differently`."""
    macro = "PixelValueTransformationSequence"
    if macro not in shared and not _differ(frames) and frames and macro in frames[0]:
        setattr(shared, macro, frames[0][macro].value)
    for frame in frames:
        frame.pop(macro, None)


def rescales_differently(datasets: Sequence[Dataset]) -> bool:
    """Whether images or frames have slopes or intercepts of their own, which a presentation state cannot say."""
    told = {(*numbers(ds, "RescaleSlope"), *numbers(ds, "RescaleIntercept")) for ds in datasets}
    return len(told) > 1 or any(_differ(ds.get("PerFrameFunctionalGroupsSequence") or ()) for ds in datasets)


def _differ(frames: Sequence[Dataset]) -> bool:
    told = {
        (*numbers(item, "RescaleSlope"), *numbers(item, "RescaleIntercept"))
        for frame in frames
        for item in frame.get("PixelValueTransformationSequence") or ()
    }
    return len(told) > 1


def decimal(value: float, written: str = "") -> str:
    """A DS value of at most 16 characters (PS3.5 6.2): as it was written where that fits."""
    if 0 < len(written.strip()) <= 16:
        return written.strip()
    for digits in range(12, 4, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    return f"{value:.4e}"
