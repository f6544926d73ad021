"""The detector: its operators, its sizes, its truth, and one ONNX graph that answers as the network does."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from training.spine import boxes, ops
from training.spine.backbone import DeformConv, Pyramid, ResNeXt
from training.spine.detector import CLASSES, STRIDES, Detector, Proposed
from training.spine.detector_loss import (
    DetectorLossSpec,
    Truth,
    beside,
    deal_anchors,
    deal_regions,
    focal_losses,
    losses,
    owned,
)
from training.spine.recipe import PAPER, SMALL, STRONG

SPEC = DetectorLossSpec(
    anchors=64, is_object=0.6, is_nothing=0.3, regions=16, is_region=0.5, candidates=64, proposals=16
)

TINY = replace(SMALL.detector, size=(128, 96))
"""The network that ships, on images small enough for a test."""


def _parameters(net: nn.Module) -> int:
    return sum(value.numel() for value in net.parameters())


def test_taps_that_do_not_wander_make_an_ordinary_convolution():
    torch.manual_seed(0)
    values, weight = torch.randn(2, 8, 9, 11), torch.randn(12, 2, 3, 3)
    for stride in (1, 2):
        rows, columns = -(-9 // stride), -(-11 // stride)
        offset, mask = torch.zeros(2, 18, rows, columns), torch.ones(2, 9, rows, columns)
        found = ops.deform_conv(values, offset, mask, weight, stride, 4)
        assert torch.allclose(found, functional.conv2d(values, weight, stride=stride, padding=1, groups=4), atol=1e-4)


def test_taps_that_wander_by_one_pixel_see_the_neighbour():
    values = torch.arange(25.0).view(1, 1, 5, 5)
    weight = torch.zeros(1, 1, 3, 3)
    weight[0, 0, 1, 1] = 1.0
    offset = torch.zeros(1, 18, 5, 5)
    offset[:, 9] = 1.0  # the middle tap, to the right
    found = ops.deform_conv(values, offset, torch.ones(1, 9, 5, 5), weight, 1, 1)
    assert found[0, 0, 2].tolist() == pytest.approx([11, 12, 13, 14, 0])


def test_a_deformable_convolution_begins_at_half_the_strength_of_an_ordinary_one():
    torch.manual_seed(0)
    conv, values = DeformConv(8, 1, 2), torch.randn(1, 8, 6, 6)
    assert torch.allclose(conv(values), 0.5 * functional.conv2d(values, conv.weight, padding=1, groups=2), atol=1e-5)


def test_the_mean_of_a_region_of_a_ramp_is_its_middle():
    ramp = torch.arange(32.0).expand(1, 1, 32, 32).clone()
    regions = torch.tensor([[[16.0, 16.0, 48.0, 64.0]]])
    seen = ops.roi_align(ramp, regions, 0.5, 2, 2)
    assert seen.shape == (1, 1, 1, 2, 2)
    assert seen[0, 0, 0, 0].tolist() == pytest.approx([11.5, 19.5])  # 8..24 on the map, pixel centres at halves


def test_of_overlapping_boxes_the_best_survives_and_no_more_than_asked_for():
    found = torch.tensor([[[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [40, 40, 50, 50]]])
    scores = torch.tensor([[0.8, 0.9, 0.7, 0.6]])
    assert ops.survivors(found, scores, 0.5, 9)[0].tolist() == [0, 1, 1, 1]
    assert ops.survivors(found, scores, 0.5, 2)[0].tolist() == [0, 1, 1, 0]
    assert ops.survivors(found, scores, 0.9, 9)[0].tolist() == [1, 1, 1, 1]


def test_a_move_there_and_back_ends_where_it_began():
    torch.manual_seed(0)
    start = torch.rand(20, 2).repeat(1, 2) * 50 + torch.tensor([0.0, 0, 9, 12])
    end = torch.rand(20, 2).repeat(1, 2) * 50 + torch.tensor([0.0, 0, 14, 8])
    move = boxes.moves(start, end, (10.0, 5.0))
    assert torch.allclose(boxes.moved(start, move, (10.0, 5.0), (100, 100)), end, atol=1e-3)


def test_overlap_has_its_known_values():
    one = torch.tensor([[0.0, 0, 2, 2]])
    other = torch.tensor([[0.0, 0, 2, 3], [2, 2, 4, 4], [0, 0, 2, 2]])
    assert boxes.overlap(one, other)[0].tolist() == pytest.approx([2 / 3, 0, 1])


def test_the_generalised_overlap_has_its_known_values():
    one = torch.tensor([[0.0, 0, 2, 2]] * 3)
    other = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 4], [4, 0, 6, 2]])
    assert boxes.generalised_overlap(one, other).tolist() == pytest.approx([1.0, 0.5, -1 / 3])


def test_boxes_beside_a_lesion_overlap_it_and_stay_in_the_image():
    torch.manual_seed(0)
    lesion = torch.tensor([[2.0, 40, 22, 64]])
    made = beside(lesion, 200, (64, 64))
    assert made.shape == (200, 4)
    assert (made[:, :2] <= made[:, 2:]).all()
    assert made.min() >= 0
    assert made.max() <= 64
    assert boxes.overlap(made, lesion)[:, 0].median() > 0.4
    assert beside(torch.zeros(0, 4), 3, (64, 64)).shape == (0, 4)


def test_the_focal_loss_of_one_lesion_is_that_of_its_formula():
    net = _tiny()
    lesion = net.anchors[100:101]
    positive, negative, _ = owned(net.anchors, lesion, SPEC)
    proposed = Proposed(torch.full((1, len(net.anchors)), -2.0), torch.zeros(1, len(net.anchors), 4))
    spec = replace(SPEC, asks_all=True)
    anchor, move = focal_losses(net, proposed, Truth([lesion], [torch.tensor([1])]), spec)
    p = 1.0 / (1.0 + math.exp(2.0))
    mine = int(positive.sum()) * 0.25 * (1.0 - p) ** 2 * -math.log(p)
    others = int(negative.sum()) * 0.75 * p**2 * -math.log(1.0 - p)
    assert float(anchor) == pytest.approx((mine + others) / int(positive.sum()), rel=1e-4)
    assert float(move) >= 0.0


@pytest.mark.parametrize("lesions", [1, 0])
def test_every_way_to_tell_gives_finite_losses_that_reach_the_first_layer(lesions):
    torch.manual_seed(0)
    net = _tiny()
    spec = replace(SPEC, asks_all=True, judges_overlap=True, beside=3, most=0.4)
    box = torch.tensor([[60.0, 50, 90, 80]])[:lesions]
    parts = losses(net, torch.rand(1, 1, *TINY.size), Truth([box], [torch.ones(lesions, dtype=torch.long)]), spec)
    assert torch.isfinite(torch.stack(parts)).all()
    torch.stack(parts).sum().backward()
    assert next(net.parameters()).grad.abs().sum() > 0


def test_the_pyramid_has_five_levels_from_a_quarter_to_a_sixty_fourth():
    net = Detector(SMALL.detector)
    levels = net.levels(torch.zeros(1, 1, *SMALL.detector.size))
    rows = SMALL.detector.size[0]
    assert STRIDES == (4, 8, 16, 32, 64)
    assert [level.shape[-2] for level in levels] == [math.ceil(rows / stride) for stride in STRIDES]
    assert len(net.anchors) == sum(math.ceil(rows / stride) ** 2 for stride in STRIDES) * 3


@pytest.mark.parametrize("stride", STRIDES)
def test_anchors_sit_on_the_middle_of_their_point(stride):
    made = boxes.anchors((64, 64), [stride], 4.0, [1.0])
    assert made[0].tolist() == pytest.approx([-1.5 * stride, -1.5 * stride, 2.5 * stride, 2.5 * stride])
    assert len(made) == (64 // stride) ** 2


def test_the_paper_preset_is_resnext101_with_deformable_c3_to_c5_and_a_pyramid_of_256():
    spec = PAPER.detector
    with torch.device("meta"):
        bare = ResNeXt(spec.backbone)
        pyramid = Pyramid(spec.backbone.outer, spec.width)
    assert spec.backbone.depths == (3, 4, 23, 3)
    assert spec.backbone.groups * 4 == spec.backbone.inner[0], "32 x 4d"
    assert spec.backbone.outer == (256, 512, 1024, 2048)
    assert spec.backbone.deforms == (False, True, True, True)
    wanders = sum(_parameters(m.wander) for m in bare.modules() if isinstance(m, DeformConv))
    assert _parameters(bare) - wanders == pytest.approx(42.13e6, rel=0.001), "a ResNeXt101-32x4d without its head"
    assert len(pyramid.output) == 4
    assert CLASSES == ("background", "benign", "malignant")


def test_the_small_preset_has_fewer_than_three_million_parameters():
    assert _parameters(Detector(SMALL.detector)) < 1.5e6
    assert any(SMALL.detector.backbone.deforms)
    assert STRONG.detector.size == (384, 384)


def test_the_best_anchor_of_a_lesion_is_always_asked():
    anchors = boxes.anchors((64, 64), (4, 8), 3.0, (1.0,))
    torch.manual_seed(0)
    dealt = deal_anchors(anchors, torch.tensor([[1.0, 1.0, 4.0, 4.0]]), SPEC)
    assert len(dealt.places) == SPEC.anchors
    assert int(dealt.positive.sum()) == 1
    best = boxes.overlap(anchors, torch.tensor([[1.0, 1.0, 4.0, 4.0]])).argmax()
    assert dealt.places[dealt.positive].tolist() == [int(best)]


def test_regions_of_a_lesion_are_a_quarter_at_most_and_none_without_one():
    torch.manual_seed(0)
    lesion = torch.tensor([[10.0, 10.0, 30.0, 30.0]])
    regions = lesion + torch.randn(40, 4)
    dealt = deal_regions(torch.cat((regions, torch.tensor([[40.0, 40, 60, 60]]))), lesion, SPEC)
    assert int(dealt.positive.sum()) == SPEC.regions // 4
    assert len(dealt.places) == SPEC.regions
    assert not deal_regions(regions, torch.zeros(0, 4), SPEC).positive.any()


def _tiny() -> Detector:
    torch.manual_seed(1)
    return Detector(TINY)


def _truth() -> Truth:
    return Truth(
        [torch.tensor([[20.0, 30, 44, 50], [60, 60, 90, 88]]), torch.zeros(0, 4)],
        [torch.tensor([1, 2]), torch.zeros(0, dtype=torch.long)],
    )


def test_all_four_losses_reach_every_parameter():
    net = _tiny()
    parts = losses(net, torch.rand(2, 1, *TINY.size), _truth(), SPEC)
    assert all(part.ndim == 0 and torch.isfinite(part) for part in parts)
    torch.stack(parts).sum().backward()
    assert not [name for name, value in net.named_parameters() if value.grad is None]


def test_a_batch_without_any_lesion_has_a_finite_loss_without_moves():
    none = Truth([torch.zeros(0, 4)] * 2, [torch.zeros(0, dtype=torch.long)] * 2)
    parts = losses(_tiny(), torch.rand(2, 1, *TINY.size), none, SPEC)
    assert parts.anchor_move.item() == parts.region_move.item() == 0.0
    assert torch.isfinite(torch.stack(parts)).all()


def test_surplus_places_of_an_answer_hold_zeros_and_scores_fall():
    net = _tiny().eval()
    with torch.no_grad():
        said = net(torch.rand(2, 1, *TINY.size))
    score = said.probabilities[..., 1:].sum(-1)
    assert (score.diff(dim=1) <= 1e-6).all()
    empty = said.probabilities.sum(-1) == 0
    assert (said.boxes[empty] == 0).all()
    assert torch.allclose(said.probabilities[~empty].sum(-1), torch.ones(1))


def test_one_graph_of_native_operators_answers_as_the_network_does():
    from training.spine.onnx_export import export_detector, prove_detector

    net = _separated(_tiny()).eval()
    data = export_detector(net, {"system": "x"})
    import onnx

    model = onnx.load_from_string(data)
    kinds = {node.op_type for node in model.graph.node}
    assert {"DeformConv", "RoiAlign", "NonMaxSuppression"} <= kinds
    assert not model.functions
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 20)]
    rng = np.random.default_rng(0)
    batches = [rng.random((count, 1, *TINY.size), dtype=np.float32) for count in (3, 1)]
    worst = prove_detector(data, "detector.onnx", net, {"system": "x"}, batches)
    assert worst < 1e-3


def _separated(net: Detector) -> Detector:
    """Weights and statistics that spread the scores, as training does: among ties every order is right."""
    torch.manual_seed(2)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    nn.init.normal_(net.proposer.logit.weight, std=0.3)
    nn.init.normal_(net.proposer.move.weight, std=0.05)
    nn.init.normal_(net.classify.weight, std=0.5)
    nn.init.normal_(net.refine.weight, std=0.1)
    for module in net.modules():
        if isinstance(module, DeformConv):
            nn.init.normal_(module.wander.weight, std=0.05)
    return net
