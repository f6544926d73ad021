"""Phantom diffusion studies as vendors write them, and several b-values gathered in one Enhanced object."""

import copy
from collections.abc import Sequence
from functools import cache

import numpy as np
from pydicom.dataset import Dataset

from models.diffusion import two_point
from tests.node.made_headers import item
from training.phantoms.diffusion import DiffusionPatient, diffusion_patient
from training.phantoms.diffusion_dicom import Dialect, datasets

B_VALUES = (0.0, 50.0, 800.0)
IN_FRAMES = ("public", "philips", "siemens", "ge", "uih")
"""Where the frames of one object state their b-value."""


@cache
def patient() -> DiffusionPatient:
    """A thigh with one tumour."""
    return diffusion_patient(3, tumours=1, region="thigh", b_values=B_VALUES, side=64, slices=12)


def single_frames(dialect: Dialect = Dialect.SIEMENS) -> list[Dataset]:
    """Every slice an object of its own."""
    return datasets(patient(), dialect)


def together(dialect: str = "public", *, interleaved: bool = True) -> Dataset:
    """All b-values in one object: frame by frame, from slice to slice or from b-value to b-value."""
    each = copy.deepcopy(datasets(patient(), Dialect.ENHANCED))
    count = int(each[0].NumberOfFrames)
    order = [(place, frame) for frame in range(count) for place in range(len(each))]
    if not interleaved:
        order.sort()
    whole = each[0]
    frames = [_frame(each[place], frame, dialect) for place, frame in order]
    pixels = [np.frombuffer(ds.PixelData, "<u2").reshape(count, -1) for ds in each]
    whole.PixelData = b"".join(pixels[place][frame].tobytes() for place, frame in order)
    whole.NumberOfFrames, whole.PerFrameFunctionalGroupsSequence = len(order), frames
    del whole.SharedFunctionalGroupsSequence[0].MRDiffusionSequence
    return whole


def _frame(ds: Dataset, number: int, dialect: str) -> Dataset:
    frame = ds.PerFrameFunctionalGroupsSequence[number]
    told = ds.SharedFunctionalGroupsSequence[0].MRDiffusionSequence[0]
    b_value = float(told.DiffusionBValue)
    if dialect == "public":
        frame.MRDiffusionSequence = [copy.deepcopy(told)]
    elif dialect == "philips":
        block = frame.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
        block.add_new(0x0F, "SQ", [_private(0x2001, "Philips Imaging DD 001", 0x03, "FL", b_value)])
    else:
        held = {
            "siemens": (0x0019, "SIEMENS MR HEADER", 0x0C, "IS", str(int(b_value))),
            "ge": (0x0043, "GEMS_PARM_01", 0x39, "IS", [str(int(1e9 + b_value)), "8", "0", "0"]),
            "uih": (0x0065, "Image Private Header", 0x09, "FD", b_value),
        }[dialect]
        frame.UnassignedPerFrameConvertedAttributesSequence = [_private(*held)]
    return frame


def _private(group: int, creator: str, element: int, vr: str, value: object) -> Dataset:
    made = item()
    made.private_block(group, creator, create=True).add_new(element, vr, value)
    return made


def with_b_values(slices: Sequence[Dataset], told: dict[float, float | None]) -> list[Dataset]:
    """The same slices of the public dialect, saying another b-value, or none."""
    made = []
    for ds in map(copy.deepcopy, slices):
        said = told.get(float(ds.DiffusionBValue), float(ds.DiffusionBValue))
        if said is None:
            del ds.DiffusionBValue
        else:
            ds.DiffusionBValue = said
        made.append(ds)
    return made


def vendor_map(unit: str, scale: float) -> list[Dataset]:
    """The ADC of the patient as a scanner sends it: cells of 1e-6 mm2/s, rescaled to `scale` times 1e-3 mm2/s.

    Parameters
    ----------
    unit
        What *Real World Value Mapping* says that the cells times `scale` / 1000 are; nothing says nothing.
    """
    images = patient().images
    adc = two_point(images[0].astype(np.float32), images[-1].astype(np.float32), B_VALUES[0], B_VALUES[-1])
    cells = np.round(adc.values * 1000).clip(0, 65535).astype("<u2")
    count = len(patient().lesions)
    made = copy.deepcopy(datasets(patient(), Dialect.PUBLIC)[:count])
    for index, ds in enumerate(made):
        del ds.DiffusionBValue
        ds.SeriesInstanceUID, ds.SOPInstanceUID = (
            f"{ds.SeriesInstanceUID[:40]}.9",
            f"{ds.SOPInstanceUID[:40]}.9.{index}",
        )
        ds.SeriesNumber, ds.SeriesDescription = 9, "dwi tra ADC"
        ds.ImageType = ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]
        ds.PixelData = cells[index].tobytes()
        if unit:
            code = item(CodeValue=unit, CodingSchemeDesignator="UCUM", CodeMeaning=unit)
            ds.RealWorldValueMappingSequence = [
                item(MeasurementUnitsCodeSequence=[code], RealWorldValueSlope=scale / 1000, RealWorldValueIntercept=0.0)
            ]
        else:
            ds.RescaleSlope = scale / 1000
    return made


AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
FORMS = ("single frames", "one object", "an object each")
_SHARES = (1.3, 0.9, 0.75, 1.1)
"""Of the signal, by direction: tissue that is not alike in all of them."""


def of_directions(form: str = FORMS[0], directions: Sequence[Sequence[float]] = AXES) -> list[Dataset]:
    """b = 0, and b = 800 in several directions without a trace."""
    count = len(patient().lesions)
    singles = datasets(patient(), Dialect.PUBLIC)
    weighted = [
        _directed(ds, number, direction)
        for number, direction in enumerate(directions)
        for ds in map(copy.deepcopy, singles[2 * count :])
    ]
    if form == "single frames":
        return [*singles[:count], *weighted]
    low, _, high = copy.deepcopy(datasets(patient(), Dialect.ENHANCED))
    pixels = [
        b"".join(ds.PixelData for ds in weighted[start : start + count]) for start in range(0, len(weighted), count)
    ]
    each = [_object_of(high, pixels[number], number, direction) for number, direction in enumerate(directions)]
    return [low, *each] if form == "an object each" else [_gathered([low, *each])]


def directional_pixels(directions: Sequence[Sequence[float]] = AXES) -> np.ndarray:
    """`(directions, slices, rows, columns)` as they are stored."""
    return np.stack([_shared(patient().images[-1], number) for number in range(len(directions))])


def _shared(pixels: np.ndarray, number: int) -> np.ndarray:
    return np.round(pixels * _SHARES[number % len(_SHARES)]).clip(0, 65535).astype("<u2")


def _directed(ds: Dataset, number: int, direction: Sequence[float]) -> Dataset:
    ds.DiffusionDirectionality, ds.DiffusionGradientOrientation = "DIRECTIONAL", list(direction)
    ds.SOPInstanceUID = f"{ds.SOPInstanceUID[:50]}.{number}.{ds.InstanceNumber}"
    ds.InstanceNumber += 1000 * number
    ds.PixelData = _shared(np.frombuffer(ds.PixelData, "<u2"), number).tobytes()
    return ds


def _object_of(high: Dataset, pixels: bytes, number: int, direction: Sequence[float]) -> Dataset:
    ds = copy.deepcopy(high)
    ds.SOPInstanceUID, ds.InstanceNumber = f"{high.SOPInstanceUID[:50]}.{number}", 10 + number
    told = ds.SharedFunctionalGroupsSequence[0].MRDiffusionSequence[0]
    told.DiffusionDirectionality = "DIRECTIONAL"
    told.DiffusionGradientDirectionSequence = [item(DiffusionGradientOrientation=list(direction))]
    ds.PixelData = pixels
    return ds


def _gathered(objects: Sequence[Dataset]) -> Dataset:
    """All frames in one object, what was shared of diffusion told by each."""
    whole, frames = copy.deepcopy(objects[0]), []
    for ds in objects:
        for frame in copy.deepcopy(list(ds.PerFrameFunctionalGroupsSequence)):
            frame.MRDiffusionSequence = copy.deepcopy(ds.SharedFunctionalGroupsSequence[0].MRDiffusionSequence)
            frames.append(frame)
    whole.NumberOfFrames, whole.PerFrameFunctionalGroupsSequence = len(frames), frames
    whole.PixelData = b"".join(ds.PixelData for ds in objects)
    del whole.SharedFunctionalGroupsSequence[0].MRDiffusionSequence
    return whole


def with_the_baseline_again(share: float) -> tuple[list[Dataset], Dataset]:
    """b = 0 twice, the second time with `share` of the signal, and b = 800: single frames, and all in one object."""
    count = len(patient().lesions)
    singles = datasets(patient(), Dialect.PUBLIC)
    second = [copy.deepcopy(ds) for ds in singles[:count]]
    for ds in second:
        ds.SOPInstanceUID, ds.InstanceNumber = (
            f"{ds.SOPInstanceUID[:50]}.7.{ds.InstanceNumber}",
            ds.InstanceNumber + 500,
        )
        ds.PixelData = np.round(np.frombuffer(ds.PixelData, "<u2") * share).astype("<u2").tobytes()
    low, _, high = copy.deepcopy(datasets(patient(), Dialect.ENHANCED))
    again = copy.deepcopy(low)
    again.PixelData = b"".join(ds.PixelData for ds in second)
    return [*singles[:count], *second, *singles[2 * count :]], _gathered([low, again, high])
