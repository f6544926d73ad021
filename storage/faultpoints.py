"""Numbered places at which a test has the process killed, to see what a crash right there leaves behind.

They do nothing unless the environment variable `OSTEON_FAULT_POINT` names a file when the process starts. The file then
says which point, by its name, and at which of its passings: `object-sent 2`. A process that gets there removes the file
and ends itself with SIGKILL, so that each order is carried out once. Without the file nothing happens either.
"""

import os
import signal
from enum import Enum
from pathlib import Path

SWITCH = "OSTEON_FAULT_POINT"


class FaultPoint(Enum):
    """Where a process may be killed, in the order of a result's way out."""

    RESULTS_WRITTEN = "results-written"
    """The objects of a run are on the disk, and no row names them."""
    RESULTS_RECORDED = "results-recorded"
    """Outbox and new state of the study are written, and not committed."""
    PARCEL_CLAIMED = "parcel-claimed"
    """A sender has the results in hand; the attempt is counted, the peer has not been called."""
    OBJECT_SENT = "object-sent"
    """All bytes of one object were written to the peer, and its answer was not read."""
    OBJECT_ANSWERED = "object-answered"
    """The peer has taken an object, and that is recorded nowhere."""
    ANSWER_WRITTEN = "answer-written"
    """That it was taken is written, and not committed."""
    ANSWER_RECORDED = "answer-recorded"
    """That it was taken is committed, and the next object has not been sent."""
    PROOF_HEARD = "proof-heard"
    """It is known whether the peer keeps the objects, and that is recorded nowhere."""


_orders = os.environ.get(SWITCH, "")


def reached(point: FaultPoint) -> None:
    """The process is at this point; returns, unless a test wants it dead here."""
    if _orders:
        _obey(Path(_orders), point)


def _obey(file: Path, point: FaultPoint) -> None:
    try:
        name, _, passing = file.read_text().strip().partition(" ")
    except OSError:
        return
    if name != point.value:
        return
    if int(passing or 1) > 1:
        file.write_text(f"{name} {int(passing) - 1}")
        return
    file.unlink()
    os.kill(os.getpid(), signal.SIGKILL)
