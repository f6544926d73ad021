"""The diffusion system: presets against the paper's numbers, variants, and the whole way on a small budget."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.card import read_bundle
from models.findings import Answer
from models.metrics import counts, dice, iou
from models.stack import load
from models.stack_card import ADC, HIGH, LOW, MORE
from training import cli
from training.diffusion.dataset import case_of, read, write
from training.diffusion.recipe import PAPER_SUBJECTS, PAPER_VALIDATED, RECIPES, VARIANTS, small
from training.diffusion.system import SYSTEM
from training.errors import DataFault
from training.loop import Fall, Optimiser, rate_at
from training.phantoms.diffusion import diffusion_patient
from training.stacks import calibrate, evaluate, fit
from training.stacks.case import Case, prepared_case, split, stack_of
from training.stacks.system import blank, recipe_card
from training.unet import UNet

TINY = replace(
    small("both"),
    net=replace(small("both").net, widths=(8, 16, 24), depths=(1, 1, 1), deep_levels=2),
    plan=replace(small("both").plan, steps=80, observe_every=1000, rate=1e-2, ema=0.9),
    spacing_mm=4.0,
    window=48,
    side=96,
    batch=6,
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def case(seed, tumours=1):
    return case_of(diffusion_patient(seed, tumours=tumours, region="thigh", side=64, slices=12))


@pytest.mark.parametrize("name", ["paper", "paper-dwi", "paper-adc"])
def test_the_paper_preset_is_what_the_paper_says(name):
    """MODELS.md §5.1: 128 x 128 x 35, 2D slices, Adam at 1e-2, 200 epochs, 9 subjects; DWI and ADC apart."""
    recipe = RECIPES[name]
    assert (recipe.side, recipe.window, recipe.neighbours) == (128, 128, 0)
    assert recipe.plan.optimiser is Optimiser.ADAM
    assert recipe.plan.fall is Fall.STEP
    assert [rate_at(share, 0, recipe.plan) for share in (0.0, 0.5, 1.0)] == [1e-2] * 3
    assert recipe.plan.steps * recipe.batch == 200 * 9 * 35
    assert (PAPER_SUBJECTS, PAPER_VALIDATED) == (9, 6), "its six validate and are what it tests on"
    assert recipe.plan.weight_decay == recipe.plan.ema == 0.0
    assert not recipe.net.is_residual
    assert recipe.channels == {"paper": (LOW, HIGH, ADC), "paper-dwi": (HIGH,), "paper-adc": (ADC,)}[name]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_every_preset_has_a_card_and_a_network_of_its_channels(recipe):
    card = blank(SYSTEM, recipe, "1", {"kind": "phantom"})
    assert card.channels == recipe.channels
    assert card.input_channels == recipe.net.channels
    if not recipe.name.startswith("small"):
        return
    net = UNet(recipe.net).eval()
    assert sum(value.numel() for value in net.parameters()) < 3_000_000
    with torch.no_grad():
        assert net(torch.zeros((1, card.input_channels, 32, 32))).mask_logits.shape == (1, 1, 32, 32)


def test_presets_are_three_of_three_variants():
    assert set(RECIPES) == {f"{name}{end}" for name in ("paper", "strong", "small") for end in ("", "-dwi", "-adc")}
    assert set(VARIANTS) == {"both", "dwi", "adc"}


def test_a_vendor_map_serves_the_variant_that_needs_no_image():
    needs = {
        name: {need.name: need for need in SYSTEM.needs(RECIPES[name])} for name in ("small", "small-dwi", "small-adc")
    }
    assert set(needs["small"]) == {LOW, HIGH, MORE}
    assert needs["small"][MORE].is_optional
    assert needs["small-adc"][ADC].instead_of == (LOW, HIGH)
    assert needs["small-dwi"][LOW].is_optional, "it gives the ADC of what was found"
    assert all(each[HIGH].b_best == 800.0 for each in needs.values())


@pytest.mark.parametrize(
    ("preset", "name", "yields_to"),
    [
        ("small", "diffusion", ()),
        ("small-adc", "diffusion-adc", ("diffusion",)),
        ("paper-dwi", "diffusion-dwi", ("diffusion",)),
    ],
)
def test_a_variant_has_a_name_of_its_own_and_leaves_studies_to_the_model_of_both(preset, name, yields_to):
    card = recipe_card(SYSTEM, RECIPES[preset])
    assert (card.name, card.input.yields_to) == (name, yields_to)


def test_training_sees_what_the_node_sees():
    one = case(1)
    card = recipe_card(SYSTEM, RECIPES["small"])
    stack, seen = stack_of(one, card), prepared_case(one, card)
    assert stack.channels.shape == (3, *one.lesions.shape)
    assert stack.adc is not None
    assert np.allclose(stack.channels[2], np.clip(stack.adc.values / 3.0, 0.0, 1.0), atol=1e-6)
    assert seen.image.shape[:2] == (3, one.lesions.shape[0])
    assert seen.mask.any()


def test_gains_and_coils_leave_an_adc_alone():
    assert RECIPES["small"].is_signal == (True,) * 6 + (False,) * 3
    assert RECIPES["paper"].is_signal == (True, True, False)


def test_dice_and_iou_of_the_checklist():
    """TP = 2, FP = 1, FN = 1: Dice 0.6667, IoU 0.5, and both empty is skipped (MODELS.md §5.1)."""
    truth, answer = np.array([1, 1, 1, 0, 0], dtype=bool), np.array([1, 1, 0, 1, 0], dtype=bool)
    assert dice(truth, answer) == pytest.approx(2 / 3)
    assert iou(truth, answer) == pytest.approx(0.5)
    assert counts(truth, answer).f1 == pytest.approx(2 / 3)
    assert np.isnan(dice(~truth & truth, ~truth & truth))


def _judged(name, pixels, **told):
    pixels = np.array(pixels)
    plain = {
        "answer": Answer.TUMOUR, "mask": np.zeros(0, dtype=bool), "volumes_ml": (4.0, 5.0), "tumours": 1, "met": 1,
        "chance": 0.9, "regions": 1, "false_regions": 0, "adc_errors": (0.1,), "seconds": 1.0, "hd95_mm": 3.0,
        "pixel_mm2": 10.0,
    }  # fmt: skip
    return evaluate.Judged(name=name, pixels=pixels, **(plain | told))


def test_figures_by_hand():
    """Two patients with a tumour and one without: slices (10, 10, 10), (0, 10, 0), (0, 0, 5); (5, 10, 10)."""
    said = [
        _judged("a", [(10, 10, 10), (0, 10, 0), (0, 0, 5)]),
        _judged("b", [(5, 10, 10)], adc_errors=(-0.3,), volumes_ml=(4.0, 3.0), met=0, hd95_mm=np.nan, pixel_mm2=9.9),
        _judged(
            "c", [(0, 0, 0)], answer=Answer.NORMAL, tumours=0, met=0, regions=0, adc_errors=(), volumes_ml=(0.0, 0.0)
        ),
    ]
    sample = evaluate.Sample(np.array([0.9, 0.1], dtype=np.float32), np.array([True, False]), np.array([True, True]))
    made = evaluate.figures(said, sample)
    assert made["dice_pooled"][0] == pytest.approx(2 * 15 / (30 + 25), abs=1e-4)
    assert made["dice_mean_per_image"][0] == pytest.approx((1.0 + 0.0 + 0.5) / 3, abs=1e-4)
    assert made["dice_mean_per_image_from_100_mm2"][0] == 0.5, "b shows 99 mm2"
    assert made["images_with_less_than_100_mm2_of_a_tumour"] == 1
    assert made["dice_per_patient"] == [0.5, 0.571]
    assert made["dice_median_per_patient"][0] == pytest.approx((20 / 35 + 0.5) / 2, abs=1e-4)
    assert made["images_missed"][0] == pytest.approx(1 / 3, abs=1e-4)
    assert made["empty_images_with_a_region"][0] == 0.5
    assert made["tumours_met"][0] == 0.5
    assert made["hd95_mm_median_of_outlined"] == [3.0, 3.0, 3.0], "of those that were outlined"
    assert made["volume_error_median"][0] == 0.25
    assert made["volume_error_mean_signed"][0] == 0.0
    assert made["adc_error_mean_1e-3_mm2_s"][0] == pytest.approx(0.2)
    assert made["patients_without_a_tumour_and_without_a_region"][0] == 1.0
    assert made["answered_normal_without_and_with_a_tumour"] == [1, 0]
    assert made["ece_after"] == pytest.approx(0.1, abs=1e-4)


def test_calibration_finds_the_temperature_that_was_put_in():
    rng = np.random.default_rng(1)
    true = rng.normal(-1.0, 2.0, 40_000)
    truth = rng.random(true.size) < 1 / (1 + np.exp(-true))
    said = (1 / (1 + np.exp(-(true - 0.5) * 2.0))).astype(np.float32)
    found = calibrate.fit_calibration(said, truth)
    assert found.temperature == pytest.approx(2.0, rel=0.05)
    assert found.bias == pytest.approx(0.5, abs=0.06)


def test_calibration_without_a_tumour_is_refused():
    empty = case(2, tumours=0)
    model = fit.model_of(UNet(TINY.net).eval(), recipe_card(SYSTEM, TINY))
    with pytest.raises(DataFault, match="with a tumour"):
        calibrate.choose(model, [empty])


def test_a_patient_is_written_and_read_back(tmp_path):
    cases = [case(seed) for seed in range(3)]
    for each in cases:
        write(each, tmp_path)
    back = read(tmp_path)
    assert [each.name for each in back] == [each.name for each in cases]
    assert np.array_equal(back[1].volumes[HIGH], cases[1].volumes[HIGH])
    assert back[1].b_values == cases[1].b_values
    assert back[1].adc == pytest.approx(cases[1].adc)


def test_a_file_that_is_no_patient_is_named(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.npz").write_bytes(b"nothing")
    with pytest.raises(DataFault, match="is no patient"):
        read(tmp_path)


def test_a_folder_without_patients_says_how_to_make_some(tmp_path):
    with pytest.raises(DataFault, match="--part diffusion --layout arrays"):
        read(tmp_path)


def test_phantoms_fit_export_calibrate_evaluate(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(RECIPES, "small", TINY)
    monkeypatch.setattr(
        "training.phantoms.diffusion.diffusion_patient",
        lambda seed, tumours, artefact: diffusion_patient(
            seed, tumours=tumours or 1, region="thigh", side=64, slices=12, artefact=artefact
        ),
    )
    data, run, made = tmp_path / "set", tmp_path / "run", tmp_path / "diffusion"
    drawn = ["--part", "diffusion", "--layout", "arrays", "--count", "20", "--out", str(data)]
    assert cli.main(["phantoms", *drawn]) == 0
    common = ["--data", str(data)]
    assert cli.main(["fit", "diffusion", *common, "--out", str(run)]) == 0
    assert (
        cli.main(["export", "diffusion", *common, "--run", str(run), "--bundle", str(made), "--kind", "phantom"]) == 0
    )
    assert cli.main(["calibrate", "diffusion", *common, "--bundle", str(made)]) == 0
    capsys.readouterr()
    assert cli.main(["evaluate", "diffusion", *common, "--bundle", str(made), "--write"]) == 0
    told = json.loads(capsys.readouterr().out)
    card = read_bundle(made).card
    print(told)
    assert card.measured["dice_pooled"] == told["dice_pooled"]
    assert told["dice_pooled"][0] > 0.5
    assert "adc_error_mean_1e-3_mm2_s" in told
    assert "phantom" in told["on"]
    model = load(read_bundle(made))
    ill: Case = split(read(data)).test[0]
    found = model.answer(stack_of(ill, model.card))
    assert found.model.training_data == "phantom"


def test_a_class_of_tumour_cannot_be_asked_for(tmp_path):
    with pytest.raises(SystemExit, match="none benign or malignant"):
        cli.main(["phantoms", "--part", "diffusion", "--answer", "malignant", "--out", str(tmp_path)])
