"""What each process of test_crew runs: a short training, whose losses and weights the first one writes.

python -m tests.training.crew_run OUT
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.crew import Crew, is_first, join, leave
from training.loop import Fall, Optimiser, Plan, fit
from training.run import keep

PLAN = Plan(Optimiser.SGD, Fall.COSINE, 3e-2, 0.0, steps=12, minutes=None, observe_every=4, ema=0.5, clip=0.0)

KINDS = ("plain", "norm")


def net(kind: str) -> nn.Module:
    torch.manual_seed(0)
    middle = nn.BatchNorm1d(8) if kind == "norm" else nn.Identity()
    return nn.Sequential(nn.Linear(3, 8), middle, nn.ReLU(), nn.Linear(8, 1))


def batch_of(step: int, share: float) -> Tensor:
    return torch.from_numpy(np.random.default_rng((5, step)).normal(size=(32, 3)).astype(np.float32))


def run(folder: Path, kind: str, crew: Crew) -> list[float]:
    """Train, and give the loss of every step as the mean over the processes."""
    losses: list[float] = []

    def loss_of(trained: nn.Module, batch: Tensor) -> Tensor:
        loss = (trained(batch)[:, 0] - batch.sum(dim=1)).square().mean()
        said = loss.detach().clone()
        crew.averaged([said])
        losses.append(float(said))
        return loss

    seen: list[int] = []

    def observe(average: nn.Module, step: int, share: float) -> float:
        seen.append(step)
        return float(step)

    trained = fit(net(kind), batch_of, loss_of, PLAN, folder / kind, observe=observe, crew=crew)
    keep(trained, folder / f"{kind}.pt")
    assert seen == ([4, 8, 12] if crew.is_first else [])
    return losses


if __name__ == "__main__":
    torch.set_num_threads(1)
    out, here = Path(sys.argv[1]), join("cpu")
    said = {kind: run(out, kind, here) for kind in KINDS}
    if is_first():
        (out / "losses.json").write_text(json.dumps(said), encoding="utf-8")
    leave()
