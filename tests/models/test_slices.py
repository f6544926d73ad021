"""What a network sees of a stack, and how its answer comes back to the source grid."""

import numpy as np
import pytest

from models.errors import GeometryError
from models.slices import SCALINGS, has_tissue, normalise, plan, scaled_adc, standardised

RANDOM = np.random.default_rng(3)


def test_a_stack_is_stretched_by_the_percentiles_of_its_tissue():
    volume = np.zeros((2, 10, 100), np.float32)
    volume[:, :, 50:] = np.linspace(100, 200, 500, dtype=np.float32).reshape(10, 50)
    made = normalise(volume)
    tissue = volume[volume > 0.05 * np.percentile(volume, 99.5)]
    low, high = np.percentile(tissue, (0.5, 99.5))
    assert made[:, :, :50].max() == 0.0
    assert made[0, 5, 70] == pytest.approx((volume[0, 5, 70] - low) / (high - low), abs=1e-6)
    assert (made.min(), made.max()) == (0.0, 1.0)


def test_air_has_no_say_in_the_stretch():
    tissue = RANDOM.uniform(200, 400, (3, 20, 20)).astype(np.float32)
    padded = np.pad(tissue, ((0, 0), (0, 0), (0, 15)))
    low, high = np.percentile(tissue, (0.5, 99.5))
    assert normalise(padded)[:, :, :20] == pytest.approx(np.clip((tissue - low) / (high - low), 0, 1), abs=0.02)


@pytest.mark.parametrize("value", [-3.0, 0.0, 7.0])
def test_a_stack_of_one_value_is_black(value):
    assert not normalise(np.full((2, 4, 4), value, np.float32)).any()


def test_a_z_score_is_of_the_body_alone_and_air_is_0():
    """Tissue of 100, 200 and 300 in equal parts: mean 200, deviation 81.65, so z is -1.2247, 0, 1.2247."""
    volume = np.zeros((3, 10, 30), np.float32)
    volume[:, :, 15:] = np.repeat(np.array([100, 200, 300], np.float32), 5)
    made = standardised(volume)
    assert not made[:, :, :15].any()
    assert made[1, 4, [15, 20, 25]] == pytest.approx([0.5 - 1.224745 / 6, 0.5, 0.5 + 1.224745 / 6], abs=1e-6)
    assert made.dtype == np.float32


def test_a_z_score_is_the_same_whatever_the_scanner_s_unit_and_padding():
    volume = np.pad(RANDOM.uniform(200, 400, (3, 20, 20)).astype(np.float32), ((0, 0), (3, 3), (3, 3)))
    wider = np.pad(volume * 7.0, ((0, 0), (0, 0), (0, 40)))
    assert np.allclose(standardised(wider)[:, :, :26], standardised(volume), atol=1e-5)


def test_dark_bone_within_a_limb_is_of_the_body_and_not_air():
    volume = np.zeros((2, 20, 20), np.float32)
    volume[:, 2:18, 2:18] = 400 + RANDOM.normal(0, 40, (2, 16, 16))
    volume[:, 8:10, 8:10] = 2
    made = standardised(volume)
    inside = volume[:, 2:18, 2:18]
    assert made[:, 8, 8] == pytest.approx(max(0.0, 0.5 + (2 - inside.mean()) / inside.std() / 6), abs=1e-4)
    assert made[:, 2:18, 2:18].mean() == pytest.approx(0.5, abs=0.02)


def test_a_z_score_has_no_upper_limit():
    volume = np.full((1, 40, 40), 100, np.float32) + RANDOM.normal(0, 5, (1, 40, 40)).astype(np.float32)
    volume[0, 4:6, 4:6] = 2000
    assert standardised(volume).max() > 2.0


@pytest.mark.parametrize("scale", SCALINGS.values(), ids=list(SCALINGS))
@pytest.mark.parametrize("value", [-3.0, 0.0, 7.0])
def test_whatever_the_scaling_a_stack_of_one_value_is_black(scale, value):
    assert not scale(np.full((2, 4, 4), value, np.float32)).any()


def test_air_and_padding_of_a_z_score_are_no_tissue():
    volume = np.zeros((1, 40, 40), np.float32)
    volume[:, :, 20:] = RANDOM.uniform(100, 300, (1, 40, 20))
    made = plan((40, 40), (1.0, 1.0), 1.0, (64, 64)).resampled(standardised(volume))
    assert has_tissue(made)
    assert not has_tissue(made[:, :, :30])


def test_an_adc_of_three_is_white():
    assert scaled_adc(np.array([-1.0, 0.0, 1.5, 3.0, 9.0], np.float32)) == pytest.approx([0, 0, 0.5, 1, 1])


def test_a_smaller_plane_is_padded_on_all_sides_alike():
    way = plan((20, 30), (1.0, 1.0), 1.0, (64, 64))
    made = way.resampled(np.ones((2, 20, 30), np.float32))
    assert made.shape == (2, 64, 64)
    assert made[:, 22:42, 17:47].all()
    assert made.sum() == 2 * 20 * 30
    assert way.tiles == ((0, 0),)


def test_a_larger_plane_is_covered_by_tiles_that_overlap_by_half():
    way = plan((100, 40), (1.0, 1.0), 1.0, (64, 64))
    starts = [top for top, _ in way.tiles]
    assert starts[0] == 0
    assert starts[-1] == 100 - 64
    assert max(np.diff(starts)) <= 32
    assert {left for _, left in way.tiles} == {0}


@pytest.mark.parametrize("shape", [(20, 30), (64, 64), (100, 40), (200, 171)])
def test_what_tiles_repeat_comes_back_as_it_was(shape):
    way = plan(shape, (1.0, 1.0), 1.0, (64, 64))
    volume = RANDOM.random((3, *shape), np.float32)
    channels = way.resampled(volume)[None]
    answers = {}
    for index, corner, tile in way.inputs(channels, 0):
        answers.setdefault(index, []).append((corner, tile[0]))
    merged = np.stack([way.merged(answers[index]) for index in range(3)])
    assert way.restored(merged) == pytest.approx(volume, abs=1e-5)


def test_a_tile_weighs_least_at_its_border():
    way = plan((96, 64), (1.0, 1.0), 1.0, (64, 64))
    low, high = np.zeros((64, 64), np.float32), np.ones((64, 64), np.float32)
    column = way.merged([((0, 0), low), ((32, 0), high)])[:, 30]
    assert column[:32] == pytest.approx(0.0)
    assert column[64:] == pytest.approx(1.0)
    assert (np.diff(column[32:64]) > 0).all()
    assert column[47] + column[48] == pytest.approx(1.0, abs=1e-5)


def test_resampling_keeps_the_surface_and_the_mean():
    way = plan((50, 70), (0.8, 0.5), 1.0, (64, 64))
    assert way.plane == (40, 35)
    volume = RANDOM.random((2, 50, 70), np.float32)
    inside = way.resampled(volume)[:, way.corner[0] : way.corner[0] + 40, way.corner[1] : way.corner[1] + 35]
    assert inside.mean() == pytest.approx(volume.mean(), abs=1e-4)


def test_a_slice_is_seen_with_its_neighbours_and_the_outermost_is_repeated():
    channels = np.stack([np.arange(4.0), 10 + np.arange(4.0)])[:, :, None, None] * np.ones((1, 1, 64, 64))
    way = plan((64, 64), (1.0, 1.0), 1.0, (64, 64))
    seen = [tile[:, 0, 0].tolist() for _, _, tile in way.inputs(channels.astype(np.float32), 1)]
    assert seen == [[0, 0, 1, 10, 10, 11], [0, 1, 2, 10, 11, 12], [1, 2, 3, 11, 12, 13], [2, 3, 3, 12, 13, 13]]


def test_a_plane_no_network_can_hold_is_refused_with_spacing_and_limit():
    with pytest.raises(GeometryError, match=r"512 rows x 512 columns at a Pixel Spacing .* of 20 x 20 mm.*4096"):
        plan((512, 512), (20.0, 20.0), 1.0, (64, 64))
