"""Phantoms with a diffusion-weighted study: what they look like in numbers, what they hide, and that trivial things do
not tell who has a tumour.
"""

import numpy as np
import pytest

from models.diffusion import two_point
from tests.training.shortcuts import accuracy
from training.phantoms.diffusion import diffusion_patient
from training.phantoms.diffusion_anatomy import REGIONS, canvas_of, draw, draw_distractors, draw_tumour
from training.phantoms.diffusion_tissue import TISSUES, Label, Tissue, TumourKind, protocol, signal, tumour_tissues

SIDE, SLICES = 64, 16


def patient(seed, **options):
    return diffusion_patient(seed, **({"side": SIDE, "slices": SLICES} | options))


def test_the_same_seed_gives_the_same_patient():
    one, other = patient(3), patient(3)
    assert all(np.array_equal(a, b) for a, b in zip(one.images, other.images, strict=True))
    assert np.array_equal(one.lesions, other.lesions)
    assert one.adc == other.adc
    assert not np.array_equal(one.images[0], patient(4).images[0])


def test_signal_is_that_of_the_equation():
    told = protocol(np.random.default_rng(1), (0.0, 800.0))
    water, fat = signal(Tissue(0.8, 40.0, 1.0), told, 800.0)
    assert water == pytest.approx(0.8 * np.exp(-told.te / 40.0) * np.exp(-0.8))
    assert fat == 0.0


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_has_its_healthy_parts_and_no_tumour(region):
    rng = np.random.default_rng(5)
    canvas = canvas_of(region, rng, SLICES, 2 * SIDE)
    draw(canvas, region, rng)
    parts = set(np.unique(canvas.labels))
    assert {Label.AIR, Label.FAT, Label.MUSCLE, Label.CORTEX, Label.VESSEL, Label.NERVE} <= parts
    assert ({Label.BLADDER, Label.BOWEL, Label.ORGAN} <= parts) == (region == "pelvis")
    assert not {Label.SOLID, Label.SECOND, Label.NECROSIS} & parts


def test_distractors_are_drawn_and_are_no_tumours():
    drawn = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        canvas = canvas_of("pelvis", rng, SLICES, 2 * SIDE)
        draw(canvas, "pelvis", rng)
        drawn |= set(draw_distractors(canvas, "pelvis", rng))
        assert not {Label.SOLID, Label.SECOND, Label.NECROSIS} & set(np.unique(canvas.labels))
    assert drawn == {"node", "cyst", "oedema"}


def test_a_tumour_lies_in_the_body_and_its_truth_is_its_voxels():
    rng = np.random.default_rng(2)
    canvas = canvas_of("thigh", rng, SLICES, 2 * SIDE)
    draw(canvas, "thigh", rng)
    inside = canvas.labels != Label.AIR
    mask = draw_tumour(canvas, rng)
    assert (mask & inside).sum() == mask.sum() > 100
    assert np.isin(canvas.labels[mask], (Label.SOLID, Label.SECOND, Label.NECROSIS)).all()
    assert not np.isin(canvas.labels[~mask], (Label.SOLID, Label.SECOND, Label.NECROSIS)).any()


def test_two_b_values_give_back_the_adc_of_a_tumour():
    errors = []
    for seed in range(12):
        made = patient(seed, tumours=1, b_values=(0.0, 800.0), side=96)
        found = two_point(*(image.astype(np.float32) for image in made.images), 0.0, 800.0)
        errors += [
            float(found.values[(made.lesions == number) & found.valid].mean()) - true
            for number, true in enumerate(made.adc, start=1)
        ]
    assert len(errors) > 8
    assert np.median(np.abs(errors)) < 0.08
    assert np.max(np.abs(errors)) < 0.4, "1e-3 mm2/s: partial volume and shifts, no more"


def test_fluid_shines_through_at_the_high_b_value_and_is_told_by_its_adc():
    told = protocol(np.random.default_rng(1), (0.0, 800.0))
    fluid, muscle = (signal(TISSUES[label], told, 800.0)[0] for label in (Label.CYST, Label.MUSCLE))
    assert fluid > 1.3 * muscle
    assert TISSUES[Label.CYST].adc > 2.0 > TISSUES[Label.MUSCLE].adc


def test_a_node_has_the_adc_of_a_tumour():
    drawn = [tumour_tissues(kind, np.random.default_rng(7))[Label.SOLID].adc for kind in TumourKind]
    assert min(drawn) < TISSUES[Label.NODE].adc < max(drawn)


def test_a_third_b_value_is_drawn_between_the_others():
    made = patient(5, b_values=(0.0, 400.0, 800.0))
    body = made.images[0] > np.percentile(made.images[0], 70)
    low, middle, high = (image[body].mean() for image in made.images)
    assert low > middle > high


def _features(made):
    """What needs no eye: how bright, how spread, how large, how far the brightest lies from the middle."""
    low, high = (image.astype(float) for image in (made.images[0], made.images[-1]))
    body = low > 0.1 * np.percentile(low, 99)
    shares = [high[body].mean() / low[body].mean(), high[body].std() / high[body].mean()]
    shares += [low[body].std() / low[body].mean(), body.mean(), made.spacing[0], made.spacing[1]]
    shares += [np.percentile(high[body], 99) / high[body].mean(), np.percentile(low[body], 99) / low[body].mean()]
    at = np.array(np.unravel_index(int(high.argmax()), high.shape)) / high.shape - 0.5
    return [*shares, float(np.hypot(*at[1:])), float(abs(at[0]))]


def test_ten_trivial_features_do_not_tell_who_has_a_tumour():
    """There are no classes of tumours; the shortcut to guard against is the study that has one."""
    drawn = [patient(7000 + seed, tumours=seed % 2) for seed in range(120)]
    made = [each for seed, each in enumerate(drawn) if bool(each.adc) == bool(seed % 2)]
    assert len(made) > 100
    features = np.array([_features(each) for each in made])
    assert features.shape[1] == 10
    reached = accuracy(features, np.array([bool(each.adc) for each in made]))
    print(f"accuracy on ten trivial features: {reached:.2f}, chance is 0.5")
    assert reached < 0.75
