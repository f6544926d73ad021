"""Tiny ONNX networks and a bundle of the spine system whose answers can be worked out by hand."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.card import FileEntry, Stage
from models.spine_card import (
    CLASSES,
    SYSTEM,
    SpineCalibration,
    SpineCard,
    SpineFusion,
    SpinePreprocess,
    SpineThresholds,
)
from models.stack_card import NORMALISATION, NeedSpec, StackInput
from training.card_writer import write

SIDE, BOXES = 96, 8
AXES = ("over_rows", "over_columns")
SAGITTAL = ("sagittal",)
CARD = SpineCard(
    name="spine",
    system=SYSTEM,
    version="0.0.1",
    stage=Stage.RESEARCH,
    created="2026-01-01",
    intended_use="Tests.",
    limitations="Knows nothing.",
    licence="Apache-2.0",
    input=StackInput(
        modalities=("MR",),
        body_parts=("spine",),
        needs=(
            NeedSpec("t2", ("T2",), SAGITTAL, min_slices=5, fat_suppressed=False, at_most=4, is_optional=True),
            NeedSpec("fs", ("T2", "STIR"), SAGITTAL, min_slices=5, fat_suppressed=True, is_optional=True),
            NeedSpec("t1", ("T1",), SAGITTAL, min_slices=5, may_be_contrasted=False, is_optional=True),
            NeedSpec("t1c", ("T1",), SAGITTAL, min_slices=5, must_be_contrasted=True, is_optional=True),
        ),
        one_grid=False,
    ),
    preprocess=SpinePreprocess((SIDE, SIDE), NORMALISATION, 1.0),
    files={role: FileEntry(f"{role}.onnx", "0" * 64) for role in ("detector", "classifier")},
    classes=CLASSES,
    thresholds=SpineThresholds(mask=0.4, certain=0.4),
    calibration=SpineCalibration(temperature=1.0, bias=0.0),
    fusion=SpineFusion(0.45, 0.45, 0.1, (0.2,) * 4 + (0.55,) + (0.7,) * 5),
    measured={},
    training={"kind": "phantom"},
)


def detector(says=(0.1, 0.2, 0.7), bright=0.9) -> bytes:
    """A box around all that is brighter than `bright` below the topmost rows, and `says` (background, benign,
    malignant) of it."""
    nodes = [
        helper.make_node("Mul", ["image", "below"], ["seen"]),
        helper.make_node("Greater", ["seen", "bright"], ["is_bright"]),
        helper.make_node("Cast", ["is_bright"], ["shining"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["shining", "axes"], ["any"], keepdims=0),  # (batch)
    ]
    edges = []
    corners = [("left", "top", 0), ("right", "bottom", 1)]
    for name, axis, last in (
        (name, axis, last) for *pair, last in corners for name, axis in zip(pair, AXES, strict=True)
    ):
        nodes += [
            helper.make_node("ReduceMax", ["shining", axis], [f"{name}_line"], keepdims=0),
            helper.make_node("ArgMax", [f"{name}_line"], [f"{name}_at"], axis=1, keepdims=1, select_last_index=last),
            helper.make_node("Cast", [f"{name}_at"], [f"{name}_edge"], to=TensorProto.FLOAT),
        ]
        edges.append(f"{name}_edge")
    nodes += [
        helper.make_node("Concat", edges, ["corners"], axis=1),
        helper.make_node("Add", ["corners", "one_more"], ["box"]),
        helper.make_node("Unsqueeze", ["box", "second"], ["first_box"]),
        helper.make_node("Mul", ["first_box", "places"], ["boxes"]),
        helper.make_node("Reshape", ["any", "column"], ["is_there"]),
        helper.make_node("Mul", ["is_there", "says"], ["probabilities"]),
    ]
    first = np.zeros((1, BOXES, 1), np.float32)
    first[0, 0] = 1.0
    below = np.ones((1, 1, SIDE, SIDE), np.float32)
    below[:, :, :5] = 0.0
    values = {
        "bright": np.float32(bright),
        "below": below,
        "axes": np.array([1, 2, 3], np.int64),
        "over_rows": np.array([1, 2], np.int64),
        "over_columns": np.array([1, 3], np.int64),
        "one_more": np.array([[0, 0, 1, 1]], np.float32),
        "second": np.array([1], np.int64),
        "places": first,
        "column": np.array([-1, 1, 1], np.int64),
        "says": first * np.array(says, np.float32),
    }
    outputs = {"boxes": ["batch", BOXES, 4], "probabilities": ["batch", BOXES, 3]}
    return _model(nodes, values, "detector", [1, SIDE, SIDE], outputs)


def classifier(malignant=0.7, leaning=4e-6) -> bytes:
    """Says the same of every crop but for `leaning`, without which it would be refused."""
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["grey"], keepdims=0),
        helper.make_node("Reshape", ["grey", "column"], ["rows"]),
        helper.make_node("Mul", ["rows", "lean"], ["leaned"]),
        helper.make_node("Add", ["leaned", "said"], ["class_logits"]),
    ]
    values = {
        "axes": np.array([1, 2, 3], np.int64),
        "lean": np.array([[0.0, leaning]], np.float32),
        "column": np.array([-1, 1], np.int64),
        "said": np.log(np.array([[1 - malignant, malignant]], np.float32)),
    }
    return _model(nodes, values, "classifier", [16, 112, 112], {"class_logits": ["batch", 2]})


def familiar() -> bytes:
    """As strange as it is bright on the whole."""
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["grey"], keepdims=0),
        helper.make_node("Reshape", ["grey", "column"], ["strangeness"]),
    ]
    values = {"axes": np.array([1, 2, 3], np.int64), "column": np.array([-1, 1], np.int64)}
    return _model(nodes, values, "familiar", [1, SIDE, SIDE], {"strangeness": ["batch", 1]})


def _model(nodes, values, role, shape, outputs) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name, sides in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    for key, value in CARD.contract(role).items():
        entry = made.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(made)
    return made.SerializeToString()


def bundle(folder: Path, unlike: float | None = None, **nets: bytes) -> Path:
    """Write a bundle with a fitting card; returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"detector": detector(), "classifier": classifier()} | nets
    if unlike is not None:
        files["familiar"] = familiar()
    for role, data in files.items():
        (folder / f"{role}.onnx").write_bytes(data)
    entries = {role: FileEntry(f"{role}.onnx", hashlib.sha256(data).hexdigest()) for role, data in files.items()}
    write(replace(CARD, files=entries, thresholds=replace(CARD.thresholds, unlike=unlike)), folder)
    return folder
