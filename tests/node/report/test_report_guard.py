"""No result leaves that mixes patients or studies, or refers to what was not read."""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
from pydicom.dataset import Dataset

from node.errors import ResultRefused
from node.report.encode import EncodedObject, encoded
from node.report.guard import check, elements
from node.report.kind import Kind
from tests.node.report.made_cases import STOCK, mr_series, read, stock, stock_results


@pytest.mark.parametrize("name", STOCK)
def test_what_the_report_makes_passes(name: str) -> None:
    check(stock_results(name), stock(name).sources)


def test_every_kind_passes() -> None:
    case = mr_series()
    case = case.asking(profile=replace(case.request.profile, kinds=frozenset(Kind)))
    made = case.made()
    assert {Kind.SEG, Kind.GSPS, Kind.SC, Kind.SR} <= {each.kind for each in made}
    check(made, case.sources)


def changed(kind: Kind, change: Callable[[Dataset], None]) -> tuple[EncodedObject, ...]:
    """The results of the radiograph, one of them spoilt on purpose."""

    def spoilt(result: EncodedObject) -> EncodedObject:
        ds = read(result)
        change(ds)
        again = copy.copy(result)  # made anew it would be one of the objects that every validator has to pass
        object.__setattr__(again, "data", encoded(ds, {}))
        return again

    return tuple(spoilt(each) if each.kind is kind else each for each in stock_results("cr"))


def patient(ds: Dataset) -> None:
    ds.PatientID = "SOMEBODY ELSE"


def no_patient(ds: Dataset) -> None:
    del ds.PatientID


def issuer(ds: Dataset) -> None:
    ds.IssuerOfPatientID = "ANOTHER HOSPITAL"


def study(ds: Dataset) -> None:
    ds.StudyInstanceUID = "1.2.3.4"


def name(ds: Dataset) -> None:
    ds.PatientName = "Somebody^Else"


def order(ds: Dataset) -> None:
    ds.AccessionNumber = "ANOTHER"


def own_uid(ds: Dataset) -> None:
    ds.SOPInstanceUID = "1.2.3.4"


def stranger(ds: Dataset) -> None:
    for element in ds.iterall():
        if element.keyword == "ReferencedSOPInstanceUID":
            element.value = "1.2.3.4"
            return


def evidence_of_another_study(ds: Dataset) -> None:
    ds.CurrentRequestedProcedureEvidenceSequence[0].StudyInstanceUID = "1.2.3.4"


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        (Kind.SEG, patient, "another PatientID than"),
        (Kind.SR, patient, "another PatientID than"),
        (Kind.GSPS, no_patient, "another PatientID than"),
        (Kind.SC, issuer, "another IssuerOfPatientID than"),
        (Kind.SR, name, "another PatientName than"),
        (Kind.SC, order, "another AccessionNumber than"),
        (Kind.SEG, study, "another StudyInstanceUID than"),
        (Kind.SC, own_uid, "another SOP Instance UID than it is recorded under"),
        (Kind.SEG, stranger, "refers to 1 object"),
        (Kind.SR, stranger, "refers to 1 object"),
        (Kind.GSPS, stranger, "refers to 1 object"),
        (Kind.SR, evidence_of_another_study, "refers to another study"),
    ],
)
def test_a_wrong_object_is_stopped_with_its_kind(kind: Kind, change: Callable[[Dataset], None], words: str) -> None:
    source = stock("cr").sources[0].datasets[0]
    with pytest.raises(ResultRefused, match=f"The {kind.value} .*{words}") as caught:
        check(changed(kind, change), stock("cr").sources)
    for private in (str(source.PatientID), str(source.PatientName), "SOMEBODY", "1.2.3.4"):
        assert not private or private not in str(caught.value)


def test_an_object_that_was_only_read_and_written_again_passes() -> None:
    """So that the faults above are what stops the others."""
    check(changed(Kind.SR, lambda _: None), stock("cr").sources)


def test_an_object_about_nothing_is_stopped() -> None:
    def bare(ds: Dataset) -> None:
        for element in list(ds):
            if element.VR == "SQ":
                del ds[element.tag]

    with pytest.raises(ResultRefused, match="The gsps refers to no source image"):
        check(changed(Kind.GSPS, bare), stock("cr").sources)


def test_results_without_an_image_they_refer_to_are_stopped() -> None:
    """The report names the images of a series; one of them was not among what was read."""
    case = stock("mr")
    (source,) = case.sources
    missing = replace(source, datasets=source.datasets[:-1])
    with pytest.raises(ResultRefused, match="neither source images nor results"):
        check(stock_results("mr"), [missing])


def test_results_without_any_source_are_stopped() -> None:
    with pytest.raises(ResultRefused, match="no source images"):
        check(stock_results("cr"), [])


@pytest.mark.parametrize("keyword", ["PatientID", "IssuerOfPatientID", "StudyInstanceUID", "AccessionNumber"])
def test_sources_of_two_patients_or_studies_are_stopped(keyword: str) -> None:
    case = stock("mr")
    (source,) = case.sources
    other = copy.deepcopy(source.datasets[0])
    setattr(other, keyword, "1.2.3.4")
    with pytest.raises(ResultRefused, match="more than one patient or study"):
        check(stock_results("mr"), [replace(source, datasets=(*source.datasets[1:], other))])


def test_a_result_of_an_earlier_run_may_be_named_only_when_it_is_known() -> None:
    results = changed(Kind.SR, stranger)
    with pytest.raises(ResultRefused):
        check(results, stock("cr").sources)
    check(results, stock("cr").sources, {"1.2.3.4"})


UNDEFINED = (
    b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff"
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x55\x11UI\x04\x001.2\x00\xfe\xff\x0d\xe0\x00\x00\x00\x00"
    b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    b"\x10\x00\x20\x00LO\x02\x00P1"
)


def test_sequences_without_lengths_are_walked_too() -> None:
    assert list(elements(UNDEFINED)) == [((0x00081140,), 0x00081155, b"1.2\0"), ((), 0x00100020, b"P1")]


@pytest.mark.parametrize("cut", [3, 10, 20, 30, 40, len(UNDEFINED) - 1])
def test_bytes_that_are_no_whole_data_set_are_stopped(cut: int) -> None:
    with pytest.raises(ResultRefused):
        list(elements(UNDEFINED[:cut]))
