"""A receiver that may open only 64 files, under a flood: it refuses politely, and recovers when the flood ends."""

import contextlib
import socket
import time
from collections import Counter

from tests.e2e.node_process import OSTEON
from tests.e2e.processes import HOST, Child, until
from tests.faults.checks import Check, Job, Outcome
from tests.faults.octets import MR_IMAGE
from tests.faults.scu import EXPLICIT, Association, End, Ended, request
from tests.faults.senders import Senders, missing
from tests.faults.targets import HONEST, Osteon, running

_FILES = 64
_SILENT = 200
_ASKING = 60
_ANSWER_S = 5.0
_BACK_S = 10.0


class Starved(Osteon):
    """The listener with a small limit of open files."""

    def start(self) -> None:
        words = ["sh", "-c", f'ulimit -n {_FILES}; exec "$@"', "sh", *OSTEON, "listen", "--config", self.node.config]
        self.child = Child(words, self.folder / "listen.log")
        self.node.children.append(self.child)
        self.child.wait_for_port(self.port, 60)


def run(job: Job) -> Outcome:
    """Silent sockets, then more associations than there are files; each time an honest peer asks, and asks again."""
    outcome = Outcome(count=job.count)
    with running(Starved(job.folder / "target")) as target:
        answers: Counter[str] = Counter()
        backs = []
        for _ in range(job.count):
            for flood in (_silent, _associated):
                with contextlib.ExitStack() as held:
                    flood(target.port, target.titles, held)
                    asked = _ask(target)
                    answers[asked] += 1
                    if asked not in ("served", End.REJECTED.value):
                        outcome.fail(f"an honest peer was not answered within {_ANSWER_S:.0f} s: {asked}")
                begin = time.monotonic()
                try:
                    until(lambda: target.echo_s() is not None, 60, "no C-ECHO is answered after the flood")
                except AssertionError as error:
                    outcome.fail(str(error))
                backs.append(time.monotonic() - begin)
        senders = Senders(target, (job.seed, "starved"))
        senders.start(2)
        until(lambda: len(senders.acknowledged) >= 20, 30, "nothing is taken after the flood")
        senders.end()
        lost, changed = missing(senders.acknowledged, target.held())
    if max(backs) > _BACK_S:
        outcome.fail(f"it took {max(backs):.1f} s to come back; {_BACK_S:.0f} s are allowed")
    if lost or changed:
        outcome.fail(f"{lost} lost and {changed} changed of {len(senders.acknowledged)} acknowledged")
    outcome.figures = {
        "honest peers during the flood": ", ".join(f"{count} {words}" for words, count in sorted(answers.items())),
        "back after at most": f"{max(backs):.1f} s",
        "acknowledged afterwards": str(len(senders.acknowledged)),
        "lost": str(lost),
    }
    return outcome


def _silent(port: int, _titles: tuple[str, str], held: contextlib.ExitStack) -> None:
    for _ in range(_SILENT):
        with contextlib.suppress(OSError):
            held.enter_context(socket.create_connection((HOST, port), timeout=_ANSWER_S))


def _associated(port: int, titles: tuple[str, str], held: contextlib.ExitStack) -> None:
    for _ in range(_ASKING):
        with contextlib.suppress(OSError):
            peer = held.enter_context(socket.create_connection((HOST, port), timeout=_ANSWER_S))
            peer.sendall(request(*titles, [(MR_IMAGE, EXPLICIT)]))


def _ask(target: Osteon) -> str:
    """What an honest peer gets: served, rejected, or nothing in time."""
    try:
        association = Association(target.port, HONEST, target.called, [(MR_IMAGE, EXPLICIT)], timeout_s=_ANSWER_S)
    except Ended as ended:
        return ended.end.value
    association.release()
    return "served"


CHECK = Check(
    "few-files",
    "with 64 open files a flood is refused politely, and honest peers are served within 10 s of its end",
    run,
    full_count=10,
    short_count=1,
    peers=("osteon",),
)
