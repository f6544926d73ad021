"""Which stack of an MR study a model gets, and by which name a study is refused."""

import pytest
from pydicom.uid import generate_uid

from node.headers import facts_of
from node.route import CardFacts, Need, route
from node.series import series_of
from storage.states import Outcome
from tests.node.made_headers import AXIAL, CORONAL, SAGITTAL, header, item, mr

RADIOGRAPHS = CardFacts("knee", "1.0.0", frozenset({"CR", "DX"}), frozenset({"limb", "pelvis"}))
HAND = CardFacts(
    "hand", "0.1.0", frozenset({"MR"}), frozenset({"hand", "wrist"}),
    needs=(Need("t1", frozenset({"T1"}), frozenset({"axial", "coronal"}), min_slices=3),),
)  # fmt: skip
DIFFUSION = CardFacts(
    "diffusion", "0.2.0", frozenset({"MR"}), frozenset({"limb", "pelvis"}),
    needs=(
        Need("low", frozenset({"DWI"}), frozenset({"axial"}), (0, 50), 3),
        Need("high", frozenset({"DWI"}), frozenset({"axial"}), (500, 1000), 3),
    ),
)  # fmt: skip


AXIAL_KNEE = CardFacts("axial", "1", frozenset({"MR"}), frozenset({"knee"}), needs=(Need(planes=frozenset({"axial"})),))

T1 = {"SeriesDescription": "t1", "ScanningSequence": "SE", "RepetitionTime": 600, "EchoTime": 12}
T2 = {"SeriesDescription": "t2", "ScanningSequence": "SE", "RepetitionTime": 4000, "EchoTime": 90}
DWI = {"ScanningSequence": ["SE", "EP"], "RepetitionTime": 6000, "EchoTime": 70, "BodyPartExamined": "THIGH"}


def decide(*data_sets, cards):
    """The decision on a study of these data sets."""
    return route(series_of([facts_of(ds) for ds in data_sets]), cards)


def stack(count=5, step=4.0, orientation=AXIAL, **values):
    """Slices of one series along z."""
    more = {
        "SeriesInstanceUID": generate_uid(),
        "ImageOrientationPatient": orientation,
        "BodyPartExamined": "HAND",
    } | values
    axis = {tuple(AXIAL): 2, tuple(CORONAL): 1, tuple(SAGITTAL): 0}[tuple(orientation)]
    return [
        mr(ImagePositionPatient=[step * n if axis == k else 0 for k in range(3)], InstanceNumber=n + 1, **more)
        for n in range(count)
    ]


def test_the_stack_that_serves_is_chosen_and_the_rest_is_told():
    localizer = [mr(SeriesInstanceUID="1.1", SeriesNumber=1, SeriesDescription="loc", BodyPartExamined="HAND")]
    good = stack(6, SeriesNumber=2, **T1)
    small = stack(4, SeriesNumber=3, **T1)
    other = stack(6, SeriesNumber=4, **T2)
    decision = decide(*localizer, *good, *small, *other, cards=(HAND, RADIOGRAPHS))
    assert decision.chosen.card is HAND
    assert decision.chosen.images == tuple(ds.SOPInstanceUID for ds in good)
    assert decision.chosen.inputs == {"t1": decision.chosen.images}
    assert decision.explanation[1:] == (
        "series 1: a localizer (SeriesDescription says localizer), not used.",
        "series 2: axial T1, hand, 6 slices → hand 0.1.0.",
        "series 3: axial T1, hand, 4 slices, and series 2 serves hand 0.1.0 better, not used.",
        "series 4: axial T2, hand, 6 slices, not what hand 0.1.0 needs, not used.",
    )


def test_slices_are_ordered_along_the_normal_not_by_number():
    slices = stack(5, **T1)
    for number, ds in enumerate(reversed(slices), start=1):
        ds.InstanceNumber = number
    assert decide(*slices, cards=(HAND,)).chosen.images == tuple(ds.SOPInstanceUID for ds in slices)


def test_a_model_of_two_b_values_gets_both():
    low = stack(4, DiffusionBValue=0.0, SeriesInstanceUID="1.5", **DWI)
    high = stack(4, DiffusionBValue=800.0, SeriesInstanceUID="1.5", **DWI)
    decision = decide(*high, *low, cards=(DIFFUSION,))
    assert decision.chosen.inputs == {
        "low": tuple(ds.SOPInstanceUID for ds in low),
        "high": tuple(ds.SOPInstanceUID for ds in high),
    }
    assert (
        "axial DWI b=0, thigh, 4 slices and axial DWI b=800, thigh, 4 slices → diffusion 0.2.0"
        in decision.explanation[1]
    )


MR_REFUSED = {
    "no T1": (stack(5, **T2), HAND, Outcome.NOT_APPLICABLE_SEQUENCE_MISSING),
    "unclear sequence": (stack(5), HAND, Outcome.AMBIGUOUS_SEQUENCE),
    "contradicting sequence": (
        stack(5, **(T2 | {"SeriesDescription": "t2", "EchoTime": 30})), HAND, Outcome.AMBIGUOUS_SEQUENCE
    ),
    "sagittal": (
        stack(5, orientation=SAGITTAL, BodyPartExamined="KNEE", **T1), AXIAL_KNEE,
        Outcome.NOT_APPLICABLE_SEQUENCE_MISSING,
    ),
    "no plane": ([mr(BodyPartExamined="HAND", ImageOrientationPatient=None, **T1)], HAND, Outcome.AMBIGUOUS_PLANE),
    "two slices": (stack(2, **T1), HAND, Outcome.REJECTED_INCOMPLETE),
    "a missing slice": ([ds for n, ds in enumerate(stack(6, **T1)) if n != 3], HAND, Outcome.REJECTED_GEOMETRY),
    "doubled slices": (stack(5, step=0.0, **T1), HAND, Outcome.REJECTED_GEOMETRY),
    "only a localizer": (stack(3, **(T1 | {"SeriesDescription": "survey"})), HAND, Outcome.REJECTED_LOCALIZER_ONLY),
    "three planes": (
        [*stack(1, SeriesInstanceUID="1.9", **T1), *stack(1, SeriesInstanceUID="1.9", orientation=CORONAL, **T1),
         *stack(1, SeriesInstanceUID="1.9", orientation=SAGITTAL, **T1)],
        HAND, Outcome.REJECTED_LOCALIZER_ONLY,
    ),
    "projections": (
        stack(3, ImageType=["DERIVED", "PRIMARY", "MIP"], **T1), HAND, Outcome.NOT_APPLICABLE_SEQUENCE_MISSING
    ),
    "mosaic": (
        stack(3, ImageType=["ORIGINAL", "PRIMARY", "DIFFUSION", "MOSAIC"], **DWI), DIFFUSION, Outcome.REJECTED_MOSAIC
    ),
    "another part": (stack(5, **(T1 | {"BodyPartExamined": "KNEE"})), HAND, Outcome.NOT_APPLICABLE_BODYPART),
    "only one b-value": (
        stack(4, DiffusionBValue=0.0, SeriesDescription="dwi", **DWI), DIFFUSION,
        Outcome.NOT_APPLICABLE_SEQUENCE_MISSING,
    ),
    "radiograph": ([header(BodyPartExamined="HAND")], HAND, Outcome.NOT_APPLICABLE_MODALITY),
}  # fmt: skip


@pytest.mark.checklist(38)
@pytest.mark.parametrize("name", MR_REFUSED)
def test_an_mr_study_that_does_not_fit_is_refused_by_name(name):
    data_sets, card, outcome = MR_REFUSED[name]
    decision = decide(*data_sets, cards=(card,))
    assert decision.outcome is outcome, decision.explanation


def test_a_native_series_is_taken_where_contrast_agent_must_not_be():
    need = Need("t1", frozenset({"T1"}), may_be_contrasted=False)
    card = CardFacts("native", "1", frozenset({"MR"}), frozenset({"hand"}), needs=(need,))
    native, contrast = stack(4, **T1), stack(9, **(T1 | {"SeriesDescription": "t1 +c"}))
    assert decide(*native, *contrast, cards=(card,)).chosen.images == tuple(ds.SOPInstanceUID for ds in native)


def test_an_enhanced_object_of_several_b_values_is_one_stack_for_each():
    frames = [
        item(
            MRDiffusionSequence=[item(DiffusionBValue=float(b))],
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 4.0 * n])],
        )
        for b in (0, 800)
        for n in range(3)
    ]
    shared = item(PlaneOrientationSequence=[item(ImageOrientationPatient=AXIAL)])
    ds = header(
        "Enhanced MR", NumberOfFrames=6, BodyPartExamined="THIGH", PerFrameFunctionalGroupsSequence=frames,
        SharedFunctionalGroupsSequence=[shared], ImageType=["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"],
    )  # fmt: skip
    (series,) = series_of([facts_of(ds)])
    assert [(each.b_value, each.frames, each.fault) for each in series.stacks] == [
        (0.0, (1, 2, 3), ""),
        (800.0, (4, 5, 6), ""),
    ]
    chosen = decide(ds, cards=(DIFFUSION,)).chosen
    assert {name: given.b_value for name, given in chosen.given.items()} == {"low": 0.0, "high": 800.0}
    assert set(chosen.images) == {ds.SOPInstanceUID}
    del frames[4].PlanePositionSequence
    (series,) = series_of([facts_of(ds)])
    assert series.stacks[0].fault == "the position of some slices is unknown"
