"""An exported graph answers as its network, or is refused; a card reads back as it was written."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from models.card import Calibration, FileEntry, contract_of, parse_card
from models.errors import ContractError
from models.knee import contract
from training import card_writer
from training.errors import RunFault, UnequalExport
from training.export import OPSET, export, prove, refuse_flipped
from training.familiarity import Familiarity
from training.knee import bundle
from training.knee.nets import NetSpec, SegUNet
from training.knee.recipe import SMALL
from training.knee.serving import Served, ServeSpec

SIDE = 32
TINY = NetSpec(
    widths=(4, 6, 8),
    depths=(1, 2, 1),
    decoder_depth=1,
    stem_stride=4,
    pools_decoder=True,
    whitens=True,
    evens=True,
    dropout=0.1,
)


@pytest.fixture(scope="module")
def card():
    recipe = replace(SMALL, side=SIDE, net=TINY)
    return bundle.blank(recipe, "0.0.1", {"kind": "phantom", "seconds": [1, 2]})


@pytest.fixture(scope="module")
def net() -> SegUNet:
    torch.manual_seed(3)
    made = SegUNet(TINY)
    made.whiten(torch.rand(4, 1, SIDE, SIDE))
    made.train()
    for _ in range(3):
        made(torch.rand(8, 1, SIDE, SIDE))
    return made.eval()


@pytest.fixture(scope="module")
def served(net: SegUNet) -> Served:
    spec = ServeSpec((SIDE,), mirrored=False)
    known = Familiarity(Served(net, spec).outputs(torch.from_numpy(inputs(40)[0])).features.detach())
    return Served(net, spec, known).eval()


@pytest.fixture(scope="module")
def model(served: Served, card) -> bytes:
    return export(served, SIDE, served.gives, contract_of(card, "global") | {"name": "tiny"})


def inputs(*batches: int) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.random((batch, 1, SIDE, SIDE), dtype=np.float32) for batch in batches]


def test_the_graph_answers_as_the_network_at_any_batch(served: Served, model: bytes, card) -> None:
    assert prove(model, "tiny.onnx", served, contract(card, "global"), inputs(1, 3, 5)) < 1e-4


def test_the_file_is_whole_of_opset_20_and_states_its_contract(model: bytes, card) -> None:
    read = onnx.load_from_string(model)
    assert {entry.domain: entry.version for entry in read.opset_import}[""] == OPSET
    assert not [one for one in read.graph.initializer if one.data_location == onnx.TensorProto.EXTERNAL]
    stated = {entry.key: entry.value for entry in read.metadata_props}
    assert contract_of(card, "global").items() <= stated.items()
    assert stated["name"] == "tiny"


def test_a_smaller_look_and_a_mirror_are_exported_too(net: SegUNet, card) -> None:
    served = Served(net, ServeSpec(sides=(16, 32), mirrored=True)).eval()
    model = export(served, SIDE, served.gives, contract_of(card, "patch"))
    assert prove(model, "tiny.onnx", served, contract(card, "patch"), inputs(1, 4)) < 1e-4


def test_a_mirrored_image_gets_the_mirrored_answer(net: SegUNet) -> None:
    served, image = Served(net, ServeSpec(sides=(SIDE,), mirrored=True)).eval(), torch.from_numpy(inputs(2)[0])
    straight, turned = served(image), served(image.flip(3))
    assert torch.allclose(straight.class_logits, turned.class_logits, atol=1e-5)
    assert torch.allclose(straight.mask_logits, turned.mask_logits.flip(3), atol=1e-4)


@torch.no_grad()
def test_images_unlike_the_training_are_strange(served: Served) -> None:
    like = served(torch.from_numpy(inputs(40)[0])).strangeness
    unlike = served(torch.from_numpy(inputs(5)[0] * 0.05 + 0.9)).strangeness
    assert like.shape == (40, 1)
    assert 0.3 < float(like.mean()) < 1.1, "about 1 on what it learned from"
    assert float(unlike.min()) > 2.0 * float(like.mean())


def test_other_weights_are_refused(served: Served, model: bytes, card) -> None:
    torch.manual_seed(4)
    other = Served(SegUNet(TINY), served.spec, served.familiarity).eval()
    with pytest.raises(UnequalExport, match="differs from the network"):
        prove(model, "tiny.onnx", other, contract(card, "global"), inputs(2))


def test_a_small_error_is_refused_where_the_network_is_sure(served: Served, model: bytes, card) -> None:
    altered = copy.deepcopy(served)
    with torch.no_grad():
        altered.net.class_head.bias += 3e-4
    with pytest.raises(UnequalExport, match="class_logits differs"):
        prove(model, "tiny.onnx", altered, contract(card, "global"), inputs(2))


@pytest.mark.parametrize(("itself", "is_refused"), [(0, True), (2, True), (3, False)])
def test_as_many_decisions_may_differ_as_the_network_is_unsure_of(itself: int, is_refused: bool) -> None:
    """Of 10 000 pixels the file decides 10 otherwise; four times what the network itself does may be."""
    wanted = np.full((1, 1, 100, 100), -1.0, dtype=np.float32)

    def with_flips(count: int) -> np.ndarray:
        said = wanted.copy()
        said.reshape(-1)[:count] = 1.0
        return said

    unsure = [wanted, with_flips(itself)]
    if is_refused:
        with pytest.raises(
            UnequalExport, match=rf"decides 0.10% of its pixels otherwise, the network itself 0.0{itself}%"
        ):
            refuse_flipped("mask_logits", with_flips(10), wanted, unsure, "net.onnx")
    else:
        refuse_flipped("mask_logits", with_flips(10), wanted, unsure, "net.onnx")
    refuse_flipped("mask_logits", with_flips(1), wanted, [wanted], "net.onnx")


def test_a_file_for_the_other_role_is_refused(served: Served, model: bytes, card) -> None:
    with pytest.raises(ContractError):
        prove(model, "tiny.onnx", served, contract(card, "patch"), inputs(2))


def test_a_bundle_that_fails_its_proof_is_not_written(
    net: SegUNet, served: Served, tmp_path: Path, monkeypatch
) -> None:
    for limit in ("TOLERANCE", "UNSURE"):
        monkeypatch.setattr(f"training.export.{limit}", -1.0)
    recipe = replace(SMALL, side=SIDE, net=TINY)
    with pytest.raises(UnequalExport):
        bundle.write(
            {"global": served, "patch": Served(net, ServeSpec((SIDE,), False))},
            recipe,
            tmp_path / "knee",
            version="0.0.1",
            real=[np.zeros((SIDE, SIDE), np.float32)],
            facts={"kind": "phantom"},
        )
    assert not (tmp_path / "knee").exists()


def test_a_card_reads_back_as_it_was_written(card, tmp_path: Path) -> None:
    filled = replace(
        card,
        files={"global": FileEntry("global.onnx", "0" * 64)},
        calibration=Calibration(1.25, (0.0, -0.5, 0.1)),
        measured={"tumour_auc": [0.9, 0.85, 0.95], "on": 'real "radiographs"\nof limbs', "good": True},
    )
    path = card_writer.write(filled, tmp_path)
    assert parse_card(path.read_bytes(), path) == filled
    assert [each.name for each in tmp_path.iterdir()] == ["card.toml"]


def test_a_card_that_would_not_read_back_is_not_written(card, tmp_path: Path) -> None:
    filled = replace(card, files={"global": FileEntry("global.onnx", "0" * 64)}, measured={"pair": (1, 2)})
    with pytest.raises(RunFault, match="would not read back"):
        card_writer.write(filled, tmp_path)
    assert not list(tmp_path.iterdir())
