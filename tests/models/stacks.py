"""MR series made in memory: single frames and their Enhanced multi-frame twin, with known voxels and geometry."""

import math

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

MR, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
ROOT = "1.2.826.0.1.3680043.8.498.7"
SPACING = (4.0, 0.9, 0.7)
"""Between slices, rows, columns."""


def directions(turn=10.0):
    """Unit vectors along a row and along a column of an axial plane, tilted by some degrees."""
    tilt = math.radians(turn)
    return np.array([1.0, 0.0, 0.0]), np.array([0.0, math.cos(tilt), math.sin(tilt)])


def positions(count, spacing=SPACING, turn=10.0):
    """Of the first pixel of each slice."""
    normal = np.cross(*directions(turn))
    return [np.array([-20.0, 5.0, 30.0]) + normal * spacing[0] * number for number in range(count)]


def single_frames(stored, slope=1.0, intercept=0.0, series=1, spacing=SPACING, turn=10.0, **extra):
    """One data set per slice of `stored` `(slices, rows, columns)` int16; `slope` may be one per slice."""
    row, column = directions(turn)
    made = []
    for number, position in enumerate(positions(len(stored), spacing, turn)):
        ds = _header(MR, series, number + 1, stored.shape, **extra)
        ds.ImageOrientationPatient = [round(float(value), 8) for value in (*row, *column)]
        ds.ImagePositionPatient = [round(float(value), 6) for value in position]
        ds.PixelSpacing, ds.SliceThickness = list(spacing[1:]), spacing[0]
        ds.RescaleSlope, ds.RescaleIntercept = float(np.broadcast_to(slope, len(stored))[number]), float(intercept)
        ds.PixelData = np.ascontiguousarray(stored[number], "<i2").tobytes()
        made.append(ds)
    return made


def enhanced(datasets, order=None):
    """The same series as one object, its frames in any order."""
    order = range(len(datasets)) if order is None else order
    first = datasets[0]
    ds = _header(ENHANCED_MR, 9, 1, (len(datasets), first.Rows, first.Columns))
    ds.NumberOfFrames = len(datasets)
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = first.PixelSpacing, first.SliceThickness
    shared.PixelMeasuresSequence = [measures]
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [shared], []
    for place, number in enumerate(order, start=1):
        each = datasets[number]
        position, orientation, values, content, frame = (Dataset() for _ in range(5))
        position.ImagePositionPatient = each.ImagePositionPatient
        orientation.ImageOrientationPatient = each.ImageOrientationPatient
        values.RescaleSlope, values.RescaleIntercept = each.RescaleSlope, each.RescaleIntercept
        values.RescaleType = "US"
        content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", number + 1, [1, place]
        frame.PlanePositionSequence, frame.PlaneOrientationSequence = [position], [orientation]
        frame.PixelValueTransformationSequence, frame.FrameContentSequence = [values], [content]
        ds.PerFrameFunctionalGroupsSequence.append(frame)
    ds.PixelData = b"".join(datasets[number].PixelData for number in order)
    return ds


def _header(sop_class, series, number, shape, **extra):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, f"{ROOT}.{series}.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{ROOT}.0", f"{ROOT}.{series}"
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = f"{ROOT}.99", ""
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "MR", series, number
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    ds.SeriesDescription, ds.BodyPartExamined = "t1 tse tra", "THIGH"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Doe^Jane", "4711", "", "F"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20260301", "101112", "77", "A123"
    ds.ReferringPhysicianName = ""
    ds.Rows, ds.Columns = shape[1:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    for keyword, value in extra.items():
        setattr(ds, keyword, value)
    return ds


def body(shape=(6, 60, 50), at=(2, 5), radius=8):
    """Stored values of a limb with a bright ball of a tumour on the slices from `at[0]` to before `at[1]`."""
    _, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    inside = ((y - shape[1] / 2) / (shape[1] / 2.2)) ** 2 + ((x - shape[2] / 2) / (shape[2] / 2.2)) ** 2 < 1
    stored = np.where(inside, 300 + (7 * x + 3 * y) % 40, 0)
    ball = (y - 25) ** 2 + (x - 22) ** 2 < radius**2
    ball[: at[0]] = ball[at[1] :] = False
    return np.where(ball, 1000, stored).astype(np.int16), ball
