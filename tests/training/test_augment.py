"""Views stray from the image, masks go with them, and draws repeat."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.knee.augment import AugmentSpec, Frame, view, whole
from training.knee.recipe import PAPER, SMALL

WIDE = SMALL.global_stage.batches.phases[-1].views
STILL = AugmentSpec(
    scale=0.0,
    aspect=0.0,
    rotation_deg=0.0,
    shift=0.0,
    flip_columns=0.0,
    flip_rows=0.0,
    quarter_turn=0.0,
    grey=0.0,
    tone=0.0,
    degrade=0.0,
    clutter=0.0,
)


def pictures(count: int = 6, side: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    masks = torch.zeros(count, 1, side, side)
    for index in range(count // 2):
        masks[index, 0, 20 : 30 + index, 24:40] = 1.0
    images = 0.2 + 0.6 * masks + 0.1 * torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(1))
    return images, masks


def test_without_straying_a_view_is_the_image() -> None:
    images, masks = pictures()
    rng = np.random.default_rng(1)
    pixels, seen = view(images, masks, whole(6), 64, replace(STILL), rng)
    inverted = (pixels - images).abs().amax(dim=(1, 2, 3))
    assert (inverted < 1e-5).all()
    assert torch.equal(seen, masks)


def test_a_window_of_half_the_side_shows_its_quarter_at_its_own_resolution() -> None:
    images, masks = pictures()
    frame = Frame(np.tile([[0.5, -0.5]], (6, 1)), 0.5)
    pixels, _ = view(images, masks, frame, 32, STILL, np.random.default_rng(1))
    assert torch.allclose(pixels, images[:, :, :32, 32:], atol=1e-5)


def test_a_smaller_view_averages() -> None:
    images, masks = pictures()
    pixels, _ = view(images, masks, whole(6), 32, STILL, np.random.default_rng(1))
    assert torch.allclose(pixels, torch.nn.functional.avg_pool2d(images, 2), atol=1e-5)


def test_views_stay_in_range_and_masks_stay_masks() -> None:
    images, masks = pictures()
    for seed in range(20):
        pixels, seen = view(images, masks, whole(6), 64, WIDE, np.random.default_rng(seed))
        assert 0.0 <= float(pixels.min()) <= float(pixels.max()) <= 1.0
        assert set(seen.unique().tolist()) <= {0.0, 1.0}
        assert not seen[3:].any()


def test_the_mask_goes_with_the_picture() -> None:
    images, masks = pictures()
    bent = replace(WIDE, grey=0.0, degrade=0.0, clutter=0.0)
    for seed in range(10):
        pixels, seen = view(images, masks, whole(6), 64, bent, np.random.default_rng(seed))
        marked = pixels[:3][seen[:3] > 0]
        assert marked.mean() > 0.75


def test_a_whole_view_rarely_loses_its_tumour() -> None:
    images, masks = pictures()
    wild = replace(WIDE, shift=0.9)
    kept = [float(view(images, masks, whole(6), 64, wild, np.random.default_rng(s))[1][:3].sum()) for s in range(20)]
    assert min(kept) > 0


def test_the_same_generator_draws_the_same_view() -> None:
    images, masks = pictures()
    first = view(images, masks, whole(6), 64, WIDE, np.random.default_rng(8))
    second = view(images, masks, whole(6), 64, WIDE, np.random.default_rng(8))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_the_paper_never_flips_upside_down() -> None:
    images, masks = torch.zeros(8, 1, 64, 64), torch.zeros(8, 1, 64, 64)
    images[:, :, :20] = 1.0
    for seed in range(125):
        pixels, _ = view(
            images, masks, whole(8), 64, PAPER.global_stage.batches.phases[0].views, np.random.default_rng(seed)
        )
        assert (pixels[:, 0, :32].mean(dim=(1, 2)) > pixels[:, 0, 32:].mean(dim=(1, 2))).all()


@pytest.mark.parametrize("chance", ["degrade", "clutter"])
def test_each_disturbance_changes_pixels(chance: str) -> None:
    images, masks = pictures()
    pixels, _ = view(images, masks, whole(6), 64, replace(STILL, **{chance: 1.0}), np.random.default_rng(2))
    assert ((pixels - images).abs().amax(dim=(1, 2, 3)) > 0.01).all()


def test_a_tone_curve_keeps_the_order_of_grey_values_and_only_those_chosen_change() -> None:
    ramp = torch.linspace(0.0, 1.0, 4096).reshape(1, 1, 64, 64).repeat(6, 1, 1, 1)
    masks = torch.zeros_like(ramp)
    pixels, _ = view(ramp, masks, whole(6), 64, replace(STILL, tone=1.0), np.random.default_rng(2))
    slopes = pixels.flatten(1).diff(dim=1)
    assert ((slopes >= -1e-6).all(dim=1) | (slopes <= 1e-6).all(dim=1)).all()
    assert (pixels - ramp).abs().amax(dim=(1, 2, 3)).min() > 0.01
    assert pixels.min() >= 0.0
    assert pixels.max() <= 1.0
