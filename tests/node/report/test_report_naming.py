"""What the series of results are called."""

from dataclasses import replace

import pytest

from models.findings import Findings
from node.report.kind import Kind
from node.report.naming import LONGEST
from node.report.request import Source
from tests.node.report.made_cases import CR, MODEL, Case, mr_series, radiograph, read, two_radiographs
from tests.node.report.raw_bytes import spelled

OF_THE_STUDY = (Kind.SR,)


def _descriptions(case: Case) -> dict[Kind, str]:
    return {each.kind: str(read(each).SeriesDescription) for each in case.made()}


def test_number_and_words_of_the_source_come_before_the_model() -> None:
    said = _descriptions(mr_series(SeriesNumber=12, SeriesDescription="T1 tse cor"))
    assert said == {
        Kind.SEG: "AI segmentation S12 T1 tse cor (knee-unet 1.2)",
        Kind.GSPS: "AI outlines S12 T1 tse cor (knee-unet 1.2)",
        Kind.SC: "AI overlay S12 T1 tse cor (knee-unet 1.2)",
        Kind.SR: "AI report (knee-unet 1.2)",
    }


def test_two_series_of_a_study_give_results_that_can_be_told_apart() -> None:
    one, other = mr_series(SeriesNumber=3), mr_series(SeriesNumber=4, SeriesDescription="T2")
    renamed = []
    for number, ds in enumerate(other.sources[0].datasets):
        ds.SeriesInstanceUID, ds.SOPInstanceUID = "1.2.3.4", f"1.2.3.4.{number}"
        renamed.append(ds)
    images = tuple(
        replace(image, sop_instance_uid=str(ds.SOPInstanceUID))
        for image, ds in zip(other.findings.sources[0].images, reversed(renamed), strict=True)
    )
    found = replace(other.findings.sources[0], series_instance_uid="1.2.3.4", images=images, lesions=())
    findings = Findings(MODEL, one.findings.answer, one.findings.probabilities, (one.findings.sources[0], found))
    both = Case(findings, (*one.sources, Source(tuple(renamed))), one.request).asking()
    both = replace(both, findings=_with_lesions_of(findings, other))
    said = [str(read(each).SeriesDescription) for each in both.made() if each.kind is Kind.SEG]
    assert said == ["AI segmentation S3 (knee-unet 1.2)", "AI segmentation S4 T2 (knee-unet 1.2)"]


def _with_lesions_of(findings: Findings, case: Case) -> Findings:
    """The second source with the lesions of a case, without their outlines, which lie on its own images."""
    lesions = tuple(replace(lesion, outlines=()) for lesion in case.findings.sources[0].lesions)
    return replace(findings, sources=(findings.sources[0], replace(findings.sources[1], lesions=lesions)))


def test_radiographs_of_one_series_are_told_apart_by_their_number() -> None:
    assert _descriptions(two_radiographs())[Kind.SEG] == "AI segmentation S1 I1 (knee-unet 1.2)"
    assert _descriptions(radiograph())[Kind.SEG] == "AI segmentation S1 (knee-unet 1.2)"


def test_segmentations_of_the_same_image_are_told_apart_by_their_lesion() -> None:
    made = radiograph(shape=(301, 219), lesions=2, SeriesDescription="Knee AP").made()
    assert [read(each).SeriesDescription for each in made if each.kind is Kind.SEG] == [
        "AI segmentation S1 lesion 1 Knee AP (knee-unet 1.2)",
        "AI segmentation S1 lesion 2 Knee AP (knee-unet 1.2)",
    ]


@pytest.mark.parametrize(
    ("character_set", "codec", "words"),
    [
        ("\\ISO 2022 IR 87", "iso2022_jp", "膝 矢状断"),
        ("\\ISO 2022 IR 149", "euc_kr", "무릎 시상면"),
        ("ISO_IR 192", "utf-8", "膝关节 正侧位"),
        ("GB18030", "gb18030", "膝关节正侧位"),
        ("ISO_IR 100", "latin-1", "Knie größer"),
        ("ISO_IR 144", "iso8859_5", "Колено"),
    ],
)
def test_words_in_any_character_set_come_as_the_bytes_that_they_are(character_set: str, codec: str, words: str) -> None:
    case = mr_series(SpecificCharacterSet=character_set.split("\\"), SeriesDescription=words)
    for each in case.made():
        if each.kind in OF_THE_STUDY:
            assert str(read(each).SeriesDescription) == "AI report (knee-unet 1.2)"
            continue
        assert str(read(each).SeriesDescription).endswith(f" S1 {words} (knee-unet 1.2)")
        assert words.split()[-1].encode(codec) in each.data


@pytest.mark.parametrize(
    "change",
    [
        {"SeriesDescription": "膝 矢状断" * 12, "SpecificCharacterSet": "ISO_IR 192"},
        {"SeriesDescription": "T1 \x07 tra"},
        {"SeriesDescription": None},
        {"SeriesDescription": ""},
    ],
    ids=["too long", "a control character", "absent", "empty"],
)
def test_words_that_cannot_be_had_are_left_out_and_the_number_stays(change: dict[str, object]) -> None:
    assert _descriptions(mr_series(**change))[Kind.SEG] == "AI segmentation S1 (knee-unet 1.2)"


def test_bytes_that_nobody_declares_are_left_out() -> None:
    case = spelled(radiograph(CR), {"SeriesDescription": "Knie größer".encode(), "SpecificCharacterSet": None})
    assert _descriptions(case)[Kind.SEG] == "AI segmentation S1 (knee-unet 1.2)"


def test_long_words_are_cut_and_the_model_stays() -> None:
    said = _descriptions(mr_series(SeriesDescription="t1_tse_dixon_fs_tra_320_p2_Oberschenkel_bds_Kontrastmittel"))
    assert said[Kind.SEG] == "AI segmentation S1 t1_tse_dixon_fs_tra_320_p2_Ob (knee-unet 1.2)"
    assert len(said[Kind.SEG]) == LONGEST


def test_a_later_run_says_so_after_the_source() -> None:
    case = mr_series(SeriesDescription="T1").asking(run=2)
    assert _descriptions(case)[Kind.SEG] == "AI segmentation S1 T1, run 2 (knee-unet 1.2)"
