"""Which model answers, with which images, and by which name a study is refused."""

import pytest
from pydicom.uid import generate_uid

from node.facts.regions import Region
from node.headers import facts_of
from node.route import CardFacts, RouteRules, route
from node.series import series_of
from storage.states import Outcome, StudyState, state_for
from tests.node.made_headers import code, facts, header, mr

KNEE = CardFacts("knee", "1.0.0", frozenset({"CR", "DX"}), frozenset({"limb", "pelvis"}))
JUST_KNEE = CardFacts("joint", "2.0.0", frozenset({"CR", "DX"}), frozenset({"knee"}))


def knee(**values):
    """A radiograph that the knee model takes."""
    return header(**({"BodyPartExamined": "KNEE"} | values))


def decide(*data_sets, cards=(KNEE,), rules=None):
    """The decision on a study of these data sets."""
    return route(series_of([facts_of(ds) for ds in data_sets]), cards, rules)


def test_a_knee_radiograph_goes_to_the_knee_model():
    ap, lateral = (
        knee(ViewPosition="AP", ImageLaterality="L"),
        knee(ViewPosition="LL", ImageLaterality="L", InstanceNumber=2),
    )
    decision = decide(lateral, ap)
    assert decision.outcome is None
    assert decision.chosen.card is KNEE
    assert decision.chosen.images == (ap.SOPInstanceUID, lateral.SOPInstanceUID)
    assert decision.explanation == (
        "knee 1.0.0 answers, with 2 of 2 images.",
        "series 1: DX left knee AP and lateral, 2 images → knee 1.0.0.",
    )


TAKEN = {
    "knee": {"BodyPartExamined": "KNEE"},
    "hip": {"BodyPartExamined": "HIP"},
    "pelvis": {"BodyPartExamined": "PELVIS"},
    "hand": {"BodyPartExamined": "HAND"},
    "some limb": {"BodyPartExamined": "EXTREMITY"},
    "some leg": {"BodyPartExamined": "LEG"},
    "lower limb in words": {"StudyDescription": "Lower limb"},
    "by code": {"AnatomicRegionSequence": [code("30021000")]},
    "several parts that all fit": {"StudyDescription": "hip and knee"},
    "inverted": {"BodyPartExamined": "KNEE", "PhotometricInterpretation": "MONOCHROME1"},
    "eight bits": {"BodyPartExamined": "KNEE", "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
    "sixteen bits": {"BodyPartExamined": "KNEE", "BitsStored": 16, "HighBit": 15},
    "fifteen bits": {"BodyPartExamined": "KNEE", "BitsStored": 15, "HighBit": 14},
    "compressed again": {"BodyPartExamined": "KNEE", "ImageType": ["DERIVED", "SECONDARY"]},
    "no view, no side, no spacing": {"BodyPartExamined": "KNEE", "ViewPosition": "", "ImageLaterality": ""},
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_radiograph_that_fits_is_taken(name):
    decision = decide(header(**TAKEN[name]))
    assert decision.chosen, decision.explanation


REFUSED = {
    "chest": (header(BodyPartExamined="CHEST"), Outcome.NOT_APPLICABLE_BODYPART, "DX of chest"),
    "spine": (header(BodyPartExamined="LSPINE"), Outcome.NOT_APPLICABLE_BODYPART, "lumbar spine"),
    "clavicle": (header(BodyPartExamined="CLAVICLE"), Outcome.NOT_APPLICABLE_BODYPART, "clavicle"),
    "unknown part": (header(), Outcome.NOT_APPLICABLE_BODYPART, "unknown body part"),
    "animal": (knee(PatientSpeciesDescription="Canis"), Outcome.NOT_APPLICABLE_BODYPART, "animal"),
    "limb and chest": (header(StudyDescription="knee and chest"), Outcome.AMBIGUOUS_BODYPART, "takes knee only"),
    "teeth": (header("IO"), Outcome.NOT_APPLICABLE_MODALITY, "a dental image"),
    "CT": (header("CT", BodyPartExamined="KNEE"), Outcome.NOT_APPLICABLE_MODALITY, "CT Image"),
    "mammography": (header("MG"), Outcome.NOT_APPLICABLE_MODALITY, "Digital Mammography"),
    "fluoroscopy in CR": (
        knee(SOPClassUID="1.2.840.10008.5.1.4.1.1.1", Modality="RF"),
        Outcome.NOT_APPLICABLE_MODALITY,
        "",
    ),
    "MR": (mr(BodyPartExamined="KNEE"), Outcome.NOT_APPLICABLE_MODALITY, "MR, and knee 1.0.0 takes CR and DX"),
    "screen shot": (header("SC", BodyPartExamined="KNEE"), Outcome.NOT_APPLICABLE_MODALITY, "a picture of a picture"),
    "scanned film": (knee(ConversionType="DF"), Outcome.NOT_APPLICABLE_MODALITY, "a scanned film"),
    "for processing": (
        header("DX for processing", BodyPartExamined="KNEE"),
        Outcome.REJECTED_FOR_PROCESSING,
        "for processing",
    ),
    "localizer": (knee(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), Outcome.REJECTED_LOCALIZER_ONLY, "a localizer"),
    "dual energy": (knee(ImageType=["DERIVED", "PRIMARY", "SOFT_TISSUE"]), Outcome.NOT_APPLICABLE_VIEW, "dual-energy"),
    "colour": (knee(SamplesPerPixel=3, PhotometricInterpretation="RGB"), Outcome.REJECTED_DECODE, "a colour image"),
    "palette": (knee(PhotometricInterpretation="PALETTE COLOR"), Outcome.REJECTED_DECODE, "PALETTE COLOR"),
    "photometric nonsense": (knee(PhotometricInterpretation="FUZZ"), Outcome.REJECTED_DECODE, "none that DICOM knows"),
    "no rows": (knee(Rows=None), Outcome.REJECTED_DECODE, "0 x 48"),
    "no size at all": (knee(Rows=None, Columns=None), Outcome.REJECTED_DECODE, "0 x 0"),
    "65535 x 65535": (knee(Rows=65535, Columns=65535), Outcome.REJECTED_DECODE, "4295 megapixels"),
    "frames": (knee(NumberOfFrames=3), Outcome.REJECTED_GEOMETRY, "3 frames"),
    "frames zero": (knee(NumberOfFrames=0), Outcome.REJECTED_DECODE, "0 frames"),
    "nine bits allocated": (knee(BitsAllocated=9), Outcome.REJECTED_DECODE, "BitsAllocated is 9"),
    "no bits stored": (knee(BitsStored=0), Outcome.REJECTED_DECODE, "BitsStored is 0"),
    "more bits than room": (knee(BitsStored=17), Outcome.REJECTED_DECODE, "BitsStored is 17"),
    "high bit too low": (knee(HighBit=5), Outcome.REJECTED_DECODE, "HighBit is 5"),
    "our own result": (header("SEG", Manufacturer="Osteon"), Outcome.NOT_APPLICABLE_MODALITY, "a result of this node"),
    "only a report": (header("SR", Rows=None), Outcome.NOT_APPLICABLE_MODALITY, "no image"),
}


@pytest.mark.checklist(38, 41)
@pytest.mark.parametrize("name", REFUSED)
def test_a_radiograph_that_does_not_fit_is_refused_by_name_and_in_words(name):
    ds, outcome, words = REFUSED[name]
    decision = decide(ds)
    assert decision.chosen is None
    assert decision.outcome is outcome, decision.explanation
    assert words in decision.summary
    assert state_for(outcome) is StudyState.NOT_APPLICABLE
    assert any("not used" in sentence for sentence in decision.explanation)


def test_an_image_without_pixels_is_refused():
    decision = route(series_of([facts(knee())]), (KNEE,))
    assert (decision.outcome, decision.summary) == (
        Outcome.REJECTED_DECODE,
        "No model answers: an image without pixel data.",
    )


@pytest.mark.checklist(43)
def test_a_study_of_nothing_is_not_applicable():
    decision = route((), (KNEE,))
    assert decision.outcome is Outcome.NOT_APPLICABLE_MODALITY
    assert decision.explanation == ("The study holds no image.",)


def test_without_any_model_a_person_must_act():
    decision = decide(knee(), cards=())
    assert decision.outcome is Outcome.FAILED_MODEL
    assert "osteon models" in decision.summary


def test_one_unusable_image_does_not_sink_the_others():
    good = knee(ViewPosition="AP", InstanceNumber=1)
    colour = knee(SamplesPerPixel=3, PhotometricInterpretation="RGB", InstanceNumber=2)
    raw = header(
        "DX for processing", BodyPartExamined="KNEE", InstanceNumber=7, SeriesInstanceUID=generate_uid(), SeriesNumber=3
    )
    chest = header(BodyPartExamined="CHEST", SeriesInstanceUID=generate_uid(), SeriesNumber=2)
    decision = decide(colour, raw, chest, good)
    assert decision.chosen.images == (good.SOPInstanceUID,)
    assert decision.explanation == (
        "knee 1.0.0 answers, with 1 of 4 images.",
        "series 1: DX knee AP → knee 1.0.0.",
        "series 1, image 2: a colour image (3 samples per pixel), where grey values are needed, not used.",
        "series 2: DX of chest (BodyPartExamined), not a body part of knee 1.0.0, not used.",
        "series 3: detector data for processing; the image for presentation is needed, not used.",
    )


def test_two_patients_in_one_study_block_it():
    decision = decide(knee(), knee(), knee(PatientID="P2"))
    assert decision.outcome is Outcome.INPUT_PATIENT_MISMATCH
    assert "2 different patients" in decision.summary
    assert "P2" not in decision.summary


def test_a_report_under_another_patient_id_blocks_nothing():
    assert decide(knee(), header("SR", PatientID="P2", Rows=None)).chosen


def test_the_reason_that_came_nearest_names_the_outcome():
    decision = decide(
        header("SR", Rows=None),
        header("CT"),
        header("DX for processing", BodyPartExamined="KNEE"),
        header(BodyPartExamined="CHEST"),
    )
    assert decision.outcome is Outcome.NOT_APPLICABLE_BODYPART


def test_text_burned_in_is_a_warning_unless_the_rules_refuse_it():
    decision = decide(knee(BurnedInAnnotation="YES"))
    assert decision.chosen
    assert "series 1: text may be burned into the pixels (BurnedInAnnotation is YES)." in decision.warnings
    refused = decide(knee(BurnedInAnnotation="YES"), rules=RouteRules(refuse_burned_in=True))
    assert refused.outcome is Outcome.REJECTED_BURNED_IN


def test_the_limit_of_megapixels_is_a_rule():
    assert decide(knee(Rows=4000, Columns=3000)).chosen
    assert decide(knee(Rows=4000, Columns=3000), rules=RouteRules(max_megapixels=10)).outcome is Outcome.REJECTED_DECODE


def test_a_part_not_said_exactly_is_ambiguous_for_a_model_of_one_part():
    assert decide(header(BodyPartExamined="LEG"), cards=(JUST_KNEE,)).outcome is Outcome.AMBIGUOUS_BODYPART
    assert decide(header(BodyPartExamined="HAND"), cards=(JUST_KNEE,)).outcome is Outcome.NOT_APPLICABLE_BODYPART
    assert decide(header(BodyPartExamined="PATELLA"), cards=(JUST_KNEE,)).chosen


def test_a_model_of_certain_views_takes_no_others():
    card = CardFacts("views", "1", frozenset({"DX"}), frozenset({"knee"}), views=frozenset({"frontal"}))
    assert decide(knee(ViewPosition="AP"), cards=(card,)).chosen
    decision = decide(knee(ViewPosition="LL"), cards=(card,))
    assert (decision.outcome, "lateral view" in decision.summary) == (Outcome.NOT_APPLICABLE_VIEW, True)


def test_the_model_that_names_the_part_most_exactly_is_taken():
    decision = decide(knee(), cards=(KNEE, JUST_KNEE))
    assert decision.chosen.card is JUST_KNEE
    assert "knee 1.0.0 could too" in decision.summary
    assert decide(header(BodyPartExamined="HAND"), cards=(JUST_KNEE, KNEE)).chosen.card is KNEE


def test_a_decision_does_not_depend_on_the_order_of_arrival():
    images = [knee(InstanceNumber=n) for n in range(1, 6)] + [header(BodyPartExamined="CHEST", InstanceNumber=9)]
    assert decide(*images) == decide(*reversed(images))


def test_keys_of_cards_that_no_region_has_are_harmless():
    card = CardFacts("odd", "1", frozenset({"DX"}), frozenset({"moon"}))
    assert decide(knee(), cards=(card,)).outcome is Outcome.NOT_APPLICABLE_BODYPART
    assert "knee" in {region.value for region in Region}


def test_an_explanation_of_thousands_of_odd_images_is_cut_short():
    odd = [header(SeriesInstanceUID=generate_uid(), SeriesNumber=n) for n in range(200)]
    explanation = decide(*odd).explanation
    assert len(explanation) == 61
    assert explanation[-1].endswith("are left out.")
