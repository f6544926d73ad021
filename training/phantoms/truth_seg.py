"""The truth of a phantom as a DICOM Segmentation (PS3.3 A.51) on the images it is of: a segment per tumour.

It says what a reader's segmentation says, and lies where they keep it, so that what reads one reads the other. Written
without highdicom, which only the node's reports use: this is the smallest valid object, for phantoms alone.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SegmentationStorage

from models.findings import ImageRef
from models.planes import Plane, planes_of
from training.archive.folder import NORMALS
from training.phantoms.dicom import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, uid
from training.phantoms.diffusion_enhanced import made

FOLDER, FILE = "truth", "lesions.dcm"
"""Apart from the images, so that a sender of the images does not send the truth with them."""
_OF_SOURCE = (
    "SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge",
    "StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName", "FrameOfReferenceUID", "PositionReferenceIndicator", "BodyPartExamined",
)  # fmt: skip
_ABNORMAL = {
    "CodeValue": "49755003",
    "CodingSchemeDesignator": "SCT",
    "CodeMeaning": "Morphologically Abnormal Structure",
}
_NEOPLASM = {"CodeValue": "108369006", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Neoplasm"}
_POINTERS = {"segment": ((0x0062, 0x000B), (0x0062, 0x000A)), "place": ((0x0020, 0x0032), (0x0020, 0x9113))}
"""Attribute and functional group that each dimension of the frames goes by."""
_DERIVED = {"CodeValue": "113076", "CodingSchemeDesignator": "DCM", "CodeMeaning": "Segmentation"}
_SOURCE = {
    "CodeValue": "121322", "CodingSchemeDesignator": "DCM",
    "CodeMeaning": "Source image for image processing operation",
}  # fmt: skip


def add_normal(home: Path) -> None:
    """Say beside a study's folder that it shows no tumour: a segmentation of nothing does not exist."""
    path = home.parent / NORMALS
    names = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(dict.fromkeys([*names, home.name])) + "\n", encoding="utf-8")


def segmentation(images: Sequence[Dataset], lesions: npt.NDArray[np.uint8], labels: Sequence[str]) -> Dataset:
    """The tumours of a stack, only on slices that show them.

    Parameters
    ----------
    images
        One object per slice, or one with a frame per slice, in the order of `lesions`.
    lesions
        `(slices, rows, columns)`: 0, else the number of the tumour, from 1; one tumour at least.
    labels
        Of the tumours, in their order.
    """
    slices = [(ds, plane) for ds in images for plane in planes_of(ds, int(ds.get("NumberOfFrames", 1)), None, [])]
    return _segmentation(images, slices, lesions, labels)


def segmentation_of_radiograph(
    image: Dataset, lesions: npt.NDArray[np.uint8], labels: Sequence[str], spacing_mm: float
) -> Dataset:
    """The tumours of an image that has no place in space, on a nominal plane in a frame of reference of its own.

    PS3.3 A.51.3 asks for none, and viewers do (as node/report/frames.py says): it begins in the first pixel.

    Parameters
    ----------
    lesions, labels
        `(rows, columns)`, and as in `segmentation`.
    """
    row, column, _ = np.eye(3)
    plane = Plane(
        ImageRef(str(image.SOPInstanceUID)), 0, row, column, np.zeros(3), (spacing_mm, spacing_mm), 1.0, (1.0, 0.0)
    )
    ds = _segmentation([image], [(image, plane)], lesions[None], labels)
    ds.PatientOrientation = image.PatientOrientation
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = uid("nominal plane", str(image.SOPInstanceUID)), ""
    return ds


def _segmentation(
    images: Sequence[Dataset],
    slices: Sequence[tuple[Dataset, Plane]],
    lesions: npt.NDArray[np.uint8],
    labels: Sequence[str],
) -> Dataset:
    frames = [
        (number, int(place))
        for number in range(1, len(labels) + 1)
        for place in np.flatnonzero((lesions == number).any((1, 2)))
    ]
    ds = _header(images, labels)
    shown = sorted({place for _, place in frames})
    ds.NumberOfFrames = len(frames)
    ds.PerFrameFunctionalGroupsSequence = [
        _frame(number, shown.index(place) + 1, *slices[place]) for number, place in frames
    ]
    ds.SharedFunctionalGroupsSequence = [_shared(slices[0][1])]
    bits = np.stack([lesions[place] == number for number, place in frames])
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    ds.PixelData = packed + b"\0" * (len(packed) % 2)
    ds["PixelData"].VR = "OB"
    return ds


def numbered(lesions: npt.NDArray[np.uint8], label_of: Callable[[int], str]) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """The tumours that are shown, from 1 without a gap as segments are (PS3.3 C.8.20.4), and what they are called."""
    shown = [int(number) for number in np.unique(lesions[lesions > 0])]
    table = np.zeros(256, dtype=np.uint8)
    table[shown] = np.arange(1, len(shown) + 1)
    return table[lesions], [label_of(number) for number in shown]


def _header(images: Sequence[Dataset], labels: Sequence[str]) -> Dataset:
    source, key = images[0], str(images[0].SOPInstanceUID)
    ds = Dataset()
    for keyword in _OF_SOURCE:
        if keyword in source:
            ds[keyword] = source[keyword]
    values: dict[str, Any] = {
        "SOPClassUID": SegmentationStorage, "SOPInstanceUID": uid("truth", key), "Modality": "SEG",
        "SeriesInstanceUID": uid("truth series", key), "SeriesNumber": 900, "SeriesDescription": "Truth of the phantom",
        "InstanceNumber": 1, "ContentDate": source.StudyDate, "ContentTime": source.StudyTime,
        "Manufacturer": "PHANTOM WORKS", "ManufacturerModelName": "Truth of formulas", "DeviceSerialNumber": "1",
        "SoftwareVersions": "1", "ImageType": ["DERIVED", "PRIMARY"], "ContentLabel": "TRUTH",
        "ContentDescription": "", "ContentCreatorName": "", "SegmentationType": "BINARY", "SegmentsOverlap": "NO",
        "Rows": source.Rows, "Columns": source.Columns, "SamplesPerPixel": 1, "BitsAllocated": 1, "BitsStored": 1,
        "HighBit": 0, "PixelRepresentation": 0, "PhotometricInterpretation": "MONOCHROME2",
        "LossyImageCompression": "00", "BurnedInAnnotation": "NO",
    }  # fmt: skip
    dimensions = uid("truth dimensions", key)
    values["DimensionOrganizationSequence"] = [{"DimensionOrganizationUID": dimensions}]
    values["DimensionIndexSequence"] = [
        {"DimensionOrganizationUID": dimensions, "DimensionIndexPointer": attribute, "FunctionalGroupPointer": group}
        for attribute, group in _POINTERS.values()
    ]
    values["SegmentSequence"] = [_segment(number, label, key) for number, label in enumerate(labels, start=1)]
    values["ReferencedSeriesSequence"] = [
        {
            "SeriesInstanceUID": source.SeriesInstanceUID,
            "ReferencedInstanceSequence": [
                {"ReferencedSOPClassUID": each.SOPClassUID, "ReferencedSOPInstanceUID": each.SOPInstanceUID}
                for each in images
            ],
        }
    ]
    ds.update(made(values))
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = UID(SegmentationStorage)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    ds.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return ds


def _segment(number: int, label: str, key: str) -> dict[str, Any]:
    return {
        "SegmentNumber": number, "SegmentLabel": label, "SegmentAlgorithmType": "AUTOMATIC",
        "SegmentAlgorithmName": "the formulas of the phantom", "TrackingID": f"tumour {number}",
        "TrackingUID": uid("truth segment", key, str(number)),
        "SegmentedPropertyCategoryCodeSequence": [_ABNORMAL], "SegmentedPropertyTypeCodeSequence": [_NEOPLASM],
    }  # fmt: skip


def _shared(plane: Plane) -> Dataset:
    spacing = {"PixelSpacing": list(_decimals(plane.spacing, 6)), "SliceThickness": f"{plane.thickness or 1.0:.4f}"}
    orientation = {"ImageOrientationPatient": list(_decimals((*plane.row, *plane.column), 6))}
    return made({"PixelMeasuresSequence": [spacing], "PlaneOrientationSequence": [orientation]})


def _frame(number: int, rank: int, source: Dataset, plane: Plane) -> Dataset:
    shown: dict[str, Any] = {
        "ReferencedSOPClassUID": source.SOPClassUID, "ReferencedSOPInstanceUID": source.SOPInstanceUID,
        "PurposeOfReferenceCodeSequence": [_SOURCE],
    }  # fmt: skip
    if plane.ref.frame is not None:
        shown["ReferencedFrameNumber"] = plane.ref.frame
    return made(
        {
            "FrameContentSequence": [{"DimensionIndexValues": [number, rank]}],
            "PlanePositionSequence": [{"ImagePositionPatient": list(_decimals(plane.position, 4))}],
            "SegmentIdentificationSequence": [{"ReferencedSegmentNumber": number}],
            "DerivationImageSequence": [{"DerivationCodeSequence": [_DERIVED], "SourceImageSequence": [shown]}],
        }
    )


def _decimals(values: Sequence[float] | npt.NDArray[np.float64], places: int) -> Iterator[str]:
    return (f"{float(value) + 0.0:.{places}f}" for value in values)
