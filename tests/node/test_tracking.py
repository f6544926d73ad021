"""Lesions of a new run are told to be those of an earlier one by where they lie."""

from dataclasses import replace

import numpy as np
import pytest

from models.findings import Outline
from node.report.earlier import EarlierLesion, lesions_of
from node.report.request import DocumentRef, Kind
from node.tracking import Places, kept_tracking
from tests.node.report import made_cases, sr_reading

OLD = DocumentRef("1.2.826.0.1.3680043.8.498.2", "1.2.3.4", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.3.4.5")


def report_of(case):
    return next(each.data for each in case.made() if each.kind is Kind.SR)


def places_of(case):
    headers = {str(ds.SOPInstanceUID): ds for source in case.sources for ds in source.datasets}
    return Places(headers.get)


def box(column, row, width, height, uid="1.2.826.0.1.3680043.8.498.1.1", frame=None):
    points = [[column, row], [column + width, row], [column + width, row + height], [column, row + height]]
    return Outline(uid, frame, np.array(points, dtype=np.float32))


def with_boxes(case, *boxes):
    """The case with lesions that are boxes, numbered from 1."""
    found = case.findings.sources[0]
    lesions = tuple(
        replace(found.lesions[0], number=number, outlines=(each,)) for number, each in enumerate(boxes, start=1)
    )
    sources = (replace(found, lesions=lesions),)
    return replace(case, findings=replace(case.findings, sources=sources))


@pytest.mark.parametrize(
    "make",
    [
        lambda: made_cases.radiograph(lesions=2),
        made_cases.mr_series,
        lambda: made_cases.mr_series(oblique=False),
    ],
    ids=["radiograph", "oblique MR", "straight MR"],
)
@pytest.mark.checklist(53)
def test_a_second_run_keeps_the_tracking_uids_of_what_it_finds_again(make):
    case = make()
    first = report_of(case)
    kept = kept_tracking(case.findings, lesions_of(first), places_of(case))
    again = case.asking(run=2, previous=(OLD,), tracking_uids=kept)
    old, new = (made_cases.read(each) for each in (case.made()[-1], again.made()[-1]))
    lesions = len(case.findings.sources[0].lesions)
    assert sr_reading.tracking_uids(new)[:lesions] == sr_reading.tracking_uids(old)[:lesions]
    assert new.SOPInstanceUID != old.SOPInstanceUID
    seg = made_cases.read(next(each for each in again.made() if each.kind is Kind.SEG))
    assert [item.TrackingUID for item in seg.SegmentSequence] == sr_reading.tracking_uids(old)[:lesions]


def test_a_report_gives_back_its_lesions_and_not_its_answers():
    case = made_cases.radiograph(lesions=2)
    lesions = lesions_of(report_of(case))
    assert [each.model for each in lesions] == ["knee-unet", "knee-unet"]
    assert len({each.tracking_uid for each in lesions}) == 2
    for read, made in zip(lesions, case.findings.sources[0].lesions, strict=True):
        np.testing.assert_allclose(read.outlines[0].points, made.outlines[0].points)
    assert lesions_of(report_of(made_cases.normal())) == ()


def earlier(*boxes, model="knee-unet"):
    return [EarlierLesion(f"1.2.{number}", model, (each,)) for number, each in enumerate(boxes, start=1)]


def kept_of(case, known, **options):
    found = kept_tracking(case.findings, known, places_of(case), **options)
    return {number: uid for (_, number), uid in found.items()}


def test_each_lesion_goes_to_the_one_it_overlaps_most_whatever_their_order():
    case = with_boxes(made_cases.radiograph(), box(100, 100, 20, 20), box(10, 10, 20, 20))
    assert kept_of(case, earlier(box(12, 11, 20, 20), box(101, 99, 20, 20))) == {1: "1.2.2", 2: "1.2.1"}


def test_two_lesions_never_share_one_tracking_uid():
    case = with_boxes(made_cases.radiograph(), box(10, 10, 20, 20), box(14, 10, 20, 20))
    assert kept_of(case, earlier(box(15, 10, 20, 20))) == {2: "1.2.1"}


@pytest.mark.parametrize(("beside", "is_kept"), [(15, True), (17, False)], ids=["a quarter over", "a fifth missed"])
def test_a_lesion_that_hardly_overlaps_is_another_one(beside, is_kept):
    case = with_boxes(made_cases.radiograph(), box(10, 10, 20, 20))
    assert bool(kept_of(case, earlier(box(10 + beside, 10, 20, 20)))) is is_kept


def test_the_same_place_on_another_image_is_another_lesion():
    case = with_boxes(made_cases.radiograph(), box(10, 10, 20, 20))
    assert kept_of(case, earlier(box(10, 10, 20, 20, uid="1.2.3"))) == {}


def test_what_another_model_saw_is_kept_for_it_as_long_as_it_answers():
    case = with_boxes(made_cases.radiograph(), box(10, 10, 20, 20))
    known = earlier(box(10, 10, 20, 20), model="limb")
    assert kept_of(case, known, others=frozenset({"limb"})) == {}
    assert kept_of(case, known) == {1: "1.2.1"}


def test_planes_of_one_frame_of_reference_that_lie_on_each_other_are_one_place():
    case = made_cases.mr_series()
    first = case.sources[0].datasets[0]
    twin, elsewhere, stranger = (made_cases.as_received(first) for _ in range(3))
    twin.SOPInstanceUID, elsewhere.SOPInstanceUID, stranger.SOPInstanceUID = "1.2.1", "1.2.2", "1.2.3"
    elsewhere.ImagePositionPatient = ["0", "0", "0"]
    stranger.FrameOfReferenceUID = "1.2.4"
    known = {str(ds.SOPInstanceUID): ds for ds in (first, twin, elsewhere, stranger)}
    places = Places(known.get)
    here = places.of(str(first.SOPInstanceUID), None)
    assert places.of("1.2.1", None) == here
    assert here not in (places.of("1.2.2", None), places.of("1.2.3", None), places.of("1.2.5", None))


@pytest.mark.checklist(53)
def test_the_new_report_says_that_it_supersedes_the_old_one_and_its_series_says_which_run_it_is():
    new = made_cases.radiograph().asking(run=2, previous=(OLD,)).one(Kind.SR)
    said = sr_reading.texts(new, "comment")
    words = "Run 2 of the analysis of this study: this report supersedes the earlier report (Predecessor Documents)."
    assert words in said
    assert new.SeriesDescription.startswith("AI report, run 2 (")
    first = made_cases.radiograph().one(Kind.SR)
    assert not [text for text in sr_reading.texts(first, "comment") if "supersedes" in text]
    assert first.SeriesDescription.startswith("AI report (")


def test_a_new_lesion_never_takes_the_tracking_uid_that_another_one_keeps():
    case = made_cases.radiograph(lesions=2)
    first, second = (each.tracking_uid for each in lesions_of(report_of(case)))
    key = case.findings.sources[0].images[0].sop_instance_uid
    again = case.asking(run=2, tracking_uids={(key, 1): second})
    named = [each.tracking_uid for each in lesions_of(report_of(again))]
    assert named[0] == second
    assert named[1] not in (first, second)


def test_a_report_names_the_earlier_ones_of_its_own_class_where_there_are_any():
    other = DocumentRef("1.2.826.0.1.3680043.8.498.2", "1.2.3.6", "1.2.840.10008.5.1.4.1.1.88.22", "1.2.3.7")
    for previous, named in (((OLD, other), ["1.2.3.4.5"]), ((other,), ["1.2.3.7"])):
        report = made_cases.radiograph().asking(run=2, previous=previous).one(Kind.SR)
        series = [each for item in report.PredecessorDocumentsSequence for each in item.ReferencedSeriesSequence]
        assert [each.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for each in series] == named
