"""Images to series and stacks."""

import random

import pytest
from pydicom.uid import generate_uid

from node.facts.mr import Weighting
from node.headers import facts_of
from node.series import series_of
from tests.node.made_headers import AXIAL, CORONAL, header, item, mr

T1 = {"SeriesDescription": "t1", "ScanningSequence": "SE", "RepetitionTime": 600, "EchoTime": 12}


def slices(places, **values):
    return [facts_of(mr(ImagePositionPatient=[0, 0, z], **(T1 | values))) for z in places]


def only_stack(images):
    (series,) = series_of(images)
    (stack,) = series.stacks
    return stack


def test_images_are_grouped_and_series_are_in_order_whatever_the_order_of_arrival():
    images = [
        facts_of(header(SeriesInstanceUID=f"1.{n}", SeriesNumber=10 - n, InstanceNumber=k))
        for n in range(3)
        for k in (2, 1, 3)
    ]
    shuffled = images[:]
    random.Random(1).shuffle(shuffled)
    assert series_of(images) == series_of(shuffled)
    assert [(series.number, [image.instance_number for image in series.images]) for series in series_of(images)] == [
        (8, [1, 2, 3]), (9, [1, 2, 3]), (10, [1, 2, 3]),
    ]  # fmt: skip


def test_a_series_without_a_number_comes_last():
    images = [facts_of(header(SeriesInstanceUID="1.1", SeriesNumber=None)), facts_of(header(SeriesInstanceUID="1.2"))]
    assert [series.number for series in series_of(images)] == [1, None]


@pytest.mark.parametrize(
    ("places", "spacing", "fault"),
    [
        ([0, 4, 8, 12], 4, ""),
        ([12, 0, 8, 4], 4, ""),
        ([0, -4, -8], 4, ""),
        ([0], None, ""),
        ([0, 4, 12, 16, 20], 4, "1 slice(s) are missing"),
        ([0, 4, 8, 24, 28, 32], 4, "3 slice(s) are missing"),
        ([0, 4, 4, 8], 4, "several slices lie at one place"),
        ([0, 4, 9, 13], 4, "the distances between slices differ"),
        ([0, 4.05, 8, 12], 4, ""),
    ],
)
def test_distances_come_from_positions_and_faults_are_seen(places, spacing, fault):
    stack = only_stack(slices(places))
    assert stack.spacing_mm == (pytest.approx(spacing, abs=0.06) if spacing else None)
    assert stack.fault == fault


def test_slices_without_a_position_make_no_volume():
    images = [*slices([0, 4]), facts_of(mr(ImagePositionPatient=None, **T1))]
    assert only_stack(images).fault == "the position of some slices is unknown"


@pytest.mark.parametrize(
    "other",
    [
        {"EchoNumbers": 2}, {"TemporalPositionIdentifier": 2}, {"Rows": 128}, {"FrameOfReferenceUID": generate_uid()},
        {"ImageOrientationPatient": CORONAL}, {"ImageType": ["DERIVED", "PRIMARY", "DIXON", "W"]},
        {"RepetitionTime": 4000, "EchoTime": 90, "SeriesDescription": "t2"},
    ],
    ids=["echo", "time", "size", "frame of reference", "plane", "Dixon", "weighting"],
)  # fmt: skip
def test_what_does_not_belong_together_makes_stacks_of_its_own(other):
    (series,) = series_of([*slices([0, 4, 8]), *slices([0, 4, 8], **other)])
    assert [stack.slices for stack in series.stacks] == [3, 3]


def test_tilted_groups_of_a_spine_are_no_localizer_three_planes_are():
    tilted = [1, 0, 0, 0, 0.9397, 0.342]
    images = [*slices([0, 4]), *slices([20, 24], ImageOrientationPatient=tilted)]
    assert series_of(images)[0].localizer == ""
    assert series_of([*images, *slices([0], ImageOrientationPatient=CORONAL)])[0].localizer


def test_adc_maps_in_a_series_stay_apart():
    epi = {"ScanningSequence": ["SE", "EP"], "SeriesDescription": "dwi"}
    images = slices([0, 4], DiffusionBValue=800.0, **epi)
    images += slices([0, 4], ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "ADC"], **epi)
    (series,) = series_of(images)
    assert {stack.weighting for stack in series.stacks} == {Weighting.DWI, Weighting.ADC}


def test_an_enhanced_object_is_a_stack_of_its_own():
    frames = [item(PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 3.0 * n])]) for n in (2, 0, 1, 3)]
    shared = item(PlaneOrientationSequence=[item(ImageOrientationPatient=AXIAL)])
    ds = header(
        "Enhanced MR",
        NumberOfFrames=4,
        PerFrameFunctionalGroupsSequence=frames,
        SharedFunctionalGroupsSequence=[shared],
    )
    stack = only_stack([facts_of(ds)])
    assert (stack.slices, stack.spacing_mm, stack.fault) == (4, 3, "")


def test_notes_of_a_series_are_told_once():
    images = [facts_of(header(ImageLaterality="L", SeriesDescription="right knee")) for _ in range(5)]
    assert len(series_of(images)[0].notes) == 1
