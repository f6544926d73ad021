"""The strong preset of the knee: what the issue lists, and masks of coarse decoder levels that training alone sees."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from models.card import read_bundle
from models.knee import load
from tests.training import collections
from training.familiarity import Familiarity
from training.knee import bundle, fit
from training.knee.batches import Phase
from training.knee.dataset import read
from training.knee.losses import Targets, _mask_term, total
from training.knee.nets import Outputs, SegUNet
from training.knee.recipe import PAPER, SMALL, STRONG, TUNE, Stage
from training.knee.serving import Served, ServeSpec
from training.loop import Fall, Optimiser
from training.start import begin, start_of

SIDE = 64
NET = replace(STRONG.net, widths=(4, 6, 8, 8), depths=(1, 2, 2, 1), decoder_depth=1)


def _tiny(stage: Stage) -> Stage:
    phase = Phase(0.0, SIDE, stage.batches.phases[-1].views, windows=0.25, half_sides=(0.5, 0.8))
    batches = replace(stage.batches, composition=(2, 2, 2), phases=(phase,))
    return Stage(batches, replace(stage.plan, steps=2, observe_every=1000))


TINY = replace(
    STRONG,
    side=SIDE,
    looks=SIDE,
    net=NET,
    global_stage=_tiny(STRONG.global_stage),
    patch_stage=_tiny(STRONG.patch_stage),
)


def test_the_preset_has_what_the_issue_lists() -> None:
    assert max(STRONG.net.depths) > 1, "what is repeated has a residual path"
    assert STRONG.net.deep_levels == 3
    assert STRONG.loss.mask_ce > 0, "Dice beside cross-entropy"
    assert STRONG.net.evens, "z-scores, of the surroundings"
    for stage in (STRONG.global_stage, STRONG.patch_stage):
        assert (stage.plan.optimiser, stage.plan.fall, stage.plan.ema) == (Optimiser.ADAMW, Fall.COSINE, 0.999)
        assert stage.batches.tumour_windows >= 1 / 3, "foreground is drawn more often than chance would"
        assert sum(stage.batches.composition[1:]) > sum(stage.batches.composition) / 2


def test_the_mask_is_supervised_at_a_half_and_a_quarter_too() -> None:
    net = SegUNet(NET)
    outputs, coarse = net.supervised(torch.rand(2, 1, SIDE, SIDE))
    assert [level.shape for level in (outputs.mask_logits, *coarse)] == [(2, 1, SIDE >> k, SIDE >> k) for k in range(3)]
    sum(level.sum() for level in coarse).backward()
    assert all(head.weight.grad.abs().sum() > 0 for head in net.coarse_heads)
    assert float(net.coarse_heads[0].bias[0].detach()) == -3.0
    assert net.encoder[-1].first[0].weight.grad.abs().sum() > 0, "they teach what lies below them"


def test_levels_count_by_halves_and_the_rest_of_the_loss_stays() -> None:
    spec, mask = replace(STRONG.loss, distance_stride=4), torch.zeros(2, 1, 16, 16)
    mask[0, :, 4:9, 4:9] = 1.0
    torch.manual_seed(1)
    outputs = Outputs(torch.randn(2, 3), torch.randn(2, 1, 16, 16), torch.randn(2, 5, 4, 4), torch.zeros(2, 1))
    half, quarter = torch.randn(2, 1, 8, 8), torch.randn(2, 1, 4, 4)
    targets = Targets(torch.tensor([1, 0]), mask, torch.zeros(2, 4, 4, dtype=torch.long))
    means = [torch.nn.functional.avg_pool2d(mask, side) for side in (2, 4)]
    terms = [_mask_term(outputs.mask_logits, mask, spec), *map(_mask_term, (half, quarter), means, (spec, spec))]
    wanted = (4 * terms[0] + 2 * terms[1] + terms[2]) / 7
    plain, deep = (total(outputs, targets, spec, coarse) for coarse in ((), (half, quarter)))
    assert float(deep - plain) == pytest.approx(float(spec.alphas[1] * (wanted - terms[0])), abs=1e-5)


@pytest.mark.parametrize("recipe", [SMALL, TUNE, PAPER], ids=lambda recipe: recipe.name)
def test_other_presets_have_the_nets_that_they_had(recipe) -> None:
    assert recipe.net.deep_levels == 1
    assert not [name for name in SegUNet(recipe.net).state_dict() if "coarse" in name]
    assert replace(recipe, net=replace(recipe.net, deep_levels=2)).digest() != recipe.digest()
    torch.manual_seed(4)
    plain = SegUNet(replace(NET, deep_levels=1)).state_dict()
    torch.manual_seed(4)
    deep = SegUNet(NET).state_dict()
    assert all(torch.equal(value, deep[name]) for name, value in plain.items()), "what both have is drawn alike"


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A run of two steps of each stage, and the images that it was trained on."""
    folder = tmp_path_factory.mktemp("knee")
    data = read(collections.write(folder / "set", images=240), SIDE)
    return folder / "run", fit.train(data, TINY, folder / "run"), data


@pytest.fixture(scope="module")
def made(ended):
    """The folder of its bundle, whose networks were proved equal when it was written."""
    run, _, data = ended
    real = list(data.images[:2].astype(np.float32) / 255.0)
    spec = ServeSpec((SIDE,), mirrored=False)
    served = {}
    for role, net in fit.load(TINY, run).items():
        seen = Served(net, spec).outputs(torch.from_numpy(np.stack(real))[:, None]).features.detach()
        served[role] = Served(net, spec, Familiarity(seen)).eval()
    bundle.write(served, TINY, run.parent / "bundle", version="0.0.1", real=real, facts={"kind": "phantom"})
    return run.parent / "bundle"


def test_two_steps_move_the_coarse_heads_of_both_stages(ended) -> None:
    _, nets, _ = ended
    torch.manual_seed(TINY.global_stage.plan.seed)
    before = SegUNet(NET).coarse_heads
    for first, middle, last in zip(before, nets["global"].coarse_heads, nets["patch"].coarse_heads, strict=True):
        assert not torch.equal(first.weight, middle.weight)
        assert not torch.equal(middle.weight, last.weight)


@pytest.mark.parametrize("role", ["global", "patch"])
def test_the_file_of_a_strong_run_holds_no_coarse_head(made, role: str) -> None:
    graph = onnx.load(made / f"{role}.onnx").graph
    names = [each.name for each in graph.initializer]
    assert [name for name in names if "mask_head" in name]
    assert not [name for name in names if "coarse" in name]
    assert [each.name for each in graph.output] == ["class_logits", "mask_logits", "distance_logits", "strangeness"]
    assert load(read_bundle(made)).identity.training_data == "phantom"


def test_a_training_that_begins_with_a_strong_bundle_draws_the_coarse_heads_anew(ended, made, tmp_path) -> None:
    run, _, data = ended
    start = start_of(made, (TINY.name,), {"system": "knee-seg-unet"})
    torch.manual_seed(2)
    net = SegUNet(NET)
    drawn = net.coarse_heads[0].weight.clone()
    view = torch.from_numpy(data.images[:4].astype(np.float32) / 255.0)[:, None]
    begin(net, start, "global", [view], tmp_path, drawn="coarse_heads.")
    assert torch.equal(net.coarse_heads[0].weight, drawn)
    with torch.no_grad():
        known = fit.load(TINY, run)["global"](view).mask_logits
        assert torch.allclose(net(view).mask_logits, known, atol=1e-4)
