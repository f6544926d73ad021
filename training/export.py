"""Turns a trained network into one self-contained ONNX file, and proves that it answers as the network does.

Opset 20 by the dynamo exporter, the batch dynamic, no external data; `metadata_props` repeat the contract that the node
checks. The proof runs through `models.session`, that is, through what the node runs.

Pooling indices make a Seg-UNet discontinuous: where two pixels of a pool are equal but for rounding, float32 itself
chooses at random, and the network's own float32 answer leaves its float64 answer. On white noise that happens, on
radiographs it seldom does. So a difference up to four times (`UNSURE`) the network's own rounding on the same input is
not held against the export, nor are four times as many pixels that it decides otherwise itself; where the network is
sure of itself, the tolerance is as it stands.
"""

import contextlib
import copy
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from models.session import Contract, Device, SessionOptions, open_session
from training.errors import UnequalExport
from training.start import SHARED, SINGLE, shared_by

log = logging.getLogger(__name__)

OPSET = 20
TOLERANCE = 1e-4
"""Of the largest absolute output, or of 1 where that is smaller."""
ROUNDED = 2e-7
"""How far a value lies from its neighbour in single precision, as a share of it."""
ROUNDINGS = 6
"""So many draws show about how far an answer moves, not how far at most: `UNSURE` times as much is allowed."""
UNSURE = 4.0
LEAST_HALVED = 1024
"""A tensor of so many values is kept in half precision, where that holds all of them exactly."""
PIXELS = 1e-4
"""The share of pixels that may fall on the other side of a decision."""

Array = npt.NDArray[np.float32]


def export(net: nn.Module, side: int, outputs: Sequence[str], metadata: Mapping[str, str], channels: int = 1) -> bytes:
    """The ONNX file of a network from `image` `(b, channels, side, side)` to the named outputs, as bytes."""
    net = net.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # a gap in torch's stubs
    example = torch.zeros((2, channels, side, side))
    batch = torch.export.Dim("b", min=1, max=64)
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            net,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=list(outputs),
            dynamic_shapes={"image": {0: batch}},
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise UnequalExport(
            "The exporter gave no program. Install the versions of torch and onnxscript that are pinned."
        )
    model = program.model_proto
    forget_where_it_was_made(model.graph)
    shared = shared_by(net, model.graph)
    keep_halves(model.graph)
    for key, value in {**metadata, **({SHARED: json.dumps(shared)} if shared else {})}.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def forget_where_it_was_made(graph: onnx.GraphProto) -> None:
    """Drop the stack traces that the exporter leaves in every node: they name folders of the machine."""
    graph.doc_string = ""
    del graph.metadata_props[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info):
        part.doc_string = ""
        del part.metadata_props[:]


def keep_halves(graph: onnx.GraphProto) -> None:
    """Keep tensors in half precision where that loses nothing, cast back where they are used; a runtime does so once.

    Of a network whose weights were rounded (`training.run.halved`) that is nearly all; of another, hardly a tensor.
    """
    halves = set()
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LEAST_HALVED or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        half = values.astype(np.float16)
        if np.array_equal(half.astype(np.float32), values):
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
            halves.add(tensor.name)
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in halves:
                node.input[place] = name + SINGLE
    casts = [helper.make_node("Cast", [name], [name + SINGLE], to=onnx.TensorProto.FLOAT) for name in sorted(halves)]
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def prove(model: bytes, where: str, net: nn.Module, contract: Contract, inputs: Sequence[Array]) -> float:
    """Compare the file with the network on each batch of inputs; the largest relative difference.

    Raises
    ------
    UnequalExport
        When an output differs by more than the tolerance, or a decision in more than one pixel of ten thousand.
    """
    session = open_session(model, where, contract, SessionOptions(device=Device.CPU, threads=1))
    precise = copy.deepcopy(net).eval().double()
    worst = 0.0
    for batch in inputs:
        answers = session.run(batch)
        with torch.no_grad():
            wanted = net.eval()(torch.from_numpy(batch))._asdict()
            others = [precise(torch.from_numpy(batch).double())._asdict()]
            others += [net(image)._asdict() for image in _nearly(batch)]
        for name, answer in answers.items():
            mine, unsure = wanted[name].numpy(), [other[name].numpy() for other in others]
            worst = max(
                worst, _difference(name, answer, mine, max(float(np.abs(mine - o).max()) for o in unsure), where)
            )
            refuse_flipped(name, answer, mine, unsure, where)
    log.info("%s answers as the network does: largest relative difference %.1e.", where, worst)
    return worst


def _nearly(batch: Array) -> Iterator[Tensor]:
    """The images, rounded otherwise in the last place.

    Where two neighbours are equal but for roundings, each runtime pools another one of them, and a network that puts
    values back where they were pooled from says something else: how much else, no single computation tells.
    """
    rng = np.random.default_rng(3)
    for _ in range(ROUNDINGS):
        yield torch.from_numpy((batch * (1.0 + ROUNDED * rng.standard_normal(batch.shape))).astype(np.float32))


def _difference(name: str, answer: Array, wanted: Array, rounding: float, where: str) -> float:
    scale = max(1.0, float(np.abs(wanted).max()))
    difference = float(np.abs(answer - wanted).max()) / scale
    allowed = max(TOLERANCE, UNSURE * rounding / scale)
    if allowed > TOLERANCE:
        log.info(
            "%s: %s is unsure of itself by %.1e on this input; %g times that is allowed.",
            where,
            name,
            rounding / scale,
            UNSURE,
        )
    if difference > allowed:
        raise UnequalExport(
            f"{where}: {name} differs from the network by {difference:.1e} of its largest value, more than "
            f"{allowed:.0e}. No bundle was written. Export with the pinned versions of torch, onnx and onnxscript."
        )
    return difference


def refuse_flipped(name: str, answer: Array, wanted: Array, unsure: Sequence[Array], where: str) -> None:
    """See to it that a file decides few pixels otherwise than its network.

    Parameters
    ----------
    unsure
        What the network says of the same images in double precision, and where they are rounded otherwise: of five
        levels two are often nearly equal, and it decides some pixels otherwise itself.

    Raises
    ------
    UnequalExport
        More than one of ten thousand, and more than `UNSURE` times as many as the network itself.
    """
    mine = _decided(wanted)
    flipped = float((_decided(answer) != mine).mean())
    itself = max((float((_decided(other) != mine).mean()) for other in unsure), default=0.0)
    if flipped > max(PIXELS, UNSURE * itself):
        raise UnequalExport(
            f"{where}: {name} decides {flipped:.2%} of its pixels otherwise, the network itself {itself:.2%} where its "
            "input is rounded otherwise. No bundle was written."
        )


def _decided(logits: Array) -> npt.NDArray[np.intp]:
    return logits.argmax(axis=1) if logits.shape[1] > 1 else (logits > 0).astype(np.intp)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporter warns of its own internals, which tell a user nothing."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
