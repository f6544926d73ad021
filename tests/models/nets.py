"""Tiny ONNX networks and bundles whose answers can be worked out by hand."""

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 256
CARD = """
name = "knee"
system = "knee-seg-unet"
version = "0.0.1"
stage = "research"
created = "2026-01-01"
intended_use = "Tests."
limitations = "Knows nothing."
licence = "Apache-2.0"
classes = ["normal", "benign", "malignant"]

[input]
modalities = ["DX", "CR"]
body_parts = ["knee"]
min_side_px = 64

[preprocess]
size = [256, 256]
normalisation = "content-percentiles"

[files.global]
path = "global.onnx"
sha256 = "{global_sha256}"

[files.patch]
path = "patch.onnx"
sha256 = "{patch_sha256}"

[thresholds]
mask = 0.5
mask_alone = 0.5
region_min_px = 20
region_min_mm2 = 25.0
normal_total = 0.2
beta = 0.6666667
tumour = 0.5
certain = [0.5, 0.5]
unlike = 100.0

[calibration]
temperature = 1.0
bias = [0.0, 0.0, 0.0]

[measured]
auc = 0.5

[training]
kind = "phantom"
"""


def net(role, bright=0.8, steepness=40.0, logits=None, strangeness=1.0, side=SIDE, **metadata):
    """A network that takes every pixel brighter than `bright` for tumour.

    Its class answer is fixed when `logits` are given; else normal falls and benign rises with the number of bright
    pixels, equal at 40 of them.
    """
    nodes = [
        helper.make_node("Sub", ["image", "bright"], ["above"]),
        helper.make_node("Mul", ["above", "steepness"], ["mask_logits"]),
        helper.make_node("Sigmoid", ["mask_logits"], ["probability"]),
        helper.make_node("ReduceSum", ["probability", "axes"], ["count"], keepdims=0),
        helper.make_node("Mul", ["count", "per_pixel"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "direction"], ["turned"]),
        helper.make_node("Add", ["turned", "offset"], ["class_logits"]),
        helper.make_node("Expand", ["mask_logits", "five"], ["distance_logits"]),
        helper.make_node("Mul", ["count", "nothing"], ["silent"]),
        helper.make_node("Add", ["silent", "strange"], ["strangeness"]),
    ]
    values = {
        "bright": np.float32(bright),
        "steepness": np.float32(steepness),
        "axes": np.array([2, 3], np.int64),
        "per_pixel": np.float32(0.0 if logits is not None else 0.05),
        "direction": np.array([[-1.0, 1.0, 0.0]], np.float32),
        "offset": np.array(logits if logits is not None else [2.0, -2.0, -2.0], np.float32),
        "five": np.array([1, 5, 1, 1], np.int64),
        "nothing": np.float32(1e-7),  # so little that no test sees it: an output that depends on no image is refused
        "strange": np.float32(strangeness),
    }
    return model(nodes, values, role, side, **{"size": f"{side}x{side}"} | metadata)


OUTPUTS = ("class_logits", "mask_logits", "distance_logits", "strangeness")


def model(nodes, values, role, side=SIDE, outputs=OUTPUTS, **metadata):
    """An ONNX file with the input and outputs of the knee system."""
    shapes = {
        "class_logits": ["batch", 3],
        "mask_logits": ["batch", 1, side, side],
        "distance_logits": ["batch", 5, side, side],
        "strangeness": ["batch", 1],
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, side, side])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    stated = {
        "system": "knee-seg-unet",
        "role": role,
        "classes": "normal,benign,malignant",
        "size": "256x256",
        "normalisation": "content-percentiles",
    } | metadata
    for key, value in stated.items():
        entry = made.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(made)
    return made.SerializeToString()


def bundle(folder, whole=None, patch=None, card=CARD):
    """Write a bundle with a fitting card; returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"global": whole or net("global"), "patch": patch or net("patch")}
    for name, data in files.items():
        (folder / f"{name}.onnx").write_bytes(data)
        card = card.replace("{" + name + "_sha256}", hashlib.sha256(data).hexdigest())
    (folder / "card.toml").write_text(card)
    return folder
