"""Models that cannot be trusted answer nothing, and what they leave undone is a failure, never "no finding"."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from models.shortage import HOLD_S, Room
from node.analyse import Desk, open_desk
from node.job import Setup
from storage.states import Outcome, StudyState, state_for
from tests.models import spine_nets, stack_nets
from tests.models.pretended_gpu import CPU, CUDA, PretendedGpu
from tests.models.stacks import body, single_frames
from tests.node.test_analyse import T1, job

Spoil = Callable[[Path], None]


def desk_on(folder: Path, provider: str = "cpu") -> Desk:
    found = open_desk(
        Setup(str(folder / "models"), str(folder / "journal"), str(folder / "results"), provider, 1, "ERROR", "TEST")
    )
    assert isinstance(found, Desk)
    return found


def answered(folder: Path, desk: Desk) -> Any:
    return desk.analyse(job(folder, single_frames(body()[0], **T1)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("models", "journal", "results"):
        (tmp_path / name).mkdir()
    stack_nets.bundle(tmp_path / "models" / "limb")
    return tmp_path


def known_hash(folder: Path) -> str:
    analysis = answered(folder, desk_on(folder))
    assert analysis.outcome is Outcome.OK_FINDINGS
    return str(analysis.weights_sha256)


def _missing(bundle: Path) -> None:
    (bundle / "net.onnx").unlink()


def _no_card(bundle: Path) -> None:
    (bundle / "card.toml").unlink()


def _truncated(bundle: Path) -> None:
    (bundle / "net.onnx").write_bytes((bundle / "net.onnx").read_bytes()[:-100])


def _flipped(bundle: Path) -> None:
    content = bytearray((bundle / "net.onnx").read_bytes())
    content[len(content) // 2] ^= 4
    (bundle / "net.onnx").write_bytes(content)


def _another(bundle: Path) -> None:
    """Sound weights, but not those that the card was written for."""
    other = stack_nets.bundle(bundle.parent.parent / "other", bright=0.9)
    shutil.copy(other / "net.onnx", bundle / "net.onnx")


def _wrong_hash(bundle: Path) -> None:
    card = (bundle / "card.toml").read_text()
    digest = hashlib.sha256((bundle / "net.onnx").read_bytes()).hexdigest()
    (bundle / "card.toml").write_text(card.replace(digest, "ab" * 32))


def _broken_card(bundle: Path) -> None:
    (bundle / "card.toml").write_text((bundle / "card.toml").read_text().replace("[thresholds]", "[thresholds"))


def _threshold_beyond(bundle: Path) -> None:
    (bundle / "card.toml").write_text((bundle / "card.toml").read_text().replace("mask = 0.5", "mask = 5"))


def _changed(bundle: Path, change: Callable[[Any], None]) -> None:
    """Another network, with a card that fits it: the hash is right, what it does is not."""
    card, before = (bundle / "card.toml").read_text(), (bundle / "net.onnx").read_bytes()
    model = onnx.load_from_string(before)
    change(model)
    after = model.SerializeToString()
    (bundle / "net.onnx").write_bytes(after)
    digests = [hashlib.sha256(each).hexdigest() for each in (before, after)]
    (bundle / "card.toml").write_text(card.replace(*digests))


def _external_data(bundle: Path) -> None:
    def change(model: Any) -> None:
        tensor = model.graph.initializer[0]
        onnx.external_data_helper.set_external_data(tensor, location="weights.bin")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.ClearField("raw_data")

    _changed(bundle, change)


def _for_another_card(bundle: Path) -> None:
    def change(model: Any) -> None:
        del model.metadata_props[:]

    _changed(bundle, change)


def _with(**values: float) -> Spoil:
    """Other weights; `steepness` 0 makes every output `0 x input`."""

    def change(model: Any) -> None:
        for tensor in model.graph.initializer:
            if tensor.name in values:
                tensor.CopyFrom(numpy_helper.from_array(np.float32(values[tensor.name]), tensor.name))

    return lambda bundle: _changed(bundle, change)


def _adding(logit: float) -> Spoil:
    """Every output is this number, whatever the image."""

    def change(model: Any) -> None:
        (last,) = [node for node in model.graph.node if "mask_logits" in node.output]
        model.graph.initializer.append(numpy_helper.from_array(np.float32(logit), "stuck"))
        model.graph.initializer.append(numpy_helper.from_array(np.float32(0), "zero"))
        last.output[0] = "meant"
        model.graph.node.append(onnx.helper.make_node("Mul", ["meant", "zero"], ["none"]))
        model.graph.node.append(onnx.helper.make_node("Add", ["none", "stuck"], ["mask_logits"]))

    return lambda bundle: _changed(bundle, change)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(_missing, "net.onnx cannot be read", id="weights missing"),
        pytest.param(_no_card, "card.toml", id="card missing"),
        pytest.param(_truncated, "the card says", id="truncated"),
        pytest.param(_flipped, "the card says", id="one bit flipped"),
        pytest.param(_another, "the card says", id="weights of another model"),
        pytest.param(_wrong_hash, "the card says", id="wrong hash"),
        pytest.param(_broken_card, "card.toml", id="card broken"),
        pytest.param(_threshold_beyond, "thresholds.mask", id="a threshold beyond its range"),
        pytest.param(_external_data, "external data", id="external data"),
        pytest.param(_for_another_card, "metadata", id="made for another card"),
        pytest.param(_with(bright=float("nan")), "no numbers", id="answers that are no numbers"),
    ],
)
def test_a_bundle_that_cannot_be_trusted_is_refused_and_its_studies_fail(folder: Path, spoil: Spoil, says: str) -> None:
    spoil(folder / "models" / "limb")
    desk = desk_on(folder)
    (refused,) = [line for line in desk.loaded if line.startswith("model refused: ")]
    assert says in refused
    analysis = answered(folder, desk)
    assert state_for(analysis.outcome) is StudyState.FAILED, analysis.explanation
    assert analysis.outcome is Outcome.FAILED_MODEL
    assert "osteon models" in " ".join(analysis.explanation)
    assert analysis.results == ()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(_with(steepness=0.0), id="weights of zero"),
        pytest.param(_adding(0.0), id="always even"),
        pytest.param(_adding(-50.0), id="never a tumour"),
        pytest.param(_adding(50.0), id="tumour everywhere"),
        pytest.param(_adding(1.0), id="all one"),
    ],
)
def test_an_output_that_is_stuck_is_a_failure_and_no_answer(folder: Path, spoil: Spoil) -> None:
    spoil(folder / "models" / "limb")
    desk = desk_on(folder)
    assert any("gives the same mask_logits for a black image and for noise" in line for line in desk.loaded)
    analysis = answered(folder, desk)
    assert analysis.outcome is Outcome.FAILED_MODEL, analysis.explanation
    assert "osteon models" in " ".join(analysis.explanation)
    assert analysis.results == ()


def test_a_spine_classifier_that_is_stuck_is_refused_and_the_other_models_go_on(folder: Path) -> None:
    known = known_hash(folder)
    spine_nets.bundle(folder / "models" / "spine", classifier=spine_nets.classifier(leaning=0.0))
    desk = desk_on(folder)
    (refused,) = [line for line in desk.loaded if line.startswith("model refused: ")]
    assert "spine 0.0.1, classifier, gives the same class for a black image and for noise" in refused
    analysis = answered(folder, desk)
    assert (analysis.outcome, analysis.weights_sha256) == (Outcome.OK_FINDINGS, known)


def _emptied(bundle: Path) -> None:
    (bundle / "net.onnx").write_bytes(b"")


def _folder_replaced(bundle: Path) -> None:
    """Another folder takes its place in one step; what is in it is sound for itself but for the card."""
    other = stack_nets.bundle(bundle.parent.parent / "other", bright=0.9)
    _wrong_hash(other)
    bundle.rename(bundle.parent.parent / "former")
    other.rename(bundle)


def _folder_gone(bundle: Path) -> None:
    shutil.rmtree(bundle)


WHILE_IT_RUNS = {
    "weights of another model": _another,
    "one bit flipped": _flipped,
    "cut short": _truncated,
    "emptied": _emptied,
    "weights deleted": _missing,
    "card deleted": _no_card,
    "card broken": _broken_card,
    "threshold changed": _threshold_beyond,
    "folder replaced": _folder_replaced,
    "folder gone": _folder_gone,
}


@pytest.mark.parametrize("spoil", WHILE_IT_RUNS.values(), ids=WHILE_IT_RUNS.keys())
def test_a_bundle_that_is_spoilt_while_it_runs_is_never_used_and_the_open_session_stays(
    folder: Path, spoil: Spoil
) -> None:
    running = desk_on(folder)
    before = answered(folder, running)
    spoil(folder / "models" / "limb")
    after = answered(folder, running)
    assert after.outcome is before.outcome is Outcome.OK_FINDINGS
    for what in ("weights_sha256", "answer", "probabilities", "model_version"):
        assert getattr(after, what) == getattr(before, what), what
    again = answered(folder, desk_on(folder))
    assert again.results == ()
    assert not again.outcome.startswith("OK_")
    if (folder / "models" / "limb").exists():
        assert again.outcome is Outcome.FAILED_MODEL


@pytest.mark.parametrize("spoil", WHILE_IT_RUNS.values(), ids=WHILE_IT_RUNS.keys())
def test_a_session_that_is_opened_later_on_the_cpu_or_anew_on_the_gpu_is_of_the_verified_bytes(
    folder: Path, spoil: Spoil, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = [1 << 30]
    gpu = PretendedGpu(onnxruntime, lambda: room[0])
    gpu.install(monkeypatch.setattr)
    now = [1000.0]
    monkeypatch.setattr(Room.__init__, "__defaults__", (lambda: now[0], HOLD_S))
    running = desk_on(folder, "auto")
    before = answered(folder, running)
    spoil(folder / "models" / "limb")
    gpu.opened.clear()
    room[0] = 0
    by_cpu = answered(folder, running)
    room[0], now[0] = 1 << 30, now[0] + HOLD_S
    anew = answered(folder, running)
    assert [provider for provider, _ in gpu.opened] == [CPU, CUDA], "both were opened after it was spoilt"
    assert [each.provider for each in (before, by_cpu, anew)] == [CUDA, CPU, CUDA]
    for after in (by_cpu, anew):
        assert (after.outcome, after.weights_sha256) == (before.outcome, before.weights_sha256)
        assert after.probabilities == before.probabilities


def test_the_other_models_go_on(folder: Path) -> None:
    known = known_hash(folder)
    shutil.copytree(folder / "models" / "limb", folder / "models" / "broken")
    _flipped(folder / "models" / "broken")
    analysis = answered(folder, desk_on(folder))
    assert (analysis.outcome, analysis.weights_sha256) == (Outcome.OK_FINDINGS, known)
