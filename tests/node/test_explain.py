"""A decision for people and for programs, without a patient in it."""

import json

from node import explain
from node.headers import facts_of
from node.route import CardFacts, Need, route
from node.series import series_of
from tests.node.made_headers import header, mr

KNEE = CardFacts("knee", "1.0.0", frozenset({"CR", "DX"}), frozenset({"limb", "pelvis"}))
T1 = CardFacts("t1", "1", frozenset({"MR"}), frozenset({"hand"}), needs=(Need("t1", frozenset({"T1"})),))


def explained(*data_sets, cards=(KNEE,)):
    series = series_of([facts_of(ds) for ds in data_sets])
    decision = route(series, cards)
    return explain.as_text(series, decision), explain.as_dict(series, decision)


def test_a_radiograph_is_explained_with_where_each_answer_was_read():
    ds = header(
        BodyPartExamined="KNEE",
        ViewPosition="AP",
        ImageLaterality="L",
        ImagerPixelSpacing=[0.15, 0.15],
        Rows=3000,
        Columns=2400,
    )
    text, _ = explained(ds)
    assert text.splitlines() == [
        "knee 1.0.0 answers, with 1 of 1 image.",
        "  series 1: DX left knee AP → knee 1.0.0.",
        "",
        "What the headers say:",
        "  series 1: 1 object",
        "    image 1: DX left knee AP; 2400 x 3000, 12 bit MONOCHROME2; body part from BodyPartExamined; "
        "view from ViewPosition; 0.15 x 0.15 mm from ImagerPixelSpacing",
    ]


def test_a_refusal_is_explained_with_its_code():
    text, found = explained(header(BodyPartExamined="CHEST", ViewPosition="PA"))
    assert text.startswith(
        "No model answers: DX of chest (BodyPartExamined), not a body part of knee 1.0.0. [NOT_APPLICABLE_BODYPART]"
    )
    assert (found["model"], found["outcome"]) == (None, "NOT_APPLICABLE_BODYPART")


def test_a_refusal_of_the_only_series_is_said_once():
    noted = header(BodyPartExamined="CHEST", ViewPosition="PA", BurnedInAnnotation="YES")
    first, second, *_ = explained(noted)[0].splitlines()
    assert first.startswith("No model answers: DX of chest (BodyPartExamined), not a body part of knee 1.0.0.")
    assert second == "  series 1: text may be burned into the pixels (BurnedInAnnotation is YES)."


def test_of_two_series_each_says_why_it_is_not_used():
    skull = header(BodyPartExamined="SKULL", SeriesNumber=2, SeriesInstanceUID="1.2.3.4.2")
    text, _ = explained(header(BodyPartExamined="CHEST", ViewPosition="PA"), skull)
    assert "  series 1: DX of chest (BodyPartExamined), not a body part of knee 1.0.0, not used." in text.splitlines()
    assert "  series 2: DX of skull (BodyPartExamined), not a body part of knee 1.0.0, not used." in text.splitlines()


def test_an_mr_series_is_explained_by_its_stacks():
    values = {"SeriesDescription": "t1 fs +c", "ScanningSequence": "SE", "RepetitionTime": 600, "EchoTime": 12}
    slices = [mr(BodyPartExamined="HAND", ImagePositionPatient=[0, 0, 3 * n], **values) for n in range(4)]
    text, found = explained(*slices, cards=(T1,))
    assert "    axial T1, fat-suppressed, after contrast agent, hand, 4 slices" in text.splitlines()
    assert found["series"][0]["stacks"][0]["slices"] == 4
    assert found["series"][0]["images"][0]["weighting"] == "T1"
    assert "image 1" not in text


def test_the_dictionary_says_the_same_and_can_be_written_as_json():
    ds = header(BodyPartExamined="KNEE", ViewPosition="AP", PixelSpacing=[0.2, 0.2])
    _, found = explained(ds, header("SR", Rows=None, InstanceNumber=2))
    again = json.loads(json.dumps(found, allow_nan=False))
    assert (again["model"], again["version"], again["outcome"]) == ("knee", "1.0.0", None)
    first, second = again["series"][0]["images"]
    assert (first["used"], first["view"], first["body_part"], first["pixel_spacing_mm"]) == (
        True,
        "AP",
        ["knee"],
        [0.2, 0.2],
    )
    assert (second["used"], second["kind"]) == (False, "not_an_image")
    assert again["explanation"][0] == again["summary"]


def test_no_patient_is_in_an_explanation():
    ds = header(
        PatientName="CANARY^Ann", PatientID="CANARY", StudyDescription="CANARY knee", SeriesDescription="CANARY left",
        Manufacturer="CANARY", ManufacturerModelName="CANARY", PhotometricInterpretation="CANARY", Modality="CANARY",
    )  # fmt: skip
    text, found = explained(ds)
    told = text + json.dumps(found)
    assert "CANARY" not in told
    assert not [uid for uid in (ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.StudyInstanceUID) if uid in told]
