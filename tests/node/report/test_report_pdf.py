"""The summary page by value: what it says, of whom, and that no answer is ever taken for another."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from models.findings import Answer
from node.report.encode import EncodedObject
from node.report.helvetica import is_drawable, width_of
from node.report.kind import Kind
from node.report.page import MARGIN, MAX_ROWS
from node.report.pdffile import A4, Sheet, shortened, wrapped
from node.report.profile import MapType, Profile
from node.report.request import DocumentRef
from node.report.summary import NOT_NORMAL
from node.report.words import superseding_notes
from tests.node.report import test_report_hand, test_report_spine
from tests.node.report.made_cases import (
    CR,
    DX,
    MODEL,
    NOW,
    STOCK,
    WITH_LESIONS,
    Case,
    Request,
    mr_series,
    normal,
    not_assessed,
    radiograph,
    read,
    stock,
)
from tests.node.report.pdf_reading import objects_of, pictures, stream_of, told, words
from tests.node.report.raw_bytes import raw, spelled
from tests.node.report.test_report_kos import evidence
from tests.node.report.test_report_map import mapped
from tests.node.report.test_report_patient import CHARACTER_SETS, named
from tests.node.report.test_report_validators import judged

ROUTING = (
    "series 1: left knee AP \u2192 knee-unet 1.2.",
    "series 2: localizer, 3 images: a localizer, not used.",
)
ANSWERS = {
    Answer.NORMAL: "No tumour found",
    Answer.BENIGN: "More likely benign",
    Answer.MALIGNANT: "More likely malignant",
    Answer.UNDECIDED: "UNDECIDED",
    Answer.NOT_ASSESSED: "NOT ASSESSED",
}


def result(case: Case, **asked: object) -> EncodedObject:
    """The page of a case as an object, made alone."""
    profile = replace(case.request.profile, kinds=frozenset({Kind.PDF}))
    (made,) = case.asking(profile=profile, **asked).made()
    return made


def page(case: Case, **asked: object) -> bytes:
    ds = read(result(case, **asked))
    return bytes(ds.EncapsulatedDocument)[: int(ds.EncapsulatedDocumentLength)]


def answered(answer: Answer) -> Case:
    if answer is Answer.NOT_ASSESSED:
        return not_assessed()
    return normal() if answer is Answer.NORMAL else radiograph(answer=answer)


def of(name: str) -> Case:
    """A study of a model of volumes."""
    said = test_report_hand.said() if name == "hand" else test_report_spine.said(name)
    assert said.findings is not None
    return Case(said.findings, said.sources, Request(NOW))


@pytest.mark.parametrize("name", STOCK)
def test_validators_find_no_error_in_a_page(name: str, tmp_path: Path) -> None:
    assert judged((result(stock(name)),), tmp_path) == {}


@pytest.mark.parametrize("name", ["hand", "malignant", "no tumour", "multi-frame"])
def test_validators_find_no_error_in_a_page_of_volumes(name: str, tmp_path: Path) -> None:
    assert judged((result(of(name)),), tmp_path) == {}


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_answer_is_what_is_written_largest_and_no_other_is_on_the_page(answer: Answer) -> None:
    lines = told(page(answered(answer)))
    largest = max(lines, key=lambda line: (line.size, line.words == ANSWERS[answer]))
    assert largest.words == ANSWERS[answer]
    others = {said for other, said in ANSWERS.items() if other is not answer}
    assert not others & {line.words for line in lines}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_no_answer_says_that_it_is_not_normal_and_has_no_number_beside_it(answer: Answer) -> None:
    lines = told(page(answered(answer)))
    is_none = answer in (Answer.UNDECIDED, Answer.NOT_ASSESSED)
    assert (NOT_NORMAL in [line.words for line in lines]) == is_none
    assert any(line.words.endswith(" %") and line.size >= 20 for line in lines) != is_none


def test_a_box_that_is_no_answer_is_striped_and_dashed() -> None:
    striped = {
        answer: b" W n " in content and b" 0 d " in content.replace(b"[] 0 d", b"")
        for answer in ANSWERS
        for content in [_content(page(answered(answer)))]
    }
    assert striped == {answer: answer in (Answer.UNDECIDED, Answer.NOT_ASSESSED) for answer in ANSWERS}


def _content(file: bytes) -> bytes:
    return stream_of(objects_of(file)[4])


def test_the_page_says_who_and_which_study_it_is_about() -> None:
    lines = words(page(stock("dx")))
    assert lines[1] == "Doe, Jane"
    assert lines[2].split("     ") == ["ID 4711", "born 1980-01-02", "F"]
    assert lines[3].split("     ") == ["study of 2026-03-01 10:11", "accession A123", "Knee left"]


DRAWN = {
    "ascii": "Doe, John",
    "latin 1": "M\u00fcller, J\u00f6rg",
    "kanji": "Yamada, Tarou",
}


@pytest.mark.filterwarnings("ignore:Unknown encoding 'ISO_IR 999'")
@pytest.mark.parametrize("name", CHARACTER_SETS)
def test_a_name_is_drawn_in_letters_that_there_are_or_left_out_and_carried_all_the_same(name: str) -> None:
    case = spelled(radiograph(DX), {**named(*CHARACTER_SETS[name]), "PatientID": b"4711"})
    made = result(case)
    ds = read(made)
    assert raw(ds, "PatientName") == raw(case.sources[0].datasets[0], "PatientName")
    lines = words(bytes(ds.EncapsulatedDocument)[: int(ds.EncapsulatedDocumentLength)])
    if name in DRAWN:
        assert lines[1] == DRAWN[name]
    if lines[1].startswith("ID "):
        assert lines[2].startswith("(name not printable here)")
    else:
        assert lines[1].isascii() or name == "latin 1"


@pytest.mark.filterwarnings("ignore:Unknown encoding 'ISO_IR 999'")
@pytest.mark.parametrize("name", [name for name in CHARACTER_SETS if name.startswith(("undeclared", "a set"))])
def test_a_name_whose_bytes_could_mean_anything_is_not_drawn(name: str) -> None:
    spoken = named(*CHARACTER_SETS[name])
    assert words(page(spelled(radiograph(DX), spoken)))[1] == "(name not printable here)"
    lines = words(page(spelled(radiograph(DX), {**spoken, "PatientID": b"4711"})))
    assert lines[1] == "ID 4711"
    assert lines[2].startswith("(name not printable here)")


def test_images_without_name_and_id_say_so() -> None:
    case = normal(PatientName=None, PatientID=None)
    assert words(page(case))[1] == "No name and no ID in the images"


@pytest.mark.parametrize("name", WITH_LESIONS)
def test_each_lesion_has_a_row_with_its_sizes(name: str) -> None:
    case = stock(name)
    lines = words(page(case))
    for found in case.findings.sources:
        for lesion in found.lesions:
            assert str(lesion.number) in lines
    assert "largest on" in lines
    axis = next((line for line in lines if " x " in line and line.endswith((" mm", " px"))), "")
    assert bool(axis) == ("mr" not in name)
    assert ("volume" in lines) == ("mr" in name)


def test_more_lesions_than_fit_are_counted() -> None:
    lesions = MAX_ROWS + 3
    case = radiograph(CR)
    found = case.findings.sources[0]
    many = tuple(replace(found.lesions[0], number=number) for number in range(1, lesions + 1))
    crowded = replace(case, findings=replace(case.findings, sources=(replace(found, lesions=many),)))
    assert "and 3 more: see the report" in words(page(crowded))


def test_sentences_that_do_not_fit_are_counted() -> None:
    case = radiograph(CR)
    notes = tuple(
        f"Sentence {number} that a reader should see, of a length that sentences have." for number in range(90)
    )
    lines = words(page(replace(case, findings=replace(case.findings, notes=notes))))
    shown = sum(line.startswith("Sentence ") for line in lines)
    (counted,) = [line for line in lines if line.endswith("are in the report.")]
    assert 10 < shown < 90
    assert int(counted.split()[0]) >= 90 - shown


@pytest.mark.parametrize("name", [*STOCK, "hand", "malignant", "no tumour"])
def test_nothing_leaves_the_page(name: str) -> None:
    case = stock(name) if name in STOCK else of(name)
    for line in told(page(case, routing=ROUTING)):
        assert is_drawable(line.words)
        assert line.left >= MARGIN - 0.1
        assert line.left + width_of(line.words, line.size) <= A4[0] - MARGIN + 12
        assert 20 <= line.bottom <= A4[1] - 20


def test_the_page_shows_the_slice_with_the_lesion_twice_and_once_where_nothing_is_outlined() -> None:
    plain, outlined = pictures(page(stock("mr")))
    assert plain.shape == outlined.shape
    assert (plain != outlined).any()
    assert "series 1, image 5, with outlines" in words(page(stock("mr")))
    (alone,) = pictures(page(stock("normal")))
    assert np.ptp(alone) > 200
    assert "series 1, image 1: nothing is outlined" in words(page(stock("normal")))


def test_what_was_used_and_what_was_left_out_is_said() -> None:
    lines = words(page(stock("dx"), routing=ROUTING))
    used, left_out = lines.index("Used"), lines.index("Left out")
    assert "series 1: left knee AP -> knee-unet 1.2." in lines[used:]
    assert "series 2: localizer, 3 images: a localizer, not used." in lines[left_out:used]
    assert "Series 1: 1 image." in words(page(stock("dx")))


def test_a_page_of_a_later_run_says_that_it_replaces_another() -> None:
    previous = (DocumentRef("1.2.3", "1.2.4", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.5"),)
    first, second = page(stock("dx")), page(stock("dx"), run=2, previous=previous)
    (said,) = set(words(second)) - set(words(first))
    assert said == superseding_notes(2, 1)[0]


def test_a_note_of_one_series_of_several_says_of_which() -> None:
    lines = words(page(of("malignant")))
    assert "Series 3: No tumour was detected. That is not the finding of a benign one." in lines


def test_the_footer_says_which_weights_when_and_how_long_after_the_last_image() -> None:
    lines = words(page(stock("dx"), last_image_at=NOW - timedelta(seconds=95)))
    assert f"weights SHA-256 {MODEL.weights_sha256}" in lines
    assert any(line.startswith(f"{MODEL.name} {MODEL.version}, trained on real images") for line in lines)
    assert "analysed 2026-03-04 05:06, 95 s after the last image arrived" in lines
    assert "analysed 2026-03-04 05:06" in words(page(stock("dx")))
    assert any("Research use only" in line for line in lines)


def test_a_kind_of_tumour_is_named_with_what_the_model_cannot_tell() -> None:
    lines = words(page(of("hand")))
    assert any(line.startswith("Resembles ganglion most (") for line in lines)
    assert "The model does not tell benign from malignant." in lines
    assert "ganglion?" in lines


def test_the_object_is_titled_by_the_answer_and_names_its_images() -> None:
    ds = read(result(stock("mr")))
    assert ds.DocumentTitle == "AI - research use. AI: more likely benign (malignant 12 %)"
    assert (ds.MIMETypeOfEncapsulatedDocument, ds.BurnedInAnnotation, ds.Modality) == ("application/pdf", "YES", "DOC")
    sources = {str(item.ReferencedSOPInstanceUID) for item in ds.SourceInstanceSequence}
    assert sources == {str(each.SOPInstanceUID) for each in stock("mr").sources[0].datasets}


def test_the_bytes_of_a_page_repeat() -> None:
    assert result(stock("mr")) == result(stock("mr"))


def test_a_page_of_what_was_not_assessed_is_made_for_those_who_ask_only() -> None:
    profile = Profile(kinds=frozenset({Kind.PDF}))
    assert not_assessed().asking(profile=profile).made() == ()


def test_a_profile_gets_page_key_images_and_map_before_the_report_that_names_them() -> None:
    kinds = frozenset({Kind.MAP, Kind.SC, Kind.PDF, Kind.KOS, Kind.SR})
    made = mapped(mr_series()).asking(profile=Profile(kinds=kinds)).made()
    assert [each.kind for each in made] == [Kind.MAP, Kind.SC, Kind.PDF, Kind.KOS, Kind.SR]
    named_in_report = {uid for *_, uid in evidence(read(made[-1]))}
    assert {each.sop_instance_uid for each in made[:-1]} <= named_in_report
    assert made[1].sop_instance_uid in {uid for *_, uid in evidence(read(made[3]))}
    fractional = mapped(mr_series()).asking(profile=Profile(kinds=kinds, map=MapType.FRACTIONAL)).made()
    assert fractional[0].sop_class_uid != made[0].sop_class_uid
    assert fractional[0].sop_instance_uid != made[0].sop_instance_uid


SHAPES: dict[str, Callable[[Sheet], None]] = {
    "backslash and brackets": lambda sheet: sheet.text(10, 10, "a(b)\\c", 9),
    "raised": lambda sheet: sheet.text(10, 10, "43 mm\u00b2", 9),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_sheet_gives_back_its_text(name: str) -> None:
    sheet = Sheet()
    SHAPES[name](sheet)
    assert words(sheet.file("title")) == [{"backslash and brackets": "a(b)\\c", "raised": "43 mm\u00b2"}[name]]


def test_a_letter_without_a_glyph_is_refused() -> None:
    assert not is_drawable("\u5c71\u7530")
    with pytest.raises(UnicodeEncodeError):
        Sheet().text(10, 10, "\u5c71\u7530", 9)


def test_lines_are_broken_between_words_and_cut_where_they_must_be() -> None:
    lines = wrapped("one two three four five six seven", 10, 60)
    assert " ".join(lines) == "one two three four five six seven"
    assert all(width_of(line, 10) <= 60 for line in lines)
    assert shortened("a very long line of words", 10, 50).endswith("...")
    assert width_of(shortened("a very long line of words", 10, 50), 10) <= 50
    assert shortened("short", 10, 50) == "short"
