"""What a network on the GPU does when the GPU has no memory for a batch: halves of it, single images, then the CPU.

Only the lack of memory is met so, and a provider that gives up altogether (EP_FAIL) with the CPU at once; any other
error goes on to the caller after one try. What turned out to fit is kept for a while, not for ever: who filled the GPU
may have left it. A network that went to the CPU gives its memory on the GPU back, and is opened there anew afterwards.

Legend: images `(batch, ...)`. Nothing here knows onnxruntime; models/session.py hands in its sessions.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.errors import GpuMemoryError, ModelsError

log = logging.getLogger(__name__)

HOLD_S = 600.0
"""How long a smaller batch, or the CPU, is kept to before the whole batch is tried again."""
ADVICE = "Look at nvidia-smi: free memory of the GPU, or raise work.gpu_memory_limit_mb where that is what is reached."
_SAID = re.compile(
    # the arena of onnxruntime (core/framework/bfc_arena.cc): the GPU is full; gpu_mem_limit is reached
    r"Failed to allocate memory for requested buffer"
    r"|Available memory of \d+ is smaller than requested bytes"
    # calls of CUDA and its libraries (core/providers/cuda/cuda_call.cc), and their names for it in several versions
    r"|CUDA (?:failure|error) 2\b|cudaErrorMemoryAllocation|out of memory"
    r"|CU(?:DNN|BLAS)_STATUS_ALLOC_FAILED|CUBLAS failure 3\b|CUFFT_ALLOC_FAILED"
    r"|CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    re.IGNORECASE,
)


def is_out_of_memory(message: str) -> bool:
    """Whether what the CUDA execution provider says is that the GPU has no memory left."""
    return _SAID.search(message) is not None


def first_line(exc: Exception) -> str:
    """What an exception of onnxruntime says, without its stack."""
    return next(iter(str(exc).splitlines()), type(exc).__name__)


@dataclass(slots=True)
class Tally:
    """What the networks that share it have done, since they were opened."""

    on_gpu: int = 0
    """Batches that the GPU computed."""
    on_cpu: int = 0
    """Batches that the CPU computed in place of the GPU."""
    refused: int = 0
    """Batches for which the GPU had no memory."""


@dataclass(frozen=True, slots=True)
class Spare:
    """How a network is opened again, from the same verified bytes."""

    on_gpu: Callable[[], Any]
    on_cpu: Callable[[], Any] | None
    """None where the configuration demands CUDA."""
    memory_mb: int
    """The configured limit; 0 for none."""


class Room:
    """How many images a call may hold: all, until one ran out of memory; then fewer for `hold_s`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, hold_s: float = HOLD_S) -> None:
        self._clock = clock
        self._hold_s = hold_s
        self._most: int | None = None
        self._until = 0.0

    def of(self, wanted: int) -> int:
        """At most `wanted`; 0 says that not even one image fits."""
        if self._most is not None and self._clock() >= self._until:
            self._most = None
        return wanted if self._most is None else min(wanted, self._most)

    def fits(self, most: int) -> None:
        """Learn that no more than `most` images are to be tried."""
        self._most = most
        self._until = self._clock() + self._hold_s


class OnGpu:
    """A session of onnxruntime on the GPU that answers whatever memory is left; the same `run` as the session's."""

    def __init__(
        self, session: Any, where: str, faults: tuple[type[Exception], ...], gives_up: type[Exception], spare: Spare,
        tally: Tally, room: Room | None = None,
    ) -> None:  # fmt: skip
        self._gpu: Any = session
        self._providers: list[str] = session.get_providers()
        self._cpu: Any = None
        self._where = where
        self._faults = faults
        self._foreseen: tuple[type[Exception], ...] = (*faults, ModelsError)
        self._gives_up = gives_up
        self._spare = spare
        self._tally = tally
        self._room = room or Room()

    def run(self, names: list[str], feed: Mapping[str, Any]) -> list[Any]:
        """One batch, in as many parts as the memory asks for.

        Raises
        ------
        GpuMemoryError
            Not even one image fits, and the configuration demands CUDA.
        """
        ((name, images),) = feed.items()
        done: list[list[Any]] = []
        first, refused, why = 0, 0, ""
        while first < len(images):
            size = self._room.of(len(images) - first)
            if size == 0:
                done.append(self._on_cpu().run(names, {name: images[first:]}))
                self._tally.on_cpu += 1
                break
            try:
                done.append(self._on_gpu().run(names, {name: images[first : first + size]}))
            except self._foreseen as exc:
                self._make_do(exc, size)
                refused, why = max(refused, size), first_line(exc)
            else:
                self._tally.on_gpu += 1
                first += size
        if refused:
            self._tell(refused, why, self._room.of(len(images)))
        return done[0] if len(done) == 1 else [np.concatenate(parts) for parts in zip(*done, strict=True)]

    def get_providers(self) -> list[str]:
        """Of the session on the GPU: what it is meant to run on."""
        return self._providers

    def _make_do(self, exc: Exception, size: int) -> None:
        """Learn from a failed call how many images to try next; an error of another kind is raised again."""
        if isinstance(exc, self._faults) and is_out_of_memory(str(exc)):
            self._tally.refused += 1
            most = size // 2
        elif self._spare.on_cpu and (self._gpu is None or isinstance(exc, self._gives_up)):
            most = 0
        else:
            raise exc
        self._room.fits(most)
        if most == 0 and self._spare.on_cpu is None:
            raise GpuMemoryError(
                f"{self._where}: the GPU has no memory for one image ({self._limit}), and work.provider demands cuda. "
                f"{ADVICE} Then osteon retry; work.provider auto would let the CPU compute it."
            ) from exc

    def _on_gpu(self) -> Any:
        if self._gpu is None:
            self._gpu = self._spare.on_gpu()
        return self._gpu

    def _on_cpu(self) -> Any:
        self._gpu = None  # its memory goes back to those who share the GPU
        if self._cpu is None and self._spare.on_cpu is not None:
            self._cpu = self._spare.on_cpu()
        return self._cpu

    def _tell(self, refused: int, why: str, most: int) -> None:
        log.warning(
            "%s: the GPU did not compute a batch of %d (%s; %s). It goes on with %s for %.0f min, then tries the whole "
            "batch again. %s",
            self._where, refused, self._limit, why, f"batches of {most}" if most else "the CPU", HOLD_S / 60, ADVICE,
        )  # fmt: skip

    @property
    def _limit(self) -> str:
        return f"work.gpu_memory_limit_mb is {self._spare.memory_mb or 'not set'}"
