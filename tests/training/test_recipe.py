"""The paper preset equals what knee-seg-unet §2.3 and appendix B publish; a digest names a recipe."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.card import read_bundle
from training.card_writer import toml
from training.cli import SHIPPED
from training.diffusion.recipe import RECIPES as DIFFUSION
from training.errors import RunFault
from training.hand.recipe import RECIPES as HAND
from training.knee.bundle import blank
from training.knee.losses import Unit
from training.knee.nets import SegUNet
from training.knee.recipe import PAPER, RECIPES, SMALL, STRONG, TUNE
from training.limb.recipe import RECIPES as LIMBS
from training.limb.recipe import SMALL as LIMB
from training.loop import Fall, Optimiser
from training.run import claim, options_of, recipe_of, run_of, seeded
from training.spine.recipe import RECIPES as SPINE

KEPT = {
    "knee": (RECIPES, {"small": "d2a415cb5b05", "tune": "56a80126957d", "paper": "293090e23d71"}),
    "hand": (HAND, {"small": "9af63040ef6a", "paper": "b6ca292f7927", "paper-step": "57dba6d65946"}),
    "spine": (SPINE, {"small": "d2e408afe430", "paper": "2dff161bf340"}),
    "limb": (LIMBS, {"small": "aa6b49493b6e", "bent": "8382ccb72679", "wide": "0cd8e0e44ab9", "paper": "f3de31614b8b"}),
    "diffusion": (
        DIFFUSION,
        {
            "small": "37f4ad51a660",
            "small-dwi": "e2ddcd19a3a1",
            "small-adc": "b337d0a618d0",
            "paper": "1ecc62b09f5e",
            "paper-dwi": "42c3a92e359d",
            "paper-adc": "7ebaf8deb122",
        },
    ),
}
"""How the digests of presets begin that runs and bundles have; all but those of the strong ones, which nobody ran."""


def test_the_input_is_416() -> None:
    assert PAPER.side == 416
    assert {phase.side for stage in (PAPER.global_stage, PAPER.patch_stage) for phase in stage.batches.phases} == {416}


def test_the_global_model_is_trained_by_adam_at_1e_3() -> None:
    plan = PAPER.global_stage.plan
    assert (plan.optimiser, plan.rate, plan.fall, plan.stop_after) == (Optimiser.ADAM, 1e-3, Fall.PLATEAU, 20)


def test_the_patch_model_is_trained_by_sgd_at_4e_4() -> None:
    plan = PAPER.patch_stage.plan
    assert (plan.optimiser, plan.rate, plan.fall, plan.stop_after) == (Optimiser.SGD, 4e-4, Fall.PLATEAU, 20)


def test_patches_are_416_pixels_of_the_original_image_and_balanced() -> None:
    """§2.3, and appendix B.3: half of the windows of tumour images lie on the tumour, and none is of a squeezed one."""
    batches = PAPER.patch_stage.batches
    assert PAPER.window_px == batches.window_px == 416
    assert [phase.windows for phase in batches.phases] == [1.0]
    assert batches.tumour_windows == 0.5
    assert batches.least_tumour_px == 500
    assert PAPER.global_stage.batches.window_px is None


def test_regions_below_500_pixels_of_the_original_image_are_dropped_and_t_is_0_2() -> None:
    """Appendix B.3, and MODELS.md §5.3, decisions 2 and 8: the limit is in pixels, for the data say no spacing."""
    assert (PAPER.region_min_source_px, PAPER.normal_total) == (500.0, 0.2)
    card = blank(PAPER, "1.0.0", {"kind": "real"})
    assert (card.preprocess.size, card.preprocess.window_px) == ((416, 416), 416)
    limits = card.thresholds
    assert (limits.region_min_source_px, limits.region_min_px, limits.region_min_mm2) == (500.0, 0.0, 0.0)
    assert limits.normal_total == 0.2
    assert limits.beta == pytest.approx(2 / 3)
    assert card.contract("patch")["window_px"] == "416"
    assert "256" not in card.limitations


@pytest.mark.parametrize("recipe", [SMALL, TUNE, STRONG], ids=lambda recipe: recipe.name)
def test_the_cards_of_the_other_presets_are_what_they_were(recipe) -> None:
    card = blank(recipe, "1.0.0", {"kind": "real"})
    limits = card.thresholds
    assert (limits.region_min_px, limits.region_min_mm2, limits.normal_total) == (20.0, 25.0, 1.0)
    assert card.preprocess.window_px is limits.region_min_source_px is None
    assert "window_px" not in toml(card)
    assert card.limitations == read_bundle(SHIPPED / "knee").card.limitations


def test_the_digest_of_the_shipped_knee_is_that_of_its_recipe() -> None:
    told = read_bundle(SHIPPED / "knee").card.training
    _, _, after = str(told["command"]).partition("--seed ")
    assert told["recipe_sha256"] == seeded(TUNE, int(after.split()[0]) if after else 1).digest()


def test_the_first_seed_is_the_recipe_itself_and_another_moves_every_network_s() -> None:
    assert seeded(TUNE, 1) is TUNE
    moved = seeded(TUNE, 5)
    assert (moved.global_stage.plan.seed, moved.patch_stage.plan.seed) == (5, 6)
    assert seeded(SPINE["small"], 3).classifier_plan.seed == SPINE["small"].classifier_plan.seed + 2
    assert replace(moved, global_stage=TUNE.global_stage, patch_stage=TUNE.patch_stage) == TUNE, "nothing else"
    with pytest.raises(RunFault, match="A seed of 0 is none"):
        seeded(TUNE, 0)


def test_a_run_remembers_its_seed(tmp_path: Path) -> None:
    claim(tmp_path, seeded(TUNE, 5), 90.0)
    told = run_of(tmp_path)
    assert recipe_of(told, RECIPES) == seeded(TUNE, 5)
    assert options_of(told) == " --minutes 90.0 --seed 5"
    with pytest.raises(RunFault, match="of another recipe"):
        claim(tmp_path, TUNE, 90.0)
    with pytest.raises(RunFault, match="has changed"):
        recipe_of({**told, "seed": 4}, RECIPES)


def test_a_run_of_the_first_seed_says_nothing_of_it(tmp_path: Path) -> None:
    claim(tmp_path, TUNE, None)
    assert "seed" not in run_of(tmp_path)
    assert options_of(run_of(tmp_path)) == ""


def test_the_three_losses_weigh_the_same_and_are_those_of_the_paper() -> None:
    assert PAPER.loss.alphas == (1.0, 1.0, 1.0)
    assert PAPER.loss.mask_ce == PAPER.loss.distance_ce == PAPER.loss.smoothing == 0.0
    assert PAPER.loss.unit is Unit.LARGEST


def test_views_are_rotated_flipped_and_cropped_and_nothing_else() -> None:
    views = PAPER.global_stage.batches.phases[0].views
    assert views.rotation_deg > 0
    assert views.flip_columns > 0
    assert views.scale > 0
    assert views.aspect == views.grey == views.degrade == views.clutter == 0.0


def test_the_paper_s_data_add_up() -> None:
    assert (598 + 463, 89 + 45) == (1061, 134)
    assert 1061 + 134 + 381 == 1576


def test_a_changed_value_is_another_digest() -> None:
    assert SMALL.digest() == SMALL.digest() != PAPER.digest()
    assert replace(SMALL, patch_share=0.21).digest() != SMALL.digest()
    assert set(RECIPES) == {"small", "tune", "strong", "paper"}


def test_what_recipes_had_not_at_first_is_no_part_of_the_digest_where_it_changes_nothing() -> None:
    """The digest of limb's shipped bundle was taken before plans knew of half precision."""
    card = read_bundle(SHIPPED / "limb").card
    assert card.training["recipe_sha256"] == LIMB.digest()
    assert replace(LIMB, plan=replace(LIMB.plan, bfloat16=True)).digest() != LIMB.digest()


def test_the_strong_preset_is_a_residual_net_of_twice_the_resolution_that_runs() -> None:
    assert STRONG.side == 2 * SMALL.side
    assert STRONG.loss.mask_ce > 0, "Dice beside cross-entropy"
    plans = (STRONG.global_stage.plan, STRONG.patch_stage.plan)
    assert {(plan.optimiser, plan.fall) for plan in plans} == {(Optimiser.ADAMW, Fall.COSINE)}
    assert all(plan.ema > 0.99 for plan in plans)
    said = SegUNet(STRONG.net).eval()(torch.rand(1, 1, 64, 96))
    assert said.mask_logits.shape == (1, 1, 64, 96)
    sides = {phase.side for stage in (STRONG.global_stage, STRONG.patch_stage) for phase in stage.batches.phases}
    assert all(side % (2 * 2**4) == 0 for side in sides)


@pytest.mark.parametrize(("recipes", "digests"), KEPT.values(), ids=list(KEPT))
def test_what_the_strong_presets_gained_leaves_the_digests_of_the_others(recipes, digests) -> None:
    assert {name: recipe.digest()[:12] for name, recipe in recipes.items() if "strong" not in name} == digests
