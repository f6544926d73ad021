"""The child process that decodes, infers and encodes, seen from its parent: start, ask, limit, end.

Whatever a hostile image does to a decoder or a model does to memory happens in the child. The parent waits with a
deadline, watches the child's memory, and replaces a child that died (promise P5). What the child does is in analyse.py.
"""

import ctypes
import importlib
import logging
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol, TypeVar

from node import logs
from node.cores import never_dump
from node.errors import AnalystDied
from node.job import Analysis, Inspected, Inspection, Job, ModelTold, Setup, Task, Withdrawal, Withdrawn

log = logging.getLogger(__name__)

_POLL_S = 0.05
_START_LIMIT_S = 120.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_ADDRESS_SLACK_MB = 4096  # thread stacks and mapped libraries that are never resident
_PR_SET_PDEATHSIG = 1

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one study may take."""

    time_s: float
    memory_mb: int


class Desk(Protocol):
    """What the child works at; node/analyse.py has the real one."""

    loaded: tuple[str, ...]
    """Sentences that say which models are ready and which were refused."""
    models: tuple[ModelTold, ...]
    """The same as values."""
    is_on_gpu: bool
    """Whether any model runs on CUDA, which maps far more address space than it uses."""

    def analyse(self, job: Job) -> Analysis:
        """One study; never raises because of what the study holds."""
        ...

    def inspect(self, inspection: Inspection) -> Inspected:
        """One document of somebody else; never raises because of what it holds."""
        ...

    def withdraw(self, withdrawal: Withdrawal) -> Withdrawn:
        """One rejection note."""
        ...


class Analyst:
    """One warm child process. Not thread-safe: one study at a time."""

    def __init__(self, setup: Setup, limits: Limits) -> None:
        self._setup = setup
        self._limits = limits
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._loaded: tuple[str, ...] = ()
        self._models: tuple[ModelTold, ...] = ()

    def analyse(self, job: Job, while_waiting: Callable[[], bool]) -> Analysis:
        """Have the child analyse one study; as `ask`."""
        return self.ask(job, Analysis, while_waiting)

    def ask(self, task: Task, answer_type: type[Answer], while_waiting: Callable[[], bool]) -> Answer:
        """Have the child do one piece of work.

        Parameters
        ----------
        task
            The work.
        answer_type
            What comes of such work.
        while_waiting
            Called about every `_POLL_S`; renews the lease, and answers False when the work has become pointless.

        Raises
        ------
        AnalystDied
            The child crashed, took too long or too much memory, or was stopped because `while_waiting` said so.
        """
        pipe = self._ready(while_waiting)
        try:
            pipe.send(task)
            answer = self._wait(pipe, self._limits.time_s, while_waiting)
        except (EOFError, OSError) as exc:
            raise AnalystDied(f"The analysing process ended unexpectedly ({self._last_words()}).") from exc
        if not isinstance(answer, answer_type):
            self.stop()
            raise AnalystDied(
                "The analysing process answered something that is not an analysis. This is a bug; report it."
            )
        return answer

    def warm_up(self, while_waiting: Callable[[], bool]) -> tuple[str, ...]:
        """Start the child and load the models; returns a sentence for each, loaded or refused.

        Raises
        ------
        AnalystDied
            It did not start, or `while_waiting` said that it is not needed any more.
        """
        self._ready(while_waiting)
        return self._loaded

    def stop(self) -> None:
        """End the child at once."""
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.kill()
            process.join(10)

    @property
    def loaded(self) -> tuple[str, ...]:
        """What the child said of its models when it started last."""
        return self._loaded

    @property
    def models(self) -> tuple[ModelTold, ...]:
        """Which models the child had loaded or refused when it started last."""
        return self._models

    @property
    def pid(self) -> int | None:
        """The child's process id, None when there is none."""
        return self._process.pid if self._process is not None else None

    def _ready(self, while_waiting: Callable[[], bool]) -> Connection:
        """The pipe to a living child, started if need be."""
        if self._process is not None and self._process.is_alive() and self._pipe is not None:
            return self._pipe
        self.stop()
        context = multiprocessing.get_context(
            "spawn"
        )  # a fork would copy the parent's database connections and threads
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_child_main, args=(theirs, self._setup, self._limits, os.getpid()), name="analyst", daemon=True
        )
        process.start()
        theirs.close()
        self._process, self._pipe = process, ours
        try:
            loaded = self._wait(ours, _START_LIMIT_S, while_waiting)
        except (EOFError, OSError) as exc:
            raise AnalystDied(
                f"The analysing process did not start ({self._last_words()}). See the lines above."
            ) from exc
        self._loaded, self._models = loaded if isinstance(loaded, tuple) else ((), ())
        return ours

    def _wait(self, pipe: Connection, limit_s: float, while_waiting: Callable[[], bool]) -> object:
        deadline = time.monotonic() + limit_s
        while not pipe.poll(_POLL_S):
            if time.monotonic() > deadline:
                self.stop()
                raise AnalystDied(f"The analysis took longer than {limit_s:g} s (work.time_limit_s) and was stopped.")
            taken = self._resident_mb()
            if taken > self._limits.memory_mb:
                self.stop()
                raise AnalystDied(
                    f"The analysis took {taken} MB, the limit is {self._limits.memory_mb} MB (work.memory_limit_mb); "
                    "it was stopped."
                )
            try:
                is_wanted = while_waiting()
            except BaseException:
                self.stop()  # its answer is still to come, and must not be taken for that of the next study
                raise
            if not is_wanted:
                self.stop()
                raise AnalystDied("The analysis was stopped because its lease was lost or the node is stopping.")
        return pipe.recv()

    def _resident_mb(self) -> int:
        try:
            fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        except OSError:
            return 0  # it has just ended; the pipe will say so
        return int(fields[1]) * _PAGE_BYTES // (1024 * 1024)

    def _last_words(self) -> str:
        process = self._process
        if process is None:
            return "it was stopped"
        process.join(5)
        code = process.exitcode
        self.stop()
        if code is None:
            return "it closed its pipe"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _child_main(pipe: Connection, setup: Setup, limits: Limits, parent: int) -> None:
    """The child: limits first, then the models, then one study after the other until the pipe closes."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return  # the parent died before the line above could bind us to it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when we end
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    never_dump()
    logs.configure(setup.log_level)
    desk: Desk = importlib.import_module(setup.desk).open_desk(setup)  # here, not above: see Setup.desk
    if not desk.is_on_gpu:
        address = (limits.memory_mb + _ADDRESS_SLACK_MB) * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (address, address))
    pipe.send((desk.loaded, desk.models))
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        pipe.send(_done(desk, task))


def _done(desk: Desk, task: Task) -> Analysis | Inspected | Withdrawn:
    if isinstance(task, Inspection):
        return desk.inspect(task)
    if isinstance(task, Withdrawal):
        return desk.withdraw(task)
    return desk.analyse(task)
