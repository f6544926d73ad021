"""A node whose GPU has no memory left answers every study all the same, and says that the CPU did it.

There is no GPU here: the node's process finds a pretended one (tests/faults/no_gpu), with onnxruntime's messages.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage.faultpoints import SWITCH
from tests.bench import flood
from tests.bench.loads import item_of
from tests.e2e import radiographs
from tests.e2e.node_process import Node
from tests.e2e.orthanc import Orthanc
from tests.e2e.processes import PROJECT
from tests.models import nets

SENDER = "MODALITY"
WARNING = "the GPU did not compute a batch of"


@pytest.fixture(scope="module")
def node(
    new_node: Callable[..., Node], new_orthanc: Callable[..., Orthanc], tmp_path_factory: pytest.TempPathFactory
) -> Node:
    models = tmp_path_factory.mktemp("models")
    nets.bundle(models / "knee")
    made = new_node({"work": {"provider": "auto", "models_folder": str(models), "gpu_memory_limit_mb": 3000}})
    made.peer("modality", SENDER, may_send=True)
    made.peer("archive", "ARCHIVE", new_orthanc("ARCHIVE").port, results="all")
    path = [str(PROJECT / "tests" / "faults" / "no_gpu"), str(PROJECT), os.environ.get("PYTHONPATH", "")]
    made.start(env={"PYTHONPATH": os.pathsep.join(filter(None, path)), SWITCH: str(order(made))})
    return made


def order(node: Node) -> Path:
    return node.folder / "fault-point"


def analysed(node: Node, number: int) -> dict[str, Any]:
    pixels = radiographs.phantom_pixels(rows=320, columns=256).copy()
    pixels[:2, :2] = number  # no two studies are the same
    item = item_of(radiographs.radiograph(pixels))
    sent = flood.send(node.port, [[item]], calling=SENDER, called=node.ae_title)
    assert sent.statuses == (0,)
    ended = node.ended(item.study_instance_uid, 90)
    assert ended["state"] == "delivered", ended
    return ended


def test_a_study_is_answered_while_the_gpu_has_memory_or_some_or_none(node: Node) -> None:
    whole = analysed(node, 1)
    assert whole["outcome"].startswith("OK_"), whole
    assert whole["provider"] == "CUDAExecutionProvider"
    assert WARNING not in node.log()

    order(node).write_text("gpu-room 2")
    some = analysed(node, 2)
    assert (some["outcome"], some["answer"]) == (whole["outcome"], whole["answer"])
    assert some["provider"] == "CUDAExecutionProvider"
    assert "CPU computed" not in str(some["explanation"])
    (said,) = warnings(node)
    assert "patch.onnx" in said
    assert "batch of 3" in said
    assert "work.gpu_memory_limit_mb is 3000" in said

    order(node).write_text("gpu-room 0")
    for number in (3, 4):
        none = analysed(node, number)
        assert (none["outcome"], none["answer"]) == (whole["outcome"], whole["answer"])
        assert none["provider"] == "CPUExecutionProvider"
        assert "The GPU was full or failed, so the CPU computed the answer of knee 0.0.1" in str(none["explanation"])
    said = warnings(node)
    assert len(said) == 3, "one more for each of the two networks, and none for the second study"
    assert all("goes on with the CPU for 10 min" in line for line in said[1:])
    assert "analysing process" not in node.log(), "the child did not die of it"


def warnings(node: Node) -> list[str]:
    return [line for line in node.log().splitlines() if WARNING in line]
