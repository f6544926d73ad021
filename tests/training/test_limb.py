"""The limb system on volumes made here: who is in which part, what a batch holds, that a run learns and goes on."""

import gzip
import math
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.metrics import dice
from training.limb import fit
from training.limb.batches import Drawer
from training.limb.dataset import Patient, prepared, read, split
from training.limb.recipe import PAPER, RECIPES, SMALL
from training.losses import batch_dice_ce, deep
from training.unet import UNet, UNetSpec

SPEC = UNetSpec(3, (8, 16, 24), (1, 1, 1), 1, stem_stride=2, is_residual=True, deep_levels=1)
TINY = replace(
    SMALL,
    net=SPEC,
    plan=replace(SMALL.plan, steps=60, observe_every=1000, rate=1e-2, ema=0.9),
    window=32,
    side=48,
    batch=6,
)


def patient(number):
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[:40, :36]
    mask = np.zeros((6, 40, 36), dtype=bool)
    mask[1:5] = (rows - rng.uniform(14, 26)) ** 2 + (columns - rng.uniform(12, 24)) ** 2 < 50
    voxels = (200.0 + 600.0 * mask + 30.0 * rng.standard_normal(mask.shape)).astype(np.float32)
    return Patient(f"P{number}", voxels, mask, (3.0, 1.0, 1.0))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_of_thirty_patients_six_test_and_four_validate_and_none_twice():
    parts = split([patient(number) for number in range(30)])
    names = [each.name for part in (parts.train, parts.validation, parts.test) for each in part]
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (20, 4, 6)
    assert len(set(names)) == 30


def test_a_part_does_not_depend_on_the_order_of_reading():
    patients = [patient(number) for number in range(10)]
    assert [each.name for each in split(patients).test] == [each.name for each in split(patients[::-1]).test]


def test_batch_dice_and_cross_entropy_by_hand():
    """Logits 0 are a half everywhere: Dice 1 - (2 * 0.5 + 1) / (2 + 1 + 1) = 0.5, cross-entropy ln 2."""
    mask = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    assert float(batch_dice_ce(torch.zeros_like(mask), mask)) == pytest.approx(0.5 + math.log(2.0), abs=1e-6)


def test_deep_supervision_weighs_the_finer_level_twice():
    mask = torch.zeros((1, 1, 4, 4))
    mask[..., :2, :2] = 1.0
    fine, coarse = torch.zeros((1, 1, 4, 4)), torch.full((1, 1, 2, 2), 3.0)
    small = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    wanted = (2.0 * batch_dice_ce(fine, mask) + batch_dice_ce(coarse, small)) / 3.0
    assert float(deep((fine, coarse), mask)) == pytest.approx(float(wanted), abs=1e-6)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_every_preset_answers_on_the_grid_of_its_input(recipe):
    net = UNet(recipe.net).eval()
    side = 2 * recipe.net.granularity
    assert recipe.side % recipe.net.granularity == 0
    assert recipe.window % recipe.net.granularity == 0
    with torch.no_grad():
        assert net(torch.zeros((1, 3, side, side))).mask_logits.shape == (1, 1, side, side)
        levels = net.levels(torch.zeros((1, 3, side, side)))
    assert [level.shape[-1] for level in levels] == [side >> place for place in range(recipe.net.deep_levels)]


def test_the_small_preset_stays_below_three_million_parameters():
    assert sum(value.numel() for value in UNet(SMALL.net).parameters()) < 3_000_000


def test_a_batch_is_a_function_of_the_step():
    drawer = Drawer([prepared(patient(number), 1.0) for number in range(2)], TINY)
    assert torch.equal(drawer(3, 0.0).images, drawer(3, 0.9).images)
    assert not torch.equal(drawer(3, 0.0).images, drawer(4, 0.0).images)


def test_image_and_mask_are_moved_together():
    still = replace(TINY, views=replace(TINY.views, gamma=0.0, gain=0.0, bias=0.0, noise=0.0), tumour_share=1.0)
    batch = Drawer([prepared(patient(1), 1.0)], still)(0, 0.0)
    middle = batch.images[:, 1:2]
    assert middle[batch.masks > 0].mean() > 0.7
    assert middle[batch.masks == 0].mean() < 0.3


def test_without_views_and_noise_a_window_is_the_slice_itself():
    plain = replace(TINY, views=PAPER.views, tumour_share=1.0)
    source = prepared(patient(1), 1.0)
    batch = Drawer([source], plain)(0, 0.0)
    assert batch.masks.shape == (6, 1, 32, 32)
    assert float(batch.images.max()) <= float(source.image.max()) + 1e-6


def test_a_few_steps_outline_a_bright_disc_and_a_run_ends_where_it_said(tmp_path):
    patients = [patient(number) for number in range(8)]
    net = fit.train(patients, TINY, tmp_path)
    loaded = fit.load(TINY, tmp_path)
    for each in split(patients).test:
        seen = fit.probability(loaded, each, TINY)
        assert np.allclose(seen, fit.probability(net, each, TINY), atol=1e-5)
        assert seen.shape == each.mask.shape
        assert dice(each.mask, seen > 0.5) > 0.8


def test_a_folder_in_the_layout_of_sts_mr_is_read(tmp_path):
    (tmp_path / "nifti").mkdir()
    for name in "abc":
        for end in ("t1", "mask"):
            header = bytearray(352)
            struct.pack_into("<i", header, 0, 348)
            struct.pack_into("<8h", header, 40, 3, 4, 3, 2, 1, 1, 1, 1)
            struct.pack_into("<h", header, 70, 2)
            struct.pack_into("<8f", header, 76, 1, 1, 1, 3, 0, 0, 0, 0)
            struct.pack_into("<3f", header, 108, 352.0, 0.0, 0.0)
            header[344:348] = b"n+1\0"
            data = gzip.compress(bytes(header) + bytes([1] * 24))
            (tmp_path / "nifti" / f"{name}_{end}.nii.gz").write_bytes(data)
    patients = read(tmp_path)
    assert [each.name for each in patients] == ["a", "b", "c"]
    assert patients[0].mask.shape == (2, 3, 4)
    assert patients[0].mask.all()
