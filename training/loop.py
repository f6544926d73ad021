"""The training loop that every system shares: step, average, save, go on after a kill.

A batch is a function of (seed, step, progress), never of a generator's state, so a run that was killed and resumed
draws what it would have drawn. The budget is a number of steps, or minutes of training; in minutes a resumed run has
what was left of them. Under torchrun several processes share each batch (see crew.py).
"""

import copy
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from training.crew import Crew, has_bfloat16, join, on_cpu
from training.errors import RunFault
from training.history import Teller
from training.run import LATER

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"

B = TypeVar("B")

POWER = 0.9
"""Of the poly schedule."""


class Optimiser(StrEnum):
    """How weights move."""

    ADAMW = "adamw"
    ADAM = "adam"
    SGD = "sgd"


class Fall(StrEnum):
    """How the learning rate falls."""

    COSINE = "cosine"
    """To zero at the end of each cycle, after a linear warm-up (Loshchilov and Hutter 2017, SGDR)."""
    PLATEAU = "plateau"
    """By a factor when the observed score has not risen for some observations; stops early after more of them."""
    POLY = "poly"
    """To zero as (1 - share of the budget) to the power of 0.9, as DeepLab's own script does by default."""
    STEP = "step"
    """By a factor every `patience` observations, whatever the score."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of the loop."""

    optimiser: Optimiser
    fall: Fall
    rate: float
    weight_decay: float
    steps: int | None
    """The budget in steps; None when it is in minutes."""
    minutes: float | None
    observe_every: int
    """Steps between two observations (the paper preset: one epoch)."""
    momentum: float = 0.9
    cycle_ends: tuple[float, ...] = (1.0,)
    """The shares of the budget at which the rate has fallen to zero (cosine); behind each but the last it rises."""
    warm_up: float = 0.03
    """Share of a cycle over which the rate rises."""
    ema: float = 0.998
    """Of the averaged weights; 0 keeps the last weights."""
    clip: float = 5.0
    patience: int = 5
    """Observations without a better score before the rate falls (plateau)."""
    factor: float = 0.1
    stop_after: int = 20
    """Observations without a better score before the run ends (plateau)."""
    bfloat16: bool = False
    """Whether a CPU that has it computes products in it, as a GPU always does: half to two thirds of the time."""
    seed: int = 1
    save_every_s: float = 60.0


@dataclass(slots=True)
class Progress:
    """What a checkpoint keeps beside weights."""

    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    since_best: int = 0
    falls: int = 0

    def share(self, plan: Plan) -> float:
        """0 at the start, 1 when the budget is used."""
        by_steps = self.step / plan.steps if plan.steps is not None else 0.0
        by_time = self.seconds / (60.0 * plan.minutes) if plan.minutes is not None else 0.0
        return min(1.0, max(by_steps, by_time))


def fit(
    net: nn.Module,
    batch_of: Callable[[int, float], B],
    loss_of: Callable[[nn.Module, B], Tensor],
    plan: Plan,
    folder: Path,
    *,
    observe: Callable[[nn.Module, int, float], float] | None = None,
    stop: Callable[[int], bool] = lambda step: False,
    crew: Crew | None = None,
) -> nn.Module:
    """Train `net` until the budget is used, and return the averaged net, on the CPU.

    Parameters
    ----------
    batch_of
        The batch of (step, progress); must depend on nothing else.
    loss_of
        The scalar loss of a net on a batch.
    folder
        Where the checkpoint lies; a checkpoint of the same plan found there is continued.
    observe
        Called with the averaged net every `observe_every` steps; returns a score, higher is better.
    stop
        Ends the call early after a step, as a kill would, but with a checkpoint.
    crew
        Where this process stands among those that train; None asks torchrun.
    """
    folder.mkdir(parents=True, exist_ok=True)
    crew = crew or join()
    net.to(crew.device)
    average = copy.deepcopy(net).requires_grad_(False)
    optimiser = _optimiser(net, plan)
    _tell_precision(plan, crew)
    progress = _resume(folder / CHECKPOINT, net, average, optimiser, plan)
    teller = Teller(folder, progress.step) if crew.is_first else None
    clock, saved = time.monotonic(), time.monotonic()
    net.train()
    while not _is_over(progress, plan):
        loss = _step(net, average, optimiser, batch_of, loss_of, plan, progress, crew)
        now = time.monotonic()
        progress.seconds, clock = progress.seconds + now - clock, now
        seen: float | None = None
        if observe is not None and progress.step % plan.observe_every == 0:
            seen = observe(on_cpu(average.eval()), progress.step, progress.share(plan)) if crew.is_first else 0.0
            _judge(progress, crew.agreed((seen,))[0], plan)
            log.info("Step %d, %.0f s, last loss %.3f.", progress.step, progress.seconds, loss)
            clock = time.monotonic()
        progress.seconds = crew.agreed((progress.seconds,))[0]
        halt = stop(progress.step) or _is_over(progress, plan)
        if teller is not None:
            share = progress.share(plan)
            rate = rate_at(share, progress.falls, plan)
            teller.tell(progress.step, progress.seconds, share, rate, loss, seen, is_last=halt)
        if crew.is_first and (halt or now - saved > plan.save_every_s):
            _save(folder / CHECKPOINT, net, average, optimiser, plan, progress)
            saved = time.monotonic()
        if halt:
            break
    return average.eval().cpu()


def progress_of(folder: Path) -> Progress:
    """How far the run in a folder has come."""
    path = folder / CHECKPOINT
    if not path.is_file():
        raise RunFault(f"{path} is missing: no run has been here.")
    return Progress(**torch.load(path, weights_only=True)["progress"])


def rate_at(share: float, falls: int, plan: Plan) -> float:
    """The learning rate at this share of the budget, after so many falls of a plateau."""
    if plan.fall is Fall.PLATEAU:
        return plan.rate * plan.factor**falls
    if plan.fall is Fall.POLY:
        return plan.rate * math.pow(1.0 - share, POWER)
    if plan.fall is Fall.STEP:
        decay_steps = plan.patience * plan.observe_every
        return plan.rate * math.pow(plan.factor, int(share * (plan.steps or 0) + 1e-6) // decay_steps)
    start, end = 0.0, plan.cycle_ends[0]
    for later in plan.cycle_ends[1:]:
        if share >= end:
            start, end = end, later
    within = min(1.0, (share - start) / (end - start))
    if within < plan.warm_up:
        return plan.rate * max(within / plan.warm_up, 0.01)
    return plan.rate * 0.5 * (1.0 + math.cos(math.pi * (within - plan.warm_up) / (1.0 - plan.warm_up)))


def _tell_precision(plan: Plan, crew: Crew) -> None:
    if plan.bfloat16 and crew.device.type == "cpu" and not has_bfloat16():
        log.info("This CPU has no bfloat16: products are computed in float32, which takes up to twice as long.")


def _step(
    net: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch_of: Callable[[int, float], B],
    loss_of: Callable[[nn.Module, B], Tensor],
    plan: Plan,
    progress: Progress,
    crew: Crew,
) -> float:
    share = progress.share(plan)
    rate = rate_at(share, progress.falls, plan)
    for group in optimiser.param_groups:
        group["lr"] = rate
    torch.manual_seed(plan.seed * 1_000_003 + progress.step)
    batch = crew.share(batch_of(progress.step, share))
    with crew.precision(plan.bfloat16):
        loss = loss_of(net, batch)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    crew.averaged([value.grad for value in net.parameters() if value.grad is not None])
    if plan.clip:
        nn.utils.clip_grad_norm_(net.parameters(), plan.clip)
    optimiser.step()
    progress.step += 1
    _average(average, net, min(plan.ema, progress.step / (progress.step + 10.0)) if plan.ema else 0.0)
    return float(loss.detach())


@torch.no_grad()
def _average(average: nn.Module, net: nn.Module, decay: float) -> None:
    for mean, value in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1.0 - decay)
        else:
            mean.copy_(value)


def _judge(progress: Progress, score: float, plan: Plan) -> None:
    if score > progress.best:
        progress.best, progress.since_best = score, 0
        return
    progress.since_best += 1
    if progress.since_best % plan.patience == 0:
        progress.falls += 1


def _is_over(progress: Progress, plan: Plan) -> bool:
    exhausted = plan.fall is Fall.PLATEAU and progress.since_best >= plan.stop_after
    return exhausted or progress.share(plan) >= 1.0


def _optimiser(net: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """Adam in one pass over each parameter: on a CPU a step of it takes a sixth of the time."""
    if plan.optimiser is Optimiser.SGD:
        return torch.optim.SGD(net.parameters(), lr=plan.rate, momentum=plan.momentum, weight_decay=plan.weight_decay)
    if plan.optimiser is Optimiser.ADAM:
        return torch.optim.Adam(net.parameters(), lr=plan.rate, weight_decay=plan.weight_decay, fused=True)
    decayed = [value for value in net.parameters() if value.ndim > 1]
    others = [value for value in net.parameters() if value.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=plan.rate, fused=True)


def _save(
    path: Path, net: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, plan: Plan, progress: Progress
) -> None:
    state = {
        "net": net.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
        "progress": asdict(progress),
        "plan": {key: str(value) for key, value in asdict(plan).items()},
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _resume(path: Path, net: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, plan: Plan) -> Progress:
    if not path.exists():
        return Progress()
    state = torch.load(path, weights_only=True, map_location="cpu")
    before = {key: str(value) for key, value in LATER.items()} | state["plan"]
    if before != {key: str(value) for key, value in asdict(plan).items()}:
        raise RunFault(f"{path} is of another plan. Give another folder, or delete this one to start again.")
    net.load_state_dict(state["net"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    progress = Progress(**state["progress"])
    log.info("Went on from step %d of %s.", progress.step, path)
    return progress
