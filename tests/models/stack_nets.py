"""Tiny ONNX networks and cards for stacks of slices, whose answers can be worked out by hand."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.card import parse_card

PATH = Path("card.toml")
_HEAD = """
name = "{name}"
system = "{name}-unet"
version = "0.0.1"
stage = "research"
created = "2026-01-01"
intended_use = "Tests."
limitations = "Takes what is bright for tumour."
licence = "Apache-2.0"
classes = ["normal", "tumour"]

[files.net]
path = "net.onnx"
sha256 = "{sha256}"

[thresholds]
mask = 0.5
region_min_mm3 = 50.0
tumour = 0.5

[calibration]
temperature = 1.0
bias = 0.0

[measured]
dice = 0.5

[training]
kind = "phantom"
"""
_LIMB = """
[input]
modalities = ["MR"]
body_parts = ["limb"]
needs = [{name = "t1", weightings = ["T1"], planes = ["axial"], min_slices = 3}]
takes_derived = true

[preprocess]
size = [64, 64]
normalisation = "volume-percentiles"
spacing_mm = 1.0
neighbours = 1
"""
_DIFFUSION = """
[input]
modalities = ["MR"]
body_parts = ["limb", "pelvis"]

[[input.needs]]
name = "low"
weightings = ["DWI"]
b_values = [0.0, 50.0]
b_best = 0.0

[[input.needs]]
name = "high"
weightings = ["DWI"]
b_values = [600.0, 1000.0]
b_best = 800.0

[[input.needs]]
name = "adc"
weightings = ["ADC"]
instead_of = ["low", "high"]

[preprocess]
size = [64, 64]
normalisation = "volume-percentiles"
spacing_mm = 2.0
neighbours = 0
channels = ["low", "high", "adc"]
"""
NO_HASH = "0" * 64
LIMB = _HEAD.replace("{name}", "limb").replace("{sha256}", NO_HASH) + _LIMB
DIFFUSION = _HEAD.replace("{name}", "diffusion").replace("{sha256}", NO_HASH) + _DIFFUSION


def net(card, channel=1, bright=0.5, steepness=40.0, is_darker=False):
    """A network that takes every pixel of one channel brighter (or darker) than `bright` for tumour."""
    rows, columns = card.preprocess.size
    nodes = [
        helper.make_node("Gather", ["image", "channel"], ["one"], axis=1),
        helper.make_node("Sub", ["one", "bright"], ["above"]),
        helper.make_node("Mul", ["above", "steepness"], ["mask_logits"]),
    ]
    values = {
        "channel": np.array([channel], np.int64),
        "bright": np.float32(bright),
        "steepness": np.float32(-steepness if is_darker else steepness),
    }
    outputs = [helper.make_tensor_value_info("mask_logits", TensorProto.FLOAT, ["batch", 1, rows, columns])]
    if card.thresholds.unlike is not None:  # as strange as it is bright on the whole
        nodes.append(helper.make_node("ReduceMean", ["one", "plane"], ["strangeness"], keepdims=0))
        values["plane"] = np.array([2, 3], np.int64)
        outputs.append(helper.make_tensor_value_info("strangeness", TensorProto.FLOAT, ["batch", 1]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", card.input_channels, rows, columns])],
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    for key, value in card.contract("net").items():
        made.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def bundle(folder, text=LIMB, data=None, **options):
    """Write a bundle with a fitting card, of `data` or a network of `options`; returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    data = data or net(parse_card(text.encode(), PATH), **options)
    (folder / "net.onnx").write_bytes(data)
    (folder / "card.toml").write_text(text.replace(NO_HASH, hashlib.sha256(data).hexdigest()))
    return folder
