"""The limb system on volumes made here: who is in which part, what a batch holds, and the whole way to a bundle."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.card import read_bundle
from models.metrics import dice
from models.stack import load
from node.route import Need
from tests.training import volumes
from training import cli
from training.errors import DataFault, RunFault
from training.limb.dataset import read
from training.limb.recipe import PAPER, RECIPES, SMALL
from training.limb.system import SYSTEM
from training.losses import batch_dice_ce, deep, image_dice
from training.stacks import fit
from training.stacks.batches import Drawer
from training.stacks.case import Prepared, prepared_case, split, stack_of
from training.stacks.recipe import STILL
from training.stacks.serving import Served, learned
from training.stacks.system import blank, recipe_card
from training.unet import UNet, UNetSpec

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "sts-mr"
SPEC = UNetSpec(3, (8, 16, 24), (1, 1, 1), 1, stem_stride=2, is_residual=True, deep_levels=2)
TINY = replace(
    SMALL,
    net=SPEC,
    plan=replace(SMALL.plan, steps=60, observe_every=1000, rate=1e-2, ema=0.9),
    window=32,
    side=48,
    batch=6,
)
CARD = recipe_card(SYSTEM, TINY)


def prepared(number):
    return prepared_case(volumes.case(number), CARD)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_of_thirty_patients_six_test_and_four_validate_and_none_twice():
    parts = split([volumes.case(number) for number in range(30)])
    names = [each.name for part in (parts.train, parts.validation, parts.test) for each in part]
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (20, 4, 6)
    assert len(set(names)) == 30


def test_a_part_does_not_depend_on_the_order_of_reading():
    cases = [volumes.case(number) for number in range(10)]
    assert [each.name for each in split(cases).test] == [each.name for each in split(cases[::-1]).test]


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


def test_the_dice_of_images_counts_a_speck_as_much_as_a_mass_and_an_empty_image_not():
    """At logits 0, with the smooth term 1: a speck 1 - (2 * 0.5 + 1) / (8 + 1 + 1) = 0.8, 8 of 16 pixels 1 - 9 / 17."""
    masks = torch.zeros((3, 1, 4, 4))
    masks[0, 0, 0, 0] = 1.0
    masks[1, 0, :2] = 1.0
    logits = torch.zeros_like(masks)
    wanted = (0.8 + (1.0 - 9.0 / 17.0)) / 2.0
    assert float(image_dice(logits, masks)) == pytest.approx(wanted)
    assert float(image_dice(logits[2:], masks[2:])) == 0.0
    plain = float(deep((logits,), masks))
    assert float(deep((logits,), masks, 0.5)) == pytest.approx(plain + 0.5 * wanted)


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


def test_a_field_that_came_later_leaves_the_digest_of_what_shipped():
    shipped = read_bundle(Path(__file__).resolve().parents[2] / "models" / "bundles" / "limb").card
    assert shipped.training["recipe_sha256"] == SMALL.digest()
    assert replace(SMALL, even_share=0.5).digest() != SMALL.digest()


def test_the_small_preset_stays_below_three_million_parameters():
    assert sum(value.numel() for value in UNet(SMALL.net).parameters()) < 3_000_000


def test_a_batch_is_a_function_of_the_step():
    drawer = Drawer([prepared(number) for number in range(2)], TINY)
    assert torch.equal(drawer(3, 0.0).images, drawer(3, 0.9).images)
    assert not torch.equal(drawer(3, 0.0).images, drawer(4, 0.0).images)


def test_slices_are_drawn_alike_where_the_recipe_asks_for_it():
    """A tumour of 1 voxel in one slice, of 99 in the next: by voxel the first is seldom seen, by slice as often."""
    mask = np.zeros((2, 16, 16), dtype=bool)
    mask[0, 8, 8] = True
    mask[1, 3:12, 3:14] = True
    shown = np.stack([np.stack([np.full((16, 16), 0.2), np.full((16, 16), 0.8)])]).astype(np.float16)
    still = replace(TINY, views=STILL, tumour_share=1.0, neighbours=0, batch=40)

    def first(even_share):
        drawer = Drawer([Prepared(shown, mask)], replace(still, even_share=even_share))
        middles = torch.cat([drawer(step, 0.0).images.amax(dim=(1, 2, 3)) for step in range(10)])
        return float((middles < 0.5).float().mean())

    assert first(0.0) < 0.05
    assert 0.4 < first(1.0) < 0.6


def test_image_and_mask_are_moved_together():
    still = replace(TINY, views=replace(TINY.views, gamma=0.0, gain=0.0, bias=0.0, noise=0.0), tumour_share=1.0)
    batch = Drawer([prepared(1)], still)(0, 0.0)
    middle = batch.images[:, 1:2]
    assert middle[batch.masks > 0].mean() > 0.7
    assert middle[batch.masks == 0].mean() < 0.3


def test_a_view_is_bent_by_no_more_than_it_may_and_its_mask_with_it():
    """A ramp along the columns tells how far each pixel was moved: 0.1 of a half side of 16 pixels at most."""
    ramp = np.tile(np.linspace(0.0, 1.0, 64, dtype=np.float32), (1, 1, 64, 1))
    mask = np.zeros((1, 64, 64), dtype=bool)
    mask[0, 24:40, 24:40] = True
    still = replace(TINY, views=STILL, tumour_share=1.0, neighbours=0, window=32, batch=8)
    source = [Prepared(ramp.astype(np.float16), mask)]
    plain, bent = (
        Drawer(source, replace(still, views=replace(STILL, elastic=elastic)))(0, 0.0) for elastic in (0.0, 0.1)
    )
    inside = (plain.images > 0.02) & (bent.images > 0.02)
    moved = 63.0 * (bent.images - plain.images)[inside].abs()
    assert 0.2 < float(moved.max()) < 0.1 * 16 * 1.3, "bicubic curves pass a little beyond their points"
    apart = (plain.masks != bent.masks).float().sum() / plain.masks.sum()
    assert 0.0 < float(apart) < 0.5


def test_without_views_and_noise_a_window_is_the_slice_itself():
    plain = replace(TINY, views=PAPER.views, tumour_share=1.0)
    source = prepared(1)
    batch = Drawer([source], plain)(0, 0.0)
    assert batch.masks.shape == (6, 1, 32, 32)
    assert float(batch.images.max()) <= float(source.image.max()) + 1e-6


def test_a_few_steps_outline_a_bright_ball_and_a_run_ends_where_it_said(tmp_path):
    cases = [volumes.case(number) for number in range(8)]
    net = fit.train(SYSTEM, cases, TINY, tmp_path)
    loaded = fit.load(TINY, tmp_path)
    for each in split(cases).test:
        stack = stack_of(each, CARD)
        seen = fit.model_of(loaded, CARD).probability(stack)
        assert np.allclose(seen, fit.model_of(net, CARD).probability(stack), atol=1e-5)
        assert seen.shape == each.mask.shape
        assert dice(each.mask, seen > 0.5) > 0.8


def test_a_run_that_did_not_end_cannot_be_exported(tmp_path):
    with pytest.raises(RunFault, match="did not end"):
        fit.load(TINY, tmp_path)


def test_fit_export_calibrate_evaluate(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(RECIPES, "small", TINY)
    data = volumes.write(tmp_path / "set", [volumes.case(number) for number in range(12)])
    run, made, picture = tmp_path / "run", tmp_path / "limb", tmp_path / "montage.png"
    common = ["--data", str(data)]
    assert cli.main(["fit", "limb", *common, "--out", str(run)]) == 0
    assert cli.main(["export", "limb", *common, "--run", str(run), "--bundle", str(made), "--kind", "phantom"]) == 0
    assert cli.main(["calibrate", "limb", *common, "--bundle", str(made)]) == 0
    capsys.readouterr()
    page = ["--montage", str(picture), "--report", str(tmp_path / "report.html"), "--run", str(run)]
    assert cli.main(["evaluate", "limb", *common, "--bundle", str(made), "--write", *page]) == 0
    told = json.loads(capsys.readouterr().out)
    card = read_bundle(made).card
    assert card.measured["dice_median_per_patient"] == told["dice_median_per_patient"]
    assert told["dice_median_per_patient"][0] > 0.8
    assert told["tumours_met"][0] == 1.0
    assert told["ece_after"] < 0.08
    assert card.training["steps"] == 60
    assert card.training_kind == "phantom"
    assert "means nothing" in card.limitations
    assert picture.stat().st_size > 1000
    shown = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert shown.count("<svg") == 6, "confusion, two calibrations, Dice of patients and images, losses; nobody is well"
    assert "means nothing" in shown
    assert load(read_bundle(made)).identity.training_data == "phantom"
    assert told["noise_not_assessed"] == 1.0
    assert told["answered_not_assessed_without_and_with_a_tumour"] == [0, 0]
    assert len(card.measured["validation_strangeness_25_50_75_99"]) == 4
    assert 0.5 < card.thresholds.unlike < 50.0


@torch.no_grad()
def test_a_mirrored_slice_gets_the_mirrored_answer():
    torch.manual_seed(2)
    net, image = UNet(SPEC).eval(), torch.rand((2, SPEC.channels, 48, 48))
    known = learned(net, [volumes.case(number) for number in range(3)], CARD)
    both, one = (Served(net, known, is_mirrored) for is_mirrored in (True, False))
    assert torch.allclose(both(image.flip(3)).mask_logits, both(image).mask_logits.flip(3), atol=1e-5)
    assert not torch.allclose(one(image.flip(3)).mask_logits, one(image).mask_logits.flip(3), atol=1e-3)
    assert torch.equal(both(image).strangeness, one(image).strangeness), "the image's own"


def test_a_mirrored_export_says_so_and_can_begin_a_training(monkeypatch, tmp_path):
    monkeypatch.setitem(RECIPES, "small", replace(TINY, plan=replace(TINY.plan, steps=3)))
    data = volumes.write(tmp_path / "set", [volumes.case(number) for number in range(4)])
    common, run, made = ["limb", "--data", str(data)], str(tmp_path / "run"), str(tmp_path / "limb")
    assert cli.main(["fit", *common, "--out", run]) == 0
    assert cli.main(["export", *common, "--run", run, "--bundle", made, "--kind", "phantom", "--mirror"]) == 0
    assert read_bundle(Path(made)).card.training["looks"] == 2
    assert cli.main(["fit", *common, "--out", str(tmp_path / "further"), "--start", made]) == 0
    first, begun = (torch.load(tmp_path / name, weights_only=True) for name in ("run/net.pt", "further/start.pt"))
    images = torch.rand((2, SPEC.channels, 48, 48))
    answers = []
    for state in (first, begun):
        net = UNet(SPEC)
        net.load_state_dict(state)
        answers.append(net.eval()(images).mask_logits.detach())
    assert torch.allclose(*answers, atol=1e-4)


def test_folds_train_on_all_but_the_patients_they_measure(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(RECIPES, "small", replace(TINY, plan=replace(TINY.plan, steps=3)))
    data = volumes.write(tmp_path / "set", [volumes.case(number) for number in range(4)])
    asked = ["folds", "limb", "--data", str(data), "--out", str(tmp_path / "runs"), "--count"]
    assert cli.main([*asked, "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[-2:] == ["median Dice of patients", "pooled Dice"]
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "mean", "sd"]
    assert (tmp_path / "runs" / "fold-2" / "net.pt").is_file()
    assert cli.main([*asked, "5"]) == 2
    assert "4 patients make no 5 folds" in capsys.readouterr().err


def test_the_card_takes_derived_axial_t1_without_contrast_agent():
    card = blank(SYSTEM, SMALL, "1", {"kind": "real"})
    assert card.input.takes_derived, "the publishers of sts-mr call their images DERIVED"
    (need,) = card.input.needs
    assert (need.weightings, need.planes, need.may_be_contrasted) == (("T1",), ("axial",), False)
    assert Need(need.name, frozenset(need.weightings)).name == "t1"
    assert card.licence.startswith("research only")


def test_a_folder_in_the_layout_of_sts_mr_is_read(tmp_path):
    wanted = [volumes.case(number) for number in range(3)]
    cases = read(volumes.write(tmp_path, wanted))
    assert [each.name for each in cases] == ["P00", "P01", "P02"]
    assert np.array_equal(cases[0].lesions, wanted[0].lesions)
    assert cases[0].spacing == pytest.approx(volumes.SPACING)


def test_a_folder_without_patients_is_named(tmp_path):
    with pytest.raises(DataFault, match="holds nothing that is read here. Looked for nifti"):
        read(tmp_path)


def test_the_real_patients_are_read_with_the_volumes_that_their_table_says():
    if not SHARED.is_dir():
        pytest.skip("the real volumes are absent (looked for sts-mr in ../shared/data)")
    rows = [line.split(",") for line in (SHARED / "patients.csv").read_text().splitlines()[1:]]
    cases = {case.name: case for case in read(SHARED)}
    for row in rows:
        assert cases[row[0]].mask.sum() == pytest.approx(int(row[8]), rel=1e-3)
