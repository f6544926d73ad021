"""What is read from a source header: geometry, region and side, compression; whatever is wrong is left out."""

from collections.abc import Sequence

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import JPEG2000, JPEGBaseline8Bit

from node.report.header import anatomy_of, decimal, is_projection, numbers, skeleton, slice_thickness_of
from tests.node.report.made_cases import CR, DX, MR, header


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _mr(**extra: object) -> Dataset:
    ds = header(MR, "MR", Rows=4, Columns=4, **extra)
    ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 0]
    return ds


@pytest.mark.parametrize(
    ("ds", "expected"),
    [
        (header(CR, "CR", Rows=4, Columns=4), True),
        (header(DX, "DX", Rows=4, Columns=4), True),
        (_mr(), False),
        (header(DX, "DX", Rows=4, Columns=4, ImageOrientationPatient=[1, 0, 0, 0, 1, 0]), True),
        (header(CR, "OT", Rows=4, Columns=4), True),
    ],
    ids=["CR", "DX", "MR", "DX with an orientation", "unknown without an orientation"],
)
def test_a_radiograph_is_a_projection(ds: Dataset, expected: bool) -> None:
    assert is_projection(ds) == expected


@pytest.mark.checklist(32)
@pytest.mark.parametrize(
    ("thickness", "between", "gaps", "expected"),
    [
        ("3.5", None, (4.0, 4.0), 3.5),
        (None, "4.2", (4.0, 4.0), 4.2),
        ("", None, (4.0, 4.0), 4.0),
        ("0", None, (4.0, 5.0, 4.0), 4.0),
        (None, None, (), 1.0),
    ],
    ids=["stated", "distance stated", "measured", "zero is not one", "nothing known"],
)
def test_slice_thickness(thickness: str | None, between: str | None, gaps: Sequence[float], expected: float) -> None:
    datasets, at = [], 0.0
    for gap in (*gaps, 0.0):
        ds = _mr(SliceThickness=thickness, SpacingBetweenSlices=between)
        ds.ImagePositionPatient = [0, 0, at]
        datasets.append(ds)
        at += gap
    assert slice_thickness_of(datasets) == expected


@pytest.mark.parametrize(
    ("changes", "body_part", "laterality", "expected"),
    [
        ({}, "", "", ("72696002", "7771000", "KNEE", "L")),
        ({"BodyPartExamined": None, "Laterality": None}, "", "", ("72696002", None, "KNEE", "")),
        ({}, "FEMUR", "R", ("71341001", "24028007", "FEMUR", "R")),
        ({"ImageLaterality": "R"}, "", "", ("72696002", "24028007", "KNEE", "R")),
        ({"BodyPartExamined": "LSPINE"}, "", "", ("122496007", None, "LSPINE", "")),
        ({"Laterality": "B"}, "", "", ("72696002", "51440002", "KNEE", "")),
        ({"BodyPartExamined": "膝"}, "", "", ("72696002", "7771000", "KNEE", "L")),
        ({"BodyPartExamined": "LEFT FOOT AP"}, "", "", ("72696002", "7771000", "LEFT FOOT AP", "L")),
        ({"Laterality": "X"}, "", "", ("72696002", None, "KNEE", "")),
        ({}, "NOWHERE", "", ("72696002", "7771000", "KNEE", "L")),
    ],
    ids=[
        "as the header says",
        "nothing said: the system's region",
        "the route decides",
        "image before series",
        "unpaired has no side",
        "both sides",
        "not ASCII",
        "unknown term",
        "unknown side",
        "route with an unknown term",
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_region_and_side(
    changes: dict[str, str], body_part: str, laterality: str, expected: tuple[str, str | None, str, str]
) -> None:
    ds = header(CR, "CR", Rows=4, Columns=4, SpecificCharacterSet="ISO_IR 192", **changes)
    found = anatomy_of(ds, body_part, laterality, "KNEE")
    side = found.side.value if found.side else None
    assert found.region is not None
    assert (found.region.value, side, found.body_part, found.laterality) == expected


def test_a_coded_region_with_its_side_comes_before_terms() -> None:
    ds = header(CR, "CR", Rows=4, Columns=4, Laterality=None)
    item = _code("12611008", "SCT", "Tibia")
    item.AnatomicRegionModifierSequence = [_code("24028007", "SCT", "Right")]
    ds.AnatomicRegionSequence = [_code("T-12345", "SRT", "old"), item]
    found = anatomy_of(ds, "", "", "KNEE")
    assert found.region is not None
    assert (found.region.value, found.laterality) == ("12611008", "R")


@pytest.mark.parametrize(
    ("syntax", "method"), [(JPEG2000, "ISO_15444_1"), (JPEGBaseline8Bit, "ISO_10918_1"), (None, "ISO_10918_1")]
)
def test_a_lossy_source_gets_a_method_and_a_ratio(syntax: str | None, method: str) -> None:
    ds = header(CR, "CR", Rows=4, Columns=4, LossyImageCompression="01")
    if syntax:
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = syntax
    made = skeleton(ds)
    assert made.LossyImageCompression == "01"
    assert made.LossyImageCompressionMethod == method
    assert made.LossyImageCompressionRatio == 1


def test_a_lossy_source_keeps_its_own_method_and_ratios() -> None:
    extra = {"LossyImageCompressionMethod": ["ISO_10918_1", "ISO_15444_1"], "LossyImageCompressionRatio": ["5", "7.5"]}
    made = skeleton(header(CR, "CR", Rows=4, Columns=4, LossyImageCompression="01", **extra))
    assert list(made.LossyImageCompressionMethod) == extra["LossyImageCompressionMethod"]
    assert [float(each) for each in made.LossyImageCompressionRatio] == [5.0, 7.5]


def test_the_skeleton_knows_nothing_of_the_patient() -> None:
    made = skeleton(header(CR, "CR", Rows=4, Columns=4, PatientName="CANARY^Bird"))
    assert "CANARY" not in str(made)
    assert made.PatientID == ""


def test_a_slope_without_an_intercept_is_none() -> None:
    made = skeleton(header(CR, "CR", Rows=4, Columns=4, RescaleSlope="2"))
    assert "RescaleSlope" not in made


def test_geometry_keeps_the_digits_in_which_it_was_written() -> None:
    made = skeleton(_mr(PixelSpacing=["0.310200", "0.3102"]))
    assert [str(each) for each in made.PixelSpacing] == ["0.310200", "0.3102"]


def test_an_mr_image_without_a_frame_of_reference_gets_one_per_series() -> None:
    first, second = skeleton(_mr()), skeleton(_mr())
    assert first.FrameOfReferenceUID == second.FrameOfReferenceUID
    assert first.FrameOfReferenceUID.startswith("2.25.")


@pytest.mark.parametrize("value", [1 / 3, -1 / 3, 1e-17, -123456.789012345, 1e300, 0.0])
def test_decimals_fit_in_16_characters_and_keep_their_value(value: float) -> None:
    text = decimal(value)
    assert len(text) <= 16
    assert float(text) == pytest.approx(value, rel=1e-8)


def test_numbers_that_are_none_are_no_numbers() -> None:
    ds = Dataset()
    assert numbers(ds, "WindowCenter") == []
    ds.WindowCenter = ""
    assert numbers(ds, "WindowCenter") == []
    ds.WindowCenter = ["1", "2"]
    assert numbers(ds, "WindowCenter") == [1.0, 2.0]
