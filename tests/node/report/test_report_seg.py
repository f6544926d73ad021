"""Segmentations by value: grid, planes, references, codes, and the mask bit for bit."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset

from models.findings import Answer, SourceFindings, Spacing, SpacingSource
from node.report.encode import part10
from node.report.kind import Kind
from node.report.profile import Profile
from tests.node.report.made_cases import (
    CR,
    MODEL,
    RADIOGRAPHS,
    WITH_LESIONS,
    Case,
    mr_series,
    radiograph,
    read,
    stock,
    stock_one,
    stock_results,
)


def planes_of(seg: Dataset, found: SourceFindings) -> npt.NDArray[np.uint8]:
    """The mask as the SEG holds it, read with pydicom alone; the numbers of its lesions."""
    mask = np.zeros(found.mask.shape, np.uint8)
    numbers = {each.SegmentNumber: int(each.TrackingID.split()[2].rstrip(":")) for each in seg.SegmentSequence}
    where = {(image.sop_instance_uid, image.frame): plane for plane, image in enumerate(found.images)}
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    for pixels, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        frame = source.get("ReferencedFrameNumber")
        plane = where[str(source.ReferencedSOPInstanceUID), None if frame is None else int(frame)]
        holder = groups if "SegmentIdentificationSequence" in groups else seg.SharedFunctionalGroupsSequence[0]
        mask[plane][pixels == 1] = numbers[holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
    return mask


def with_lesions(case: Case, numbers: dict[int, int]) -> Case:
    """The case with its lesions renumbered."""
    found = case.findings.sources[0]
    mask = np.zeros_like(found.mask)
    for old, new in numbers.items():
        mask[found.mask == old] = new
    lesions = tuple(replace(each, number=numbers[each.number]) for each in found.lesions)
    told = replace(found, mask=mask, lesions=lesions)
    return replace(case, findings=replace(case.findings, sources=(told,)))


@pytest.mark.checklist(16)
@pytest.mark.parametrize("name", WITH_LESIONS)
def test_the_mask_comes_back_bit_for_bit(name: str) -> None:
    found = stock(name).findings.sources[0]
    segs = [read(each) for each in stock_results(name) if each.kind is Kind.SEG]
    assert np.array_equal(sum(planes_of(seg, found) for seg in segs), found.mask)


def test_frames_that_are_not_whole_bytes_get_an_object_each() -> None:
    segs = [read(each) for each in stock_results("dx-odd-width-two-lesions") if each.kind is Kind.SEG]
    assert [int(seg.NumberOfFrames) for seg in segs] == [1, 1]
    assert len({seg.SeriesInstanceUID for seg in segs}) == 2
    together = radiograph(shape=(304, 219), lesions=2).one(Kind.SEG)
    assert int(together.NumberOfFrames) == 2


def test_pixels_that_no_lesion_claims_are_left_out() -> None:
    case = radiograph(lesions=2)
    found = case.findings.sources[0]
    one = replace(found, lesions=found.lesions[1:])
    seg = replace(case, findings=replace(case.findings, sources=(one,))).one(Kind.SEG)
    assert np.array_equal(planes_of(seg, found), np.where(found.mask == 2, 2, 0))


@pytest.mark.checklist(16)
@pytest.mark.parametrize("name", ["cr", "dx-two-lesions", "mr"])
def test_highdicom_reads_the_same_mask_by_source_instance(name: str) -> None:
    found = stock(name).findings.sources[0]
    data = next(part10(each) for each in stock_results(name) if each.kind is Kind.SEG)
    pixels = hd.seg.segread(BytesIO(data)).get_pixels_by_source_instance(
        source_sop_instance_uids=[image.sop_instance_uid for image in found.images],
        combine_segments=True,
        assert_missing_frames_are_empty=True,
    )
    assert np.array_equal(pixels, found.mask)


@pytest.mark.checklist(17)
@pytest.mark.parametrize("name", WITH_LESIONS)
def test_a_segmentation_is_binary_native_and_says_whose_it_is(name: str) -> None:
    seg = stock_one(name, Kind.SEG)
    assert seg.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4"
    assert (seg.SegmentationType, seg.Modality, seg.BitsAllocated) == ("BINARY", "SEG", 1)
    assert seg.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert (seg.ContentLabel, seg.ContentQualification) == ("AI_SEG", "RESEARCH")
    assert seg.LossyImageCompression == "00"


@pytest.mark.checklist(13, 14)
@pytest.mark.parametrize("name", WITH_LESIONS)
def test_every_frame_names_one_image_of_the_one_series_it_was_made_from(name: str) -> None:
    seg = stock_one(name, Kind.SEG)
    found = stock(name).findings.sources[0]
    known = {image.sop_instance_uid for image in found.images}
    assert [str(each.SeriesInstanceUID) for each in seg.ReferencedSeriesSequence] == [found.series_instance_uid]
    listed = {str(each.ReferencedSOPInstanceUID) for each in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert listed == known
    for groups in seg.PerFrameFunctionalGroupsSequence:
        (derivation,) = groups.DerivationImageSequence
        (image,) = derivation.SourceImageSequence
        assert str(image.ReferencedSOPInstanceUID) in known


@pytest.mark.checklist(11)
@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_a_radiograph_gets_a_nominal_plane_in_a_frame_of_reference_of_its_own(name: str) -> None:
    seg, spacing = stock_one(name, Kind.SEG), stock(name).findings.sources[0].spacing
    shared = seg.SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0]
    assert [float(each) for each in measures.PixelSpacing] == [spacing.row_mm, spacing.column_mm]
    assert [float(each) for each in shared.PlaneOrientationSequence[0].ImageOrientationPatient] == [1, 0, 0, 0, 1, 0]
    for groups in seg.PerFrameFunctionalGroupsSequence:
        assert [float(each) for each in groups.PlanePositionSequence[0].ImagePositionPatient] == [0, 0, 0]
    assert seg.FrameOfReferenceUID.startswith("2.25.")
    assert "PatientOrientation" in seg


def test_the_nominal_plane_keeps_the_shape_of_pixels_of_unknown_size() -> None:
    seg = radiograph(CR, spacing=Spacing(2.0, 1.0, SpacingSource.UNKNOWN)).one(Kind.SEG)
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert [float(each) for each in measures.PixelSpacing] == [2.0, 1.0]


@pytest.mark.checklist(11)
def test_a_radiograph_never_lends_its_own_frame_of_reference() -> None:
    case = radiograph(CR, FrameOfReferenceUID="1.2.826.0.1.3680043.8.498.77")
    first = case.one(Kind.SEG)
    again = case.asking(config="other").one(Kind.SEG)
    assert "1.2.826.0.1.3680043.8.498.77" != first.FrameOfReferenceUID != again.FrameOfReferenceUID


@pytest.mark.checklist(11)
def test_a_strict_archive_gets_no_plane() -> None:
    seg = radiograph(CR).asking(profile=Profile(nominal_plane=False)).one(Kind.SEG)
    assert "FrameOfReferenceUID" not in seg
    assert "PixelMeasuresSequence" not in seg.SharedFunctionalGroupsSequence[0]
    assert all("PlanePositionSequence" not in each for each in seg.PerFrameFunctionalGroupsSequence)
    assert list(seg.PatientOrientation) == ["L", "F"]


@pytest.mark.checklist(11, 12)
def test_an_mr_segmentation_keeps_grid_orientation_positions_and_frame_of_reference() -> None:
    seg, case = stock_one("mr", Kind.SEG), stock("mr")
    headers = {str(ds.SOPInstanceUID): ds for ds in case.sources[0].datasets}
    first = next(iter(headers.values()))
    shared = seg.SharedFunctionalGroupsSequence[0]
    assert (seg.Rows, seg.Columns, seg.FrameOfReferenceUID) == (first.Rows, first.Columns, first.FrameOfReferenceUID)
    stated = [float(each) for each in first.ImageOrientationPatient]
    assert [float(each) for each in shared.PlaneOrientationSequence[0].ImageOrientationPatient] == stated
    assert [float(each) for each in shared.PixelMeasuresSequence[0].PixelSpacing] == [0.5, 0.5]
    assert len(seg.PerFrameFunctionalGroupsSequence) == 3
    for groups in seg.PerFrameFunctionalGroupsSequence:
        image = headers[str(groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID)]
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        assert [float(each) for each in position] == [float(each) for each in image.ImagePositionPatient]


@pytest.mark.checklist(32)
@pytest.mark.parametrize(
    ("changes", "thickness"),
    [
        ({}, 3.5),
        ({"SliceThickness": None}, 4.0),
        ({"SliceThickness": "", "SpacingBetweenSlices": None}, 4.0),
        ({"SliceThickness": "0", "SpacingBetweenSlices": "-4"}, 4.0),
    ],
    ids=["stated", "missing: from the spacing", "empty: measured", "nonsense: measured"],
)
def test_a_slice_has_a_thickness(changes: dict[str, Any], thickness: float) -> None:
    seg = mr_series(**changes).one(Kind.SEG)
    measured = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness
    assert float(measured) == pytest.approx(thickness, abs=1e-4)


def test_a_segment_says_what_it_is_where_it_is_and_who_found_it() -> None:
    seg = stock_one("dx", Kind.SEG)
    (segment,) = seg.SegmentSequence
    assert segment.SegmentLabel == "AI lesion 1: malignant"
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "108369006"
    region = segment.AnatomicRegionSequence[0]
    assert (region.CodeValue, region.AnatomicRegionModifierSequence[0].CodeValue) == ("72696002", "7771000")
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (MODEL.name, MODEL.version)
    assert MODEL.weights_sha256 in algorithm.AlgorithmParameters
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
    assert segment.TrackingUID.startswith("2.25.")
    assert len(segment.RecommendedDisplayCIELabValue) == 3


def test_an_undecided_lesion_is_a_lesion_and_no_neoplasm() -> None:
    (segment,) = stock_one("undecided", Kind.SEG).SegmentSequence
    assert segment.SegmentLabel == "AI lesion 1: tumour, undecided"
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "52988006"


def test_segments_are_numbered_without_gaps_whatever_the_lesions_are_called() -> None:
    case = with_lesions(radiograph(CR, lesions=2), {1: 7, 2: 3})
    found = case.findings.sources[0]
    seg = case.one(Kind.SEG)
    labels = {int(each.SegmentNumber): each.SegmentLabel for each in seg.SegmentSequence}
    assert labels == {1: "AI lesion 7: malignant", 2: "AI lesion 3: malignant"}
    assert np.array_equal(planes_of(seg, found), found.mask)


def test_a_lesion_without_a_pixel_is_no_segment_and_the_report_still_names_it() -> None:
    case = radiograph(CR, lesions=2)
    found = case.findings.sources[0]
    told = replace(found, mask=np.where(found.mask == 2, 2, 0).astype(np.uint8))
    made = replace(case, findings=replace(case.findings, sources=(told,))).made()
    seg = read(next(each for each in made if each.kind is Kind.SEG))
    assert [each.SegmentLabel for each in seg.SegmentSequence] == ["AI lesion 2: malignant"]
    assert Kind.SR in {each.kind for each in made}


@pytest.mark.checklist(18)
def test_an_empty_mask_makes_no_segmentation() -> None:
    case = radiograph(CR)
    found = case.findings.sources[0]
    told = replace(found, mask=np.zeros_like(found.mask))
    made = replace(case, findings=replace(case.findings, sources=(told,))).made()
    assert Kind.SEG not in {each.kind for each in made}


@pytest.mark.checklist(30)
def test_monochrome1_and_monochrome2_give_the_same_segmentation() -> None:
    plain, inverse = stock_one("cr", Kind.SEG), stock_one("monochrome1", Kind.SEG)
    assert plain.PixelData == inverse.PixelData


def test_a_spacing_of_many_digits_still_fits_its_element() -> None:
    spacing = Spacing(0.1 + 0.2 / 3, 1.0 / 7, SpacingSource.DETECTOR)
    seg = radiograph(CR, spacing=spacing).one(Kind.SEG)
    written = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    assert [float(each) for each in written] == pytest.approx([spacing.row_mm, spacing.column_mm], rel=1e-9)


def test_the_colours_of_answers_differ() -> None:
    answers = (Answer.MALIGNANT, Answer.BENIGN, Answer.UNDECIDED)
    segs = [radiograph(CR, answer=answer).one(Kind.SEG) for answer in answers]
    assert len({tuple(seg.SegmentSequence[0].RecommendedDisplayCIELabValue) for seg in segs}) == 3


@pytest.mark.checklist(19)
@pytest.mark.parametrize("stated", [["L", "F"], None], ids=["stated", "not stated"])
@pytest.mark.parametrize("lesions", [1, 2])
def test_a_segmentation_of_a_radiograph_has_an_orientation_and_a_frame_for_each_segment(
    stated: list[str] | None, lesions: int
) -> None:
    case = radiograph(CR, shape=(304, 224), lesions=lesions, PatientOrientation=stated)
    seg = case.one(Kind.SEG)
    assert list(seg.PatientOrientation or ()) == (stated or [])
    assert int(seg.NumberOfFrames) == len(seg.SegmentSequence) == lesions


@pytest.mark.checklist(33)
def test_of_a_series_with_two_b_values_only_the_one_that_was_read_is_referred_to() -> None:
    case = mr_series(DiffusionBValue=800.0)
    others = mr_series(DiffusionBValue=0.0).sources[0].datasets
    for ds in others:
        ds.SOPInstanceUID = f"{ds.SOPInstanceUID}.0"  # the same places, the same series
    source = replace(case.sources[0], datasets=(*others, *case.sources[0].datasets))
    seg = replace(case, sources=(source,)).one(Kind.SEG)
    referred = {
        str(each.ReferencedSOPInstanceUID) for each in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }
    assert referred
    assert referred <= {image.sop_instance_uid for image in case.findings.sources[0].images}
    assert planes_of(seg, case.findings.sources[0]).any()
