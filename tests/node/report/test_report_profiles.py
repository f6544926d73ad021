"""Each ready-made profile: what it makes of fixed findings, in which forms, and what the judges of others say of it."""

from pathlib import Path

import pytest

from node.errors import ProfileUnknown
from node.report.encode import part10
from node.report.kind import Kind
from node.report.objects import objects
from node.report.profile import PROFILES, profile_named
from tests.node.report.golden import FOLDER, STUDIES, lines_of, made
from tests.node.report.made_cases import read, stock
from tests.node.report.validators import errors_of, ran, volume_of

LABELMAP = "1.2.840.10008.5.1.4.1.1.66.7"
NOWHERE = {("strict", "dx-two-lesions")}
"""dcmqi reads no Segmentation without a plane."""


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_makes_what_it_made_before(name: str) -> None:
    known = (FOLDER / f"{name}.txt").read_text(encoding="ascii")
    assert lines_of(name) == known, "if that is meant: PYTHONPATH=. python -m tests.node.report.golden"


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("name", PROFILES)
def test_others_can_read_all_that_a_profile_makes(name: str, study: str, tmp_path: Path) -> None:
    for turn, result in enumerate(made(name, study)):
        path = tmp_path / f"{turn}.dcm"
        path.write_bytes(part10(result))
        if result.sop_class_uid != LABELMAP:  # younger than the tool
            assert errors_of(path) == [], result.kind
        if result.kind is Kind.SEG and (name, study) not in NOWHERE:
            (tmp_path / str(turn)).mkdir()
            mask = stock(study).findings.sources[0].mask
            assert (volume_of(path, tmp_path / str(turn)).voxels > 0).sum() == (mask > 0).sum()
        if result.kind in (Kind.SR, Kind.SEGMENT_SR):
            assert ran("dsrdump", path)[0] == 0
            status, said = ran("tid1500reader", "--inputDICOM", path, "--outputMetadata", tmp_path / "read.json")
            assert status == 0, said


@pytest.mark.parametrize("study", ["mr", "enhanced-mr", "dx", "dx-two-lesions", "dx-odd-width-two-lesions"])
def test_ohif_gets_no_frame_that_begins_inside_a_byte_and_whole_bytes_of_such_volumes_alone(study: str) -> None:
    found = [read(result) for result in made("ohif", study) if result.kind is Kind.SEG]
    assert found
    for ds in found:
        pixels = ds.Rows * ds.Columns
        assert ds.SegmentationType == ("FRACTIONAL" if "mr" in study else "BINARY")
        assert ds.SegmentationType == "FRACTIONAL" or pixels % 8 == 0 or ds.NumberOfFrames == 1


@pytest.mark.parametrize("study", ["mr", "dx-two-lesions"])
def test_the_first_segment_of_a_label_map_is_a_lesion_and_the_last_its_background(study: str) -> None:
    (ds,) = (read(result) for result in made("labelmap", study) if result.sop_class_uid == LABELMAP)
    *lesions, background = ds.SegmentSequence
    assert [each.SegmentNumber for each in lesions] == list(range(1, len(lesions) + 1))
    assert background.SegmentNumber == 0


@pytest.mark.parametrize("study", STUDIES)
def test_what_profiles_get_alike_is_one_object_and_no_two_share_a_uid(study: str) -> None:
    case = stock(study)
    together = objects(case.findings, case.sources, case.request, tuple(PROFILES.values()))
    assert len({each.sop_instance_uid for each in together}) == len(together)
    for name in PROFILES:
        alone = {each.sop_instance_uid for each in made(name, study)}
        assert {each.sop_instance_uid for each in together if any(r.profile == name for r in each.roles)} == alone


@pytest.mark.parametrize("name", PROFILES)
def test_the_report_comes_last_and_names_what_goes_with_it_and_nothing_held_in_reserve(name: str) -> None:
    results = made(name, "dx-two-lesions")
    going = [each for each in results if not each.roles[0].in_reserve]
    assert going[-1].kind is Kind.SR
    named = {
        reference.ReferencedSOPInstanceUID
        for item in read(going[-1]).CurrentRequestedProcedureEvidenceSequence
        for series in item.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    assert {each.sop_instance_uid for each in going[:-1]} <= named
    assert not {each.sop_instance_uid for each in results if each.roles[0].in_reserve} & named


@pytest.mark.parametrize("name", PROFILES)
def test_what_stands_in_for_another_comes_after_it(name: str) -> None:
    results = made(name, "dx-two-lesions")
    turns = {each.sop_instance_uid: turn for turn, each in enumerate(results)}
    for turn, result in enumerate(results):
        (role,) = result.roles
        assert all(turns[uid] < turn for uid in role.instead_of)
        assert role.instead_of or not role.in_reserve


def test_a_profile_that_is_not_known_is_told_with_those_that_are() -> None:
    with pytest.raises(ProfileUnknown, match="no result profile 'ohiff'. Choose one of default, ohif"):
        profile_named("ohiff")
