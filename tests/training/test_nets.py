"""Seg-UNet: shapes, pooling indices, size, and the published measures."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from training.knee.nets import NetSpec, SegUNet, even
from training.knee.recipe import PAPER, SMALL, TUNE, Recipe, ancestors

TINY = NetSpec(
    widths=(4, 6, 8),
    depths=(1, 2, 1),
    decoder_depth=1,
    stem_stride=2,
    pools_decoder=True,
    whitens=False,
    evens=False,
    dropout=0.0,
)


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("pools", [False, True], ids=["published-head", "pooled-head"])
def test_the_maps_have_the_size_of_the_image(stride: int, pools: bool) -> None:
    net = SegUNet(NetSpec((4, 6, 8), (1, 1, 1), 1, stride, pools, False, False, 0.0)).eval()
    rows, columns = 2 * net.granularity, 3 * net.granularity
    outputs = net(torch.rand(2, 1, rows, columns))
    assert outputs.class_logits.shape == (2, 3)
    assert outputs.mask_logits.shape == (2, 1, rows, columns)
    assert outputs.distance_logits.shape == (2, 5, rows, columns)


def test_the_distance_stays_on_the_stem_grid_while_training() -> None:
    assert SegUNet(TINY).train()(torch.rand(2, 1, 16, 16)).distance_logits.shape == (2, 5, 8, 8)


def test_an_image_is_answered_alike_alone_and_in_a_batch() -> None:
    net, images = SegUNet(TINY).eval(), torch.rand(3, 1, 16, 16)
    for alone, batched in zip(net(images[1:2]), net(images), strict=True):
        assert torch.allclose(alone[0], batched[1], atol=1e-5)


def test_unpooling_puts_a_value_back_where_it_was_the_maximum() -> None:
    net = SegUNet(TINY).eval()
    level = net.decoder[-1]
    seen: dict[str, torch.Tensor] = {}
    level.join.register_forward_hook(lambda module, inputs, output: seen.update(joined=inputs[0]))
    skip = torch.zeros(1, 4, 4, 4)
    skip[0, :, 1, 2] = 1.0
    _, indices = torch.nn.functional.max_pool2d(skip, 2, return_indices=True)
    level(torch.rand(1, 6, 2, 2), indices, skip)
    unpooled = seen["joined"][0, :4]
    assert (unpooled[:, 1, 3] == 0).all()
    assert (unpooled[:, 0, 2] == 0).all()


@pytest.mark.parametrize("fine", [0, 3])
def test_every_weight_is_trained(fine: int) -> None:
    net = SegUNet(replace(TINY, fine=fine)).train()
    sum(output.square().sum() for output in net(torch.rand(2, 1, 16, 16))).backward()
    assert not [name for name, value in net.named_parameters() if value.grad is None]


@pytest.mark.parametrize("recipe", [SMALL, TUNE], ids=["small", "tune"])
def test_a_net_that_ships_has_less_than_three_million_parameters(recipe: Recipe) -> None:
    assert sum(value.numel() for value in SegUNet(recipe.net).parameters()) < 3_000_000


def test_what_the_fine_level_sees_reaches_the_mask_through_both_of_its_ways() -> None:
    torch.manual_seed(2)
    net, image = SegUNet(replace(TINY, fine=3)).eval(), torch.rand(2, 1, 16, 16)
    assert isinstance(net.fine, nn.Module)
    before = net(image)
    for head in (net.fine.down, net.fine.mask_head):
        nn.init.normal_(head.weight)  # type: ignore[arg-type, union-attr]  # a convolution
        after = net(image)
        assert not torch.allclose(after.mask_logits, before.mask_logits, atol=1e-3)
        nn.init.zeros_(head.weight)  # type: ignore[arg-type, union-attr]


def test_a_network_becomes_a_wider_deeper_or_finer_one_and_no_other() -> None:
    for other in ({"widths": (5, 6, 9)}, {"depths": (1, 2, 2)}, {"fine": 3}, {}):
        assert TINY.becomes(replace(TINY, **other))
    for other in ({"widths": (3, 7, 9)}, {"widths": (4, 6)}, {"stem_stride": 4}, {"depths": (1, 1, 1)}):
        assert not TINY.becomes(replace(TINY, **other))
    assert not replace(TINY, fine=3).becomes(TINY)
    assert ancestors(TUNE) == (SMALL, TUNE)
    assert ancestors(SMALL) == (SMALL,)


def test_the_paper_net_is_the_published_one() -> None:
    assert PAPER.net.widths == (32, 64, 128, 256, 512)
    assert PAPER.net.stem_stride == 1
    net = SegUNet(PAPER.net)
    assert net.class_head.in_features == 512
    assert PAPER.side % net.granularity == 0


def test_a_whitened_stem_gives_uncorrelated_channels_of_like_variance() -> None:
    generator = torch.Generator().manual_seed(1)
    smooth = torch.nn.functional.avg_pool2d(torch.rand(8, 1, 70, 70, generator=generator), 7, stride=1) * 4 - 1.5
    net = SegUNet(NetSpec((4, 6, 8), (1, 1, 1), 1, 4, True, True, False, 0.0))
    net.whiten(smooth)
    channels = torch.nn.functional.conv2d(smooth - 0.5, net.stem, stride=4).transpose(0, 1).flatten(1)
    covariance = torch.cov(channels)
    assert (covariance - torch.diag(covariance.diagonal())).abs().max() < 0.05
    assert covariance.diagonal()[-4:].min() > 0.5
    assert covariance.diagonal().max() < 1.05


def test_an_evened_image_forgets_the_film() -> None:
    generator = torch.Generator().manual_seed(2)
    bone = torch.nn.functional.avg_pool2d(torch.rand(1, 1, 70, 70, generator=generator), 7, stride=1)
    bone = (bone - bone.min()) / (bone.max() - bone.min())
    ramp = torch.linspace(0.0, 0.3, 64)[None, None, None, :]
    assert (even(0.2 + 0.6 * bone) - even(bone)).abs().mean() < 0.02
    assert (even(0.7 * bone + ramp) - even(bone)).abs().mean() < 0.05
    assert even(torch.full((1, 1, 64, 64), 0.7)).abs().max() < 1e-3, "air says nothing"


def test_without_whitening_the_stem_is_a_pixel_unshuffle() -> None:
    net, image = SegUNet(TINY), torch.rand(1, 1, 16, 16)
    assert torch.equal(
        torch.nn.functional.conv2d(image, net.stem, stride=2), torch.nn.functional.pixel_unshuffle(image, 2)
    )
