"""Each network of each bundle that ships, by onnxruntime as the node runs it, beside torch eager, in one run.

torch runs the architecture that the card names with random weights: what a network costs does not depend on their
values (but for a detector, whose proposals do; its figure is of the proposals that random weights make).
"""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from models import card
from node.config import BUNDLED_MODELS
from tests.bench.mr_studies import noise
from tests.bench.tables import Table, spread

BATCHES = {"global": 1, "classifier": 1}
BATCH = 8
"""How many slices or windows go through at once."""


@dataclass(slots=True)
class Network:
    """Milliseconds of one batch, one entry a round."""

    shape: tuple[int, ...]
    runtime: list[float] = field(default_factory=list)
    torch: list[float] = field(default_factory=list)


def eager_nets(system: str, preset: str) -> Mapping[str, Any]:
    """The architectures of a bundle by role; empty without torch, or where the preset is not known.

    Of the knee none: its files look at several sizes, and inference.py sets both stages beside torch.
    """
    if system == "knee-seg-unet":
        return {}
    with contextlib.suppress(ImportError, KeyError):
        if system == "hand-deep-ht":
            from training.hand.nets import DeepLab
            from training.hand.recipe import RECIPES as HAND

            return {"net": DeepLab(HAND[preset].net).eval()}
        if system == "spine-wff":
            from training.spine.classifier import Classifier
            from training.spine.detector import Detector
            from training.spine.recipe import RECIPES as SPINE

            recipe = SPINE[preset]
            return {"detector": Detector(recipe.detector).eval(), "classifier": Classifier(recipe.classifier).eval()}
        from training.diffusion.recipe import RECIPES as DIFFUSION
        from training.limb.recipe import RECIPES as LIMB
        from training.unet import UNet

        known = LIMB if system == "limb-unet" else DIFFUSION
        return {"net": UNet(known[preset].net).eval()}
    return {}


def passes_of(training: Mapping[str, object]) -> int:
    """How often a file asks a network: for each look (mirror images) and each network that answers together."""
    return int(str(training.get("looks", 1))) * int(str(training.get("networks", 1)))


def measure(data: bytes, net: Any, batch: int, rounds: int, threads: int, passes: int = 1) -> Network:
    """Alternate the two, after one round that does not count; torch runs the network `passes` times."""
    run, shape = _runtime(data, batch, threads)
    eager = _eager(net, shape, threads, passes) if net is not None else None
    found = Network(shape)
    for number in range(rounds + 1):
        own = _milliseconds(run)
        other = _milliseconds(eager) if eager else None
        if number:
            found.runtime.append(own)
            if other is not None:
                found.torch.append(other)
    return found


def _runtime(data: bytes, batch: int, threads: int) -> tuple[Callable[[], object], tuple[int, ...]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    shape = (batch, *(int(side) for side in entry.shape[1:]))
    image = noise(shape)
    return lambda: session.run(None, {entry.name: image}), shape


def _eager(net: Any, shape: tuple[int, ...], threads: int, passes: int) -> Callable[[], object]:
    import torch

    torch.set_num_threads(threads)
    image = torch.from_numpy(noise(shape))

    def run() -> object:
        with torch.inference_mode():
            return [net(image) for _ in range(passes)]

    return run


def _milliseconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return (time.perf_counter() - begin) * 1000


def networks_table(rounds: int) -> Table:
    """Every network of every bundle that ships."""
    threads = os.cpu_count() or 1
    table = Table(
        f"One batch through each network, CPU, {threads} threads",
        ("bundle", "network", "batch", "onnxruntime, ms", "torch eager, ms", "onnxruntime is faster by"),
    )
    for bundle in card.bundles(BUNDLED_MODELS).sound:
        nets = eager_nets(bundle.card.system, str(bundle.card.training.get("preset", "")))
        for role, data in bundle.files.items():
            passes = passes_of(bundle.card.training)
            found = measure(data, nets.get(role), BATCHES.get(role, BATCH), rounds, threads, passes)
            ratio = [eager / own for eager, own in zip(found.torch, found.runtime, strict=False)]
            told = (spread(found.torch), f"{spread(ratio)}×") if ratio else ("not at hand", "-")
            name = f"{bundle.card.name} {bundle.card.version}"
            table.add(name, role, "×".join(map(str, found.shape)), spread(found.runtime), *told)
    return table
