"""Reports by value: groups, codes, numbers with units, notes, references, flags."""

from dataclasses import replace

import numpy as np
import pytest
from pydicom.dataset import Dataset

from models.findings import Answer, Measurement, MeasurementKind, Unit
from node.report.kind import Kind
from node.report.profile import Profile
from node.report.request import DocumentRef
from node.report.sr_groups import percentage
from node.report.subject import surface
from tests.node.report.made_cases import (
    CR,
    MODEL,
    STOCK,
    WITH_LESIONS,
    Case,
    normal,
    radiograph,
    read,
    stock,
    stock_one,
    stock_results,
)
from tests.node.report.sr_reading import codes, concept, groups, items, numbers, texts, tracking_uids, walk

PREVIOUS = DocumentRef("1.2.3", "1.2.4", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.5")


def altered(case: Case, **changes: object) -> Case:
    """The case with its only source and the study's answer changed alike."""
    found = replace(case.findings.sources[0], **changes)
    findings = replace(case.findings, answer=found.answer, probabilities=found.probabilities, sources=(found,))
    return replace(case, findings=findings)


def evidence(report: Dataset) -> set[tuple[str, str]]:
    """Series and instance UIDs of the evidence."""
    return {
        (str(series.SeriesInstanceUID), str(image.ReferencedSOPInstanceUID))
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for image in series.ReferencedSOPSequence
    }


@pytest.mark.checklist(2, 25)
@pytest.mark.parametrize("name", STOCK)
def test_a_report_is_tid_1500_complete_unverified_preliminary(name: str) -> None:
    report = stock_one(name, Kind.SR)
    template = report.ContentTemplateSequence[0]
    assert (concept(report), template.TemplateIdentifier, template.MappingResource) == ("126000", "1500", "DCMR")
    flags = (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag)
    assert flags == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
    assert report.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
    assert report.Modality == "SR"


@pytest.mark.checklist(23, 65)
@pytest.mark.parametrize("name", STOCK)
def test_every_group_has_a_tracking_identifier_and_uid_an_algorithm_an_answer_and_coordinates(name: str) -> None:
    report = stock_one(name, Kind.SR)
    found = groups(report)
    assert len(tracking_uids(report)) == len(set(tracking_uids(report))) == len(found) > 0
    for group in found:
        assert len(texts(group, "tracking")) == 1
        assert len(codes(group, "assessment")) == 1
        assert texts(group, "algorithm") == [MODEL.name]
        assert texts(group, "algorithm version") == [MODEL.version]
        assert f"weights_sha256={MODEL.weights_sha256}" in texts(group, "parameters")
        assert f"provider={MODEL.provider}" in texts(group, "parameters")
        assert any(item.ValueType == "SCOORD" for item in walk(group))


@pytest.mark.checklist(21)
@pytest.mark.parametrize("name", STOCK)
def test_what_a_report_shows_refers_to_images_that_came_and_misses_nothing_where_a_class_is_refused(name: str) -> None:
    images = {str(ds.SOPInstanceUID) for source in stock(name).sources for ds in source.datasets}
    report = stock_one(name, Kind.SR)
    named = {
        str(reference.ReferencedSOPInstanceUID)
        for item in walk(report)
        for reference in item.get("ReferencedSOPSequence") or ()
    }
    assert named
    assert named <= images


@pytest.mark.parametrize("name", STOCK)
def test_no_group_refers_to_a_segment(name: str) -> None:
    for item in walk(stock_one(name, Kind.SR)):
        assert item.ValueType != "SCOORD3D"
        for reference in item.get("ReferencedSOPSequence") or ():
            assert reference.ReferencedSOPClassUID != "1.2.840.10008.5.1.4.1.1.66.4"
            assert "ReferencedSegmentNumber" not in reference


@pytest.mark.checklist(22)
@pytest.mark.parametrize("name", WITH_LESIONS)
def test_a_lesion_has_one_tracking_uid_in_every_object(name: str) -> None:
    lesions = len(stock(name).findings.sources[0].lesions)
    said = tracking_uids(stock_one(name, Kind.SR))[:lesions]
    segments = [
        segment for result in stock_results(name) if result.kind is Kind.SEG for segment in read(result).SegmentSequence
    ]
    assert [str(each.TrackingUID) for each in segments] == said
    identifiers = texts(stock_one(name, Kind.SR), "tracking")[:lesions]
    assert [str(each.TrackingID) for each in segments] == identifiers


def test_a_tracking_uid_of_an_earlier_run_is_kept() -> None:
    case = stock("cr")
    key = case.findings.sources[0].images[0].sop_instance_uid
    kept = case.asking(config="newer", tracking_uids={(key, 1): "1.2.826.0.1.99"})
    assert tracking_uids(kept.one(Kind.SR))[0] == kept.one(Kind.SEG).SegmentSequence[0].TrackingUID == "1.2.826.0.1.99"


@pytest.mark.checklist(24)
@pytest.mark.parametrize("name", STOCK)
def test_the_evidence_is_every_image_and_every_other_object_and_nothing_else(name: str) -> None:
    case = stock(name)
    images = {(str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)) for source in case.sources for ds in source.datasets}
    others = {
        (each.series_instance_uid, each.sop_instance_uid) for each in stock_results(name) if each.kind is not Kind.SR
    }
    report = stock_one(name, Kind.SR)
    assert evidence(report) == images | others
    assert {str(each.StudyInstanceUID) for each in report.CurrentRequestedProcedureEvidenceSequence} == {
        str(report.StudyInstanceUID)
    }


@pytest.mark.checklist(29)
@pytest.mark.parametrize(
    ("name", "axis", "area"),
    [("dx", "mm", "mm2"), ("calibrated", "mm", "mm2"), ("unknown-spacing", "{pixels}", "{pixels}")],
)
def test_sizes_carry_their_unit(name: str, axis: str, area: str) -> None:
    group = groups(stock_one(name, Kind.SR))[0]
    told = {each.kind: each for each in stock(name).findings.sources[0].lesions[0].measurements}
    assert numbers(group, "long axis") == [(pytest.approx(told[MeasurementKind.LONG_AXIS].value, rel=1e-4), axis)]
    assert numbers(group, "short axis") == [(pytest.approx(told[MeasurementKind.SHORT_AXIS].value, rel=1e-4), axis)]
    assert numbers(group, "area") == [(pytest.approx(told[MeasurementKind.AREA].value, rel=1e-4), area)]


@pytest.mark.checklist(28)
def test_a_volume_is_its_voxels_times_their_size() -> None:
    group = groups(stock_one("mr", Kind.SR))[0]
    voxels = int(np.count_nonzero(stock("mr").findings.sources[0].mask))
    assert numbers(group, "volume") == [(pytest.approx(voxels * 0.5 * 0.5 * 4 / 1000, rel=1e-3), "cm3")]


@pytest.mark.checklist(27)
def test_a_mean_adc_is_a_mean_in_its_own_unit() -> None:
    case = radiograph(CR)
    found = case.findings.sources[0]
    adc = Measurement(MeasurementKind.MEAN_ADC, 1234.5678, Unit.ADC)
    report = altered(case, lesions=(replace(found.lesions[0], measurements=(adc,)),)).one(Kind.SR)
    (number,) = [item for item in walk(report) if concept(item) == "113041"]
    value = number.MeasuredValueSequence[0]
    assert (float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue) == (1234.6, "10-6.mm2/s")
    assert [item.ConceptCodeSequence[0].CodeValue for item in number.ContentSequence if concept(item) == "121401"] == [
        "373098007"
    ]


def test_probabilities_come_first_in_percent() -> None:
    lesion, study = groups(stock_one("dx", Kind.SR))
    assert numbers(lesion, "cancer") == [(87.0, "%")]
    assert numbers(lesion, "certainty") == [(93.0, "%")]
    assert [concept(item) for item in walk(lesion) if item.ValueType == "NUM"][:2] == ["111047", "111012"]
    assert numbers(study, "cancer") == [(87.0, "%")]
    assert numbers(study, "certainty") == [(96.0, "%")]
    assert numbers(study, "benign") == [(9.0, "%")]


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(9.5185e-77, 0.0), (0.0, 0.0), (1.0, 100.0), (0.12345, 12.3), (0.99999, 100.0), (1.0000001, 100.0), (-1e-9, 0.0)],
)
def test_a_probability_is_shown_to_a_tenth_of_a_percent(probability: float, shown: float) -> None:
    assert percentage(probability) == shown


def test_a_tiny_probability_is_zero_in_the_report() -> None:
    tiny = {Answer.NORMAL: 1.0 - 1e-75, Answer.BENIGN: 9.5185e-77, Answer.MALIGNANT: 1e-75}
    report = altered(normal(), probabilities=tiny).one(Kind.SR)
    assert numbers(report, "cancer") == numbers(report, "certainty") == numbers(report, "benign") == [(0.0, "%")]


@pytest.mark.parametrize(
    ("name", "finding", "answer"),
    [
        ("dx", "108369006", ("21594007", "SCT", "Malignant")),
        ("mr", "108369006", ("30807003", "SCT", "Benign")),
        ("undecided", "52988006", ("280416009", "SCT", "Indeterminate result")),
    ],
)
def test_a_lesion_says_what_it_is(name: str, finding: str, answer: tuple[str, str, str]) -> None:
    lesion, *_, study = groups(stock_one(name, Kind.SR))
    assert [each[0] for each in codes(lesion, "finding")] == [finding]
    assert [each[0] for each in codes(lesion, "category")] == ["49755003"]
    assert codes(lesion, "assessment") == codes(study, "assessment") == [answer]
    assert [each[0] for each in codes(lesion, "site")] == ["72696002"]
    assert [each[0] for each in codes(lesion, "side")] == ["7771000"]


def test_undecided_is_said_in_words_too() -> None:
    study = groups(stock_one("undecided", Kind.SR))[-1]
    assert "AI: undecided (tumour 60 %)" in texts(study, "comment")


@pytest.mark.checklist(18)
def test_normal_is_a_report_that_says_so_and_nothing_else() -> None:
    assert [each.kind for each in stock_results("normal")] == [Kind.SR]
    (study,) = groups(stock_one("normal", Kind.SR))
    assert codes(study, "assessment") == [("17621005", "SCT", "Normal")]
    assert numbers(study, "cancer") == [(1.0, "%")]
    assert "AI: no tumour found (97 %)" in texts(study, "comment")
    assert not codes(study, "finding")


def test_what_was_not_assessed_makes_nothing_unless_asked() -> None:
    assert stock("not-assessed").asking(profile=Profile()).made() == ()


def test_a_report_of_what_was_not_assessed_reads_like_no_negative_result() -> None:
    assert [each.kind for each in stock_results("not-assessed")] == [Kind.SR]
    (study,) = groups(stock_one("not-assessed", Kind.SR))
    assert codes(study, "assessment") == [("373121007", "SCT", "Not Evaluated")]
    assert not [item for item in walk(study) if item.ValueType == "NUM"]
    assert "AI: not assessed, unlike the images that the model knows" in texts(study, "comment")


def test_two_radiographs_make_one_report_with_an_answer_for_each_and_for_the_study() -> None:
    kinds = [each.kind for each in stock_results("two-radiographs")]
    assert kinds == [Kind.SEG, Kind.GSPS, Kind.SC, Kind.SR]
    lesion, first, second, study = groups(stock_one("two-radiographs", Kind.SR))
    assert texts(lesion, "tracking") == ["AI lesion 1: malignant"]
    assert [texts(each, "tracking")[0] for each in (first, second, study)] == [
        "AI answer for image 1",
        "AI answer for image 2",
        "AI answer for the study",
    ]
    meanings = [codes(each, "assessment")[0][2] for each in (first, second, study)]
    assert meanings == ["Malignant", "Normal", "Malignant"]


@pytest.mark.parametrize("name", WITH_LESIONS)
def test_the_outlines_are_closed_polylines_on_their_images_the_largest_first(name: str) -> None:
    lesion = stock(name).findings.sources[0].lesions[0]
    drawn = items(groups(stock_one(name, Kind.SR))[0], "region")
    assert len(drawn) == len(lesion.outlines)
    largest = max(lesion.outlines, key=lambda each: surface(each.points))
    others = [each for each in lesion.outlines if each is not largest]
    for scoord, outline in zip(drawn, [largest, *others], strict=True):
        points = np.array(scoord.GraphicData).reshape(-1, 2)
        assert scoord.GraphicType == "POLYLINE"
        assert np.array_equal(points[0], points[-1])
        assert points[:-1] == pytest.approx(outline.points, abs=1e-4)
        reference = scoord.ContentSequence[0].ReferencedSOPSequence[0]
        assert str(reference.ReferencedSOPInstanceUID) == outline.sop_instance_uid
        assert reference.get("ReferencedFrameNumber") == outline.frame


def test_answers_are_written_beside_marks_of_their_own_and_measured_on_whole_images() -> None:
    _, first, _, study = groups(stock_one("two-radiographs", Kind.SR))
    heights = []
    for group in (study, first):
        number = next(item for item in group.ContentSequence if item.ValueType == "NUM")
        (mark, place), (whole, border) = [
            (concept(item), np.array(item.GraphicData).reshape(-1, 2))
            for item in number.ContentSequence
            if item.ValueType == "SCOORD"
        ][:2]
        assert (mark, whole) == ("MARK", "121112")
        assert border.min() == 0
        assert place[:, 0].max() < 0.05 * border[:, 0].max()
        heights.append(place[:, 1].mean() / border[:, 1].max())
    assert heights[1] - heights[0] > 0.2


def test_an_outline_of_many_points_fits_its_element() -> None:
    case = radiograph(CR)
    found = case.findings.sources[0]
    angle = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    points = np.stack([110 + 60 * np.cos(angle), 150 + 60 * np.sin(angle)], axis=1).astype(np.float32)
    outline = replace(found.lesions[0].outlines[0], points=points)
    report = altered(case, lesions=(replace(found.lesions[0], outlines=(outline,)),)).one(Kind.SR)
    (drawn,) = items(groups(report)[0], "region")
    assert len(drawn.GraphicData) == 2 * 4000
    assert drawn.GraphicData[:2] == drawn.GraphicData[-2:]


def test_a_lesion_without_an_outline_is_still_reported() -> None:
    case = radiograph(CR)
    found = case.findings.sources[0]
    report = altered(case, lesions=(replace(found.lesions[0], outlines=()),)).one(Kind.SR)
    lesion = groups(report)[0]
    assert numbers(lesion, "cancer") == [(87.0, "%")]
    assert not items(lesion, "region")
    assert any(item.ValueType == "SCOORD" for item in walk(lesion))


@pytest.mark.checklist(29)
@pytest.mark.parametrize(
    ("name", "word"), [("dx", "detector plane"), ("unknown-spacing", "sizes are in pixels"), ("calibrated", "")]
)
def test_a_reader_learns_where_sizes_come_from(name: str, word: str) -> None:
    comments = " ".join(texts(stock_one(name, Kind.SR), "comment"))
    assert word in comments
    assert ("detector" in comments) == (word == "detector plane")


def test_notes_of_the_model_are_told_once_and_in_ascii() -> None:
    note = "Sizes are measured in the detector plane: Größe ungewiß."
    comments = texts(altered(radiograph(CR), notes=(note,)).one(Kind.SR), "comment")
    assert "Sizes are measured in the detector plane: Groe ungewi." in comments
    assert sum("detector plane" in each for each in comments) == 1


@pytest.mark.parametrize(
    ("training_data", "qualification", "says"),
    [
        ("real", "RESEARCH", {"research"}),
        ("phantom", "RESEARCH", {"research", "simulated"}),
        ("real", "PRODUCT", set()),
    ],
)
def test_a_report_says_what_holds_for_all_results(training_data: str, qualification: str, says: set[str]) -> None:
    case = normal().asking(profile=Profile(content_qualification=qualification))
    model = replace(MODEL, training_data=training_data)
    report = replace(case, findings=replace(case.findings, model=model)).one(Kind.SR)
    told = " ".join(texts(report, "comment"))
    assert {word for word in ("research", "simulated") if word in told.lower()} == says
    assert report.ContentQualification == qualification


def test_a_report_names_the_one_it_replaces() -> None:
    report = normal().asking(run=2, previous=(PREVIOUS,)).one(Kind.SR)
    (study,) = report.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (document,) = series.ReferencedSOPSequence
    assert (study.StudyInstanceUID, series.SeriesInstanceUID) == ("1.2.3", "1.2.4")
    assert document.ReferencedSOPInstanceUID == "1.2.5"
    assert "PredecessorDocumentsSequence" not in stock_one("normal", Kind.SR)


@pytest.mark.parametrize(("name", "code"), [("cr", "43468-8"), ("mr", "25056-3")])
def test_the_procedure_is_one_of_cid_100(name: str, code: str) -> None:
    assert [each[0] for each in codes(stock_one(name, Kind.SR), "procedure")] == [code]


@pytest.mark.checklist(26)
def test_the_observer_is_the_same_device_after_a_restart_and_another_on_another_node() -> None:
    here, there = (normal().asking(installation=name).one(Kind.SR) for name in ("OSTEON1", "OSTEON2"))
    assert (
        items(here, "observer uid")[0].UID
        == items(normal().asking(installation="OSTEON1").one(Kind.SR), "observer uid")[0].UID
    )
    assert items(here, "observer uid")[0].UID != items(there, "observer uid")[0].UID


def test_a_code_of_our_own_declares_its_scheme() -> None:
    schemes = {str(each.CodingSchemeDesignator) for each in stock_one("cr", Kind.SR).CodingSchemeIdentificationSequence}
    assert "99OSTEON" in schemes
