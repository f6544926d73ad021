"""A study that nobody had, answered as a model might: what the objects of its report hold is what the statement lists.

One radiograph and one MR series with a lesion, a map and an ADC map each, so that every kind of object is made.
"""

import functools
from datetime import datetime

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, MRImageStorage

from models.findings import (
    Answer,
    Findings,
    ImageRef,
    Maps,
    ModelIdentity,
    SourceFindings,
    Spacing,
    SpacingSource,
)
from node.conformance.markdown import uid_name
from node.conformance.sample_parts import header, lesion
from node.identity import uid_of
from node.report.encode import EncodedObject
from node.report.kind import KINDS_OF_A_RUN, Kind
from node.report.objects import objects
from node.report.profile import PROFILES, MapType, Profile, ReportClass, SegmentationType
from node.report.request import AdcSeries, Request, Source

RADIOGRAPH, SERIES = "radiograph", "MR series"
ROWS, COLUMNS, SLICES = 64, 64, 3
_MODEL = ModelIdentity("sample", "sample", "1.0", "00" * 32, "CPUExecutionProvider", "phantom")
_PROBABILITIES = {Answer.NORMAL: 0.05, Answer.BENIGN: 0.15, Answer.MALIGNANT: 0.8}
_MOMENT = datetime(2026, 1, 2, 3, 4, 5)


def source_header(modality: str) -> Dataset:
    """The header of the first image; every value is one that no result would choose by itself."""
    return _header(modality, 0)


def made(modality: str) -> tuple[EncodedObject, ...]:
    """Every object that any profile gets of the sample, and those of every form that a profile may ask for."""
    headers = [_header(modality, number) for number in range(1 if modality == RADIOGRAPH else SLICES)]
    found = _found(headers)
    findings = Findings(_MODEL, Answer.MALIGNANT, _PROBABILITIES, (found,))
    display = np.zeros(found.mask.shape, dtype=np.float32)
    source = Source(tuple(headers), display, adc=None if modality == RADIOGRAPH else _adc(headers, found))
    return objects(findings, (source,), Request(_MOMENT, installation="OSTEON"), _profiles())


def _profiles() -> tuple[Profile, ...]:
    everything = KINDS_OF_A_RUN
    forms = [
        *(Profile(name=f"{each}", kinds=everything, segmentation=each) for each in SegmentationType),
        *(Profile(name=f"{each}", kinds=everything, report=each) for each in ReportClass),
        *(Profile(name=f"map {each}", kinds=everything, map=each) for each in MapType),
    ]
    return (*PROFILES.values(), *forms)


def _header(modality: str, number: int) -> Dataset:
    is_radiograph = modality == RADIOGRAPH
    ds = header(
        DigitalXRayImageStorageForPresentation if is_radiograph else MRImageStorage,
        "DX" if is_radiograph else "MR",
        number + 71,
        SOPInstanceUID=uid_of("conformance", modality, str(number)),
        StudyInstanceUID=uid_of("conformance", modality, "study"),
        SeriesInstanceUID=uid_of("conformance", modality, "series"),
        TimezoneOffsetFromUTC="+0100",
        Manufacturer="Nobody's",
        ManufacturerModelName="Camera",
        StationName="R7",
        SeriesNumber=77,
        Rows=ROWS,
        Columns=COLUMNS,
    )
    if is_radiograph:
        ds.ImagerPixelSpacing = ["0.143", "0.143"]
        return ds
    del ds.PatientOrientation
    ds.PatientPosition = "FFS"
    ds.FrameOfReferenceUID = uid_of("conformance", modality, "frame of reference")
    ds.PositionReferenceIndicator = "NA"
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.ImagePositionPatient = ["-11", "-12", str(5 * number)]
    ds.PixelSpacing, ds.SliceThickness = ["0.71", "0.71"], "4.5"
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "EP", "SK", "FS"
    ds.MRAcquisitionType, ds.RepetitionTime, ds.EchoTime = "2D", "4321", "65"
    ds.EchoTrainLength, ds.MagneticFieldStrength = "43", "1.5"
    return ds


def _found(headers: list[Dataset]) -> SourceFindings:
    """A square in the middle of each plane."""
    images = tuple(ImageRef(str(ds.SOPInstanceUID)) for ds in headers)
    mask = np.zeros((len(images), ROWS, COLUMNS), dtype=np.uint8)
    mask[:, 24:40, 24:40] = 1
    spacing = Spacing(0.143, 0.143, SpacingSource.DETECTOR)
    if len(images) > 1:
        spacing = Spacing(0.71, 0.71, SpacingSource.CALIBRATED)
    outlined = lesion(1, Answer.MALIGNANT, list(zip(images, mask == 1, strict=True)), spacing, gap_mm=5.0)
    maps = Maps(mask.astype(np.float32) * 0.9, None)
    series = str(headers[0].SeriesInstanceUID)
    return SourceFindings(series, images, Answer.MALIGNANT, _PROBABILITIES, mask, spacing, (outlined,), maps=maps)


def _adc(headers: list[Dataset], found: SourceFindings) -> AdcSeries:
    values = np.full(found.mask.shape, 1200.0, dtype=np.float32)
    made_from = tuple((image,) for image in found.images)
    return AdcSeries(values, made_from, (0.0, 800.0), {str(ds.SOPInstanceUID): ds for ds in headers})


def classes_made() -> list[tuple[str, str]]:
    """Name and UID of every storage class of which the node makes objects, in the order in which they leave."""
    found = dict.fromkeys(each.sop_class_uid for each in all_made())
    return [(uid_name(uid), uid) for uid in found]


@functools.cache
def all_made() -> tuple[EncodedObject, ...]:
    """The objects of both sources, the first of each kind, class and segmentation type; in the order of kinds."""
    first: dict[tuple[Kind, str], EncodedObject] = {}
    for each in (*made(RADIOGRAPH), *made(SERIES)):
        first.setdefault((each.kind, each.sop_class_uid), each)
    order = list(Kind)
    return tuple(sorted(first.values(), key=lambda each: (order.index(each.kind), each.sop_class_uid)))
