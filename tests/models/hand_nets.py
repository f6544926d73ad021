"""A tiny ONNX network and a card for the hand system, whose answers can be worked out by hand."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.card import parse_card
from tests.models.stack_nets import NO_HASH
from training.card_writer import toml_value

PATH = Path("card.toml")
TEXT = f"""
name = "hand"
system = "hand-deep-ht"
version = "0.0.1"
stage = "research"
created = "2026-01-01"
intended_use = "Tests."
limitations = "Takes what is bright for a lipoma, and what is brightest for a ganglion."
licence = "Apache-2.0"
classes = ["normal", "ganglion", "giant-cell", "lipoma", "haemangioma", "schwannoma"]

[input]
modalities = ["MR"]
body_parts = ["hand"]
one_grid = false
needs = [{{name = "t1", weightings = ["T1"], min_slices = 3}}]

[preprocess]
size = [64, 64]
normalisation = "volume-percentiles, clahe"
spacing_mm = 0.8
tile_px = 16
clip = 0.01
channels = ["clahe", "plain"]

[files.net]
path = "net.onnx"
sha256 = "{NO_HASH}"

[thresholds]
mask = 0.5
region_min_mm3 = 50.0
tumour = 0.5
kind = 0.5

[calibration]
temperature = 1.0
study_temperature = 1.0
study_bias = 0.0
kind_temperature = 1.0

[measured]
miou = 0.5

[training]
kind = "phantom"
"""


def with_needs(needs):
    """The card with other inputs."""
    lines = [line if not line.startswith("needs = ") else f"needs = {toml_value(needs)}" for line in TEXT.splitlines()]
    return "\n".join(lines)


def net(card):
    """Normal below half of the grey values, lipoma from there on, ganglion from 0.85 on; the others never."""
    rows, columns = card.preprocess.size
    nodes = [
        helper.make_node("Gather", ["image", "channel"], ["plain"], axis=1),
        helper.make_node("Mul", ["plain", "slopes"], ["steep"]),
        helper.make_node("Add", ["steep", "offsets"], ["mask_logits"]),
    ]
    values = {
        "channel": np.array([1], np.int64),
        "slopes": np.array([0, 100, 0, 40, 0, 0], np.float32).reshape(1, 6, 1, 1),
        "offsets": np.array([0, -71, -20, -20, -20, -20], np.float32).reshape(1, 6, 1, 1),
    }
    outputs = [helper.make_tensor_value_info("mask_logits", TensorProto.FLOAT, ["batch", 6, rows, columns])]
    if card.thresholds.unlike is not None:  # as strange as it is bright on the whole
        nodes.append(helper.make_node("ReduceMean", ["plain", "plane"], ["strangeness"], keepdims=0))
        values["plane"] = np.array([2, 3], np.int64)
        outputs.append(helper.make_tensor_value_info("strangeness", TensorProto.FLOAT, ["batch", 1]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 2, rows, columns])],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    for key, value in card.contract("net").items():
        made.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def bundle(folder, text=TEXT):
    """Write a bundle with a fitting card; returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    data = net(parse_card(text.encode(), PATH))
    (folder / "net.onnx").write_bytes(data)
    (folder / "card.toml").write_text(text.replace(NO_HASH, hashlib.sha256(data).hexdigest()))
    return folder
