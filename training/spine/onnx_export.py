"""The two ONNX files of the spine system, and the proof that they answer as the networks do.

The detector is one graph: DeformConv, RoiAlign and NonMaxSuppression are single nodes in it (training/spine/ops.py).
What it answers is a list in the order of scores, so the proof pairs each box of the network with the box of the file
that covers it, and lets boxes trade places only where their scores are equal but for rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from models.boxes import overlap
from models.session import Contract, Device, SessionOptions, open_session
from models.spine_input import CROP, SLICES
from training.errors import UnequalExport
from training.export import OPSET, forget_where_it_was_made, quiet
from training.spine.classifier import KINDS, Classifier
from training.spine.detector import CLASSES, Detector, Outputs
from training.spine.ops import translations

TOLERANCE = 1e-4
"""Of probabilities, and of the largest logit."""
TOLERANCE_PX = 1e-2
TIE = 1e-5
"""Scores that differ by less may come in either order."""

Array = npt.NDArray[np.float32]


def export_detector(net: Detector, metadata: Mapping[str, str]) -> bytes:
    """The detector from `image` `(b, channels, rows, columns)` to `boxes` and `probabilities`."""
    shape = (net.spec.backbone.channels, *net.spec.size)
    return _exported(net, shape, Outputs._fields, metadata, translations())


def export_classifier(net: Classifier, metadata: Mapping[str, str]) -> bytes:
    """The classifier from `image` `(b, 16, 112, 112)` to `class_logits`."""
    return _exported(net, (SLICES, CROP, CROP), ("class_logits",), metadata, None)


def export_familiar(net: nn.Module, shape: tuple[int, ...], metadata: Mapping[str, str]) -> bytes:
    """How strange an image is, from `image` `(b, *shape)` to `strangeness`."""
    return _exported(net, shape, ("strangeness",), metadata, None)


def detector_contract(net: Detector, metadata: Mapping[str, str]) -> Contract:
    """What a session of the detector must take and give."""
    count = net.spec.boxes
    shapes = {"boxes": (count, 4), "probabilities": (count, len(CLASSES))}
    return Contract(dict(metadata), "image", (net.spec.backbone.channels, *net.spec.size), shapes)


def classifier_contract(metadata: Mapping[str, str]) -> Contract:
    """What a session of the classifier must take and give."""
    return Contract(dict(metadata), "image", (SLICES, CROP, CROP), {"class_logits": (len(KINDS),)})


def prove_detector(
    model: bytes, where: str, net: Detector, metadata: Mapping[str, str], inputs: Sequence[Array]
) -> float:
    """Compare file and network on batches of images; the largest difference of a box in pixels.

    Raises
    ------
    UnequalExport
        A box or a probability that differs by more than the tolerance, or a box that only one of them found.
    """
    session = open_session(model, where, detector_contract(net, metadata), SessionOptions(Device.CPU, threads=1))
    worst = 0.0
    for batch in inputs:
        got = session.run(batch)
        with torch.no_grad():
            wanted = net.eval()(torch.from_numpy(batch))
        for place in range(len(batch)):
            have = got["boxes"][place], got["probabilities"][place]
            want = wanted.boxes[place].numpy(), wanted.probabilities[place].numpy()
            worst = max(worst, _difference(have, want, where))
    return worst


def prove_classifier(
    model: bytes, where: str, net: Classifier, metadata: Mapping[str, str], inputs: Sequence[Array]
) -> float:
    """Compare file and network on batches of crops; the largest difference of a logit, relative to the largest one.

    Raises
    ------
    UnequalExport
        A difference above the tolerance.
    """
    session = open_session(model, where, classifier_contract(metadata), SessionOptions(Device.CPU, threads=1))
    worst = 0.0
    for batch in inputs:
        with torch.no_grad():
            wanted = net.eval()(torch.from_numpy(batch)).class_logits.numpy()
        difference = np.abs(session.run(batch)["class_logits"] - wanted).max() / max(1.0, float(np.abs(wanted).max()))
        worst = max(worst, float(difference))
    if worst > TOLERANCE:
        raise UnequalExport(f"{where}: a logit differs from the network by {worst:.1e}. No bundle was written.")
    return worst


def _difference(have: tuple[Array, Array], want: tuple[Array, Array], where: str) -> float:
    """The largest difference of paired boxes of one image, in pixels."""
    places = [np.flatnonzero(probabilities.sum(axis=1) > 0.5) for _, probabilities in (have, want)]
    if len(places[0]) != len(places[1]):
        raise UnequalExport(f"{where} found {len(places[0])} boxes where the network found {len(places[1])}.")
    worst = 0.0
    for place in places[1]:
        scores = 1.0 - have[1][places[0], 0]
        close = places[0][np.abs(scores - (1.0 - want[1][place, 0])) <= TIE + TOLERANCE]
        if not close.size:
            raise UnequalExport(f"{where}: no box has the score of box {place} of the network. No bundle was written.")
        best = close[int(overlap(want[0][[place]], have[0][close])[0].argmax())]
        box = float(np.abs(have[0][best] - want[0][place]).max())
        probability = float(np.abs(have[1][best] - want[1][place]).max())
        if box > TOLERANCE_PX or probability > TOLERANCE:
            raise UnequalExport(
                f"{where}: a box differs from the network's by {box:.1e} pixels and {probability:.1e} in probability. "
                "No bundle was written. Export with the pinned versions of torch, onnx and onnxscript."
            )
        worst = max(worst, box)
    return worst


def _exported(
    net: nn.Module,
    shape: tuple[int, ...],
    outputs: Sequence[str],
    metadata: Mapping[str, str],
    table: Mapping[Callable[..., Any], Callable[..., Any]] | None,
) -> bytes:
    batch = torch.export.Dim("b", min=1, max=64)
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            net.eval(),
            (torch.rand((2, *shape)),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=list(outputs),
            dynamic_shapes={"image": {0: batch}},
            custom_translation_table=dict(table) if table else None,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise UnequalExport(
            "The exporter gave no program. Install the versions of torch and onnxscript that are pinned."
        )
    model = program.model_proto
    forget_where_it_was_made(model.graph)
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
