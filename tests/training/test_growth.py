"""A wider and deeper network that begins with a smaller one's weights answers as that one, and all of it learns."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models.card import FileEntry
from tests.training.test_export import SIDE, TINY
from training.errors import RunFault
from training.export import export
from training.growth import grown
from training.hand.nets import SMALL as HAND
from training.hand.nets import DeepLab
from training.hand.nets import NetSpec as DeepLabSpec
from training.knee import bundle
from training.knee.nets import NetSpec, SegUNet
from training.knee.recipe import SMALL
from training.knee.serving import Served, ServeSpec
from training.start import Start, begin
from training.unet import UNet, UNetSpec

NEW = ("coarse_heads.", "fine.")
LARGER = replace(TINY, widths=(7, 9, 12), depths=(2, 3, 2), decoder_depth=3)
ONE_LOOK = ServeSpec((SIDE,), mirrored=False)
IMAGES = torch.rand((4, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(5))


def trained(spec: NetSpec = TINY) -> SegUNet:
    """A network whose norms have seen images."""
    torch.manual_seed(3)
    net = SegUNet(spec).train()
    net.whiten(IMAGES)
    for norm in (part for part in net.modules() if isinstance(part, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
    for _ in range(5):
        net(torch.rand(8, 1, SIDE, SIDE))
    return net.eval()


def answers(net: SegUNet) -> tuple[Tensor, ...]:
    with torch.no_grad():
        said = net.eval()(IMAGES)
    return said.class_logits, said.mask_logits, said.distance_logits


def larger(small: SegUNet) -> SegUNet:
    torch.manual_seed(4)
    net = SegUNet(LARGER)
    net.load_state_dict(grown(net, net.state_dict(), small.state_dict()))
    return net


def test_it_answers_as_the_smaller_one() -> None:
    small = trained()
    for mine, wanted in zip(answers(larger(small)), answers(small), strict=True):
        assert torch.allclose(mine, wanted, atol=1e-5)
        assert float(wanted.std()) > 1e-3, "answers that are all alike would prove nothing"


def test_a_network_of_stacks_answers_as_the_smaller_one() -> None:
    torch.manual_seed(6)
    small = UNet(UNetSpec(3, (4, 6, 8), (2, 1, 2), 1, 2, is_residual=True, deep_levels=2)).train()
    images = torch.rand((4, 3, 32, 32))
    for _ in range(5):
        small(images)
    net = UNet(UNetSpec(3, (5, 9, 13), (2, 3, 3), 2, 2, is_residual=True, deep_levels=2))
    net.load_state_dict(grown(net, net.state_dict(), small.eval().state_dict()))
    with torch.no_grad():
        pairs = list(zip(net.eval().levels(images), small.levels(images), strict=True))
    assert len(pairs) == 2
    for mine, wanted in pairs:
        assert torch.allclose(mine, wanted, atol=1e-5)
        assert float(wanted.std()) > 1e-3


def _hand(spec: DeepLabSpec) -> DeepLab:
    """A network whose norms have seen images."""
    torch.manual_seed(7)
    net = DeepLab(spec).train()
    for _ in range(5):
        net(torch.rand((4, spec.channels, 64, 64)))
    return net.eval()


WIDER = replace(
    HAND, stem=(26, 36), entry=(44, 80, 100), end=(100, 104, 108, 110), aspp=50, low_level=28, decoder=45, half_level=20
)


def test_a_network_of_hands_answers_as_the_smaller_one() -> None:
    small = _hand(HAND)
    torch.manual_seed(8)
    net = DeepLab(WIDER)
    net.load_state_dict(grown(net, net.state_dict(), small.state_dict()))
    images = torch.rand((4, HAND.channels, 64, 64))
    with torch.no_grad():
        mine, wanted = net.eval()(images).mask_logits, small(images).mask_logits
    assert torch.allclose(mine, wanted, atol=1e-5)
    assert float(wanted.std()) > 1e-3


def test_a_network_of_separable_convolutions_does_not_grow_and_begins_as_it_is() -> None:
    small = _hand(replace(HAND, separable=True))
    same, wider = DeepLab(small.spec), DeepLab(replace(WIDER, separable=True))
    state = grown(same, same.state_dict(), small.state_dict())
    assert all(torch.equal(state[name], value) for name, value in small.state_dict().items())
    with pytest.raises(RunFault, match="separable convolutions cannot grow"):
        grown(wider, wider.state_dict(), small.state_dict())


def test_what_is_new_learns_from_the_first_steps_on() -> None:
    net = larger(trained()).train()
    before = {name: value.clone() for name, value in net.named_parameters()}
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        sum(output.square().mean() for output in net(IMAGES)).backward()
        optimiser.step()
    small = SegUNet(TINY).state_dict()
    marked = grown(net, before, {n: v * torch.nan for n, v in small.items() if v.is_floating_point()})
    for name, value in net.named_parameters():
        moved, is_new, old = value != before[name], ~marked[name].isnan(), len(small.get(name, ()))
        for what, rows in (("outputs", slice(old, None)), ("inputs of old outputs", slice(old))):
            assert bool(moved[rows][is_new[rows]].any()) == bool(is_new[rows].any()), f"{name}: new {what}"


def bundled(net: SegUNet, folder: Path, looks: ServeSpec = ONE_LOOK) -> Start:
    """Its file and card, as those of a bundle; with one look norms are folded into the convolutions before them."""
    served = Served(net, looks).eval()
    card = bundle.blank(replace(SMALL, side=SIDE, net=net.spec), "0.0.1", {"kind": "phantom", "preset": "small"})
    (folder / "global.onnx").write_bytes(export(served, SIDE, served.gives, {}))
    return Start(replace(card, files={"global": FileEntry("global.onnx", "0" * 64)}), folder)


@pytest.mark.parametrize("looks", [ONE_LOOK, ServeSpec((SIDE, 2 * SIDE), mirrored=True)], ids=["one look", "four"])
def test_a_run_begins_with_a_smaller_bundle(looks: ServeSpec, tmp_path: Path) -> None:
    small = trained()
    torch.manual_seed(4)
    net = SegUNet(LARGER)
    begin(net, bundled(small, tmp_path, looks), "global", (IMAGES for _ in range(2)), tmp_path / "run")
    for mine, wanted in zip(answers(net), answers(small), strict=True):
        assert torch.allclose(mine, wanted, atol=1e-4)


def test_a_run_begins_with_a_bundle_that_lacks_the_fine_level_and_all_of_that_learns(tmp_path: Path) -> None:
    small = trained()
    torch.manual_seed(4)
    net = SegUNet(replace(LARGER, fine=3))
    start = bundled(small, tmp_path)
    with pytest.raises(RunFault, match=r"lacks fine\."):
        begin(net, start, "global", (IMAGES for _ in range(2)), tmp_path / "run")
    begin(net, start, "global", (IMAGES for _ in range(2)), tmp_path / "run", drawn=NEW)
    for mine, wanted in zip(answers(net), answers(small), strict=True):
        assert torch.allclose(mine, wanted, atol=1e-4)
    before = {name: value.clone() for name, value in net.named_parameters() if name.startswith("fine.")}
    optimiser = torch.optim.SGD(net.train().parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        sum(output.square().mean() for output in net(IMAGES)).backward()
        optimiser.step()
    assert len(before) == 24
    assert not [name for name, value in net.named_parameters() if name in before and torch.equal(before[name], value)]


def test_a_finer_bundle_cannot_begin_a_network_without_that_level(tmp_path: Path) -> None:
    start = bundled(trained(replace(TINY, fine=3)), tmp_path)
    with pytest.raises(RunFault, match="this preset has (not|no norm)"):
        begin(SegUNet(TINY), start, "global", [], tmp_path / "run", drawn=NEW)


def test_a_fine_level_grows_with_the_others() -> None:
    small = trained(replace(TINY, fine=3))
    torch.manual_seed(4)
    net = SegUNet(replace(LARGER, fine=5))
    net.load_state_dict(grown(net, net.state_dict(), small.state_dict()))
    for mine, wanted in zip(answers(net), answers(small), strict=True):
        assert torch.allclose(mine, wanted, atol=1e-5)


def test_a_wider_bundle_cannot_begin_a_narrower_network(tmp_path: Path) -> None:
    start = bundled(trained(replace(TINY, widths=LARGER.widths)), tmp_path)
    with pytest.raises(RunFault, match=r"there and .* in this preset"):
        begin(SegUNet(TINY), start, "global", [], tmp_path / "run")


@pytest.mark.parametrize("looks", [ONE_LOOK, ServeSpec((SIDE,), mirrored=True)], ids=["folded", "by name"])
def test_a_deeper_bundle_cannot_begin_a_shallower_network(looks: ServeSpec, tmp_path: Path) -> None:
    start = bundled(trained(replace(TINY, depths=(2, 3, 2))), tmp_path, looks)
    with pytest.raises(RunFault, match="this preset has (not|no norm)"):
        begin(SegUNet(TINY), start, "global", [], tmp_path / "run")


def test_a_bundle_of_fewer_levels_or_of_another_stem_cannot_begin_a_network() -> None:
    net = SegUNet(LARGER)
    fewer = SegUNet(replace(TINY, widths=(4, 6), depths=(1, 2)))
    with pytest.raises(RunFault, match="fewer levels"):
        grown(net, net.state_dict(), fewer.state_dict())
    other = SegUNet(replace(TINY, stem_stride=1))
    assert grown(net, net.state_dict(), other.state_dict())["stem"].shape == other.stem.shape, "begin refuses it"
