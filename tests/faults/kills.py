"""kill -9 while images come in: everything, the listener alone, the worker alone; by chance or right after an answer.

The kernel keeps pages that were written, so these tests show the order of writing and answering, not durability: that
is what the power cut is for.
"""

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path

from tests.bench.tables import percentile
from tests.e2e.processes import listens, tree, until
from tests.faults.checks import Check, Job, Outcome
from tests.faults.senders import Senders, missing
from tests.faults.targets import KINDS, Osteon, Target, running

SENDERS = 4
RESTART_S = 5.0
_LONGEST_WAIT_S = 1.0
_BACK_S = 30.0


def run(job: Job) -> Outcome:
    """Kill all processes, half of the times by chance, half within a millisecond of an acknowledgement."""
    outcome, chance = Outcome(), random.Random(job.seed)
    acknowledged: dict[str, str] = {}
    restarts: list[float] = []
    with running(KINDS[job.against](job.folder / "target")) as target:
        for number in range(job.count):
            sent = _killed(target, (job.seed, number), chance, after_an_answer=number % 2 == 1)
            acknowledged |= sent
            outcome.count += 1
            begin = time.monotonic()
            target.start()
            try:
                until(lambda: target.echo_s() is not None, _BACK_S, "it does not come back")
            except AssertionError:
                outcome.fail(f"not back within {_BACK_S:.0f} s after kill {number} (seed {job.seed})")
                break
            restarts.append(time.monotonic() - begin)
            if number % 10 == 9:
                _compare(target, acknowledged, outcome, f"after kill {number}, seed {job.seed}")
        lost, changed = _compare(target, acknowledged, outcome, f"at the end, seed {job.seed}")
    outcome.figures |= {
        "acknowledged": str(len(acknowledged)),
        "lost": str(lost),
        "changed": str(changed),
        "restart p95": f"{percentile(restarts, 0.95):.1f} s",
    }
    if not job.short and percentile(restarts, 0.95) > RESTART_S:
        outcome.fail(f"restart p95 is {percentile(restarts, 0.95):.1f} s; {RESTART_S:.0f} s are allowed")
    return outcome


def _killed(target: Target, run: object, chance: random.Random, *, after_an_answer: bool) -> dict[str, str]:
    """Send until the kill, and return what was acknowledged before it."""
    killed = threading.Event()
    wanted = chance.randint(1, 60) if after_an_answer else 0

    def kill(count: int) -> None:
        if count == wanted and not killed.is_set():
            killed.set()
            _kill_now(target)

    senders = Senders(target, run, on_acknowledged=kill if after_an_answer else None)
    senders.start(SENDERS)
    if after_an_answer:
        killed.wait(20)
    else:
        time.sleep(chance.uniform(0.05, _LONGEST_WAIT_S))
    target.kill()
    senders.end()
    return senders.acknowledged


def _kill_now(target: Target) -> None:
    """SIGKILL to the whole group, from the thread that has just read the acknowledgement."""
    if target.child is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(target.child.pid, signal.SIGKILL)


def _compare(target: Target, acknowledged: dict[str, str], outcome: Outcome, when: str) -> tuple[int, int]:
    lost, changed = missing(acknowledged, target.held())
    if lost or changed:
        outcome.fail(f"{lost} lost and {changed} changed of {len(acknowledged)} acknowledged {when}")
    return lost, changed


def run_parts(job: Job) -> Outcome:
    """Kill the listener alone, then the worker alone, in turn: the node starts them again by itself."""
    outcome, chance = Outcome(), random.Random(job.seed)
    acknowledged: dict[str, str] = {}
    waits: list[float] = []
    target = Osteon(job.folder / "target", settings={"settle": {"mr_quiet_s": 0.2}}, part="serve")
    with running(target):
        assert target.child is not None
        for number in range(job.count):
            of_listener = number % 2 == 0
            senders = Senders(target, (job.seed, number))
            senders.start(2)
            time.sleep(chance.uniform(0.1, _LONGEST_WAIT_S))
            victim = until(lambda of=of_listener: _part(target, listener=of), _BACK_S, "a part of the node is missing")
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            begin = time.monotonic()
            until(lambda: target.echo_s() is not None, _BACK_S, "the node does not answer after its part was killed")
            waits.append(time.monotonic() - begin)
            senders.end()
            acknowledged |= senders.acknowledged
            outcome.count += 1
        lost, changed = _compare(target, acknowledged, outcome, f"at the end, seed {job.seed}")
        _all_answered(target, outcome, 60 + 2 * job.count)
    outcome.figures |= {
        "acknowledged": str(len(acknowledged)),
        "lost": str(lost),
        "changed": str(changed),
        "answers again p95": f"{percentile(waits, 0.95):.1f} s",
    }
    return outcome


def _all_answered(target: Osteon, outcome: Outcome, limit_s: float) -> None:
    """Every study must have its answer, although workers died over some."""

    def open_studies() -> int:
        states = target.node.states()
        return sum(states[state] for state in ("receiving", "ready", "analysing", "sending"))

    try:
        until(lambda: not open_studies(), limit_s, "studies are still open", every_s=0.5)
    except AssertionError:
        outcome.fail(f"{open_studies()} studies have no answer")
    outcome.figures["studies"] = ", ".join(f"{count} {state}" for state, count in sorted(target.node.states().items()))


def _part(target: Osteon, *, listener: bool) -> int | None:
    """The process id of the listener, or of the worker, among the children of the node."""
    assert target.child is not None
    if not listens(target.port):
        return None
    sockets = _listening_inodes(target.port)
    for pid in tree(target.child.pid)[1:]:
        command = Path(f"/proc/{pid}/cmdline")
        with contextlib.suppress(OSError):
            if b"spawn_main" not in command.read_bytes() or _parent(pid) != target.child.pid:
                continue
            if bool(sockets & _socket_inodes(pid)) == listener:
                return pid
    return None


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _listening_inodes(port: int) -> set[str]:
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {row[9] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}


def _socket_inodes(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(link.readlink()).removeprefix("socket:[").rstrip("]"))
    return found


KILL = Check(
    "kill-9",
    "what was acknowledged is held unchanged after kill -9, half of the kills within a millisecond of an answer; it "
    "starts again unaided",
    run,
    full_count=200,
    short_count=2,
)
PARTS = Check(
    "kill-9-of-parts",
    "the node starts a killed listener or worker again, loses nothing and answers every study",
    run_parts,
    full_count=40,
    short_count=2,
    peers=("osteon",),
)
