"""A1 to A4 of knee-seg-unet with the numbers worked out by hand (MODELS.md §5.3)."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.hand.losses import LossSpec as HandLoss
from training.hand.losses import loss_of
from training.knee.losses import (
    LossSpec,
    Targets,
    Unit,
    distance_levels,
    distance_map,
    total,
)
from training.knee.nets import Outputs
from training.losses import balanced_cross_entropy, deep, soft_dice, soft_dice_of_classes

PAPER = LossSpec(
    alphas=(1.0, 1.0, 1.0), smoothing=0.0, mask_ce=0.0, distance_ce=0.0, distance_stride=1, unit=Unit.LARGEST
)


def corner() -> np.ndarray:
    mask = np.zeros((8, 8), dtype=bool)
    mask[0, 0] = True
    return mask


def test_losses_of_logits_in_half_precision_are_summed_in_single_precision() -> None:
    """A mean over pixels in bfloat16, of eight bits, would be wrong in the third digit."""
    generator = torch.Generator().manual_seed(1)
    maps = torch.randn((4, 6, 32, 32), generator=generator).bfloat16()
    mask = (torch.rand((4, 1, 32, 32), generator=generator) > 0.9).float()
    levels = torch.randint(0, 5, (4, 32, 32), generator=generator)
    targets = Targets(torch.tensor([0, 1, 2, 1]), mask, levels)
    spec = replace(PAPER, mask_ce=1.0, distance_ce=0.7)

    def knee(told: torch.Tensor) -> torch.Tensor:
        return total(Outputs(told[:, :3, 0, 0], told[:, :1], told[:, :5], told[:, 0, 0]), targets, spec)

    def stacks(told: torch.Tensor) -> torch.Tensor:
        return deep([told[:, :1], told[:, 1:2, :16, :16]], mask, 0.5)

    def hand(told: torch.Tensor) -> torch.Tensor:
        return loss_of(told, levels, HandLoss(dice=0.5, binary_dice=1.0))

    for loss in (knee, stacks, hand):
        assert loss(maps).dtype is torch.float32
        assert loss(maps) == loss(maps.float())


@pytest.mark.parametrize(
    ("balanced", "expected"), [(True, 0.5 * 4 / 54 + 2.0 * 0.5), (False, (4 * 1.0 + 60 * 0.5) / 64)]
)
def test_the_mask_s_cross_entropy_counts_all_pixels_alike_or_tumour_and_background_apart(
    balanced: bool, expected: float
) -> None:
    """Four pixels of a tumour that cost 1 nat each, sixty of background that cost half a nat."""
    mask = torch.zeros(1, 1, 8, 8)
    mask[0, 0, :2, :2] = 1.0
    logits = torch.where(mask > 0, -np.log(np.e - 1.0), np.log(np.exp(0.5) - 1.0)).float()
    outputs = Outputs(torch.zeros(1, 3), logits, torch.zeros(1, 5, 8, 8), torch.zeros(1, 2))
    targets = Targets(torch.tensor([1]), mask, torch.zeros(1, 8, 8, dtype=torch.long))
    spec = replace(PAPER, mask_ce=2.0, balanced=balanced)
    plain = total(outputs, targets, replace(spec, mask_ce=0.0))
    assert float(total(outputs, targets, spec) - plain) == pytest.approx(2.0 * expected, rel=1e-5)


def test_a1_is_the_distance_to_the_nearest_tumour_pixel() -> None:
    distance = distance_map(corner())
    assert distance[0, 0] == 0.0
    assert distance[3, 4] == 5.0
    assert distance[7, 7] == pytest.approx(np.hypot(7, 7))


def test_a1_is_infinite_without_a_tumour() -> None:
    assert np.isinf(distance_map(np.zeros((4, 4), dtype=bool))).all()


@pytest.mark.parametrize(
    ("unit", "counts"),
    [(Unit.LARGEST, (1, 7, 14, 30, 12)), (Unit.DIAGONAL, (1, 7, 22, 28, 6))],
    ids=["largest-distance", "diagonal"],
)
def test_a2_counts_pixels_per_level(unit: Unit, counts: tuple[int, ...]) -> None:
    """Tumour, near, middle, far, background. Pixel (6, 6) lies at three quarters of the diagonal, not below."""
    levels = distance_levels(corner(), unit)
    assert tuple(int((levels == level).sum()) for level in (1, 2, 3, 4, 0)) == counts


def test_a2_along_the_first_row() -> None:
    """1 .75 .75 .5 .5 .25 .25 .25 in the paper's values."""
    assert distance_levels(corner(), Unit.LARGEST)[0].tolist() == [1, 2, 2, 3, 3, 4, 4, 4]


@pytest.mark.parametrize("unit", list(Unit))
def test_a2_is_all_background_without_a_tumour(unit: Unit) -> None:
    assert not distance_levels(np.zeros((8, 8), dtype=bool), unit).any()


@pytest.mark.parametrize("unit", list(Unit))
def test_a2_is_all_tumour_where_everything_is(unit: Unit) -> None:
    assert (distance_levels(np.ones((8, 8), dtype=bool), unit) == 1).all()


def test_a3_is_zero_when_both_are_empty_and_when_both_agree() -> None:
    empty, full = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    assert soft_dice(empty, empty) == 0.0
    assert soft_dice(full, full) == 0.0


def test_a3_by_hand() -> None:
    probability, target = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    probability[0, 0, 0] = torch.tensor([0.5, 0.5])
    target[0, 0, 0, 0] = 1.0
    assert soft_dice(probability, target, 1.0) == pytest.approx(1.0 - (2 * 0.5 + 1.0) / (1.0 + 1.0 + 1.0))


def written_out_by_image(probability: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """A3 as the knee and the stacks take it: each image and channel apart, then the mean."""
    overlap = (probability * target).sum(dim=(-2, -1))
    total = probability.sum(dim=(-2, -1)) + target.sum(dim=(-2, -1))
    return (1.0 - (2.0 * overlap + 1.0) / (total + 1.0)).mean()


def written_out_by_class(probability: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """A3 as the hand takes it: each class over the whole batch, then the mean of those that are there."""
    both, sizes = (probability * target).sum((0, 2, 3)), probability.sum((0, 2, 3)) + target.sum((0, 2, 3))
    present = (target.sum((0, 2, 3)) > 0).to(both.dtype)
    loss = 1.0 - (2.0 * both + 1.0) / (sizes + 1.0)
    return (loss * present).sum() / present.sum().clamp(min=1.0)


@pytest.mark.parametrize(
    ("ours", "written_out"),
    [(soft_dice, written_out_by_image), (soft_dice_of_classes, written_out_by_class)],
    ids=["by image", "by class"],
)
def test_both_soft_dices_are_one_formula_to_the_last_bit(ours, written_out) -> None:
    """Runs that began with a formula written out in each system must go on as they were: values and gradients."""
    for seed, present in enumerate([(0, 1, 2), (0, 2), ()]):
        generator = torch.Generator().manual_seed(seed)
        logits = torch.randn((3, 3, 17, 19), generator=generator)
        target = torch.zeros_like(logits)
        for number in present:
            target[:, number] = (torch.rand((3, 17, 19), generator=generator) > 0.9).float()
        answers = []
        for loss in (ours, written_out):
            leaf = logits.clone().requires_grad_()
            value = loss(leaf.softmax(dim=1), target)
            value.backward()
            answers.append((value.detach(), leaf.grad))
        assert all(torch.equal(one, other) for one, other in zip(*answers, strict=True))


def test_by_image_and_by_class_is_the_same_where_a_batch_is_one_image_of_one_class() -> None:
    said, wanted = torch.rand(1, 1, 6, 6), (torch.rand(1, 1, 6, 6) > 0.5).float()
    assert float(soft_dice(said, wanted)) == pytest.approx(float(soft_dice_of_classes(said, wanted)))
    assert soft_dice_of_classes(said, torch.zeros_like(wanted)) == 0.0, "no class is there: nothing to say"


def outputs_and_targets(size: int = 8) -> tuple[Outputs, Targets]:
    torch.manual_seed(1)
    outputs = Outputs(
        torch.randn(2, 3), torch.randn(2, 1, size, size), torch.randn(2, 5, size, size), torch.zeros(2, 0)
    )
    mask = torch.zeros(2, 1, size, size)
    mask[1, 0, 2:4, 2:5] = 1.0
    levels = np.stack([distance_levels(one[0].numpy() > 0, Unit.LARGEST) for one in mask]).astype(np.int64)
    return outputs, Targets(torch.tensor([0, 2]), mask, torch.from_numpy(levels))


def test_a4_adds_the_three_terms_with_their_weights() -> None:
    outputs, targets = outputs_and_targets()
    alone = [
        float(total(outputs, targets, LossSpec(alphas, 0.0, 0.0, 0.0, 1, Unit.LARGEST)))
        for alphas in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    ]
    assert float(total(outputs, targets, PAPER)) == pytest.approx(sum(alone), rel=1e-5)
    doubled = LossSpec((1.0, 2.0, 0.5), 0.0, 0.0, 0.0, 1, Unit.LARGEST)
    assert float(total(outputs, targets, doubled)) == pytest.approx(alone[0] + 2 * alone[1] + alone[2] / 2, rel=1e-5)


def test_a4_falls_to_nothing_for_a_perfect_answer() -> None:
    _, targets = outputs_and_targets()
    perfect = Outputs(
        torch.nn.functional.one_hot(targets.labels, 3) * 60.0,
        (targets.mask - 0.5) * 120.0,
        torch.nn.functional.one_hot(targets.levels, 5).permute(0, 3, 1, 2) * 60.0,
        torch.zeros(2, 0),
    )
    assert float(total(perfect, targets, PAPER)) == pytest.approx(0.0, abs=1e-5)


def test_the_balanced_cross_entropy_by_hand() -> None:
    logits, mask = torch.zeros(1, 1, 10, 10), torch.zeros(1, 1, 10, 10)
    mask[0, 0, :5] = 1.0
    each = np.log(2.0)
    assert float(balanced_cross_entropy(logits, mask)) == pytest.approx(0.5 * 50 * each / 100 + 2.0 * each, rel=1e-5)


def test_a_coarser_distance_target_pools_the_logits() -> None:
    outputs, targets = outputs_and_targets()
    coarse = Targets(targets.labels, targets.mask, targets.levels[:, ::2, ::2].contiguous())
    pooled = outputs._replace(distance_logits=torch.nn.functional.avg_pool2d(outputs.distance_logits, 2))
    assert float(total(outputs, coarse, PAPER)) == pytest.approx(float(total(pooled, coarse, PAPER)), rel=1e-6)
