"""Key object selections and rejection notes by value: what they name, and that they name nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from models.findings import Answer
from node.report.encode import EncodedObject, result_of
from node.report.envelope import envelope
from node.report.kind import Kind
from node.report.kos import Rejection, key_images, rejection_note
from node.report.objects import run_hash_of
from node.report.patient import carried
from node.report.request import DocumentRef
from node.report.subject import Subject, largest_plane, subject
from node.report.words import headline
from tests.node.report import test_report_hand, test_report_spine
from tests.node.report.made_cases import MODEL, NOW, STOCK, WITH_LESIONS, Case, Request, read, stock, stock_results
from tests.node.report.raw_bytes import raw, spelled
from tests.node.report.sr_reading import concept, texts
from tests.node.report.test_report_patient import CHARACTER_SETS, named
from tests.node.report.test_report_validators import judged


def subjects_of(case: Case) -> list[Subject]:
    """As the report sees the sources of a case."""
    run_hash = run_hash_of(case.findings, case.sources, case.request)
    return [
        subject(found, source, case.findings.model, run_hash, case.request)
        for found, source in zip(case.findings.sources, case.sources, strict=True)
    ]


def selected(case: Case, others: Sequence[EncodedObject] = ()) -> EncodedObject | None:
    """The selection of the key images of a case."""
    subjects = subjects_of(case)
    cover = envelope(Kind.KOS, 3, "", run_hash_of(case.findings, case.sources, case.request), MODEL, case.request)
    said = headline(case.findings.answer, case.findings.probabilities)
    ds = key_images(subjects, others, said, cover)
    return None if ds is None else result_of(Kind.KOS, 3, ds, subjects[0].carried)


def noted(case: Case, rejected: Sequence[DocumentRef], reason: Rejection = Rejection.QUALITY) -> EncodedObject | None:
    """The note that rejects some objects of the study of a case."""
    cover = envelope(Kind.KOS, 0, "rejection", "run", MODEL, case.request)
    source = case.sources[0].datasets[0]
    ds = rejection_note(source, rejected, reason, cover)
    return None if ds is None else result_of(Kind.KOS, 0, ds, carried(source))


def refs_of(case: Case, results: Sequence[EncodedObject]) -> list[DocumentRef]:
    study = str(case.sources[0].datasets[0].StudyInstanceUID)
    return [DocumentRef(study, each.series_instance_uid, each.sop_class_uid, each.sop_instance_uid) for each in results]


def named_in(document: Dataset) -> list[tuple[str, int | None]]:
    """Instances, and frames, in the content."""
    found = []
    for item in document.ContentSequence:
        for reference in item.get("ReferencedSOPSequence") or ():
            found.append((str(reference.ReferencedSOPInstanceUID), reference.get("ReferencedFrameNumber")))
    return found


def evidence(document: Dataset) -> list[tuple[str, str, str, str]]:
    return [
        (str(study.StudyInstanceUID), str(series.SeriesInstanceUID), str(each.ReferencedSOPClassUID), uid)
        for study in document.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for each in series.ReferencedSOPSequence
        for uid in [str(each.ReferencedSOPInstanceUID)]
    ]


@pytest.mark.parametrize("name", WITH_LESIONS)
def test_a_selection_names_the_slice_on_which_each_lesion_is_largest_and_its_pictures(name: str) -> None:
    case, results = stock(name), stock_results(name)
    made = selected(case, results)
    assert made is not None
    document = read(made)
    expected = dict.fromkeys(
        (image.sop_instance_uid, image.frame)
        for found in case.findings.sources
        for lesion in found.lesions
        for image in [found.images[largest_plane(found, lesion)]]
    )
    pictures = [(each.sop_instance_uid, None) for each in results if each.kind is Kind.SC]
    assert pictures
    assert named_in(document) == [*expected, *pictures]
    assert (document.Modality, concept(document), document.SeriesInstanceUID) == (
        "KO",
        "113000",
        made.series_instance_uid,
    )
    assert document.ContentTemplateSequence[0].TemplateIdentifier == "2010"


@pytest.mark.parametrize("name", WITH_LESIONS)
def test_the_evidence_of_a_selection_is_what_it_names_and_nothing_else(name: str) -> None:
    made = selected(stock(name), stock_results(name))
    assert made is not None
    document = read(made)
    assert [uid for *_, uid in evidence(document)] == list(dict.fromkeys(uid for uid, _ in named_in(document)))
    assert {study for study, *_ in evidence(document)} == {str(document.StudyInstanceUID)}
    headers = {str(ds.SOPInstanceUID): ds for source in stock(name).sources for ds in source.datasets}
    for _, series, sop_class, uid in evidence(document):
        if uid in headers:
            assert (series, sop_class) == (headers[uid].SeriesInstanceUID, headers[uid].SOPClassUID)


@pytest.mark.parametrize("name", [name for name in STOCK if name not in WITH_LESIONS])
def test_nothing_is_selected_where_nothing_was_found(name: str) -> None:
    assert selected(stock(name), stock_results(name)) is None


@pytest.mark.parametrize("name", WITH_LESIONS)
def test_validators_find_no_error_in_a_selection(name: str, tmp_path: Path) -> None:
    made = selected(stock(name), stock_results(name))
    assert made is not None
    assert judged((made,), tmp_path) == {}


def test_a_selection_says_what_it_is_and_the_answer() -> None:
    made = selected(stock("dx"))
    assert made is not None
    assert texts(read(made), "description") == ["AI - research use: key images. AI: more likely malignant (87 %)"]


def test_a_spine_selection_names_every_slice_with_a_box(tmp_path: Path) -> None:
    said = test_report_spine.said("malignant")
    assert said.findings is not None
    made = selected(Case(said.findings, said.sources, Request(NOW)), test_report_spine.made("malignant"))
    assert made is not None
    boxes = dict.fromkeys(
        outline.sop_instance_uid
        for found in said.findings.sources
        for lesion in found.lesions
        for outline in lesion.outlines
    )
    pictures = [each.sop_instance_uid for each in test_report_spine.made("malignant") if each.kind is Kind.SC]
    assert [uid for uid, _ in named_in(read(made))] == [*boxes, *pictures]
    assert judged((made,), tmp_path) == {}


def test_a_hand_selection_names_one_slice_of_each_series(tmp_path: Path) -> None:
    said = test_report_hand.said()
    assert said.findings is not None
    made = selected(Case(said.findings, said.sources, Request(NOW)))
    assert made is not None
    assert [series for _, series, *_ in evidence(read(made))] == [
        found.series_instance_uid for found in said.findings.sources
    ]
    assert judged((made,), tmp_path) == {}


def test_the_bytes_of_a_selection_repeat() -> None:
    first, second = (selected(stock("mr"), stock_results("mr")) for _ in range(2))
    assert first == second


@pytest.mark.filterwarnings("ignore:Unknown encoding 'ISO_IR 999'")
@pytest.mark.parametrize("name", CHARACTER_SETS)
def test_a_selection_carries_the_name_as_it_was(name: str) -> None:
    case = spelled(stock("dx"), named(*CHARACTER_SETS[name]))
    made = selected(case)
    assert made is not None
    assert raw(read(made), "PatientName") == raw(case.sources[0].datasets[0], "PatientName")


@pytest.mark.checklist(63)
@pytest.mark.parametrize("reason", list(Rejection))
@pytest.mark.parametrize("name", ["dx-two-lesions", "mr", "normal"])
def test_a_rejection_note_names_exactly_the_objects_of_the_earlier_run(
    name: str, reason: Rejection, tmp_path: Path
) -> None:
    case = stock(name)
    rejected = refs_of(case, stock_results(name))
    made = noted(case, rejected, reason)
    assert made is not None
    document = read(made)
    assert concept(document) == {"quality": "113001", "patient-safety": "113037"}[reason]
    assert named_in(document) == [(each.sop_instance_uid, None) for each in rejected]
    assert evidence(document) == [
        (each.study_instance_uid, each.series_instance_uid, each.sop_class_uid, each.sop_instance_uid)
        for each in rejected
    ]
    assert judged((made,), tmp_path) == {}


def test_documents_are_named_as_composites_and_images_as_images() -> None:
    made = noted(stock("mr"), refs_of(stock("mr"), stock_results("mr")))
    assert made is not None
    kinds = {
        str(item.ReferencedSOPSequence[0].ReferencedSOPClassUID): str(item.ValueType)
        for item in read(made).ContentSequence
        if item.ValueType in ("IMAGE", "COMPOSITE")
    }
    assert kinds == {
        "1.2.840.10008.5.1.4.1.1.66.4": "IMAGE",
        "1.2.840.10008.5.1.4.1.1.7": "IMAGE",
        "1.2.840.10008.5.1.4.1.1.11.1": "COMPOSITE",
        "1.2.840.10008.5.1.4.1.1.88.34": "COMPOSITE",
    }


def test_there_is_no_note_that_rejects_nothing() -> None:
    assert noted(stock("dx"), ()) is None


def test_objects_of_another_study_cannot_be_rejected() -> None:
    (ref, *_) = refs_of(stock("dx"), stock_results("dx"))
    with pytest.raises(ValueError, match="1 of 1 objects to withdraw belong to another study"):
        noted(stock("dx"), [replace(ref, study_instance_uid="1.2.3")])


def test_an_undecided_study_has_key_images_too() -> None:
    case = stock("undecided")
    assert case.findings.answer is Answer.UNDECIDED
    made = selected(case)
    assert made is not None
    assert "undecided" in texts(read(made), "description")[0]
