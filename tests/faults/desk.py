"""A desk that needs no model: it makes a SEG and an SR of every study, and is poisoned by those whose UID says so.

It stands in for node/analyse.py in the analysing child (node/job.py, Setup.desk); pipe, limits and parent are the
product's own.
"""

import os
import signal
import time
from pathlib import Path

from node.job import Analysis, Inspected, Inspection, Job, Setup, Withdrawal, Withdrawn
from storage.files import ResultStore
from storage.results import ResultFile
from storage.states import Outcome
from tests.bench.uids import uid
from tests.faults.octets import EXPLICIT, SERIES, SOP_CLASS, SOP_INSTANCE, STUDY, Elements, encoded

SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"
HEALTHY, SEGFAULTS, HANGS, EATS, RAISES, SLOW = range(1, 7)
POISONS = (SEGFAULTS, HANGS, EATS, RAISES)
_ROOT = "1.2.999"
_SEG_BYTES = 60_000
_EATEN_MB = 150
_SLOW_S = 8.0


def study_uid(kind: int, *name: int) -> str:
    """The Study Instance UID of a study that does `kind` to the process that analyses it."""
    return ".".join((_ROOT, str(kind), *map(str, name)))


class Desk:
    """See node.analyst.Desk."""

    loaded = ("a desk for tests is ready",)
    models = ()
    is_on_gpu = False

    def __init__(self, setup: Setup):
        self._store = ResultStore(Path(setup.results_folder))

    def analyse(self, job: Job) -> Analysis:
        kind = int(job.study_instance_uid.split(".")[3])
        if kind == SLOW:
            time.sleep(_SLOW_S)
        elif kind != HEALTHY:
            _harm(kind)
        made = tuple(self._made(job, order, name) for order, name in enumerate(("seg", "sr")))
        return Analysis(Outcome.OK_FINDINGS, ("Made for a test.",), fingerprint=job.study_instance_uid, results=made)

    def inspect(self, inspection: Inspection) -> Inspected:
        raise NotImplementedError

    def withdraw(self, withdrawal: Withdrawal) -> Withdrawn:
        raise NotImplementedError

    def _made(self, job: Job, order: int, name: str) -> ResultFile:
        sop_class = SEG if name == "seg" else SR
        instance, series = uid(job.study_instance_uid, job.version, name), uid(job.study_instance_uid, name)
        data = result_bytes(sop_class, instance, series, job.study_instance_uid)
        path, sha256 = self._store.put(data)
        return ResultFile(name, order, sop_class, instance, series, EXPLICIT, path, len(data), sha256)


def result_bytes(sop_class: str, instance: str, series: str, study: str) -> bytes:
    """A data set that names itself; a SEG is long enough to travel in several PDUs."""
    elements: Elements = {
        tag: (b"UI", value.encode())
        for tag, value in ((SOP_CLASS, sop_class), (SOP_INSTANCE, instance), (STUDY, study), (SERIES, series))
    }
    if sop_class == SEG:
        elements[0x7FE00010] = (b"OB", (instance.encode() * (_SEG_BYTES // len(instance)))[:_SEG_BYTES])
    return encoded(elements)


def _harm(kind: int) -> None:
    if kind == SEGFAULTS:
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == EATS:
        eaten = []
        while True:
            eaten.append(os.urandom(1) * (_EATEN_MB << 20))
            time.sleep(0.05)  # not faster than its parent looks: the machine has other users
    if kind == RAISES:
        raise RuntimeError("poison")
    time.sleep(3600)


def open_desk(setup: Setup) -> Desk:
    """See node.job.Setup.desk."""
    return Desk(setup)
