"""What others say of our results is known by tracking UID or reference, judged by its codes, and read in bounds."""

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.report import codes, returned
from node.report.earlier import lesions_of, tracking_of
from node.report.kind import Kind
from node.report.returned import Ours, read
from node.report.verdicts import STANDARD, known_codes
from storage.returned import Judgement, Said
from tests.node.report import made_cases, sr_reading

SEG, SR, KOS = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("66.4", "88.34", "88.59"))
OUR_SR, OUR_SEG = "2.25.1", "2.25.2"
OURS = Ours({"2.25.7": OUR_SR, "2.25.8": OUR_SR}, frozenset({OUR_SR, OUR_SEG}))


def code(value, scheme="DCM", meaning="?"):
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, scheme, meaning
    return ds


def item(value_type, concept, *children, **values):
    ds = Dataset()
    ds.RelationshipType, ds.ValueType = "CONTAINS", value_type
    ds.ConceptNameCodeSequence = [code(concept)]
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    if children:
        ds.ContentSequence = list(children)
    return ds


def opinion(value, scheme="DCM"):
    return item("CODE", "111005", ConceptCodeSequence=[code(value, scheme)])


def about(uid, *children):
    return item("CONTAINER", "125007", item("UIDREF", "112040", UID=uid), *children)


def document(*children, kind=SR, title="126000", refers=(), replaces=(), **values):
    ds = item("CONTAINER", title, *children)
    ds.SOPClassUID, ds.SOPInstanceUID = kind, "1.2.99"
    for keyword, uids in (("CurrentRequestedProcedureEvidenceSequence", refers),
                          ("PredecessorDocumentsSequence", replaces)):  # fmt: skip
        if uids:
            setattr(ds, keyword, [hierarchy(uids)])
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return made_cases.as_received(ds)


def hierarchy(uids):
    study, series = Dataset(), Dataset()
    study.StudyInstanceUID, series.SeriesInstanceUID = "1.2", "1.2.3"
    series.ReferencedSOPSequence = []
    for uid in uids:
        ds = Dataset()
        ds.ReferencedSOPClassUID, ds.ReferencedSOPInstanceUID = SEG, uid
        series.ReferencedSOPSequence.append(ds)
    study.ReferencedSeriesSequence = [series]
    return study


def said(ds, known=STANDARD):
    return [
        (each.judgement.value, each.tracking_uid, each.result_sop_instance_uid) for each in read(ds, OURS, known).said
    ]


REGION = item("SCOORD", "111030", GraphicType="POINT", GraphicData=[1.0, 2.0])


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(lambda: document(about("2.25.7", opinion("122775"))), [("accepted", "2.25.7", OUR_SR)],
                     id="agreed"),
        pytest.param(lambda: document(about("2.25.7", opinion("122776"))), [("rejected", "2.25.7", OUR_SR)],
                     id="disagreed"),
        pytest.param(lambda: document(about("2.25.7", opinion("1", "99X"))), [("unknown", "2.25.7", OUR_SR)],
                     id="a code that nobody knows"),
        pytest.param(lambda: document(about("2.25.7", REGION)), [("modified", "2.25.7", OUR_SR)], id="another outline"),
        pytest.param(lambda: document(about("2.25.7", REGION, opinion("122775"))), [("accepted", "2.25.7", OUR_SR)],
                     id="the same outline agreed to"),
        pytest.param(lambda: document(about("2.25.7", opinion("122775"), opinion("122776"))),
                     [("rejected", "2.25.7", OUR_SR)], id="both said"),
        pytest.param(lambda: document(opinion("122775"), about("2.25.7")), [("accepted", "2.25.7", OUR_SR)],
                     id="agreed to all of it"),
        pytest.param(lambda: document(about("1.2.3", opinion("122775"))), [], id="another's lesion"),
        pytest.param(lambda: document(replaces=[OUR_SR]), [("modified", "", OUR_SR)], id="a successor"),
        pytest.param(lambda: document(opinion("122776"), refers=[OUR_SEG]), [("rejected", "", OUR_SEG)],
                     id="an object disagreed with"),
        pytest.param(lambda: document(refers=[OUR_SEG, "1.2.3"]), [("unknown", "", OUR_SEG)], id="merely named"),
        pytest.param(lambda: document(kind=KOS, title="113001", refers=[OUR_SR, OUR_SEG]),
                     [("rejected", "", OUR_SEG), ("rejected", "", OUR_SR)], id="rejected for quality"),
        pytest.param(lambda: document(kind=KOS, title="113037", refers=["1.2.3"]), [], id="another's rejected"),
        pytest.param(lambda: document(kind=KOS, title="113000", refers=[OUR_SEG]), [], id="of interest"),
    ],
)  # fmt: skip
def test_what_a_document_says_of_our_results(made, expected):
    assert sorted(said(made())) == sorted(expected)


def test_codes_of_a_product_are_those_that_the_configuration_names():
    known = known_codes("99X:OK 99X:FINE", "99X:EDIT", "99X:BAD")
    for value, judgement in (("OK", "accepted"), ("FINE", "accepted"), ("EDIT", "modified"), ("BAD", "rejected")):
        assert said(document(about("2.25.7", opinion(value, "99X"))), known) == [(judgement, "2.25.7", OUR_SR)]
    assert known_codes("", "", "") == STANDARD


def test_a_corrected_segmentation_is_known_by_the_tracking_uids_of_its_segments_and_names_its_series():
    case = made_cases.mr_series()
    made = {each.kind: each for each in case.made()}
    ours = Ours(dict.fromkeys(tracking_of(made[Kind.SR].data), OUR_SR), frozenset({OUR_SR}))
    corrected = made_cases.read(made[Kind.SEG])
    corrected.SOPInstanceUID, corrected.Manufacturer = "1.2.99", "Workstation"
    found = read(corrected, ours, STANDARD)
    [lesion] = lesions_of(made[Kind.SR].data)
    assert found.said == (Said(Judgement.MODIFIED, lesion.tracking_uid, OUR_SR),)
    assert found.source_series_uid == str(case.sources[0].datasets[0].SeriesInstanceUID)


def test_a_segmentation_without_tracking_uids_is_known_by_the_one_it_refers_to():
    ds = document(kind=SEG, refers=[OUR_SEG])
    ds.SegmentSequence = [Dataset()]
    assert said(ds) == [("modified", "", OUR_SEG)]


def test_what_this_node_made_is_no_assessment_until_somebody_has_verified_it():
    case = made_cases.radiograph()
    ours = made_cases.read(next(each for each in case.made() if each.kind is Kind.SR))
    tracked = dict.fromkeys(sr_reading.tracking_uids(ours), OUR_SR)
    assert read(ours, Ours(tracked, frozenset()), STANDARD).said == ()
    ours.VerificationFlag = "VERIFIED"
    assert read(ours, Ours(tracked, frozenset()), STANDARD).said != ()


def test_every_title_of_a_rejection_note_of_our_own_is_known_as_one():
    titles = (codes.REJECTED_FOR_QUALITY, codes.REJECTED_FOR_PATIENT_SAFETY)
    assert [STANDARD[title.scheme_designator, title.value] for title in titles] == [Judgement.REJECTED] * 2


def test_a_document_that_is_nested_too_deep_or_too_large_is_not_read(monkeypatch):
    deep = item("CONTAINER", "125007")
    for _ in range(returned.MAX_DEPTH + 1):
        deep = item("CONTAINER", "125007", deep)
    with pytest.raises(returned.TooMuch, match="deep"):
        read(document(deep), OURS, STANDARD)
    monkeypatch.setattr(returned, "MAX_ITEMS", 100)
    with pytest.raises(returned.TooMuch, match="more than 100 items"):
        read(document(*(opinion("1") for _ in range(200))), OURS, STANDARD)


def test_values_of_the_wrong_kind_say_nothing():
    ds = document(about("2.25.7", opinion("122775")))
    group = ds.ContentSequence[0]
    group.ContentSequence[0].UID = ["2.25.7", "2.25.8"]
    group.ContentSequence[1].ConceptCodeSequence = Sequence([])
    assert said(ds) == []
    assert said(Dataset()) == []
