"""Where a run computes: one process or several (torchrun), on the CPU or each on a GPU of its own.

`torchrun --nproc-per-node 4 -m -- training.cli fit ...` starts four processes that each draw every batch, keep their
share of it, and average their gradients; so the batches, the steps and the result are those of one process, except that
batch norm sees a share. Only the first process looks at validation data and writes. Without the `--`, torchrun takes
`--start` for an option of its own that was cut short, and refuses.
"""

import copy
import dataclasses
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")

BETWEEN_PARTINGS_S = 0.1

AMP = torch.bfloat16
"""Products are computed in it where that is faster; weights, losses and the averages stay in single precision."""


@dataclasses.dataclass(frozen=True, slots=True)
class Crew:
    """This process among those that train together."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def share(self, batch: T) -> T:
        """This process's share of a batch, on its device: every `size`-th image, from `rank` on."""
        if self.size == 1 and self.device.type == "cpu":
            return batch
        kept: T = _share(batch, self)
        return kept

    def averaged(self, gradients: list[Tensor]) -> None:
        """Replace gradients by their mean over the processes."""
        if self.size == 1:
            return
        flat = torch.cat([each.reshape(-1) for each in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for each in gradients:
            each.copy_(flat[start : start + each.numel()].reshape(each.shape))
            start += each.numel()

    def agreed(self, values: tuple[float, ...]) -> tuple[float, ...]:
        """The first process's values, in all of them."""
        if self.size == 1:
            return values
        said = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(said, 0)
        return tuple(said.tolist())

    @contextmanager
    def precision(self, on_cpu: bool) -> Iterator[None]:
        """Half precision for products: on a GPU always, on a CPU that has it where the plan says so."""
        is_half = self.device.type == "cuda" or (on_cpu and has_bfloat16())
        with torch.autocast(self.device.type, dtype=AMP, enabled=is_half):
            yield


def has_bfloat16() -> bool:
    """Whether this CPU multiplies in bfloat16 itself; one that does not takes up to nine times as long for it."""
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def join(device: str | None = None) -> Crew:
    """This process's place in the crew that torchrun started, or alone.

    Parameters
    ----------
    device
        "cpu" or "cuda"; None takes a GPU where there is one.
    """
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    size = int(os.environ.get("WORLD_SIZE", "1"))
    here = int(os.environ.get("LOCAL_RANK", "0"))
    chosen = torch.device(kind, here) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(chosen)
    if size > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    return Crew(dist.get_rank() if size > 1 else 0, size, chosen)


def is_first() -> bool:
    """Whether this process is the one that writes, before or after it joined."""
    return os.environ.get("RANK", "0") == "0"


def leave() -> None:
    """Wait for the others, and part, one after another.

    A gloo process that closes its sockets while it reads of a neighbour's end may abort (pytorch/gloo issue 514: the
    thread that reads asks for the name of a socket that is gone). Apart in time, two of them seldom close at once.
    """
    if dist.is_initialized():
        dist.barrier()
        if dist.get_backend() == "gloo":
            time.sleep(BETWEEN_PARTINGS_S * dist.get_rank())
        dist.destroy_process_group()


def on_cpu(net: nn.Module) -> nn.Module:
    """The network where validation looks at it: itself, or a copy of one that lies on a GPU."""
    parameter = next(net.parameters(), None)
    return net if parameter is None or parameter.device.type == "cpu" else copy.deepcopy(net).cpu()


def _share(value: Any, crew: Crew) -> Any:
    if isinstance(value, Tensor):
        return value[crew.rank :: crew.size].to(crew.device)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: _share(getattr(value, field.name), crew) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **parts)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_share(part, crew) for part in value))
    if isinstance(value, list | tuple):
        return type(value)(
            each.to(crew.device) if isinstance(each, Tensor) else each for each in value[crew.rank :: crew.size]
        )
    return value
