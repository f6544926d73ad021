"""The strong presets of limb and diffusion: all that the issue lists, and nnU-Net's spacing and grey values end to end.

Residual encoder, deep supervision, Dice + cross-entropy, AdamW + cosine, averaged weights, nnU-Net's resampling and
normalisation, foreground oversampling.
"""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from models import slices
from models.card import read_bundle
from models.slices import PERCENTILES, Z_SCORE, standardised
from models.stack import load
from models.stack_card import ADC
from tests.training import volumes
from training import cli
from training.diffusion.dataset import case_of
from training.diffusion.recipe import RECIPES as DIFFUSION
from training.diffusion.system import SYSTEM as DIFFUSION_SYSTEM
from training.errors import DataFault, RunFault
from training.limb.recipe import RECIPES as LIMB
from training.limb.system import SYSTEM
from training.loop import Fall, Optimiser
from training.losses import batch_dice_ce, deep
from training.phantoms.diffusion import diffusion_patient
from training.run import RUN, recipe_of, run_of
from training.stacks import fit, spacing
from training.stacks.batches import Drawer, regraded
from training.stacks.case import Prepared, prepared_case, split, stack_of
from training.stacks.recipe import STILL
from training.stacks.system import recipe_card
from training.start import Start
from training.unet import UNet

STRONG = {"limb": LIMB["strong"]} | {f"diffusion {name}": DIFFUSION[name] for name in DIFFUSION if "strong" in name}
OTHERS = {"limb": LIMB, "diffusion": DIFFUSION}
TINY = replace(
    LIMB["strong"],
    net=replace(LIMB["strong"].net, widths=(8, 12, 16), depths=(1, 2, 1), decoder_depth=1),
    plan=replace(LIMB["strong"].plan, steps=2, observe_every=1000),
    window=32,
    side=48,
    batch=4,
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def patients(count, mm=(1.0, 1.0)):
    """Patients whose pixels are `mm` times as far apart."""
    made = [volumes.case(number) for number in range(count)]
    return [replace(case, spacing=(3.0, *mm)) for case in made]


@pytest.mark.parametrize("recipe", STRONG.values(), ids=list(STRONG))
def test_the_preset_has_what_the_issue_lists(recipe):
    assert recipe.net.is_residual
    assert min(recipe.net.depths) > 1, "a residual path begins with the second convolution of a level"
    assert recipe.net.deep_levels == 3
    assert (recipe.plan.optimiser, recipe.plan.fall, recipe.plan.ema) == (Optimiser.ADAMW, Fall.COSINE, 0.999)
    assert recipe.plan.weight_decay > 0.0
    assert recipe.tumour_share >= 1 / 3, "nnU-Net's share of foreground"
    assert (recipe.normalisation, recipe.takes_median) == (Z_SCORE, True)


@pytest.mark.parametrize("recipes", OTHERS.values(), ids=list(OTHERS))
def test_the_other_presets_keep_their_spacing_and_grey_values(recipes):
    for recipe in (recipe for name, recipe in recipes.items() if "strong" not in name):
        assert (recipe.normalisation, recipe.takes_median) == (PERCENTILES, False)
        assert recipe.digest() != replace(recipe, spacing_mm=0.7).digest()
        assert spacing.chosen(recipe, patients(1), recipe.name) is recipe


def test_its_loss_is_dice_and_cross_entropy_of_each_supervised_level():
    net, image = UNet(TINY.net), torch.rand(2, 3, 32, 32)
    mask = (torch.rand(2, 1, 32, 32) > 0.7).float()
    levels = net.levels(image)
    assert [level.shape[-1] for level in levels] == [32, 16], "a net of two decoder levels has no third"
    small = torch.nn.functional.adaptive_avg_pool2d(mask, 16)
    wanted = (2 * batch_dice_ce(levels[0], mask) + batch_dice_ce(levels[1], small)) / 3
    assert float(deep(levels, mask).detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)


def test_two_of_three_views_are_drawn_around_a_tumour_that_chance_would_seldom_meet():
    mask = np.zeros((20, 64, 64), dtype=bool)
    mask[7, 30:34, 30:34] = True
    drawer = Drawer(
        [Prepared(np.full((1, 20, 64, 64), 0.5, np.float16), mask)], replace(TINY, views=STILL, batch=30, window=16)
    )
    met = torch.cat([drawer(step, 0.0).masks.amax(dim=(1, 2, 3)) for step in range(10)])
    assert 0.55 < float(met.mean()) < 0.8


def test_the_spacing_is_the_median_over_rows_and_columns_of_the_patients_that_train():
    cases = [replace(volumes.case(number), spacing=(5.0, mm, mm)) for number, mm in enumerate((0.4, 0.7, 1.9))]
    assert spacing.median_mm(cases) == 0.7
    cases = [replace(volumes.case(0), spacing=(5.0, 0.5, 0.9))]
    assert spacing.median_mm(cases) == 0.7, "rows and columns count alike, slices not"


def test_a_spacing_that_no_card_may_have_is_refused():
    with pytest.raises(DataFault, match=r"0.001 mm; a network takes 0.05 to 10 mm"):
        spacing.median_mm(patients(2, (0.001, 0.001)))


def test_a_run_keeps_its_spacing_whatever_becomes_of_its_data(tmp_path):
    cases = patients(8, (0.8, 0.8))
    fit.train(SYSTEM, cases, TINY, tmp_path)
    assert run_of(tmp_path)["spacing_mm"] == 0.8
    assert recipe_of(run_of(tmp_path), {"strong": TINY}) is TINY, "the digest is the preset's"
    assert spacing.kept(TINY, tmp_path).spacing_mm == 0.8
    before = (tmp_path / RUN).read_bytes()
    again = fit.train(SYSTEM, patients(8, (0.5, 0.5)), TINY, tmp_path)
    assert (tmp_path / RUN).read_bytes() == before
    state = fit.load(TINY, tmp_path).state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())


def test_the_same_patients_give_the_same_run(tmp_path):
    nets = [fit.train(SYSTEM, patients(8, (0.8, 0.8)), TINY, tmp_path / name) for name in ("one", "other")]
    one, other = (net.state_dict() for net in nets)
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert (tmp_path / "one" / RUN).read_bytes() == (tmp_path / "other" / RUN).read_bytes()


def test_a_run_without_its_spacing_is_refused_by_its_place(tmp_path):
    (tmp_path / RUN).write_text(json.dumps({"preset": "strong"}))
    with pytest.raises(RunFault, match=r"run\.json: spacing_mm is None"):
        spacing.kept(TINY, tmp_path)


def test_what_begins_with_a_bundle_takes_the_spacing_of_the_bundle(tmp_path):
    card = recipe_card(SYSTEM, replace(TINY, spacing_mm=0.65))
    assert spacing.chosen(TINY, patients(3), tmp_path, Start(card, tmp_path)).spacing_mm == 0.65


def test_views_of_z_scores_may_be_brighter_than_1_and_an_adc_not():
    images = torch.full((4, 2, 8, 8), 0.9)
    images[:, 0, :4] = 2.0
    seen = regraded(images, replace(STILL, noise=0.3), (True, False), torch.Generator().manual_seed(1), None)
    assert float(seen[:, 0, :4].mean()) == pytest.approx(2.0, abs=0.1)
    assert float(seen[:, 1].max()) == 1.0
    assert float(seen.min()) >= 0.0
    kept = regraded(images, STILL, (True, False), torch.Generator().manual_seed(1))
    assert float(kept.max()) == 1.0


def test_training_and_node_scale_by_one_function_at_the_spacing_of_the_card():
    case = patients(1, (0.8, 0.8))[0]
    recipe = replace(TINY, spacing_mm=1.6)
    card = recipe_card(SYSTEM, recipe)
    seen = prepared_case(case, card)
    assert seen.mask.shape == (8, 20, 18), "40 x 36 pixels of 0.8 mm are 20 x 18 of 1.6 mm"
    assert np.array_equal(stack_of(case, card).channels[0], standardised(case.volumes["t1"]))
    assert float(seen.image.max()) > 0.5
    assert slices.SCALINGS[card.preprocess.normalisation] is standardised


def test_a_strong_run_of_two_steps_becomes_a_bundle_that_says_spacing_and_scaling(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(LIMB, "strong", TINY)
    monkeypatch.setattr(volumes, "SPACING", (3.0, 0.8, 0.8))
    data = volumes.write(tmp_path / "set", [volumes.case(number) for number in range(8)])
    run, made = tmp_path / "run", tmp_path / "limb"
    common = ["--data", str(data)]
    assert cli.main(["fit", "limb", *common, "--preset", "strong", "--out", str(run)]) == 0
    assert cli.main(["fit", "limb", *common, "--preset", "strong", "--out", str(run)]) == 0, "it goes on"
    assert cli.main(["export", "limb", *common, "--run", str(run), "--bundle", str(made), "--kind", "phantom"]) == 0
    card = read_bundle(made).card
    assert (card.preprocess.spacing_mm, card.preprocess.normalisation) == (pytest.approx(0.8), Z_SCORE)
    assert "median" in card.training["spacing_rule"]
    assert card.training["recipe_sha256"] == TINY.digest()
    graph = onnx.load(made / "net.onnx").graph
    assert [each.name for each in graph.output] == ["mask_logits", "strangeness"]
    heads = {each.name for each in graph.initializer if ".heads." in each.name}
    assert heads == {"net.heads.1.weight", "net.heads.1.bias"}, "the coarser head is of training alone"
    model = load(read_bundle(made))
    case = split(SYSTEM.read(data)).test[0]
    found = model.probability(stack_of(case, model.card))
    known = fit.model_of(fit.load(TINY, run), recipe_card(SYSTEM, spacing.kept(TINY, run))).probability(
        stack_of(case, card)
    )
    assert np.allclose(found, known, atol=1e-4)
    begun = ["--start", str(made), "--out", str(tmp_path / "second")]
    assert cli.main(["fit", "limb", *common, "--preset", "strong", *begun]) == 0
    assert run_of(tmp_path / "second")["spacing_mm"] == card.preprocess.spacing_mm
    assert "nnU-Net" in str(card.training["paper"])


def test_folds_of_a_strong_preset_each_take_their_own_median(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(LIMB, "strong", TINY)
    data = volumes.write(tmp_path / "set", patients(4))
    asked = ["folds", "limb", "--data", str(data), "--preset", "strong", "--out", str(tmp_path / "runs")]
    assert cli.main([*asked, "--count", "2"]) == 0
    assert run_of(tmp_path / "runs" / "fold-2")["spacing_mm"] == pytest.approx(1.0)


def test_of_diffusion_the_adc_is_no_signal_and_is_left_at_its_scale():
    assert [DIFFUSION["strong"].is_signal[place] for place in (0, 3, 6)] == [True, True, False]
    assert DIFFUSION["strong-adc"].channels == (ADC,)
    assert not any(DIFFUSION["strong-adc"].is_signal)


def test_a_strong_run_of_diffusion_sees_z_scores_beside_an_adc_at_the_median_spacing(tmp_path):
    drawn = [diffusion_patient(seed, tumours=1, region="thigh", side=48, slices=6) for seed in range(4)]
    cases = [case_of(patient) for patient in drawn]
    tiny = replace(
        DIFFUSION["strong"],
        net=replace(TINY.net, channels=9),
        plan=TINY.plan,
        window=TINY.window,
        side=TINY.side,
        batch=TINY.batch,
    )
    fit.train(DIFFUSION_SYSTEM, cases, tiny, tmp_path)
    recipe = spacing.kept(tiny, tmp_path)
    assert recipe.spacing_mm == spacing.median_mm(split(cases).train) != tiny.spacing_mm
    stack = stack_of(cases[0], recipe_card(DIFFUSION_SYSTEM, recipe))
    for channel, name in enumerate(("low", "high")):
        assert np.array_equal(stack.channels[channel], standardised(np.float32(cases[0].volumes[name])))
    assert np.allclose(stack.channels[2], np.clip(stack.adc.values / 3.0, 0.0, 1.0), atol=1e-6)
