"""A network runs only when it is what its card says, and its answers are numbers."""

import logging
import subprocess
import sys

import numpy as np
import pytest
from onnx import helper

from models.card import contract_of, read_bundle
from models.errors import ContractError, InferenceError, ProviderError
from models.session import Contract, Device, SessionOptions, open_session
from tests.models import nets
from tests.models.films import ROOT

ONE_THREAD = SessionOptions(Device.CPU, threads=1)


def contract(role="global", side=256):
    return Contract(
        {"system": "knee-seg-unet", "role": role, "classes": "normal,benign,malignant"},
        "image",
        (1, side, side),
        {"class_logits": (3,), "mask_logits": (1, side, side), "distance_logits": (5, side, side)},
    )


def opened(model, **options):
    return open_session(model, "knee global", contract(), SessionOptions(Device.CPU, threads=1, **options))


def test_a_network_answers_what_it_computes():
    images = np.zeros((2, 1, 256, 256), np.float32)
    images[1, 0, 10:20, 10:20] = 1.0
    answers = opened(nets.net("global")).run(images)
    assert set(answers) == {"class_logits", "mask_logits", "distance_logits"}
    assert answers["mask_logits"][1, 0, 15, 15] == pytest.approx(8.0, abs=1e-4)
    assert answers["class_logits"][0].argmax() == 0
    assert answers["class_logits"][1].argmax() == 1


def test_a_batch_answers_what_its_images_answer_alone():
    images = np.random.default_rng(1).random((3, 1, 256, 256), dtype=np.float32)
    session = opened(nets.net("global"))
    together = session.run(images)
    for index in range(3):
        alone = session.run(images[index : index + 1])
        for name, answer in alone.items():
            assert np.abs(answer[0] - together[name][index]).max() < 1e-5


def test_the_provider_is_the_one_that_runs():
    assert opened(nets.net("global")).provider == "CPUExecutionProvider"


def test_auto_runs_on_the_cpu_where_there_is_no_gpu():
    session = open_session(nets.net("global"), "knee", contract(), SessionOptions(Device.AUTO, threads=1))
    assert session.provider in ("CPUExecutionProvider", "CUDAExecutionProvider")


def test_demanding_cuda_where_there_is_none_says_what_to_do():
    try:
        session = open_session(nets.net("global"), "knee global", contract(), SessionOptions(Device.CUDA))
    except ProviderError as exc:
        assert "osteon[gpu]" in str(exc)  # noqa: PT017  # either way is right, by machine
    else:
        assert session.provider == "CUDAExecutionProvider"


def test_the_card_and_the_file_agree(tmp_path):
    bundle = read_bundle(nets.bundle(tmp_path / "knee"))
    demanded = Contract(contract_of(bundle.card, "patch"), "image", (1, 256, 256), {"class_logits": (3,)})
    assert open_session(bundle.files["patch"], "knee patch", demanded, ONE_THREAD).provider
    with pytest.raises(ContractError, match="metadata role is 'global'"):
        open_session(bundle.files["global"], "knee global", demanded, ONE_THREAD)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"classes": "benign,malignant,normal"}, "metadata classes"),
        ({"system": "hand"}, "metadata system"),
        ({"role": "patch"}, "metadata role"),
    ],
)
def test_a_file_made_for_another_card_is_refused(metadata, words):
    with pytest.raises(ContractError, match=words):
        opened(nets.net(metadata.pop("role", "global"), **metadata))


def test_a_network_of_another_size_is_refused():
    with pytest.raises(ContractError, match=r"image is tensor\(float\).*needed"):
        open_session(nets.net("global"), "knee global", contract(side=128), ONE_THREAD)


def test_a_missing_output_is_named():
    node = helper.make_node("Identity", ["image"], ["mask_logits"])
    with pytest.raises(ContractError, match="class_logits"):
        opened(nets.model([node], {}, "global", outputs=("mask_logits",)))


def test_bytes_that_are_no_model_are_refused():
    with pytest.raises(ContractError, match="cannot be opened"):
        opened(b"no model at all")


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_an_answer_that_is_no_number_is_no_answer(poison):
    with pytest.raises(InferenceError, match="no numbers") as caught:
        opened(nets.net("global", logits=[0.0, poison, 0.0]))
    assert caught.value.outcome == "FAILED_MODEL"


def test_an_answer_that_turns_into_no_number_on_one_image_is_no_answer():
    session = opened(nets.net("global"))
    images = np.full((1, 1, 256, 256), np.nan, np.float32)
    with pytest.raises(InferenceError, match="no numbers"):
        session.run(images)


def test_an_input_of_another_shape_is_an_error_of_ours():
    with pytest.raises(InferenceError, match="failed"):
        opened(nets.net("global")).run(np.zeros((1, 1, 100, 100), np.float32))


def test_opening_is_logged_without_a_word_from_onnxruntime(caplog, capfd):
    with caplog.at_level(logging.INFO):
        opened(nets.net("global"))
        with pytest.raises(ContractError):
            opened(b"no model at all")
    assert [record.name for record in caplog.records] == ["models.session"]
    assert capfd.readouterr().err == ""


HIDDEN = """
import sys
sys.modules["onnxruntime"] = None
from models.errors import RuntimeMissingError
from models.session import Contract, open_session
try:
    open_session(b"", "knee", Contract({}, "image", (1, 8, 8), {}))
except RuntimeMissingError as exc:
    print(exc)
"""


def test_without_onnxruntime_the_two_packages_are_named():
    done = subprocess.run([sys.executable, "-c", HIDDEN], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "osteon[cpu]" in done.stdout
    assert "osteon[gpu]" in done.stdout
