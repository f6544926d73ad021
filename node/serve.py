"""`osteon serve`: one listener and one worker as child processes, restarted when they die, ended together.

Wiring only; each child opens its own database engine. The parent holds no study, so that nothing is lost with it.
The listener has the machine to itself until it listens: senders must not wait while the worker loads its libraries.
"""

import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from node import fitness, logs
from node.config import Config
from node.cores import never_dump
from node.errors import ConfigurationError
from storage.errors import Damaged, InUse, SchemaMismatch

log = logging.getLogger(__name__)

STOP_LIMIT_S = 15.0
"""For the parts; the whole node has stopped within 20 s."""
_RESTART_S = (0.2, 0.5, 1.0, 2.0)
"""Before each start of a part that died: one that dies again and again is away from its senders for seconds only."""
_REFUSALS = 10
"""A part that has run and died may find its port taken for a moment: that is no fault of the configuration yet."""
_HEALTHY_S = 60.0
_PR_SET_PDEATHSIG = 1
CONFIGURATION_EXIT = 2

_HEAD_START_S = 5.0
"""So long at most does the worker wait for the listener."""

Body = Callable[[Config, threading.Event], None]
Part = Callable[[Config, threading.Event, Connection], None]
"""The body of a child; it sends a word once it listens."""


@dataclass(slots=True)
class _Child:
    """One supervised process and what is known of its health."""

    name: str
    body: Part
    process: BaseProcess | None = None
    started: float = 0.0
    failures: int = 0
    next_start: float = 0.0
    has_run: bool = False
    refusals: int = 0
    """In a row, to run with things as they are."""


def serve(config: Config) -> int:
    """Run listener and worker until SIGTERM or SIGINT; returns the exit code.

    Raises
    ------
    ConfigurationError
        The data folder cannot be written, or the port cannot be had.
    """
    fitness.ensure(config, listens=True)
    never_dump()
    stop = stop_on_signals()
    told, says = multiprocessing.get_context("spawn").Pipe(duplex=False)  # no lock that a killed child could keep
    children = [_Child("listen", _listen), _Child("work", _work)]
    log.info("Osteon starts as %s with its data in %s; SIGTERM ends it", config.node.ae_title, config.data_folder)
    code, is_alone, alone_until = 0, True, time.monotonic() + _HEAD_START_S
    while not stop.is_set():
        if is_alone and (told.poll() or time.monotonic() > alone_until):
            is_alone = False
            told.close()
        code = _watch(children[:1] if is_alone else children, config, says)
        if code:
            break
        stop.wait(0.05 if is_alone else 0.2)
    _end(children)
    log.info("Osteon has stopped")
    return code


def _listen(config: Config, stop: threading.Event, says: Connection) -> None:
    from node import listener  # loaded in the child alone: the parent stays small and starts at once

    def say() -> None:
        with contextlib.suppress(OSError):  # later starts need not tell
            says.send("listens")

    listener.run(config, stop, say)


def _work(config: Config, stop: threading.Event, _says: Connection) -> None:
    from node import worker

    worker.run(config, stop)


def run_alone(config: Config, body: Body, *, listens: bool = False) -> int:
    """Run one part in this process (`osteon listen`, `osteon work`) until SIGTERM or SIGINT; returns the exit code."""
    fitness.ensure(config, listens=listens)
    never_dump()
    stop = stop_on_signals()
    body(config, stop)
    return 0


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


def _watch(children: list[_Child], config: Config, says: Connection) -> int:
    """Start what should run and does not; returns an exit code when going on makes no sense."""
    now = time.monotonic()
    for child in children:
        if child.process is not None and not child.process.is_alive():
            code = child.process.exitcode
            child.process = None
            child.has_run |= code != CONFIGURATION_EXIT
            child.refusals = child.refusals + 1 if code == CONFIGURATION_EXIT else 0
            if child.refusals > (_REFUSALS if child.has_run else 0):
                return CONFIGURATION_EXIT  # the child has said what is wrong; starting it again would say the same
            if now - child.started > _HEALTHY_S:
                child.failures = 0
            wait = _RESTART_S[min(child.failures, len(_RESTART_S) - 1)]
            child.failures += 1
            child.next_start = now + wait
            log.error(
                "Process %s ended with %s; it is started again in %.1f s. See the lines above.", child.name, code, wait
            )
        if child.process is None and now >= child.next_start:
            _start(child, config, says)
            child.started = now
    return 0


def _start(child: _Child, config: Config, says: Connection) -> None:
    context = multiprocessing.get_context("spawn")
    child.process = context.Process(target=_child_main, args=(child.body, config, os.getpid(), says), name=child.name)
    child.process.start()


def _child_main(body: Part, config: Config, parent: int, says: Connection) -> None:
    """A supervised process: it ends politely when told, and also when its parent dies."""
    stop = stop_on_signals()
    never_dump()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        return
    logs.configure(config.node.log_level)
    try:
        body(config, stop, says)
    except (ConfigurationError, Damaged, InUse, SchemaMismatch) as exc:
        log.error("%s", exc)  # the sentence says it all; a traceback would hide it
        raise SystemExit(CONFIGURATION_EXIT) from exc


def _end(children: list[_Child]) -> None:
    """Ask all to stop, wait, and kill what has not stopped in time."""
    for child in children:
        if child.process is not None and child.process.is_alive():
            child.process.terminate()
    deadline = time.monotonic() + STOP_LIMIT_S
    for child in children:
        if child.process is None:
            continue
        child.process.join(max(0.0, deadline - time.monotonic()))
        if child.process.is_alive():
            log.error(
                "Process %s did not stop within %.0f s and is killed; it goes on at the next start",
                child.name,
                STOP_LIMIT_S,
            )
            child.process.kill()
            child.process.join(5)
