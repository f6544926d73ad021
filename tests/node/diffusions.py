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
