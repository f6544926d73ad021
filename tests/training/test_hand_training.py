"""The hand network, its loss, schedule and views: sizes and numbers of the paper and of MODELS.md §5.2."""

import numpy as np
import pytest
import torch

from training.hand.augment import AugmentSpec, augmented, theta
from training.hand.losses import LossSpec, loss_of, weighted_cross_entropy
from training.hand.nets import PAPER as PAPER_NET
from training.hand.nets import SMALL as SMALL_NET
from training.hand.nets import DeepLab, parameters
from training.hand.recipe import PAPER, PAPER_LITERAL, RECIPES, SMALL, STRONG
from training.hand.scores import binary, ious, mean_iou
from training.loop import Fall, Optimiser, rate_at
from training.losses import soft_dice_of_classes
from training.phantoms.hand import SHARES


def test_the_paper_has_221_patients_of_five_kinds() -> None:
    assert [round(share * 221) for share in SHARES.values()] == [87, 54, 44, 26, 10]
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_the_paper_network_has_41_million_parameters_and_maps_of_129_and_33() -> None:
    with torch.device("meta"):
        net = DeepLab(PAPER_NET).eval()
    assert parameters(net) == pytest.approx(41.1e6, rel=0.005)
    assert (PAPER.preprocess.size, PAPER.preprocess.channels) == ((513, 513), ("clahe",))
    with torch.no_grad():
        _, quarter, deep = net.encoder(torch.zeros((1, 1, 513, 513), device="meta"))
        whole = net(torch.zeros((2, 1, 513, 513), device="meta")).mask_logits
    assert (quarter.shape[2:], deep.shape[1:]) == ((129, 129), (2048, 33, 33))
    assert whole.shape == (2, 6, 513, 513)


def test_the_small_network_has_less_than_3_million_parameters_and_answers_on_its_input() -> None:
    net = DeepLab(SMALL_NET).eval()
    assert parameters(net) < 3e6
    with torch.no_grad():
        assert net(torch.zeros(1, 8, 64, 96)).mask_logits.shape == (1, 6, 64, 96)


def test_every_preset_answers_on_the_size_and_channels_that_it_names() -> None:
    assert set(RECIPES) == {"paper", "paper-step", "strong", "small"}
    for recipe in (PAPER, STRONG, SMALL):
        size = recipe.preprocess.size
        with torch.no_grad(), torch.device("meta"):
            said = DeepLab(recipe.net)(torch.zeros((2, len(recipe.preprocess.channels), *size)))
        assert said.mask_logits.shape == (2, 6, *size)


def logits_of(true: list[float]) -> torch.Tensor:
    """Of three pixels in a row whose true class, 0, 0 and 1, has these probabilities."""
    said = torch.tensor([[true[0], true[1], 1 - true[2]], [1 - true[0], 1 - true[1], true[2]]])
    return said.log()[None, :, None, :]


def test_the_weighted_cross_entropy_gives_the_numbers_of_the_design() -> None:
    logits, truth = logits_of([0.9, 0.6, 0.2]), torch.tensor([[[0, 0, 1]]])
    assert float(weighted_cross_entropy(logits, truth, (1, 10), literal=True)) == pytest.approx(16.7106, abs=1e-4)
    assert float(weighted_cross_entropy(logits, truth, (1, 10))) == pytest.approx(1.3925, abs=1e-4)


def test_soft_dice_counts_the_classes_that_are_there() -> None:
    truth = torch.zeros(1, 2, 1, 4)
    truth[0, 0, 0, :2] = 1
    said = torch.zeros(1, 2, 1, 4)
    said[0, 0, 0, 1:3] = 1
    # class 0: 2*1 + 1 over 2 + 2 + 1 = 0.6; class 1 is nowhere and is left out
    assert float(soft_dice_of_classes(said, truth)) == pytest.approx(0.4)
    assert float(soft_dice_of_classes(truth, truth)) == pytest.approx(0.0)


def test_the_whole_loss_is_the_sum_of_its_parts() -> None:
    torch.manual_seed(0)
    logits, truth = torch.randn(2, 6, 5, 5), torch.randint(0, 6, (2, 5, 5))
    parts = [float(loss_of(logits, truth, LossSpec(1.0, 3.0, dice, both))) for dice, both in ((0, 0), (1, 0), (0, 1))]
    both = float(loss_of(logits, truth, LossSpec(1.0, 3.0, 1.0, 1.0)))
    assert both == pytest.approx(parts[1] + parts[2] - parts[0], rel=1e-5)


def test_the_paper_preset_is_sgd_with_the_poly_schedule() -> None:
    plan = PAPER.plan
    assert (plan.optimiser, plan.fall, plan.rate, plan.momentum) == (Optimiser.SGD, Fall.POLY, 1e-4, 0.9)
    rates = [rate_at(step / 30_000, 0, plan) for step in (0, 2000, 30_000)]
    assert rates == pytest.approx([1e-4, 9.3979e-5, 0.0], rel=1e-4)


def test_the_literal_schedule_all_but_stops_after_2000_steps() -> None:
    plan = PAPER_LITERAL.plan
    assert (plan.fall, plan.patience * plan.observe_every) == (Fall.STEP, 2000)
    rates = [rate_at(step / 30_000, 0, plan) for step in (0, 1999, 2000, 3999, 30_000)]
    assert rates == pytest.approx([1e-4, 1e-4, 5e-8, 5e-8, 1e-4 * 0.0005**15])


def test_no_view_of_a_thousand_is_upside_down() -> None:
    looks = theta(AugmentSpec(0.5, 15.0, 0.15, 0.01), 1000, np.random.default_rng(1)).numpy()
    assert (looks[:, 1, 1] > 0.5).all()
    assert 350 < (looks[:, 0, 0] < 0).sum() < 650


def test_masks_stay_whole_numbers_and_move_with_their_image() -> None:
    rng = np.random.default_rng(2)
    masks = torch.zeros(8, 48, 48, dtype=torch.long)
    for number in range(8):
        masks[number, 10:30, 5 : 20 + number] = number % 5 + 1
    images = masks[:, None].float()
    moved, seen = augmented(images, masks, AugmentSpec(0.5, 12.0, 0.1, 0.02), rng)
    assert seen.dtype == torch.long
    for number in range(8):
        assert set(seen[number].unique().tolist()) <= {0, number % 5 + 1}
    assert ((moved[:, 0] - seen).abs() < 1e-3).float().mean() > 0.9


def test_a_view_without_any_change_is_the_image() -> None:
    images, masks = torch.rand(2, 2, 16, 16), torch.randint(0, 6, (2, 16, 16))
    moved, seen = augmented(images, masks, AugmentSpec(0.0, 0.0, 0.0, 0.0), np.random.default_rng(3))
    assert torch.allclose(moved, images, atol=1e-5)
    assert torch.equal(seen, masks)


def test_mean_iou_by_hand() -> None:
    matrix = np.array([[80, 4, 0], [6, 10, 0], [0, 0, 0]])
    # background 80 / 90, the kind 10 / 20; a class that is nowhere does not count
    assert ious(matrix)[:2] == pytest.approx([80 / 90, 10 / 20])
    assert mean_iou(matrix) == pytest.approx((80 / 90 + 0.5) / 2)
    confused = np.array([[90, 0, 2], [1, 5, 3], [0, 2, 7]])
    assert binary(confused).tolist() == [[90, 2], [1, 17]]
    assert mean_iou(binary(confused)) == pytest.approx((90 / 93 + 17 / 20) / 2)
