"""Honest senders under whose hands the receiver is killed: each notes what was acknowledged, and nothing else."""

import contextlib
import hashlib
import itertools
import threading
from collections.abc import Callable

from tests.faults.octets import MR_IMAGE, SOP_INSTANCE, STUDY, encoded, honest
from tests.faults.scu import EXPLICIT, Association, Ended
from tests.faults.targets import Target

_PER_ASSOCIATION = 40
_PER_STUDY = 10


class Senders:
    """Several associations that send new objects without end.

    `on_acknowledged` is called by the sender's thread in the very moment that an acknowledgement has come.
    """

    def __init__(self, target: Target, run: object, *, on_acknowledged: Callable[[int], None] | None = None):
        self._target, self._run = target, run
        self._on_acknowledged = on_acknowledged
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self.acknowledged: dict[str, str] = {}
        self.refused: list[int] = []

    def start(self, count: int) -> None:
        """Start so many associations."""
        for _ in range(count):
            self._threads.append(threading.Thread(target=self._send, daemon=True))
            self._threads[-1].start()

    def end(self) -> None:
        """Stop after the object that each is sending."""
        self._ending.set()
        for thread in self._threads:
            thread.join(30)

    def _send(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(Ended):
                association = Association(self._target.port, *self._target.titles, [(MR_IMAGE, EXPLICIT)])
                try:
                    self._send_some(association)
                finally:
                    association.close()
            self._ending.wait(0.02)

    def _send_some(self, association: Association) -> None:
        for _ in range(_PER_ASSOCIATION):
            if self._ending.is_set():
                break
            uid, data = made(self._run, next(self._numbers))
            answer = association.store(MR_IMAGE.encode(), uid.encode() + b"\0" * (len(uid) % 2), data)
            if answer.status is None:
                return
            if answer.acknowledged:
                with self._lock:
                    self.acknowledged[uid] = hashlib.sha256(data).hexdigest()
                    count = len(self.acknowledged)
                if self._on_acknowledged is not None:
                    self._on_acknowledged(count)
            else:
                self.refused.append(answer.status)
        association.release()


def made(run: object, number: int) -> tuple[str, bytes]:
    """UID and data set of object `number` of a run; ten make a study."""
    elements = honest("sent", run, number, rows=64, columns=64)
    elements[STUDY] = honest("study", run, number // _PER_STUDY)[STUDY]
    return elements[SOP_INSTANCE][1].decode(), encoded(elements)


def missing(acknowledged: dict[str, str], held: dict[str, str]) -> tuple[int, int]:
    """How many acknowledged objects are gone, and how many have other bytes."""
    lost = sum(uid not in held for uid in acknowledged)
    changed = sum(held.get(uid, digest) != digest for uid, digest in acknowledged.items())
    return lost, changed
