"""What holds for the results of a run together: which, in which order, under which names, and again the same."""

import hashlib
import itertools
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from models.findings import Answer
from models.knee import SYSTEM
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.report.codes import BODY_PARTS, SYSTEM_BODY_PARTS
from node.report.kind import Kind
from node.report.profile import Profile
from tests.node.report.made_cases import (
    CR,
    MODEL,
    STOCK,
    Case,
    mr_series,
    normal,
    radiograph,
    read,
    stock,
    stock_one,
    stock_results,
    two_radiographs,
)

ORDER = [Kind.SEG, Kind.GSPS, Kind.SC, Kind.SR]


def elements(ds: Dataset) -> list[int]:
    """Every tag of an object, at any depth."""
    return [int(element.tag) for element in ds.iterall()]


@pytest.mark.checklist(55)
@pytest.mark.parametrize("name", STOCK)
def test_results_leave_as_segmentation_outlines_picture_report(name: str) -> None:
    results = stock_results(name)
    places = [ORDER.index(each.kind) for each in results]
    assert places == sorted(places)
    assert [each.order for each in results] == list(range(len(results)))
    assert results[-1].kind is Kind.SR


def test_a_radiograph_and_a_series_get_all_four() -> None:
    assert [each.kind for each in stock_results("cr")] == ORDER
    assert [each.kind for each in stock_results("mr")] == ORDER


def test_a_profile_chooses_the_kinds() -> None:
    made = radiograph(CR).asking(profile=Profile(kinds=frozenset({Kind.SC, Kind.SR}))).made()
    assert [each.kind for each in made] == [Kind.SC, Kind.SR]


@pytest.mark.checklist(4, 15)
@pytest.mark.parametrize("name", STOCK)
def test_every_object_is_alone_in_its_series_in_the_study_of_its_source(name: str) -> None:
    made = [read(each) for each in stock_results(name)]
    study = str(stock(name).sources[0].datasets[0].StudyInstanceUID)
    assert {str(ds.StudyInstanceUID) for ds in made} == {study}
    assert len({str(ds.SeriesInstanceUID) for ds in made}) == len(made)
    assert len({str(ds.SOPInstanceUID) for ds in made}) == len(made)
    assert [int(ds.SeriesNumber) for ds in made] == list(range(9001, 9001 + len(made)))
    assert {int(ds.InstanceNumber) for ds in made} == {1}


@pytest.mark.parametrize("name", STOCK)
def test_the_envelope_says_what_the_object_says(name: str) -> None:
    for each in stock_results(name):
        ds = read(each)
        assert (each.sop_class_uid, each.sop_instance_uid) == (ds.SOPClassUID, ds.SOPInstanceUID)
        assert (each.series_instance_uid, each.transfer_syntax_uid) == (
            ds.SeriesInstanceUID,
            "1.2.840.10008.1.2.1",
        )


@pytest.mark.checklist(8, 9, 10)
@pytest.mark.parametrize("name", STOCK)
def test_no_private_element_no_overlay_and_only_our_own_or_the_source_s_uids(name: str) -> None:
    for each in stock_results(name):
        ds = read(each)
        for tag in elements(ds):
            assert not (tag >> 16) & 1
            assert (tag >> 24) not in (0x50, 0x60)
        assert b"1.2.826.0.1.3680043.10.511.3" not in each.data  # the root of the library
        assert ds.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
        assert ds.file_meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME


@pytest.mark.parametrize("name", ["cr", "mr", "normal", "two-radiographs"])
def test_the_same_request_gives_the_same_bytes(name: str) -> None:
    assert STOCK[name]().made() == stock_results(name)


def test_the_order_in_which_headers_come_changes_nothing() -> None:
    case = mr_series()
    turned = replace(case, sources=(replace(case.sources[0], datasets=tuple(reversed(case.sources[0].datasets))),))
    assert turned.made() == case.made()


@pytest.mark.parametrize(
    "other",
    [
        lambda case: case.asking(config="threshold=0.4"),
        lambda case: case.asking(run=2),
        lambda case: replace(case, findings=replace(case.findings, model=replace(MODEL, weights_sha256="cd" * 32))),
        lambda case: two_radiographs(),
    ],
    ids=["settings", "a run that replaces it", "weights", "images"],
)
def test_another_run_has_other_uids(other) -> None:  # type: ignore[no-untyped-def]
    first = radiograph(CR)
    ours = {uid for each in first.made() for uid in (each.sop_instance_uid, each.series_instance_uid)}
    theirs = {uid for each in other(first).made() for uid in (each.sop_instance_uid, each.series_instance_uid)}
    assert not ours & theirs


def test_a_run_on_the_same_images_keeps_the_tracking_of_its_lesions() -> None:
    uids = [case.one(Kind.SEG).SegmentSequence[0].TrackingUID for case in (stock("cr"), stock("cr").asking(run=2))]
    assert uids[0] == uids[1]


def test_regions_on_an_image_that_is_normal_are_not_reported() -> None:
    assert [each.kind for each in radiograph(answer=Answer.NORMAL).made()] == [Kind.SR]


def test_a_profile_may_want_nothing() -> None:
    assert radiograph().asking(profile=Profile(kinds=frozenset())).made() == ()


def test_another_process_gives_the_same_bytes() -> None:
    script = (
        "import hashlib; from tests.node.report.made_cases import radiograph;"
        "print(*[hashlib.sha256(each.data).hexdigest() for each in radiograph().made()])"
    )
    root = Path(__file__).parents[3]
    said = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True).stdout
    assert said.split() == [hashlib.sha256(each.data).hexdigest() for each in radiograph().made()]


def test_the_moment_changes_no_uid() -> None:
    later = stock("cr").asking(now=datetime(2027, 1, 1, 0, 0, 0))
    assert [each.sop_instance_uid for each in later.made()] == [each.sop_instance_uid for each in stock_results("cr")]


def test_the_series_of_a_later_run_are_numbered_apart() -> None:
    made = [int(read(each).SeriesNumber) for each in radiograph(CR).asking(run=3).made()]
    assert made == [11001, 11002, 11003, 11004]


@pytest.mark.parametrize("name", STOCK)
def test_series_are_described_in_the_words_of_the_model_card(name: str) -> None:
    words = {Kind.SEG: "segmentation", Kind.GSPS: "outlines", Kind.SC: "overlay", Kind.SR: "report"}
    for each in stock_results(name):
        said = str(read(each).SeriesDescription)
        assert said.startswith(f"AI {words[each.kind]} ")
        assert said.endswith(" (knee-unet 1.2)")


def test_a_long_name_of_a_model_still_fits() -> None:
    case = radiograph(CR)
    model = replace(MODEL, name="Tumörerkennung " * 12, version="1.2.3-beta")
    for each in replace(case, findings=replace(case.findings, model=model)).made():
        ds = read(each)
        assert len(ds.SeriesDescription) <= 64
        assert ds.SeriesDescription.isascii()
        assert ds.SeriesDescription.startswith("AI ")


def test_every_time_of_an_object_is_the_moment_of_the_request() -> None:
    for each in stock_results("cr"):
        ds = read(each)
        for what in ("InstanceCreation", "Series", "Content", "PresentationCreation"):
            if f"{what}Date" in ds:
                assert (ds[f"{what}Date"].value, ds[f"{what}Time"].value) == ("20260304", "050607")


@pytest.mark.checklist(7)
def test_times_are_told_in_the_zone_of_the_source() -> None:
    moment = datetime(2026, 3, 4, 23, 30, 0, tzinfo=UTC)
    report = normal(TimezoneOffsetFromUTC="+0130").asking(now=moment).one(Kind.SR)
    assert (report.ContentDate, report.ContentTime) == ("20260305", "010000")
    assert report.TimezoneOffsetFromUTC == "+0130"
    assert "TimezoneOffsetFromUTC" not in stock_one("normal", Kind.SR)


@pytest.mark.parametrize(
    ("body_part", "laterality", "header", "told"),
    [
        ("", "", {"BodyPartExamined": "FEMUR", "Laterality": "R"}, ("FEMUR", "71341001", "24028007")),
        ("TIBIA", "L", {"BodyPartExamined": "FEMUR", "Laterality": "R"}, ("TIBIA", "12611008", "7771000")),
        ("", "", {"BodyPartExamined": None, "Laterality": None}, ("EXTREMITY", "66019005", "")),
        ("", "", {"BodyPartExamined": "", "Laterality": "L"}, ("EXTREMITY", "66019005", "7771000")),
        ("PELVIS", "", {"Laterality": "L"}, ("PELVIS", "816092008", "")),
    ],
    ids=["the header's", "the route's", "the system's", "the system's, with a side", "unpaired"],
)
def test_region_and_side(
    body_part: str, laterality: str, header: dict[str, str | None], told: tuple[str, str, str]
) -> None:
    case = radiograph(CR, **header)
    source = replace(case.sources[0], body_part=body_part, laterality=laterality)
    seg = replace(case, sources=(source,)).one(Kind.SEG)
    region = seg.SegmentSequence[0].AnatomicRegionSequence[0]
    side = region.get("AnatomicRegionModifierSequence")
    assert (seg.BodyPartExamined, region.CodeValue, side[0].CodeValue if side else "") == told


@pytest.mark.checklist(20)
@pytest.mark.parametrize("body_part", ["PELVIS", "CHEST", "LSPINE"])
def test_a_part_without_a_side_gets_none_in_any_object(body_part: str) -> None:
    for each in radiograph(CR, BodyPartExamined=body_part, Laterality="L").made():
        assert "Laterality" not in read(each)


def test_the_region_of_a_system_is_known_under_its_real_name() -> None:
    assert SYSTEM in SYSTEM_BODY_PARTS
    assert set(SYSTEM_BODY_PARTS.values()) <= set(BODY_PARTS)


def test_the_codes_of_regions_differ() -> None:
    for first, second in itertools.combinations(BODY_PARTS.values(), 2):
        assert first.value != second.value


def without_a_header(case: Case) -> Case:
    source = case.sources[0]
    return replace(case, sources=(replace(source, datasets=source.datasets[1:]),))


def test_a_missing_header_is_a_bug_that_is_named() -> None:
    with pytest.raises(ValueError, match="1 of 7 images of a source come without their header"):
        without_a_header(mr_series()).made()


def test_a_mask_of_another_shape_is_refused() -> None:
    case = radiograph(CR)
    found = case.findings.sources[0]
    cut = replace(case.findings, sources=(replace(found, mask=found.mask[:, :-1]),))
    with pytest.raises(ValueError, match="the mask is"):
        replace(case, findings=cut).made()


def test_findings_without_a_source_are_refused() -> None:
    case = radiograph(CR)
    with pytest.raises(ValueError, match="findings without a source"):
        replace(case, findings=replace(case.findings, sources=()), sources=()).made()


def test_every_object_names_the_equipment_that_made_its_source() -> None:
    stated = {"Manufacturer": "ACME", "ManufacturerModelName": "Ray 3", "StationName": "R1", "DeviceSerialNumber": "77"}
    for each in radiograph(CR, **stated).made():
        (item,) = read(each).ContributingEquipmentSequence
        assert {keyword: item[keyword].value for keyword in stated} == stated
        assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"


@pytest.mark.parametrize("manufacturer", ["", "東芝", None])
def test_equipment_whose_maker_cannot_be_named_is_left_out(manufacturer: str | None) -> None:
    case = radiograph(CR, SpecificCharacterSet="ISO_IR 192", Manufacturer=manufacturer, StationName="R1")
    assert not any("ContributingEquipmentSequence" in read(each) for each in case.made())
