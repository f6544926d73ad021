"""A bundle is loaded whole and unchanged, or not at all, and the admin is told why."""

import hashlib
from contextlib import suppress

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from models.card import CARD, Stage, bundles, contract_of, read_bundle
from models.errors import BundleDamagedError, BundleError, BundleMissingError, CardError, ContractError
from models.onnxfile import has_external_data
from tests.models import nets


@pytest.fixture
def folder(tmp_path):
    return nets.bundle(tmp_path / "knee")


def change(folder, old, new):
    card = folder / CARD
    text = card.read_text()
    assert old in text
    card.write_text(text.replace(old, new))
    return folder


def test_a_sound_bundle_is_read_with_its_bytes(folder):
    bundle = read_bundle(folder)
    assert bundle.card.name == "knee"
    assert bundle.card.stage is Stage.RESEARCH
    assert bundle.card.input.modalities == ("DX", "CR")
    assert bundle.card.preprocess.size == (256, 256)
    assert bundle.card.thresholds.region_min_px == 20.0
    assert bundle.card.calibration.bias == (0.0, 0.0, 0.0)
    assert bundle.card.training_kind == "phantom"
    assert bundle.files["global"] == (folder / "global.onnx").read_bytes()


def test_the_weights_hash_covers_every_file_in_the_order_of_their_names(folder):
    hashes = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (CARD, "global.onnx", "patch.onnx")]
    assert read_bundle(folder).weights_sha256 == hashlib.sha256("".join(hashes).encode()).hexdigest()


def test_another_threshold_is_another_hash(folder):
    before = read_bundle(folder).weights_sha256
    assert read_bundle(change(folder, "mask = 0.5", "mask = 0.4")).weights_sha256 != before


def test_the_contract_of_a_file_names_what_its_metadata_must_say(folder):
    assert contract_of(read_bundle(folder).card, "patch") == {
        "system": "knee-seg-unet",
        "role": "patch",
        "classes": "normal,benign,malignant",
        "size": "256x256",
        "normalisation": "content-percentiles",
    }


@pytest.mark.parametrize("name", [CARD, "global.onnx", "patch.onnx"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(BundleMissingError, match=f"{name} cannot be read"):
        read_bundle(folder)


def test_a_truncated_file_is_not_loaded(folder):
    data = (folder / "global.onnx").read_bytes()
    (folder / "global.onnx").write_bytes(data[:-1])
    with pytest.raises(BundleDamagedError, match=r"global.onnx: SHA-256 is .* the card says"):
        read_bundle(folder)


def test_swapped_files_are_not_loaded(folder):
    whole, patch = (folder / "global.onnx").read_bytes(), (folder / "patch.onnx").read_bytes()
    (folder / "global.onnx").write_bytes(patch)
    (folder / "patch.onnx").write_bytes(whole)
    with pytest.raises(BundleDamagedError):
        read_bundle(folder)


def test_any_changed_byte_is_found(folder):
    data = (folder / "patch.onnx").read_bytes()
    random = np.random.default_rng(7)
    for place in random.integers(0, len(data), 50):
        broken = bytearray(data)
        broken[place] ^= 1 << random.integers(8)
        (folder / "patch.onnx").write_bytes(broken)
        with pytest.raises(BundleDamagedError):
            read_bundle(folder)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "knee"', 'name = "knee"\nwishes = 3', "wishes.*knows no such key"),
        ('licence = "Apache-2.0"', "", "licence.*missing"),
        ('version = "0.0.1"', "version = 1", "version.*must be text"),
        ('stage = "research"', 'stage = "best"', "stage.*must be one of research"),
        ("mask = 0.5", "mask = 1.5", "thresholds.mask.*from 0 to 1"),
        ("mask = 0.5", "mask = nan", "thresholds.mask.*finite"),
        ("mask = 0.5", "mask = true", "thresholds.mask.*a number"),
        ("min_side_px = 64", "min_side_px = 6.5", "input.min_side_px.*whole number"),
        ("temperature = 1.0", "temperature = 0.0", "calibration.temperature"),
        ("size = [256, 256]", "size = [256]", "preprocess.size.*2 entries"),
        ("size = [256, 256]", "size = [256, 1]", "preprocess.size"),
        ("content-percentiles", "z-score", "preprocess.normalisation"),
        ('kind = "phantom"', 'kind = "hearsay"', "training.kind"),
        ('path = "global.onnx"', 'path = "../global.onnx"', "files.global.path.*own folder"),
        ('path = "global.onnx"', 'path = "/etc/passwd"', "files.global.path.*own folder"),
        ('path = "global.onnx"', 'path = "patch.onnx"', "files.*own path"),
        ('path = "global.onnx"', 'path = "card.toml"', "files.*own path"),
        ("auc = 0.5", "auc = 2026-01-01", "measured.auc"),
        ("[measured]", "[measured", "cannot be read"),
        ("[input]\nmodalities", "[inputs]\nmodalities", "inputs.*knows no such key"),
    ],
)
def test_a_card_that_cannot_be_kept_is_refused_with_place_and_rule(folder, old, new, words):
    with pytest.raises(CardError, match=words) as caught:
        read_bundle(change(folder, old, new))
    assert str(folder / CARD) in str(caught.value)


def test_a_hash_that_is_no_hash_is_refused(folder):
    digest = hashlib.sha256((folder / "global.onnx").read_bytes()).hexdigest()
    with pytest.raises(CardError, match=r"files.global.sha256.*64 hexadecimal"):
        read_bundle(change(folder, digest, digest.upper()))


def external():
    """A model whose weights lie in a file beside it."""
    made = onnx.load_from_string(nets.net("global"))
    for tensor in made.graph.initializer:
        if tensor.name == "direction":
            onnx.external_data_helper.set_external_data(tensor, location="weights.bin")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.ClearField("raw_data")
    return made.SerializeToString()


def test_a_model_with_weights_in_another_file_is_refused(tmp_path):
    with pytest.raises(ContractError, match="external data"):
        read_bundle(nets.bundle(tmp_path / "knee", whole=external()))


def test_external_weights_are_found_in_attributes_and_in_graphs_within_graphs():
    tensor = numpy_helper.from_array(np.ones(3, np.float32), "w")
    onnx.external_data_helper.set_external_data(tensor, location="w.bin")
    constant = helper.make_node("Constant", [], ["y"], value=tensor)
    inner = helper.make_graph([constant], "inner", [], [helper.make_tensor_value_info("y", 1, [3])])
    plain = helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner)
    graph = helper.make_graph([plain], "outer", [], [])
    assert has_external_data(helper.make_model(graph).SerializeToString())
    assert not has_external_data(nets.net("global"))


def test_bytes_that_are_no_onnx_file_are_refused(tmp_path):
    with pytest.raises(ContractError, match="no ONNX file"):
        read_bundle(nets.bundle(tmp_path / "knee", whole=b"\x0f not a model"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_looking_into_any_bytes_ends(data):
    with suppress(ValueError):
        assert has_external_data(data) in (True, False)


def test_a_folder_of_bundles_lists_the_damaged_ones_and_loads_the_others(tmp_path):
    nets.bundle(tmp_path / "knee")
    broken = nets.bundle(tmp_path / "hand")
    (broken / "patch.onnx").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "notes.txt").write_text("no bundle")
    shelf = bundles(tmp_path)
    assert [bundle.folder.name for bundle in shelf.sound] == ["knee"]
    assert {each.folder.name: each.reason[:0] for each in shelf.damaged} == {"empty": "", "hand": ""}
    assert "card says" in next(each.reason for each in shelf.damaged if each.folder.name == "hand")


def test_every_fault_of_a_bundle_is_one_kind_of_error():
    for kind in (BundleMissingError, BundleDamagedError, CardError, ContractError):
        assert issubclass(kind, BundleError)
        assert kind("x").outcome == "FAILED_MODEL"


def test_a_folder_that_is_not_there_is_named_and_holds_nothing(tmp_path):
    shelf = bundles(tmp_path / "absent")
    assert shelf.sound == ()
    assert "is no folder" in shelf.damaged[0].reason
