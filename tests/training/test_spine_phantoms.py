"""Spines drawn from formulas: repeatable, right in their contrasts and boxes, and without a short cut to the class."""

import numpy as np
import pytest

from tests.training.shortcuts import accuracy
from training.phantoms.spine import AGES, Kind, drawn_age, spine_patient
from training.phantoms.spine_anatomy import Canvas, column, draw, smooth
from training.phantoms.spine_lesions import BENIGN, DISTRACTORS, MALIGNANT, draw_distractor, draw_tumour, kind_tissues
from training.phantoms.spine_tissue import Label, Weight, patient_tissues, sequence, signals

SIDE = 128


def _canvas(seed, region="lumbar"):
    rng = np.random.default_rng(seed)
    shape, step = (26, SIDE, SIDE), (2.0, 2.0, 2.0)
    canvas = Canvas(
        np.zeros(shape, dtype=np.uint8), step, smooth(rng, shape, (6, 22, 22)), smooth(rng, shape, (16, 64, 64))
    )
    spine = column(rng, region, shape, step)
    draw(canvas, spine, rng)
    return canvas, spine, rng


def test_the_same_seed_draws_the_same_patient():
    one, other = spine_patient(3, side=SIDE), spine_patient(3, side=SIDE)
    assert one.age == other.age
    for left, right in zip(one.series, other.series, strict=True):
        assert np.array_equal(left.pixels, right.pixels)
        assert left.boxes == right.boxes


def test_a_patient_has_11_to_17_sagittal_slices_in_each_of_three_or_four_sequences():
    for seed in range(6):
        patient = spine_patient(seed, side=SIDE)
        weights = [series.told.weight for series in patient.series]
        assert weights[:2] == [Weight.T1, Weight.T2]
        assert weights[2] in (Weight.FS, Weight.STIR)
        assert weights[3:] in ([], [Weight.T1C])
        assert all(11 <= series.pixels.shape[0] <= 17 for series in patient.series)
        assert all(series.pixels.shape[1] == series.pixels.shape[2] for series in patient.series)


def test_boxes_lie_in_the_image_on_the_spine_and_only_where_there_is_a_tumour():
    for seed in range(10):
        patient = spine_patient(seed, side=SIDE)
        for series in patient.series:
            assert bool(patient.tumours) or not series.boxes
            for box in series.boxes:
                slices, rows, columns = series.pixels.shape
                assert 0 <= box.slice < slices
                assert 0 <= box.left < box.right <= columns
                assert 0 <= box.top < box.bottom <= rows
                row = int((box.top + box.bottom) / 2)
                assert abs((box.left + box.right) / 2 - series.middle[row]) < 1.5 * series.reach
    assert not spine_patient(1, kind=Kind.NORMAL, side=SIDE).series[0].boxes


@pytest.mark.parametrize("region", ["cervical", "thoracic", "lumbar"])
def test_every_healthy_part_is_there(region):
    canvas, _, _ = _canvas(1, region)
    parts = {Label.FAT, Label.MUSCLE, Label.CORTEX, Label.MARROW, Label.ANNULUS, Label.NUCLEUS, Label.CSF, Label.CORD}
    assert parts <= set(np.unique(canvas.labels))
    assert not {Label.FIRST, Label.SECOND, Label.THIRD} & set(np.unique(canvas.labels))


@pytest.mark.parametrize("kind", [*BENIGN, *MALIGNANT])
def test_every_kind_of_tumour_is_drawn_where_it_says(kind):
    canvas, spine, rng = _canvas(2)
    before = canvas.labels.copy()
    drawn = draw_tumour(kind, canvas, spine, spine.vertebrae[len(spine.vertebrae) // 2], rng)
    where = np.zeros(before.shape, dtype=bool)
    where[drawn.window] = drawn.mask
    assert where.sum() * 8 > 300, "a tumour of less than a third of a millilitre teaches nothing"
    assert {Label.FIRST, Label.SECOND, Label.THIRD} & set(np.unique(canvas.labels[where]))
    assert set(np.unique(canvas.labels[~where])) <= {*np.unique(before), Label.OEDEMA}


@pytest.mark.parametrize("kind", DISTRACTORS)
def test_a_distractor_changes_a_vertebra_and_is_no_tumour(kind):
    canvas, spine, rng = _canvas(4)
    before = canvas.labels.copy()
    draw_distractor(kind, canvas, spine.vertebrae[len(spine.vertebrae) // 2], rng)
    assert 0 < (before != canvas.labels).sum() < 20_000
    assert not {Label.FIRST, Label.SECOND, Label.THIRD} & set(np.unique(canvas.labels))


def _contrast(kind, weight, label):
    """The signal of a tumour's main part over that of marrow, over many patients."""
    ratios = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        tissues = patient_tissues(rng, 50.0) | kind_tissues(kind, rng)
        water, fat = signals(tissues, sequence(weight, rng))
        whole = water + fat
        ratios.append(whole[label] / whole[Label.MARROW])
    return float(np.median(ratios))


def test_contrasts_are_those_of_the_clinic():
    assert _contrast("lytic", Weight.T1, Label.FIRST) < 0.75, "replaced marrow is dark on T1"
    assert _contrast("lytic", Weight.FS, Label.FIRST) > 1.5, "and bright where fat is suppressed"
    assert _contrast("haemangioma", Weight.FS, Label.FIRST) > 1.3
    assert _contrast("haemangioma", Weight.T2, Label.FIRST) > 1.2
    assert _contrast("sclerotic", Weight.T2, Label.FIRST) < 0.7
    assert _contrast("lobulated", Weight.T2, Label.FIRST) > 1.3
    assert _contrast("lytic", Weight.T2, Label.CSF) > 2, "fluid is bright on T2"
    assert _contrast("lytic", Weight.T1, Label.CSF) < 0.6, "and dark on T1"
    assert _contrast("lytic", Weight.STIR, Label.FAT) < 1.0


def test_age_says_something_and_not_all():
    rng = np.random.default_rng(1)
    ages = {kind: [drawn_age(kind, rng) for _ in range(400)] for kind in Kind}
    wins = np.mean([m > b for m in ages[Kind.MALIGNANT] for b in ages[Kind.BENIGN]])
    assert 0.6 < wins < 0.85
    assert all(4 <= age <= 90 for each in ages.values() for age in each)
    assert set(AGES) == {kind.value for kind in Kind}


def _features(patient):
    """What needs no eye: size, place, number and mean grey of the largest box."""
    largest = [max(series.boxes, key=_surface) for series in patient.series[:3] if series.boxes]
    greys = []
    for series, box in zip(patient.series[:3], largest, strict=True):
        image = series.pixels[box.slice].astype(float)
        inside = image[int(box.top) : int(box.bottom) + 1, int(box.left) : int(box.right) + 1]
        greys.append(inside.mean() / image.mean())
    first, box = patient.series[0], largest[0]
    scale = 1.0 / first.pixels.shape[1]
    wide, tall = (box.right - box.left) * scale, (box.bottom - box.top) * scale
    spread = first.pixels[box.slice].std() / first.pixels[box.slice].mean()
    return [*greys, wide, tall, wide * tall, box.top * scale, box.left * scale, len(first.boxes), spread]


def _surface(box):
    return (box.right - box.left) * (box.bottom - box.top)


def test_ten_trivial_features_do_not_tell_the_class():
    weights = (Weight.T1, Weight.T2, Weight.FS)
    drawn = [
        spine_patient(9000 + seed, kind=(Kind.BENIGN, Kind.MALIGNANT)[seed % 2], weights=weights, side=SIDE)
        for seed in range(80)
    ]
    patients = [patient for patient in drawn if all(series.boxes for series in patient.series)]
    assert len(patients) > 70
    features = np.array([_features(patient) for patient in patients])
    reached = accuracy(features, np.array([patient.kind is Kind.MALIGNANT for patient in patients]))
    print(f"accuracy on ten trivial features: {reached:.2f}, chance is 0.5")
    assert reached < 0.75
