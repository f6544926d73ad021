"""The ADC map that was computed here, as a derived MR series: one MR Image (PS3.3 A.4) for each slice.

For the reader who wants to measure in it, where the scanner sent none. Cells are whole 10-6 mm2/s, said by Real World
Value Mapping; position, orientation and Frame of Reference are those of the images that it was computed from. Single
frames and no Enhanced object, because every archive and viewer shows them.
"""

import re
from collections.abc import Iterator, Mapping

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import MRImageStorage

from models.findings import ImageRef, MeasurementKind, Unit
from models.planes import Plane, planes_of
from node.identity import MANUFACTURER, MODEL_NAME, uid_of
from node.report.codes import DERIVED_FROM, MEASUREMENTS, QUANTITY, UNITS
from node.report.encode import EncodedObject, elements, result_of
from node.report.envelope import Envelope, finish
from node.report.header import decimal, numbers
from node.report.kind import Kind
from node.report.naming import with_description
from node.report.patient import text_of
from node.report.request import AdcSeries
from node.report.subject import Subject

OF_A_SLICE = ("SOPInstanceUID", "InstanceNumber", "ImagePositionPatient", "SourceImageSequence", "PixelData")
TOP = 0xFFFF
"""10-6 mm2/s that a cell can hold: twenty times free water."""
WINDOW = "1250", "2500"
"""Centre and width: from nothing to fluid."""
_SEQUENCES = frozenset({"SE", "IR", "GR", "EP", "RM"})
_VARIANTS = frozenset({"SK", "MTC", "SS", "TRSS", "SP", "MP", "OSP", "NONE"})
"""Enumerated values of PS3.3 C.8.3.1."""
_TYPE_2 = ("RepetitionTime", "EchoTime")
_TERM = re.compile(r"[A-Z0-9_ ]{1,16}")


def adc_images(subject: Subject, adc: AdcSeries, series: Envelope) -> Iterator[EncodedObject]:
    """The images of the map, in the order of the findings.

    What all slices say alike is encoded once, from the first: of 35 slices that is most of the work.

    Parameters
    ----------
    series
        Of the first image; the others follow it in order, in its series.
    """
    first = adc_image(subject, adc, 0, series)
    alike = elements(first, with_description(subject.carried, series.description))
    for keyword in OF_A_SLICE:
        alike.pop(first.data_element(keyword).tag)  # type: ignore[union-attr]  # adc_image has set each of them
    for index in range(len(adc.values)):
        ds = slice_of(subject, adc, index, series)
        ds.SOPClassUID, ds.SeriesInstanceUID = first.SOPClassUID, first.SeriesInstanceUID
        yield result_of(Kind.ADC, series.order + index, ds, alike)


def adc_image(subject: Subject, adc: AdcSeries, index: int, series: Envelope) -> Dataset:
    """One slice of the map, whole.

    Parameters
    ----------
    index
        Its place among the images of the findings.
    """
    ref = subject.findings.images[index]
    header = subject.headers[ref.sop_instance_uid]
    ds = _series(subject, series)
    ds.SOPClassUID = MRImageStorage
    ds.ImageType = ["DERIVED", "SECONDARY", "DIFFUSION MAP", "ADC"]
    ds.ContentDate, ds.ContentTime = "", ""
    ds.DerivationDescription = f"Mono-exponential, from b = {', '.join(f'{each:g}' for each in adc.b_values)} s/mm2"
    ds.DerivationCodeSequence = [_code(MEASUREMENTS[MeasurementKind.MEAN_ADC])]
    ds.BurnedInAnnotation, ds.LossyImageCompression = "NO", "00"
    _add_plane(ds, _plane(header, ref))
    _add_acquisition(ds, header)
    _add_meaning(ds, adc)
    ds.update(slice_of(subject, adc, index, series))
    finish(ds, series, subject.first, subject.anatomy)
    return ds


def slice_of(subject: Subject, adc: AdcSeries, index: int, series: Envelope) -> Dataset:
    """What differs from slice to slice: `OF_A_SLICE`."""
    ref = subject.findings.images[index]
    ds = Dataset()
    ds.SOPInstanceUID, ds.InstanceNumber = image_uid(series, index), index + 1
    position = _plane(subject.headers[ref.sop_instance_uid], ref).position
    ds.ImagePositionPatient = [decimal(float(each)) for each in position]
    ds.SourceImageSequence = [_source(each, adc.headers) for each in adc.made_from[index]]
    ds.PixelData = np.clip(np.rint(adc.values[index]), 0, TOP).astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def image_uid(cover: Envelope, index: int) -> str:
    """The SOP Instance UID of a slice in the series of `cover`."""
    return uid_of(cover.sop_instance_uid, "slice", str(index))


def _series(subject: Subject, cover: Envelope) -> Dataset:
    """General Series, Frame of Reference and General Equipment (PS3.3 C.7.3.1, C.7.4.1, C.7.5.1)."""
    image = subject.images[0]
    ds = Dataset()
    ds.Modality, ds.SeriesInstanceUID, ds.SeriesNumber = "MR", cover.series_instance_uid, cover.series_number
    ds.SeriesDescription = cover.series_description
    ds.PatientPosition = next(iter(_terms(subject.first, "PatientPosition")), None)
    ds.FrameOfReferenceUID = image.FrameOfReferenceUID
    ds.PositionReferenceIndicator = image.PositionReferenceIndicator
    ds.Manufacturer, ds.ManufacturerModelName = MANUFACTURER, MODEL_NAME
    ds.DeviceSerialNumber = cover.serial_number
    return ds


def _add_plane(ds: Dataset, plane: Plane) -> None:
    """Image Plane (PS3.3 C.7.6.2) but for its position, as the slice that it was computed from."""
    ds.ImageOrientationPatient = [decimal(float(each)) for each in (*plane.row, *plane.column)]
    ds.PixelSpacing = [decimal(each) for each in plane.spacing]
    ds.SliceThickness = decimal(plane.thickness) if plane.thickness else None


def _plane(header: Dataset, ref: ImageRef) -> Plane:
    frames = int(header.get("NumberOfFrames") or 1)
    (plane,) = planes_of(header, frames, None if ref.frame is None else [ref.frame], [])
    return plane


def _add_acquisition(ds: Dataset, header: Dataset) -> None:
    """MR Image (PS3.3 C.8.3.1): how the images were made that it was computed from, as far as their header says."""
    sequences = [each for each in _terms(header, "ScanningSequence") if each in _SEQUENCES]
    variants = [each for each in _terms(header, "SequenceVariant") if each in _VARIANTS]
    ds.ScanningSequence, ds.SequenceVariant = sequences or ["RM"], variants or ["NONE"]
    ds.ScanOptions = _terms(header, "ScanOptions") or None
    ds.MRAcquisitionType = next((each for each in _terms(header, "MRAcquisitionType") if each in ("2D", "3D")), None)
    for keyword in _TYPE_2:
        value = numbers(header, keyword)
        setattr(ds, keyword, decimal(value[0]) if len(value) == 1 else None)
    trains = numbers(header, "EchoTrainLength")
    ds.EchoTrainLength = int(trains[0]) if len(trains) == 1 and abs(trains[0]) < 2**31 else None
    if (value := numbers(header, "MagneticFieldStrength")) and len(value) == 1:
        ds.MagneticFieldStrength = decimal(value[0])


def _terms(header: Dataset, keyword: str) -> list[str]:
    """The values of an element of defined terms that are such in form (PS3.5 6.2, VR CS)."""
    return [each.strip() for each in text_of(header, keyword).split("\\") if _TERM.fullmatch(each.strip())]


def _add_meaning(ds: Dataset, adc: AdcSeries) -> None:
    """Image Pixel, and what its cells mean (PS3.3 C.7.6.3, C.7.6.16.2.11)."""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    _, ds.Rows, ds.Columns = adc.values.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.WindowCenter, ds.WindowWidth = WINDOW
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    ds.RealWorldValueMappingSequence = [_mapping()]


def _mapping() -> Dataset:
    unit, adc = UNITS[Unit.ADC], MEASUREMENTS[MeasurementKind.MEAN_ADC]
    item, quantity = Dataset(), Dataset()
    item.add_new("RealWorldValueLastValueMapped", "US", TOP)
    item.add_new("RealWorldValueFirstValueMapped", "US", 0)
    item.RealWorldValueSlope, item.RealWorldValueIntercept = 1.0, 0.0
    item.LUTExplanation, item.LUTLabel = "ADC in 10-6 mm2/s", "ADC"
    item.MeasurementUnitsCodeSequence = [_code(unit)]
    quantity.ValueType = "CODE"
    quantity.ConceptNameCodeSequence, quantity.ConceptCodeSequence = [_code(QUANTITY)], [_code(adc)]
    item.QuantityDefinitionSequence = [quantity]
    return item


def _source(ref: ImageRef, headers: Mapping[str, Dataset]) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = text_of(headers[ref.sop_instance_uid], "SOPClassUID")
    item.ReferencedSOPInstanceUID = ref.sop_instance_uid
    if ref.frame is not None:
        item.ReferencedFrameNumber = ref.frame
    item.PurposeOfReferenceCodeSequence = [_code(DERIVED_FROM)]
    return item


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
