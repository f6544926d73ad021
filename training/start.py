"""Begins a training with the weights of a bundle instead of with random ones: an archive's own patients then teach a
network that has seen others.

A bundle holds its networks as ONNX files, in which a batch norm behind a convolution is mostly folded into it. What the
norm was is lost, what both do together is not: the norm is given back as one that changes nothing but the bias, then
its mean and variance are measured on views of the new training, and scale and offset are set so that it still changes
nothing. The network begins with exactly the answers of the bundle, and can be trained as any other. One that
is wider or deeper than the bundle's does so too, where it is of a kind that may grow (growth.py).
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from models.card import Card, read_bundle
from training.errors import RunFault
from training.growth import Growing, grown
from training.loop import CHECKPOINT
from training.run import BEGUN, Told, keep

log = logging.getLogger(__name__)

PREFIX = "net."
"""Of the names in files whose network was exported inside another module."""
OTHERS = "others."
"""Of the names of further networks in a file that answers with the mean of several (together.py)."""
SHARED = "shared"
"""Metadata of such a file, JSON: of tensors that several networks have alike, the name left out and the one kept."""
BEGUN_WITH, NETWORKS = "begun_with", "networks"
"""Of a card: what its weights began with, in words, and how many networks a file holds, where they are several."""
BEFORE = "; that began with "
"""Stands between weights and those before them."""
ELSEWHERE = "others_were_taught_elsewhere"
"""Of a card: such a network saw other cases."""
SINGLE = ".single"
"""What stands behind the name of a tensor that a file keeps in half precision, where it is used."""
FOLDED = "_bias"
"""What the exporter appends to a weight's name for the bias that comes of a folded norm."""
UNCOUNTED = "num_batches_tracked"
VIEWS = 16
"""Batches on which means and variances of norms are measured."""

SMALLER = "Give a bundle of this preset, as it is or as it was when it was smaller."

Arrays = Mapping[str, npt.NDArray[np.float32]]
Names = str | tuple[str, ...]
"""How names of parameters begin."""


@dataclass(frozen=True, slots=True)
class Start:
    """The bundle a training begins with."""

    card: Card
    folder: Path

    @property
    def words(self) -> str:
        """Name, version and the hashes of its files: what a run is told apart by."""
        hashes = ", ".join(f"{role} {entry.sha256[:16]}" for role, entry in sorted(self.card.files.items()))
        return f"{self.card.name} {self.card.version} ({hashes})"

    def file(self, role: str) -> Path:
        """The file of one network.

        Raises
        ------
        RunFault
            The bundle has none of that role.
        """
        if role not in self.card.files:
            raise RunFault(
                f"{self.folder} holds no network {role}: it is a bundle of {self.card.system}. Give another."
            )
        return self.folder / self.card.files[role].path


@dataclass(frozen=True, slots=True)
class Weights:
    """What an ONNX file says of the parameters it was exported from, by their names in torch."""

    arrays: Arrays
    folded: dict[str, npt.NDArray[np.float32]]
    """The bias of a convolution whose norm was folded into it, by the name of the convolution."""


def start_of(
    folder: Path | None, presets: Sequence[str], asked: Mapping[str, str], *, purpose: str = "begin this training"
) -> Start | None:
    """The bundle in a folder, checked by its hashes; None of None.

    Parameters
    ----------
    presets
        Those whose networks are the ones to be trained.
    asked
        What its card must say (as `Card.contract`), or the weights would be shown what they were not made for.
    purpose
        What it is for, as an error says it.

    Raises
    ------
    BundleError
        It is none, or damaged.
    RunFault
        It is of another system or preset, or takes other images.
    """
    if folder is None:
        return None
    card = read_bundle(folder).card
    told = card.contract("") | {"preset": str(card.training.get("preset", "none that is told"))}
    wanted = {key: (value,) for key, value in asked.items() if key != "role"} | {"preset": tuple(presets)}
    for key, values in wanted.items():
        if told.get(key) not in values:
            raise RunFault(
                f"{folder} cannot {purpose}: its {key} is {told.get(key)}, {' or '.join(values)} is needed. "
                "Give a bundle that was made so, or none."
            )
    return Start(card, folder)


def claimed(start: Start | None) -> Told:
    """What the file of a run says of its start; nothing where it began with random weights."""
    if start is None:
        return {}
    before = str(start.card.training.get(BEGUN_WITH, ""))
    networks = start.card.training.get(NETWORKS, 1)
    words = start.words if networks == 1 else f"{start.words}, the first of its {networks} networks"
    return {"start": words, "start_kind": start.card.training_kind, "start_began": before}


def facts_of(told: Told, kind: str, share: float = 0.0) -> dict[str, str | float]:
    """What the card of a run must say of its start, and of the share that it has in the weights.

    Raises
    ------
    RunFault
        It began with weights of real images, and `kind` says that phantoms alone made it.
    """
    if "start" not in told:
        return {}
    if told["start_kind"] == "real" and kind != "real":
        raise RunFault(
            f"The run began with {told['start']}, trained on real images, and {kind} is to be said of it. What began "
            "with real images is of real images: give --kind real, and begin phantoms with phantoms."
        )
    before = f"{BEFORE}{told['start_began']}" if told.get("start_began") else ""
    averaged: dict[str, str | float] = {"start_share": share} if share else {}
    return averaged | {BEGUN_WITH: f"the weights of {told['start']}, trained on {told['start_kind']} images{before}"}


def unseen(training: Mapping[str, object]) -> str:
    """What an evaluation may say of its cases, given the [training] part of the card."""
    mine = "none of them trained or calibrated on"
    unknown = ["the weights that it began with"] if BEGUN_WITH in training else []
    unknown += ["the networks that answer with it"] if training.get(ELSEWHERE) else []
    say = "cards say" if training.get(ELSEWHERE) else "card says"
    return f"{mine} here; what taught {' and '.join(unknown)}, only their {say}" if unknown else mine


def begin(
    net: nn.Module, start: Start | None, role: str, views: Iterable[Tensor], folder: Path, *, drawn: Names = "\0"
) -> None:
    """Give a network the weights of a bundle's, so that it answers as that one does; without a bundle do nothing.

    Parameters
    ----------
    net
        As its recipe draws it; changed in place, and left in evaluation mode.
    views
        Batches of the network's input, as training shows them; means and variances of folded norms come from them.
    folder
        Of the run; where a checkpoint lies in it, the weights are in that, and nothing is done here. Else they are kept
        there too, for a mean with those that come of them (`run.with_weights`).
    drawn
        Parameters whose names begin so may be missing in the file and stay as they were drawn (heads that only
        training looks at).

    Raises
    ------
    RunFault
        The file is of a network of other shape, or lacks a parameter.
    """
    if start is None or (folder / CHECKPOINT).is_file():
        return
    norms = restore(net, start.file(role), drawn=drawn)
    _measure(net, norms, views)
    folder.mkdir(parents=True, exist_ok=True)
    keep(net, folder / BEGUN)
    log.info("Began with %s.", claimed(start)["start"])


def restore(net: nn.Module, path: Path, *, drawn: Names = "\0", place: int = 0) -> tuple[str, ...]:
    """Give a network the weights in a bundle's file.

    Parameters
    ----------
    net, drawn
        As `begin`.
    place
        Of several networks in the file, which.

    Returns
    -------
    The names of the norms that were folded away there, and change nothing but a bias here.

    Raises
    ------
    RunFault
        As `begin`.
    """
    weights, state = weights_of(path, place), net.state_dict()
    given = {name: torch.from_numpy(value.copy()) for name, value in weights.arrays.items() if name in state}
    norms = {_behind(conv): bias for conv, bias in (weights.folded | _unasked(weights.arrays, state)).items()}
    for name, bias in norms.items():
        given |= _neutral(net, name, bias)
    if isinstance(net, Growing):
        given = grown(net, state, given)
    missing = [name for name in state if name not in given and not name.endswith(UNCOUNTED)]
    lost = [name for name in missing if not name.startswith(drawn)]
    if lost:
        raise RunFault(f"{path} lacks {lost[0]} and {len(lost) - 1} more of this preset. Give a bundle of it.")
    parts = {name for name, _ in net.named_children()}
    above = [name for name in weights.arrays if name.endswith(".weight") and name not in state]
    above = [name for name in above if name.partition(".")[0] in parts]
    if above:
        raise RunFault(f"{path} has {above[0]} and {len(above) - 1} more that this preset has not. {SMALLER}")
    for name, value in given.items():
        if value.shape != state[name].shape:
            sizes = f"{tuple(value.shape)} there and {tuple(state[name].shape)} in this preset"
            raise RunFault(f"{path}: {name} is {sizes}. {SMALLER}")
    net.load_state_dict({**state, **given})
    log.info("%s: %d parameters, %d drawn anew.", path, len(given), len(missing))
    return tuple(norms)


def weights_of(path: Path, place: int = 0) -> Weights:
    """The parameters in an ONNX file; where it holds several networks, of the one at this place.

    Raises
    ------
    RunFault
        It holds fewer.
    """
    prefix = f"{OTHERS}{place - 1}." if place else PREFIX
    model = onnx.load(path)
    graph = model.graph
    raw = {
        each.name: _single(each)
        for each in graph.initializer
        if (each.name.startswith(prefix) if place else not each.name.startswith(OTHERS))
    }
    if not raw:
        raise RunFault(f"{path} holds no network {place + 1}, which its card says. Export the bundle again.")
    arrays = {name.removeprefix(prefix): value for name, value in raw.items() if value.dtype == np.float32}
    folded = {}
    for name, value in raw.items():
        weight = name.removesuffix(FOLDED)
        if weight != name and weight in raw:
            folded[weight.removeprefix(prefix).removesuffix(".weight")] = value
    added = {node.input[0]: node.input[1] for node in graph.node if node.op_type == "Add"}
    for node in graph.node:
        bias, weight = added.get(node.output[0], ""), "".join(node.input[1:2]).removesuffix(SINGLE)
        if node.op_type == "MatMul" and weight in raw and bias.endswith(".bias"):
            arrays[bias.removeprefix(prefix).removesuffix("bias") + "weight"] = raw[weight].T
    return Weights(_shared(model, prefix, place) | arrays, folded)


def _single(tensor: onnx.TensorProto) -> npt.NDArray[np.float32]:
    """The values of a tensor, in single precision where it is kept in half."""
    values = numpy_helper.to_array(tensor)
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _shared(model: onnx.ModelProto, prefix: str, place: int) -> dict[str, npt.NDArray[np.float32]]:
    """The tensors of a further network that the exporter keeps once, under the name that another has for them."""
    kept = {each.name: each for each in model.graph.initializer}
    told = [each.value for each in model.metadata_props if each.key == SHARED]
    if place == 1 and not told:  # a file of two that was made before they were told: what is left out is the first's
        first = [name for name in kept if name.startswith(PREFIX)]
        return {name.removeprefix(PREFIX): _single(kept[name]) for name in first}
    shared: dict[str, str] = json.loads(told[0]) if told else {}
    mine = {name: other for name, other in shared.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): _single(kept[other]) for name, other in mine.items()}


def shared_by(net: nn.Module, graph: onnx.GraphProto) -> dict[str, str]:
    """Of the tensors of further networks, those that the exporter left out, and under which name an equal one is."""
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    kept = {name: array for name, array in arrays.items() if name.startswith((PREFIX, OTHERS))}
    state = net.state_dict()
    left_out = [name for name in state if name.startswith(OTHERS) and name not in arrays]
    pairs = [
        (name, other)
        for name in left_out
        for other, array in kept.items()
        if np.array_equal(array, state[name].numpy())
    ]
    return dict(pairs)


def _unasked(arrays: Arrays, state: Mapping[str, Tensor]) -> dict[str, npt.NDArray[np.float32]]:
    """Biases of convolutions that have none in the preset, by their names: of norms that a mean of weights folded."""
    layers = {name.removesuffix(".bias"): value for name, value in arrays.items() if name.endswith(".bias")}
    return {
        layer: value for layer, value in layers.items() if f"{layer}.bias" not in state and f"{layer}.weight" in state
    }


def _behind(conv: str) -> str:
    """The module after one in a sequence: of `encoder.0` it is `encoder.1`."""
    before, _, place = conv.rpartition(".")
    return f"{before}.{int(place) + 1}"


def _norm(net: nn.Module, name: str) -> nn.modules.batchnorm._BatchNorm:
    found = dict(net.named_modules()).get(name)
    if not isinstance(found, nn.modules.batchnorm._BatchNorm):
        raise RunFault(f"The network of this preset has no norm {name}, the bundle's has. Give one of it.")
    return found


def _neutral(net: nn.Module, name: str, bias: npt.NDArray[np.float32]) -> dict[str, Tensor]:
    """The state of a norm that adds `bias` and does nothing else."""
    offset, norm = torch.from_numpy(bias.copy()), _norm(net, name)
    one = torch.ones_like(offset)
    values = {"weight": one, "bias": offset, "running_mean": 0.0 * one, "running_var": (1.0 - norm.eps) * one}
    return {f"{name}.{key}": value for key, value in values.items()}


@torch.no_grad()
def _measure(net: nn.Module, names: tuple[str, ...], views: Iterable[Tensor]) -> None:
    """Give neutral norms the mean and variance of what comes to them, and keep what they do."""
    norms = [_norm(net, name) for name in names]
    seen: dict[int, list[Tensor]] = {place: [] for place in range(len(norms))}

    def watch(place: int) -> object:
        def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            values = inputs[0].transpose(0, 1).flatten(1).double()
            seen[place].append(torch.stack([values.mean(dim=1), values.square().mean(dim=1)]))

        return norms[place].register_forward_pre_hook(keep)

    hooks = [watch(place) for place in range(len(norms))]
    net.eval()
    for view in views:
        net(view)
    for hook in hooks:
        hook.remove()  # type: ignore[attr-defined]  # torch's handle
    for place, norm in enumerate(norms):
        mean, square = torch.stack(seen[place]).mean(dim=0)
        spread = (square - mean.square()).clamp_min(0.0)
        norm.running_mean, norm.running_var = mean.float(), spread.float()
        norm.bias.copy_(norm.bias + norm.running_mean)
        norm.weight.copy_((norm.running_var + norm.eps).sqrt())
