"""What one radiograph costs to infer: the bundle as the node runs it (onnxruntime), beside torch eager.

torch runs the architecture that the card names, with as many looks, and random weights: its speed does not depend on
their values.
"""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models import card, knee
from models.session import Device, SessionOptions
from node.config import BUNDLED_MODELS
from tests.bench.tables import Table, spread
from tests.e2e import radiographs

ROWS, COLUMNS = 3000, 2400
WINDOWS = 9


@dataclass(frozen=True, slots=True)
class Inference:
    """Milliseconds for one radiograph, one entry a round."""

    node: dict[str, list[float]]
    """By stage of models/knee.py."""
    torch: list[float]
    """Empty where torch is not installed."""


def measure(rounds: int) -> Inference:
    """Alternate the two, after one round that is not counted."""
    shelf = card.bundles(BUNDLED_MODELS)
    bundle = next(one for one in shelf.sound if one.card.system == knee.SYSTEM)
    threads = os.cpu_count() or 1
    system = knee.load(bundle, SessionOptions(device=Device.CPU, threads=threads))
    pixels = radiographs.any_pixels(ROWS, COLUMNS).astype(np.float32)
    eager = _eager(bundle.card, threads)
    found = Inference({}, [])
    for number in range(rounds + 1):
        timings: dict[str, float] = {}
        system.infer(pixels, timings)
        seconds = eager() if eager else None
        if number:
            for stage, value in timings.items():
                found.node.setdefault(stage, []).append(value * 1000)
            if seconds is not None:
                found.torch.append(seconds * 1000)
    return found


def _eager(asked: card.Card, threads: int) -> Callable[[], float] | None:
    """Runs the whole image and its windows through the nets of both stages; the seconds it took. None without torch."""
    with contextlib.suppress(ImportError):
        import torch

        from training.knee.nets import SegUNet
        from training.knee.recipe import RECIPES
        from training.knee.serving import Served, ServeSpec

        torch.set_num_threads(threads)
        told = asked.training
        spec = RECIPES[str(told["preset"])].net
        sides = [told[f"{role}_looks_at_px"] for role in knee.ROLES]
        others = int(told.get("networks", 1)) - 1
        nets = [
            Served(
                SegUNet(spec), ServeSpec(tuple(looks), mirrored), others=[SegUNet(spec) for _ in range(others)]
            ).eval()
            for looks, mirrored in zip(sides, told["mirrored"], strict=True)
        ]
        inputs = [torch.rand((batch, 1, *asked.preprocess.size)) for batch in (1, WINDOWS)]

        def run() -> float:
            begin = time.perf_counter()
            with torch.inference_mode():
                for net, batch in zip(nets, inputs, strict=True):
                    net(batch)
            return time.perf_counter() - begin

        return run
    return None


def inference_table(rounds: int) -> Table:
    """Stages of the node's inference, and torch."""
    found = measure(rounds)
    title = f"Inference of one radiograph of {ROWS}×{COLUMNS} on the CPU, both stages, {os.cpu_count()} threads"
    table = Table(title, ("what", "ms (min-max)"))
    for stage, values in found.node.items():
        table.add(f"node: {stage}", spread(values))
    table.add(
        "torch eager: the networks of both stages alone",
        spread(found.torch) if found.torch else "torch is not installed",
    )
    if found.torch:
        ratio = [eager / own for eager, own in zip(found.torch, found.node["inference"], strict=True)]
        table.add("onnxruntime is faster by", f"{spread(ratio)}×")
    return table
