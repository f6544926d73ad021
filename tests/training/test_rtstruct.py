"""Contours: holes, planes between slices, other regions, and the real structure sets where they lie."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from models.polygons import filled
from models.volume import Grid
from training import nifti
from training.archive.cases import one_series
from training.archive.folder import studies
from training.archive.rtstruct import contours, lesions, mask_of
from training.errors import DataFault

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "sts-mr"
GRID = Grid(np.array([10.0, -20.0, 100.0]), np.eye(3)[::-1], (4.0, 2.0, 1.0), (5, 12, 16))
"""Slices go up, rows to the back, columns to the left; 4 mm, 2 mm and 1 mm apart."""


def square(low, high):
    return np.array([(low, low), (high, low), (high, high), (low, high)], dtype=float)


def contour(points, height):
    """(column, row) on a slice, in the patient's mm."""
    return np.array([(10.0 + column, -20.0 + 2.0 * row, 100.0 + 4.0 * height) for column, row in points])


def structure_set(regions):
    """Regions by name: how they are interpreted, and their contours."""
    ds = Dataset()
    ds.StructureSetROISequence, ds.RTROIObservationsSequence, ds.ROIContourSequence = [], [], []
    for number, (name, (said, drawn)) in enumerate(regions.items(), start=1):
        region, observed, lines = Dataset(), Dataset(), Dataset()
        region.ROINumber, region.ROIName = number, name
        observed.ReferencedROINumber, observed.RTROIInterpretedType = number, said
        lines.ReferencedROINumber, lines.ContourSequence = number, []
        for points in drawn:
            line = Dataset()
            line.ContourGeometricType, line.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            line.ContourData = [f"{value:.4f}" for value in points.ravel()]
            line.ContourImageSequence = [Dataset()]
            line.ContourImageSequence[0].ReferencedSOPInstanceUID = "1.2.3.4.5"  # names no image that is there
            lines.ContourSequence.append(line)
        ds.StructureSetROISequence.append(region)
        ds.RTROIObservationsSequence.append(observed)
        ds.ROIContourSequence.append(lines)
    return ds


def test_a_pixel_is_inside_where_its_centre_is():
    """From 0.6 to 3.4 lie the centres 1, 2, 3: nine pixels."""
    mask = filled([square(0.6, 3.4)], (6, 6))
    assert mask.sum() == 9
    assert mask[1:4, 1:4].all()


def test_an_outline_within_an_outline_is_a_hole():
    """8 x 8 less 4 x 4 is 48."""
    mask = filled([square(0.5, 8.5), square(2.5, 6.5)], (10, 10))
    assert mask.sum() == 48
    assert not mask[3:7, 3:7].any()


def test_a_hole_that_is_cut_by_a_line_to_it_is_a_hole_too():
    keyhole = np.array([(0.5, 0.5), (8.5, 0.5), (8.5, 8.5), (0.5, 8.5), (0.5, 0.5), (2.5, 2.5), (2.5, 6.5), (6.5, 6.5),
                        (6.5, 2.5), (2.5, 2.5)])  # fmt: skip
    assert filled([keyhole], (10, 10)).sum() == 48


def test_neighbours_share_no_pixel_and_leave_none():
    left, right = np.array([(0, 0), (4, 0), (4, 6), (0, 6)]), np.array([(4, 0), (9, 0), (9, 6), (4, 6)])
    one, other = filled([left.astype(float)], (8, 12)), filled([right.astype(float)], (8, 12))
    assert not (one & other).any()
    assert (one | other)[:6, :9].all()


def test_what_lies_outside_of_the_plane_is_cut_off():
    assert filled([square(-5.0, 2.5)], (4, 4)).sum() == 9
    assert filled([np.array([(0.0, 0.0), (3.0, 3.0)])], (4, 4)).sum() == 0


def test_a_contour_goes_to_the_slice_where_it_lies_whatever_it_refers_to():
    found = lesions(structure_set({"GTV": ("GTV", [contour(square(1.5, 5.5), 2), contour(square(1.5, 5.5), 3)])}), GRID)
    assert [int(plane.sum()) for plane in found] == [0, 0, 16, 16, 0]
    assert found[2, 2:6, 2:6].all()


@pytest.mark.parametrize(("height", "place"), [(1.4, 1), (1.6, 2), (-0.4, 0), (4.4, 4)])
def test_the_nearest_slice_is_taken_within_half_a_spacing(height, place):
    mask = mask_of([contour(square(1.5, 5.5), height)], GRID)
    assert np.flatnonzero(mask.any(axis=(1, 2))).tolist() == [place]


@pytest.mark.parametrize("height", [-0.6, 4.6])
def test_beyond_half_a_spacing_it_is_of_other_images(height):
    with pytest.raises(DataFault, match=r"lies 2\.4 mm beyond the images, more than half the distance"):
        mask_of([contour(square(1.5, 5.5), height)], GRID)


def test_of_two_planes_near_one_slice_the_nearer_one_counts_and_cuts_no_hole():
    mask = mask_of([contour(square(1.5, 5.5), 2.0), contour(square(2.5, 4.5), 2.3)], GRID)
    assert mask.sum() == 16


def test_a_contour_across_slices_is_told():
    slanted = contour(square(1.5, 5.5), 2)
    slanted[:2, 2] += 4.0
    with pytest.raises(DataFault, match="drawn in another plane"):
        mask_of([slanted], GRID)


def test_what_is_connected_is_one_tumour_and_a_speck_is_none():
    drawn = [contour(square(0.5, 4.5), 1), contour(square(6.5, 10.5), 1), contour(square(5.5, 6.4), 4)]
    found = lesions(structure_set({"mass": ("", drawn)}), GRID)
    assert [int((found == number).sum()) for number in (1, 2, 3)] == [16, 16, 0]


def test_of_several_regions_the_gross_tumour_volume_is_taken_and_no_oedema():
    one, other = [contour(square(0.5, 4.5), 1)], [contour(square(0.5, 8.5), 1)]
    by_type = structure_set({"BODY": ("EXTERNAL", other), "a": ("GTV", one), "GTV_Edema": ("GTV", other)})
    by_name = structure_set({"BODY": ("", other), "Tumor": ("", one), "edema of tumor": ("", other)})
    for each in (by_type, by_name):
        assert len(contours(each)) == 1
        assert np.ptp(contours(each)[0][:, 0]) == pytest.approx(4.0)


def test_regions_of_which_none_is_a_tumour_are_told():
    drawn = [contour(square(0.5, 4.5), 1)]
    with pytest.raises(DataFault, match="has 2 regions, and none is interpreted as GTV"):
        lesions(structure_set({"femur": ("", drawn), "BODY": ("EXTERNAL", drawn)}), GRID)


@pytest.mark.parametrize("patient", ["STS_002", "STS_047"])
def test_the_real_contours_give_the_masks_that_their_publishers_made_of_them(patient):
    if not REAL.is_dir():
        pytest.skip("the real structure sets are absent (looked for sts-mr in ../shared/data)")
    (study,) = studies(REAL / "dicom" / patient)
    case = one_series(study, "t1")
    assert np.array_equal(case.mask, nifti.read(REAL / "nifti" / f"{patient}_mask.nii.gz").voxels > 0)
    assert np.array_equal(case.volumes["t1"], nifti.read(REAL / "nifti" / f"{patient}_t1.nii.gz").voxels)
    assert case.patient == patient
