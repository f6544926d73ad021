"""The strong preset of the spine: what of the issue's list a detector and a classifier have, and that it trains."""

from dataclasses import replace

import pytest
import torch

from training.loop import Fall, Optimiser
from training.patients import Parts
from training.phantoms.spine import Kind, spine_patient
from training.spine import fit
from training.spine.backbone import Bottleneck
from training.spine.classifier import Block
from training.spine.dataset import case_of
from training.spine.detector import STRIDES, Detector
from training.spine.detector_batches import Drawer
from training.spine.detector_loss import losses
from training.spine.recipe import STRONG

TINY = replace(
    STRONG,
    detector=replace(
        STRONG.detector,
        size=(96, 96),
        backbone=replace(
            STRONG.detector.backbone,
            stem=8,
            inner=(8, 8, 8, 8),
            outer=(8, 8, 16, 16),
            depths=(1, 1, 1, 1),
            groups=4,
        ),
        width=8,
        hidden=16,
        candidates=64,
        proposals=16,
    ),
    detector_loss=replace(STRONG.detector_loss, candidates=64, proposals=16),
    detector_batches=replace(STRONG.detector_batches, images=4),
    detector_plan=replace(STRONG.detector_plan, steps=2, observe_every=1000),
    classifier=replace(
        STRONG.classifier, stem=4, inner=(4, 4, 8, 8), outer=(4, 8, 8, 16), depths=(1, 1, 1, 1), groups=2
    ),
    classifier_batches=replace(STRONG.classifier_batches, sequences=2),
    classifier_plan=replace(STRONG.classifier_plan, steps=2, observe_every=1000),
)
SPECS = {"overlap": TINY.detector_loss, "numbers": replace(TINY.detector_loss, judges_overlap=False)}


@pytest.fixture(scope="module")
def cases():
    kinds = (Kind.BENIGN, Kind.MALIGNANT, Kind.NORMAL)
    return tuple(case_of(spine_patient(seed, kind=kinds[seed % 3], side=96)) for seed in range(6))


def test_the_preset_has_what_applies_of_the_list() -> None:
    for plan in (STRONG.detector_plan, STRONG.classifier_plan):
        assert (plan.optimiser, plan.fall, plan.ema) == (Optimiser.ADAMW, Fall.COSINE, 0.999)
    assert STRONG.detector_loss.judges_overlap, "for boxes what Dice is for masks"
    assert STRONG.detector_loss.smoothing == STRONG.classifier_smoothing == 0.05
    assert STRONG.detector_batches.empty == 0.25
    assert STRONG.detector_loss.most == 0.25
    assert sum(STRONG.detector.backbone.depths) == sum(STRONG.classifier.depths) == 16


@pytest.mark.parametrize(
    "block",
    [Bottleneck(8, 4, 8, 1, 2, deforms=False), Block(STRONG.classifier, 64, 64, 64, 1)],
    ids=["detector", "classifier"],
)
def test_encoders_add_to_what_they_are_given(block: torch.nn.Module) -> None:
    torch.nn.init.zeros_(block.body[-1].weight)
    channels = block.body[0].in_channels
    values = torch.rand((1, channels, *[4] * (block.body[0].weight.ndim - 2)))
    assert torch.equal(block.eval()(values), values)


def test_every_level_of_the_pyramid_is_asked() -> None:
    net = Detector(TINY.detector)
    levels = [level.detach().requires_grad_() for level in net.levels(torch.rand(1, 1, 96, 96))]
    net.proposer(levels).logits.square().sum().backward()
    assert len(levels) == len(STRIDES) == 5
    assert all(float(level.grad.abs().sum()) > 0 for level in levels)


def test_three_of_four_images_show_a_lesion(cases) -> None:
    still = replace(STRONG.detector_batches, scale=0.0, rotation_deg=0.0, shift=0.0, cutmix=0.0)
    batch = Drawer(cases, (96, 96), still, 1)(0, 0.0)
    assert [len(boxes) > 0 for boxes in batch.truth.boxes] == [False] * 4 + [True] * 12


def test_boxes_are_judged_by_their_overlap(cases) -> None:
    """The loss of a box is between 0 and 2, as 1 - generalised IoU is, however far its numbers are from the truth."""
    torch.manual_seed(1)
    net = Detector(TINY.detector)
    torch.nn.init.normal_(net.refine.weight, std=1.0)
    batch = Drawer(cases, (96, 96), TINY.detector_batches, 1)(0, 0.0)
    parts = {name: losses(net, batch.image, batch.truth, spec).region_move.item() for name, spec in SPECS.items()}
    assert 0.0 < parts["overlap"] <= 2.0
    assert parts["overlap"] != pytest.approx(parts["numbers"])


def test_two_steps_move_both_networks(cases, tmp_path) -> None:
    nets = fit.train_on(Parts(cases, cases[:2], cases[:2]), TINY, tmp_path)
    torch.manual_seed(TINY.detector_plan.seed)
    drawn = Detector(TINY.detector).state_dict()
    moved = (nets.detector.state_dict()["classify.weight"] - drawn["classify.weight"]).abs().max()
    assert 0.0 < float(moved) < 0.002, "by two steps of the rate, from what was drawn"
    assert fit.spent(tmp_path)["steps"] == [2, 2]
    loaded = fit.load(TINY, tmp_path)
    image = torch.rand(1, 16, 112, 112)
    with torch.no_grad():
        said, known = (each.classifier.eval()(image).class_logits for each in (loaded, nets))
    assert said.shape == (1, 2)
    assert torch.equal(said, known)
