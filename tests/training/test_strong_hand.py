"""The strong preset of the hand: what the issue lists, as far as DeepLab v3+ has it, and a head for training only."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from tests.training.test_hand_way import PROTOCOL
from training.export import export
from training.hand import fit
from training.hand.batches import Drawer
from training.hand.dataset import case_of
from training.hand.losses import loss_of, supervised_loss
from training.hand.nets import Block, DeepLab
from training.hand.recipe import PAPER, PAPER_LITERAL, SMALL, STRONG
from training.hand.serving import Served, learned
from training.loop import Fall, Optimiser
from training.patients import Parts
from training.phantoms.hand import hand_patient
from training.phantoms.hand_tissue import HandKind

TINY = replace(
    STRONG,
    preprocess=replace(STRONG.preprocess, size=(64, 64), spacing_mm=1.4, tile_px=16),
    net=replace(
        STRONG.net,
        stem=(8, 8),
        entry=(8, 12, 16),
        middle=2,
        end=(16, 16, 16, 16),
        aspp=8,
        low_level=8,
        decoder=8,
        auxiliary=8,
    ),
    batches=replace(STRONG.batches, tumours=5, others=3, reserve=3),
    plan=replace(STRONG.plan, steps=2, observe_every=1000),
)


@pytest.fixture(scope="module")
def cases():
    kinds = (*HandKind, None)
    drawn = [hand_patient(seed, kinds=(kinds[seed % 6],), protocol=PROTOCOL, step_mm=2.0) for seed in range(8)]
    return tuple(case_of(patient) for patient in drawn)


def test_the_preset_has_what_the_issue_lists() -> None:
    assert STRONG.loss.dice > 0, "Dice beside cross-entropy"
    assert min(STRONG.loss.background, STRONG.loss.tumour) > 0
    assert (STRONG.plan.optimiser, STRONG.plan.fall, STRONG.plan.ema) == (Optimiser.ADAMW, Fall.COSINE, 0.999)
    assert STRONG.batches.tumours / (STRONG.batches.tumours + STRONG.batches.others) >= 1 / 3
    assert (STRONG.net.auxiliary, STRONG.loss.auxiliary) == (256, 0.4)
    with torch.device("meta"):
        net = DeepLab(STRONG.net)
    blocks = [part for part in net.encoder.modules() if isinstance(part, Block)]
    assert len(blocks) == 3 + STRONG.net.middle + 1, "all but stem and end have a short way"


def test_a_block_adds_to_what_it_is_given() -> None:
    block = Block(STRONG.net, (4, 4, 4, 4), stride=1).eval()
    for part in block.body.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.zeros_(part.weight)
    image = torch.rand(1, 4, 8, 8)
    assert torch.equal(block(image), image)


@pytest.mark.parametrize("recipe", [PAPER, PAPER_LITERAL, SMALL], ids=lambda recipe: recipe.name)
def test_other_presets_have_the_nets_and_the_loss_that_they_had(recipe) -> None:
    assert (recipe.net.auxiliary, recipe.loss.auxiliary) == (0, 0.0)
    assert replace(recipe, net=replace(recipe.net, auxiliary=8)).digest() != recipe.digest()
    torch.manual_seed(4)
    net = DeepLab(replace(TINY.net, auxiliary=0))
    plain = net.state_dict()
    torch.manual_seed(4)
    deep = DeepLab(TINY.net).state_dict()
    assert set(deep) - set(plain) == {name for name in deep if name.startswith("auxiliary.")}
    assert all(torch.equal(value, deep[name]) for name, value in plain.items()), "what both have is drawn alike"
    outputs, beside = net.supervised(torch.rand(2, 8, 64, 64))
    truth = torch.zeros(2, 64, 64, dtype=torch.long)
    assert beside is None
    assert torch.equal(
        supervised_loss(outputs.mask_logits, beside, truth, recipe.loss),
        loss_of(outputs.mask_logits, truth, recipe.loss),
    )


def test_the_head_behind_the_middle_flow_teaches_what_is_before_it_and_nothing_else() -> None:
    net, image = DeepLab(TINY.net), torch.rand(2, 8, 64, 64)
    outputs, beside = net.supervised(image)
    assert beside.shape == outputs.mask_logits.shape
    beside.square().sum().backward()
    taught = {name.split(".")[0] for name, value in net.named_parameters() if value.grad is not None}
    flows = {
        name.split(".")[1] for name, value in net.named_parameters() if "encoder" in name and value.grad is not None
    }
    assert taught == {"encoder", "auxiliary"}
    assert flows == {"stem", "quarter", "eighth", "sixteenth", "middle"}


def test_what_the_head_says_weighs_0_4() -> None:
    torch.manual_seed(0)
    logits, beside, truth = torch.randn(2, 6, 5, 5), torch.randn(2, 6, 5, 5), torch.randint(0, 6, (2, 5, 5))
    wanted = loss_of(logits, truth, STRONG.loss) + 0.4 * loss_of(beside, truth, STRONG.loss)
    assert float(supervised_loss(logits, beside, truth, STRONG.loss)) == pytest.approx(float(wanted), rel=1e-6)


def test_more_than_half_of_a_batch_shows_a_tumour_though_few_slices_do(cases) -> None:
    still = replace(STRONG.augment, flip=0.0, rotation_deg=0.0, scale=0.0, elastic=0.0)
    drawer = Drawer(cases, TINY.preprocess, STRONG.batches, still, 1)
    batch = drawer(0, 0.0)
    assert int(batch.truth.flatten(1).any(dim=1).sum()) == 10
    assert len(batch.truth) == 16


def test_a_strong_run_of_two_steps_is_exported_without_the_auxiliary_head(cases, tmp_path) -> None:
    net = fit.train_on(Parts(cases, cases[:1], cases[:1]), TINY, tmp_path)
    torch.manual_seed(TINY.plan.seed)
    drawn = DeepLab(TINY.net).state_dict()
    moved = [name for name, value in net.state_dict().items() if not torch.equal(value, drawn[name])]
    assert "auxiliary.1.weight" in moved
    served = Served(fit.load(TINY, tmp_path), learned(net, cases[:2], TINY), TINY.preprocess.own).eval()
    data = export(served, 64, ("mask_logits", "strangeness"), {}, channels=len(TINY.preprocess.channels))
    graph = onnx.load_from_string(data).graph
    names = [each.name for each in graph.initializer]
    assert [name for name in names if name.startswith("net.head")]
    assert not [name for name in names if "auxiliary" in name]
    with torch.no_grad():
        said = served(torch.from_numpy(np.random.default_rng(1).random((2, 8, 64, 64), dtype=np.float32)))
    assert said.mask_logits.shape == (2, 6, 64, 64)
