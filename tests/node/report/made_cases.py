"""Makers of sources and findings for the report tests: small, valid, with known pixels. No file is read."""

import datetime
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset

from models.findings import (
    Answer,
    Findings,
    ImageRef,
    ModelIdentity,
    SourceFindings,
    Spacing,
    SpacingSource,
)
from node.conformance.sample_parts import header, lesion
from node.report.encode import EncodedObject, part10
from node.report.kind import DEFAULT_KINDS, Kind
from node.report.objects import objects
from node.report.profile import Profile
from node.report.request import Request, Source

CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
NOW = datetime.datetime(2026, 3, 4, 5, 6, 7)
MODEL = ModelIdentity("knee-seg-unet", "knee-unet", "1.2", "ab" * 32, "CPUExecutionProvider", "real")
PROBABILITIES = {
    Answer.MALIGNANT: {Answer.NORMAL: 0.04, Answer.BENIGN: 0.09, Answer.MALIGNANT: 0.87},
    Answer.BENIGN: {Answer.NORMAL: 0.10, Answer.BENIGN: 0.78, Answer.MALIGNANT: 0.12},
    Answer.NORMAL: {Answer.NORMAL: 0.97, Answer.BENIGN: 0.02, Answer.MALIGNANT: 0.01},
    Answer.UNDECIDED: {Answer.NORMAL: 0.40, Answer.BENIGN: 0.35, Answer.MALIGNANT: 0.25},
    Answer.NOT_ASSESSED: {},
}


@dataclass(frozen=True)
class Case:
    """A study ready to be reported."""

    findings: Findings
    sources: tuple[Source, ...]
    request: Request

    def made(self) -> tuple[EncodedObject, ...]:
        return objects(self.findings, self.sources, self.request)

    def one(self, kind: Kind) -> Dataset:
        """One result, made without the others where the profile leaves the choice."""
        profile = self.request.profile
        kinds = frozenset({kind}) if profile.kinds == DEFAULT_KINDS else profile.kinds
        alone = self.asking(profile=replace(profile, kinds=kinds))
        return read(next(each for each in alone.made() if each.kind is kind))

    def asking(self, **changes: Any) -> "Case":
        return replace(self, request=replace(self.request, **changes))


def read(result: EncodedObject) -> Dataset:
    """As a stranger would read it."""
    return pydicom.dcmread(BytesIO(part10(result)))


def as_received(ds: Dataset, syntax: str = pydicom.uid.ExplicitVRLittleEndian) -> Dataset:
    """Written and read again: raw elements, as the node gets them from its store."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return pydicom.dcmread(BytesIO(buffer.getvalue()))


def bone(rows: int, columns: int, phase: float = 0.0) -> npt.NDArray[np.float32]:
    """Something like a long bone, bright on dark."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    centre = columns / 2 + columns / 12 * np.sin(y / rows * 3 + phase)
    shaft = np.exp(-(((x - centre) / (columns / 7)) ** 4))
    return (600 + 2600 * shaft + 150 * np.sin(x / 5) * np.sin(y / 7)).astype(np.float32)


def blob(rows: int, columns: int, at: tuple[float, float], radius: float) -> npt.NDArray[np.bool_]:
    """A round lesion with a wavy edge; `at` and `radius` as shares of the image."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    y, x = y - at[0] * rows, x - at[1] * columns
    angle = np.arctan2(y, x)
    return np.asarray(np.hypot(x, y) < radius * min(rows, columns) * (1 + 0.15 * np.cos(5 * angle)))


def radiograph(
    sop_class: str = DX,
    answer: Answer = Answer.MALIGNANT,
    shape: tuple[int, int] = (300, 220),
    spacing: Spacing | None = None,
    lesions: int = 1,
    number: int = 1,
    change: Callable[[Dataset], None] | None = None,
    **extra: Any,
) -> Case:
    """One radiograph with round lesions."""
    rows, columns = shape
    spacing = spacing or Spacing(0.14, 0.14, SpacingSource.DETECTOR)
    modality = "DX" if sop_class == DX else "CR"
    ds = header(sop_class, modality, number, Rows=rows, Columns=columns, **extra)
    ds.PixelData = bone(rows, columns).astype(np.uint16).tobytes()
    if change:
        change(ds)
    image = ImageRef(str(ds.SOPInstanceUID))
    planes = [blob(rows, columns, (0.3 + 0.4 * at, 0.45), 0.12) for at in range(lesions)]
    mask = np.zeros((1, rows, columns), np.uint8)
    for position, plane in enumerate(planes, start=1):
        mask[0][plane] = position
    found = SourceFindings(
        series_instance_uid=str(ds.SeriesInstanceUID),
        images=(image,),
        answer=answer,
        probabilities=PROBABILITIES[answer],
        mask=mask,
        spacing=spacing,
        lesions=tuple(
            lesion(position, answer, [(image, plane)], spacing) for position, plane in enumerate(planes, start=1)
        ),
    )
    findings = Findings(MODEL, answer, PROBABILITIES[answer], (found,))
    return Case(findings, (Source((as_received(ds),), bone(rows, columns)),), Request(NOW))


def normal(**options: Any) -> Case:
    """A radiograph on which nothing was found."""
    return radiograph(answer=Answer.NORMAL, lesions=0, **options)


def mr_series(slices: int = 7, oblique: bool = True, **extra: Any) -> Case:
    """A sagittal, slightly turned MR series with one lesion on its middle slices, given in an order of its own."""
    rows, columns, gap = 90, 70, 4.0
    turn = math.radians(12 if oblique else 0)
    row = np.array([0.0, math.cos(turn), -math.sin(turn)])
    column = np.array([0.0, -math.sin(turn), -math.cos(turn)])
    normal_vector = np.cross(row, column)
    datasets = []
    for number in range(slices):
        ds = header(MR, "MR", number + 1, Rows=rows, Columns=columns, PatientOrientation=None)
        position = np.array([3.5, -40.25, 51.0]) + normal_vector * gap * number
        ds.ImageOrientationPatient = [f"{value:.8f}"[:16] for value in (*row, *column)]
        ds.ImagePositionPatient = [f"{value:.6f}"[:16] for value in position]
        ds.PixelSpacing, ds.SliceThickness, ds.SpacingBetweenSlices = ["0.5", "0.5"], "3.5", "4"
        ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = "1.2.826.0.1.3680043.8.498.9", ""
        ds.PixelData = bone(rows, columns, number / 3).astype(np.uint16).tobytes()
        for keyword, value in extra.items():
            if value is None:
                ds.pop(keyword, None)
            else:
                setattr(ds, keyword, value)
        datasets.append(as_received(ds))
    spacing = Spacing(0.5, 0.5, SpacingSource.CALIBRATED)
    images = tuple(ImageRef(str(ds.SOPInstanceUID)) for ds in datasets)
    mask = np.zeros((slices, rows, columns), np.uint8)
    for number in range(2, 5):
        mask[number][blob(rows, columns, (0.4, 0.5), 0.1 + 0.03 * (number - 2))] = 1
    found = SourceFindings(
        series_instance_uid=str(datasets[0].SeriesInstanceUID),
        images=images,
        answer=Answer.BENIGN,
        probabilities=PROBABILITIES[Answer.BENIGN],
        mask=mask,
        spacing=spacing,
        lesions=(lesion(1, Answer.BENIGN, [(i, plane == 1) for i, plane in zip(images, mask, strict=True)], spacing),),
    )
    findings = Findings(MODEL, Answer.BENIGN, found.probabilities, (found,))
    return Case(findings, (Source(tuple(reversed(datasets)), bone(rows, columns), 4),), Request(NOW))


def two_radiographs() -> Case:
    """A frontal view with a malignant lesion and a lateral one without."""
    first = radiograph(answer=Answer.MALIGNANT)
    second = normal(number=2)
    return Case(
        Findings(
            MODEL, Answer.MALIGNANT, PROBABILITIES[Answer.MALIGNANT], first.findings.sources + second.findings.sources
        ),
        first.sources + second.sources,
        first.request,
    )


def enhanced_mr(frames: int = 5) -> Case:
    """The same kind of series as one multi-frame instance."""
    single = mr_series(frames, oblique=False)
    ordered = sorted(single.sources[0].datasets, key=lambda ds: int(ds.InstanceNumber))
    ds = header(ENHANCED_MR, "MR", 1, Rows=90, Columns=70, PatientOrientation=None)
    ds.NumberOfFrames, ds.FrameOfReferenceUID = frames, "1.2.826.0.1.3680043.8.498.9"
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = ["0.5", "0.5"], "3.5"
    orientation.ImageOrientationPatient = ordered[0].ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], []
    for number, each in enumerate(ordered, start=1):
        position, content, frame = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = each.ImagePositionPatient
        content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", number, [1, number]
        frame.PlanePositionSequence, frame.FrameContentSequence = [position], [content]
        ds.PerFrameFunctionalGroupsSequence.append(frame)
    ds.PixelData = b"".join(each.PixelData for each in ordered)
    received = as_received(ds)
    images = tuple(ImageRef(str(received.SOPInstanceUID), frame) for frame in range(1, frames + 1))
    found = single.findings.sources[0]
    spacing = found.spacing
    planes = [(image, plane == 1) for image, plane in zip(images, found.mask, strict=True)]
    told = replace(found, images=images, lesions=(lesion(1, Answer.BENIGN, planes, spacing),))
    findings = replace(single.findings, sources=(told,))
    return Case(findings, (Source((received,), bone(90, 70), 2),), single.request)


def not_assessed() -> Case:
    """A radiograph unlike what the model knows, with a profile that wants that reported."""
    case = normal()
    found = replace(case.findings.sources[0], answer=Answer.NOT_ASSESSED, probabilities={})
    findings = replace(case.findings, answer=Answer.NOT_ASSESSED, probabilities={}, sources=(found,))
    return replace(case, findings=findings).asking(profile=Profile(report_not_assessed=True))


STOCK: dict[str, Callable[[], Case]] = {
    "cr": lambda: radiograph(CR),
    "dx": lambda: radiograph(DX),
    "dx-two-lesions": lambda: radiograph(DX, lesions=2),
    "dx-odd-width-two-lesions": lambda: radiograph(DX, shape=(301, 219), lesions=2),
    "monochrome1": lambda: radiograph(CR, PhotometricInterpretation="MONOCHROME1"),
    "calibrated": lambda: radiograph(CR, spacing=Spacing(0.2, 0.15, SpacingSource.CALIBRATED)),
    "unknown-spacing": lambda: radiograph(DX, spacing=Spacing(1.0, 1.0, SpacingSource.UNKNOWN)),
    "undecided": lambda: radiograph(CR, answer=Answer.UNDECIDED),
    "normal": lambda: normal(),
    "not-assessed": not_assessed,
    "two-radiographs": lambda: two_radiographs(),
    "mr": lambda: mr_series(),
    "enhanced-mr": enhanced_mr,
}
"""One of every kind of study, by name."""
WITH_LESIONS = tuple(name for name in STOCK if name not in ("normal", "not-assessed"))
RADIOGRAPHS = tuple(name for name in WITH_LESIONS if "mr" not in name)


@cache
def stock(name: str) -> Case:
    """A study of `STOCK`; made once."""
    return STOCK[name]()


@cache
def stock_results(name: str) -> tuple[EncodedObject, ...]:
    """The results of a study of `STOCK`; made once."""
    return stock(name).made()


def stock_one(name: str, kind: Kind) -> Dataset:
    """The first result of a kind, read back."""
    return read(next(each for each in stock_results(name) if each.kind is kind))
