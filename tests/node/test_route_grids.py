"""A model that looks at each series by itself gets every series that serves it, whatever grid it lies on."""

from dataclasses import replace

import pytest
from pydicom.uid import generate_uid

from node.headers import facts_of
from node.route import CardFacts, Decision, Need, route
from node.series import series_of
from storage.states import Outcome
from tests.node.made_headers import AXIAL, SAGITTAL, header, item, mr

SAG = frozenset({"sagittal"})
SPINE = CardFacts(
    "spine", "1.0.0", frozenset({"MR"}), frozenset({"spine"}), one_grid=False,
    needs=(
        Need("t2", frozenset({"T2"}), SAG, min_slices=5, fat_suppressed=False, at_most=2, is_optional=True),
        Need("fs", frozenset({"T2", "STIR"}), SAG, min_slices=5, fat_suppressed=True, is_optional=True),
        Need("t1", frozenset({"T1"}), SAG, min_slices=5, may_be_contrasted=False, is_optional=True),
        Need("t1c", frozenset({"T1"}), SAG, min_slices=5, must_be_contrasted=True, is_optional=True),
    ),
)  # fmt: skip
T1 = {"SeriesDescription": "t1 tse", "ScanningSequence": "SE", "RepetitionTime": 600, "EchoTime": 12}
T1C = T1 | {"SeriesDescription": "t1 fs +c"}
T2 = {"SeriesDescription": "t2 tse", "ScanningSequence": "SE", "RepetitionTime": 4000, "EchoTime": 90}
T2_FS = T2 | {"SeriesDescription": "t2 tse fs", "ScanOptions": "FS"}


def stack(number, words, count=7, step=4.0, orientation=SAGITTAL, **values):
    """Slices of one series across the patient."""
    axis = 0 if orientation is SAGITTAL else 2
    more = {"SeriesInstanceUID": generate_uid(), "SeriesNumber": number, "BodyPartExamined": "LSPINE"} | words | values
    places = ([step * place if axis == k else 0.0 for k in range(3)] for place in range(count))
    return [
        mr(ImageOrientationPatient=orientation, ImagePositionPatient=place, InstanceNumber=n, **more)
        for n, place in enumerate(places, start=1)
    ]


def enhanced(number, words, count=7, step=4.0):
    """The same as one multi-frame object."""
    frames = [
        item(PlanePositionSequence=[item(ImagePositionPatient=[step * n, 0.0, 0.0])]) for n in reversed(range(count))
    ]
    contrast = words["SeriesDescription"].split()[0].upper()
    return [
        header(
            "Enhanced MR", NumberOfFrames=count, BodyPartExamined="LSPINE", SeriesNumber=number,
            SeriesInstanceUID=generate_uid(), ImageType=["ORIGINAL", "PRIMARY", contrast, "NONE"],
            SeriesDescription=words["SeriesDescription"],
            PerFrameFunctionalGroupsSequence=frames,
            SharedFunctionalGroupsSequence=[
                item(
                    PlaneOrientationSequence=[item(ImageOrientationPatient=SAGITTAL)],
                    MRImageFrameTypeSequence=[item(AcquisitionContrast=contrast)],
                )
            ],
        )
    ]  # fmt: skip


def decide(*series, card=SPINE) -> Decision:
    return route(series_of(facts_of(ds) for slices in series for ds in slices), [card])


def uids(slices):
    """From left to right, as the normal of these sagittal slices points."""
    return tuple(ds.SOPInstanceUID for ds in reversed(slices))


def test_every_sequence_is_used_on_its_own_grid():
    t1, t2 = stack(1, T1), stack(2, T2, 9, 3.5, Rows=80, Columns=72)
    fs, after = stack(3, T2_FS, 6, FrameOfReferenceUID="1.2.9"), stack(4, T1C, 7, 4.4)
    axial = stack(5, T2, 20, orientation=AXIAL)
    decision = decide(t1, t2, fs, after, axial)
    assert decision.chosen.inputs == {"t2": uids(t2), "fs": uids(fs), "t1": uids(t1), "t1c": uids(after)}
    assert decision.chosen.lacking == ()
    assert decision.explanation == (
        "spine 1.0.0 answers, with 29 of 49 images.",
        "series 1: sagittal T1, lumbar spine, 7 slices → spine 1.0.0.",
        "series 2: sagittal T2, lumbar spine, 9 slices → spine 1.0.0.",
        "series 3: sagittal T2, fat-suppressed, lumbar spine, 6 slices → spine 1.0.0.",
        "series 4: sagittal T1, fat-suppressed, after contrast agent, lumbar spine, 7 slices → spine 1.0.0.",
        "series 5: axial T2, lumbar spine, 20 slices, not what spine 1.0.0 needs, not used.",
    )


def test_a_missing_sequence_is_named_and_the_others_answer():
    decision = decide(stack(1, T1), stack(2, T2))
    assert set(decision.chosen.inputs) == {"t1", "t2"}
    assert decision.chosen.lacking == (
        "spine 1.0.0 answers without sagittal STIR or T2 fat-suppressed: no series serves.",
        "spine 1.0.0 answers without sagittal T1 after contrast agent: no series serves.",
    )
    assert decision.explanation[-2:] == decision.chosen.lacking


def test_a_series_with_a_missing_slice_is_left_out_and_said():
    whole, gap = stack(1, T1), stack(2, T2)
    decision = decide(whole, [ds for n, ds in enumerate(gap) if n != 3])
    assert decision.chosen.images == uids(whole)
    assert "series 2: sagittal T2, lumbar spine, 6 slices, but 1 slice(s) are missing, not used." in (
        decision.explanation
    )


def test_an_input_takes_several_stacks_up_to_its_limit_and_the_largest_first():
    upper, lower, short = stack(1, T2, 7), stack(2, T2, 9), stack(3, T2, 6)
    decision = decide(upper, lower, short)
    assert decision.chosen.inputs == {"t2": uids(lower), "t2 (2)": uids(upper)}
    assert (
        "series 3: sagittal T2, lumbar spine, 6 slices, and series 2 and series 1 serve spine 1.0.0 better, not used."
        in decision.explanation
    )


def test_one_stack_serves_one_input():
    wide = replace(SPINE, needs=(Need("any", planes=SAG), Need("t1", frozenset({"T1"}), SAG, is_optional=True)))
    decision = decide(stack(1, T1), card=wide)
    assert set(decision.chosen.inputs) == {"any"}
    assert "answers without sagittal T1" in decision.explanation[-1]


def test_multi_frame_objects_are_chosen_as_their_single_frame_twins():
    single, multi = decide(stack(1, T1), stack(2, T2)), decide(enhanced(1, T1), enhanced(2, T2))
    assert multi.chosen.inputs.keys() == single.chosen.inputs.keys()
    assert multi.chosen.lacking == single.chosen.lacking
    assert [line for line in multi.explanation if "series 1" in line] == [
        "series 1: sagittal T1, lumbar spine, 7 slices → spine 1.0.0."
    ]


@pytest.mark.parametrize(
    ("series", "outcome"),
    [
        ([stack(1, T2, 20, orientation=AXIAL)], Outcome.NOT_APPLICABLE_SEQUENCE_MISSING),
        ([stack(1, T2, 3)], Outcome.REJECTED_INCOMPLETE),
        ([stack(1, T2, BodyPartExamined="KNEE")], Outcome.NOT_APPLICABLE_BODYPART),
    ],
    ids=["only axial", "three slices", "a knee"],
)
def test_a_study_without_any_sequence_that_serves_is_refused_by_name(series, outcome):
    decision = decide(*series)
    assert decision.outcome is outcome, decision.explanation


WANTS_T2 = replace(SPINE, any_of=frozenset({"t2", "fs"}))


@pytest.mark.parametrize("words", [T2, T2_FS], ids=["T2", "fat-suppressed T2"])
def test_a_card_may_ask_for_one_of_some_sequences(words):
    decision = decide(stack(1, T1), stack(2, words), card=WANTS_T2)
    assert decision.chosen is not None, decision.explanation
    assert len(decision.chosen.inputs) == 2


def test_without_any_of_the_sequences_asked_for_no_answer_is_given_and_they_are_named():
    decision = decide(stack(1, T1), stack(2, T1C), card=WANTS_T2)
    assert decision.chosen is None
    assert decision.outcome is Outcome.NOT_APPLICABLE_SEQUENCE_MISSING
    assert decision.summary.startswith(
        "No model answers: spine 1.0.0 needs sagittal T2 not fat-suppressed or sagittal STIR or T2 fat-suppressed; "
        "nearest is series "
    )


def test_where_a_sequence_asked_for_came_in_part_that_is_the_reason():
    decision = decide(stack(1, T1), stack(2, T2, 3), card=WANTS_T2)
    assert decision.outcome is Outcome.REJECTED_INCOMPLETE, decision.explanation
    assert "series 2: sagittal T2, lumbar spine, 3 slices" in decision.summary
    assert decide(stack(1, T1, BodyPartExamined="KNEE"), card=WANTS_T2).outcome is Outcome.NOT_APPLICABLE_BODYPART
