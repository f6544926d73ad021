"""What a report says of its run by value: the images that were read, what was left out, how soon, which weights."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from node.report.kind import Kind
from node.report.profile import Profile
from tests.node.report.made_cases import MODEL, NOW, STOCK, Case, normal, not_assessed, radiograph, read, stock
from tests.node.report.sr_reading import codes, groups, items, numbers, texts, walk
from tests.node.report.test_report_validators import judged
from tests.node.report.validators import ran

ROUTING = (
    "series 1: left knee AP \u2192 knee-unet 1.2.",
    "series 2: localizer, 3 images: a localizer, not used.",
    "series 1: text may be burned into the pixels (BurnedInAnnotation is YES).",
)
ALONE = Profile(kinds=frozenset({Kind.SR}))
LEVELS = (0.1, 0.6, 0.2, 0.06, 0.04)


def levelled(case: Case) -> Case:
    """The case with lesions that say in which levels of distance their pixels lie."""
    found = case.findings.sources[0]
    lesions = tuple(replace(lesion, levels=LEVELS) for lesion in found.lesions)
    return replace(case, findings=replace(case.findings, sources=(replace(found, lesions=lesions),)))


@pytest.mark.parametrize("name", STOCK)
def test_the_image_library_holds_every_image_that_was_read_by_source(name: str) -> None:
    report = stock(name).one(Kind.SR)
    (library,) = items(report, "image library")
    assert library.ContentTemplateSequence[0].TemplateIdentifier == "1600"
    found = [
        [
            str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
            for item in walk(group)
            if item.ValueType == "IMAGE"
        ]
        for group in items(library, "image group")
    ]
    read_images = [
        list(dict.fromkeys(image.sop_instance_uid for image in source.images))
        for source in stock(name).findings.sources
    ]
    assert found == read_images
    modality = str(stock(name).sources[0].datasets[0].Modality)
    assert {code[0] for code in codes(library, "modality")} == {modality}


def test_what_was_used_and_what_was_left_out_is_said_of_the_study() -> None:
    report = stock("dx").asking(routing=ROUTING).one(Kind.SR)
    study = groups(report)[-1]
    assert texts(study, "used") == ["series 1: left knee AP -> knee-unet 1.2."]
    assert texts(study, "left out") == ["series 2: localizer, 3 images: a localizer, not used."]
    assert texts(stock("dx").one(Kind.SR), "used") == []


@pytest.mark.parametrize("name", ["dx", "normal", "not-assessed", "mr", "two-radiographs"])
def test_the_time_from_the_last_image_is_a_number_in_seconds(name: str) -> None:
    case = stock(name).asking(last_image_at=NOW - timedelta(seconds=95.25))
    assert numbers(case.one(Kind.SR), "wait") == [(95.2, "s")]
    assert numbers(stock(name).one(Kind.SR), "wait") == []


def test_an_image_that_comes_after_the_analysis_gives_no_negative_time() -> None:
    case = stock("dx").asking(last_image_at=NOW + timedelta(seconds=5))
    assert numbers(case.one(Kind.SR), "wait") == [(0.0, "s")]


def test_a_lesion_says_in_which_levels_of_distance_its_pixels_lie() -> None:
    lesion, study = groups(levelled(radiograph()).one(Kind.SR))
    assert numbers(lesion, "level tumour") == [(60.0, "%")]
    assert numbers(lesion, "level near") == [(20.0, "%")]
    assert numbers(lesion, "level background") == [(10.0, "%")]
    assert numbers(study, "level tumour") == []
    assert numbers(groups(radiograph().one(Kind.SR))[0], "level tumour") == []


def test_the_observer_is_another_after_every_training_and_the_equipment_the_same() -> None:
    case = normal()
    trained = replace(case, findings=replace(case.findings, model=replace(MODEL, weights_sha256="cd" * 32)))
    before, after = case.one(Kind.SR), trained.one(Kind.SR)
    observers = [str(items(report, "observer uid")[0].UID) for report in (before, after)]
    assert observers[0] != observers[1]
    assert [str(report.DeviceUID) for report in (before, after)] == observers
    assert before.DeviceSerialNumber == after.DeviceSerialNumber


@pytest.mark.parametrize("name", ["dx", "normal", "not-assessed", "mr", "enhanced-mr", "two-radiographs"])
def test_validators_find_no_error_in_a_report_that_says_all_of_it(name: str, tmp_path: Path) -> None:
    case = not_assessed() if name == "not-assessed" else stock(name)
    case = levelled(case) if name in ("dx", "mr", "enhanced-mr") else case
    profile = replace(ALONE, report_not_assessed=True)
    made = case.asking(profile=profile, routing=ROUTING, last_image_at=NOW - timedelta(seconds=95)).made()
    assert judged(made, tmp_path) == {}
    status, said = ran(
        "tid1500reader",
        "--inputDICOM",
        tmp_path / f"{made[0].order}-sr.dcm",
        "--outputMetadata",
        tmp_path / "told.json",
    )
    assert status == 0, said
    assert read(made[0]).SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
