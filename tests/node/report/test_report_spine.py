"""The results of the spine system: boxes, sequences, the patient, and the three voices that were weighed."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from PIL import Image

from models.card import read_bundle
from models.findings import Answer
from models.session import Device, SessionOptions
from node.cards import card_facts
from node.report.encode import EncodedObject
from node.report.kind import Kind
from node.report.objects import objects
from node.report.request import Request
from node.report.words import headline
from node.route import route
from node.series import series_of
from node.systems.opening import open_system
from node.systems.protocol import Answered, System
from tests.models import spine_nets
from tests.node.report import sr_reading
from tests.node.report.made_cases import NOW, read
from tests.node.report.test_report_validators import judged, written
from tests.node.report.validators import ran
from tests.node.spines import Drawn, classic, enhanced, received

T1, T2 = Drawn("t1", 1), Drawn("t2", 2, rows=120, columns=120, step_mm=3.5, box=(30, 60, 56, 80))
FS = Drawn("fs", 3, lesion=())
EMPTY = replace(T1, lesion=())
STUDIES: dict[str, Callable[[], list]] = {
    "malignant": lambda: [classic(T1), classic(T2), classic(FS)],
    "multi-frame": lambda: [enhanced(T1), enhanced(T2), enhanced(FS)],
    "one sequence": lambda: [classic(T1)],
    "no tumour": lambda: [classic(EMPTY), classic(FS)],
    "age unknown": lambda: [classic(T1, PatientAge="", PatientBirthDate="")],
}


@cache
def system() -> System:
    with TemporaryDirectory() as folder:
        return open_system(read_bundle(spine_nets.bundle(Path(folder) / "spine")), SessionOptions(Device.CPU, 1))


@cache
def said(name: str) -> Answered:
    images = received(*STUDIES[name]())
    decision = route(series_of(each.facts for each in images.values()), [card_facts(system().card)])
    assert decision.chosen is not None
    return system().study(decision.chosen, images)


@cache
def made(name: str) -> tuple[EncodedObject, ...]:
    findings = said(name).findings
    assert findings is not None
    return objects(findings, said(name).sources, Request(NOW))


def kinds(name: str) -> list[Kind]:
    return [each.kind for each in made(name)]


@pytest.mark.checklist(1, 2)
@pytest.mark.parametrize("name", STUDIES)
def test_validators_find_no_error(name: str, tmp_path: Path) -> None:
    assert judged(made(name), tmp_path) == {}


@pytest.mark.checklist(3)
@pytest.mark.parametrize("name", STUDIES)
def test_dcmqi_reads_the_report(name: str, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    status, words = ran(
        "tid1500reader", "--inputDICOM", written(made(name), tmp_path)[Kind.SR], "--outputMetadata", told
    )
    assert status == 0, words
    found = [group for group in json.loads(told.read_text())["Measurements"] if "Finding" in group]
    findings = said(name).findings
    assert findings is not None
    assert len(found) == sum(len(source.lesions) for source in findings.sources)


def test_boxes_are_regions_and_graphics_and_never_a_segmentation() -> None:
    assert kinds("malignant") == [Kind.GSPS, Kind.GSPS, Kind.SC, Kind.SC, Kind.SR]
    assert kinds("no tumour") == [Kind.SR]
    report = read(made("malignant")[-1])
    boxes = [group for group in sr_reading.groups(report) if sr_reading.items(group, "finding")]
    assert [len(sr_reading.items(box, "region")) for box in boxes] == [2, 2]
    assert [sr_reading.codes(box, "assessment")[0][2] for box in boxes] == ["Malignant", "Malignant"]


def test_the_report_holds_the_three_voices_of_each_sequence_and_of_the_patient() -> None:
    report = read(made("malignant")[-1])
    groups = [group for group in sr_reading.groups(report) if not sr_reading.items(group, "finding")]
    names = [sr_reading.texts(group, "tracking")[0] for group in groups]
    assert names == [*(f"AI answer for series {number}" for number in (1, 2, 3)), "AI answer for the study"]
    t2, empty, t1, patient = groups
    for group in (t2, t1, patient):
        assert sr_reading.numbers(group, "by detector") == [(77.8, "%")]
        assert sr_reading.numbers(group, "by classifier") == [(70.0, "%")]
        assert sr_reading.numbers(group, "by age") == [(55.0, "%")]
        weights = [sr_reading.numbers(group, f"weight of {each}") for each in ("detector", "classifier", "age")]
        assert weights == [[(0.45, "1")], [(0.45, "1")], [(0.1, "1")]]
        assert sr_reading.numbers(group, "cancer") == [(72.0, "%")]
        assert sr_reading.codes(group, "assessment")[0][2] == "Malignant"
    assert sr_reading.codes(empty, "assessment")[0][2] == "Normal"
    assert sr_reading.numbers(empty, "by age") == []
    comments = sr_reading.texts(patient, "comment")
    assert "2 sequence(s) vote malignant, 0 benign." in comments
    assert "The model was trained on simulated images only." in comments
    assert any("answers without sagittal T1 after contrast agent" in comment for comment in comments)


def test_an_age_that_is_not_known_has_a_weight_and_no_value() -> None:
    report = read(made("age unknown")[-1])
    assert sr_reading.numbers(report, "by age") == []
    assert sr_reading.numbers(report, "weight of age") == [(0.1, "1")]
    assert any("age of the patient is not known" in comment for comment in sr_reading.texts(report, "comment"))


def test_a_patient_without_a_box_is_said_to_have_no_tumour_detected() -> None:
    report = read(made("no tumour")[-1])
    assert {code[2] for code in sr_reading.codes(report, "assessment")} == {"Normal"}
    comments = sr_reading.texts(report, "comment")
    assert "No tumour was detected. That is not the finding of a benign one." in comments
    assert sr_reading.numbers(report, "cancer") == []


def test_a_picture_shows_the_slice_with_the_box_and_what_is_said_of_study_and_series(tmp_path: Path) -> None:
    ds = read(next(each for each in made("malignant") if each.kind is Kind.SC))
    source = said("malignant").sources[0]
    shown = ds.SourceImageSequence[0].ReferencedSOPInstanceUID
    findings = said("malignant").findings
    assert findings is not None
    assert shown in {outline.sop_instance_uid for outline in findings.sources[0].lesions[0].outlines}
    assert shown in {each.SOPInstanceUID for each in source.datasets}
    Image.fromarray(ds.pixel_array).save(tmp_path / "overlay.png")


def test_an_undecided_answer_names_what_it_wavers_about() -> None:
    words = headline(Answer.UNDECIDED, {Answer.BENIGN: 0.52, Answer.MALIGNANT: 0.48})
    assert words == "AI: undecided (malignant 48 %)"
