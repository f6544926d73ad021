"""How images may come: two studies by turns, one over many associations in any order, again, changed, or broken off.

What is sent is noted object by object; afterwards the database must say the same of every study, and how often each was
analysed. One more object at the end tells when everything before it has its row: rows are made in the order of arrival.
"""

import contextlib
import hashlib
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.e2e.node_process import FINAL
from tests.e2e.processes import tree, until
from tests.faults.checks import Check, Job, Outcome
from tests.faults.octets import MR_IMAGE, SOP_INSTANCE, STUDY, encoded, honest
from tests.faults.scu import EXPLICIT, Answer, Association, store_message
from tests.faults.targets import Memory, Osteon, running

_STUDY, _SHORT_STUDY, _HUGE = 40, 12, 5000
_ASSOCIATIONS = 5
_MEMORY_MB = 1000.0
_ROWS_S = 60.0
_INSTANCE_NUMBER = 0x00200013


@dataclass(slots=True)
class Study:
    """A study as it is sent: its objects in order, and what became of each."""

    uid: str
    objects: list[tuple[str, bytes]]
    answers: Counter[str] = field(default_factory=Counter)
    taken: dict[str, str] = field(default_factory=dict)
    """SOP Instance UID → SHA-256 of what was acknowledged first."""

    def note(self, uid: str, data: bytes, answer: Answer) -> None:
        """Remember what was answered."""
        self.answers[str(answer)] += 1
        if answer.acknowledged:
            self.taken.setdefault(uid, hashlib.sha256(data).hexdigest())


def study(count: int, *identity: object) -> Study:
    """A study of so many slices, which no model answers."""
    uid = honest("traffic", *identity)[STUDY][1].decode()
    objects = []
    for number in range(count):
        elements = honest("traffic", *identity, number)
        elements[STUDY] = (b"UI", uid.encode())
        elements[_INSTANCE_NUMBER] = (b"IS", str(number + 1).encode())
        objects.append((elements[SOP_INSTANCE][1].decode(), encoded(elements)))
    return Study(uid, objects)


class Traffic:
    """Sends studies to one node in all these ways, and knows what the node must hold."""

    def __init__(self, target: Osteon, job: Job, number: int):
        self._target = target
        self._chance = random.Random(f"{job.seed} {number}")
        count = _SHORT_STUDY if job.short else _STUDY
        key = (job.seed, number)
        self.first, self.second, self.shuffled, self.broken_off, self.last = (
            study(count if name != "last" else 1, *key, name)
            for name in ("first", "second", "shuffled", "broken", "last")
        )
        self.studies = [self.first, self.second, self.shuffled, self.broken_off]

    def send(self) -> None:
        """Everything once."""
        by_turns = [pair for both in zip(self.first.objects, self.second.objects, strict=True) for pair in both]
        owners = [owner for _ in self.first.objects for owner in (self.first, self.second)]
        self._over_one_association(zip(owners, by_turns, strict=True))
        self._over_many_associations()
        self._give_up()

    def repeat(self) -> dict[str, str]:
        """The same bytes again, and other bytes under known UIDs; returns those that must be listed as conflicts."""
        self._over_one_association((self.first, one) for one in self.first.objects)
        changed = {}
        for uid, data in self.second.objects[:3]:
            other = data[:-2] + bytes((data[-2] ^ 1, data[-1]))
            changed[uid] = hashlib.sha256(other).hexdigest()
            self._over_one_association([(self.second, (uid, other))])
        self._over_one_association((self.last, one) for one in self.last.objects)
        return changed

    def _over_one_association(self, objects: Iterable[tuple[Study, tuple[str, bytes]]]) -> None:
        association = self._associated()
        for owner, one in objects:
            _store(association, owner, [one])
        association.release()

    def _over_many_associations(self) -> None:
        objects = self._chance.sample(self.shuffled.objects, len(self.shuffled.objects))
        shares = [objects[number::_ASSOCIATIONS] for number in range(_ASSOCIATIONS)]
        threads = [
            threading.Thread(target=self._over_one_association, args=([(self.shuffled, one) for one in share],))
            for share in shares
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _give_up(self) -> None:
        """Some objects, half of another, and the connection is gone."""
        kept = self._chance.randint(1, len(self.broken_off.objects) - 1)
        association = self._associated()
        _store(association, self.broken_off, self.broken_off.objects[:kept])
        uid, data = self.broken_off.objects[kept]
        message = store_message(MR_IMAGE.encode(), _even(uid), data)
        association.write(message[: len(message) // 2])
        association.close()

    def _associated(self) -> Association:
        return Association(self._target.port, *self._target.titles, [(MR_IMAGE, EXPLICIT)], timeout_s=30)


def _store(association: Association, owner: Study, objects: Iterable[tuple[str, bytes]]) -> None:
    for uid, data in objects:
        owner.note(uid, data, association.store(MR_IMAGE.encode(), _even(uid), data))


def run(job: Job) -> Outcome:
    """So many rounds of all ways; in full also a study of 5000 images. The short form does without models."""
    outcome = Outcome()
    models = job.folder / "no-models"
    models.mkdir()
    settings = {"work": {"models_folder": str(models)}} if job.short else None
    target = Osteon(job.folder / "target", settings=settings, part="serve")
    with running(target):
        for number in range(job.count):
            _round(target, Traffic(target, job, number), outcome, f"round {number}, seed {job.seed}")
            outcome.count += 1
        if not job.short:
            _huge(target, job, outcome)
    return outcome


def _round(target: Osteon, traffic: Traffic, outcome: Outcome, where: str) -> None:
    traffic.send()
    for one in traffic.studies:
        target.node.wait(one.uid, 120, FINAL)
    changed = traffic.repeat()
    until(lambda: target.node.number_of(traffic.last.uid), _ROWS_S, "the last object has no row")
    held, rows = target.held(), _rows(target)
    for one in traffic.studies:
        if set(one.answers) != {"0x0000"}:
            outcome.fail(f"{where}: a study was answered {dict(one.answers)}")
        found = {uid for uid, owner in rows.owners.items() if owner == one.uid}
        if found != set(one.taken):
            outcome.fail(f"{where}: a study has {len(found)} objects, {len(one.taken)} of it were acknowledged")
        if any(held.get(uid) != digest for uid, digest in one.taken.items()):
            outcome.fail(f"{where}: what came first under a UID is not what is held")
        if rows.runs[one.uid] != 1:
            outcome.fail(f"{where}: a study was analysed {rows.runs[one.uid]} times, not once")
    listed = {uid: digest for uid, digest in rows.conflicts.items() if uid in traffic.second.taken}
    if listed != changed:
        outcome.fail(f"{where}: {len(listed)} of {len(changed)} changed objects are listed as conflicts")
    for name, value in {
        "studies": len(traffic.studies),
        "objects": sum(len(one.taken) for one in traffic.studies),
        "sent again": len(traffic.first.taken),
        "conflicts listed": len(listed),
    }.items():
        outcome.figures[name] = str(int(outcome.figures.get(name, 0)) + value)


def _huge(target: Osteon, job: Job, outcome: Outcome) -> None:
    """One study of 5000 images: it is answered, and memory stays bounded."""
    assert target.child is not None
    huge = study(_HUGE, job.seed, "huge")
    with Memory(tree(target.child.pid)[0]) as memory:
        association = Association(target.port, *target.titles, [(MR_IMAGE, EXPLICIT)], timeout_s=30)
        _store(association, huge, huge.objects)
        association.release()
        target.node.wait(huge.uid, 600, FINAL)
    rows = _rows(target)
    outcome.figures["5000 images"] = f"{target.node.outcome(huge.uid)[0]}, memory +{memory.grown_mb:.0f} MB"
    if memory.grown_mb > _MEMORY_MB:
        outcome.fail(f"a study of {_HUGE} images took {memory.grown_mb:.0f} MB; {_MEMORY_MB:.0f} MB are allowed")
    if sum(owner == huge.uid for owner in rows.owners.values()) != _HUGE or rows.runs[huge.uid] != 1:
        outcome.fail(f"a study of {_HUGE} images was not received whole, or not analysed once")


@dataclass(frozen=True, slots=True)
class _Rows:
    owners: dict[str, str]
    """SOP Instance UID → Study Instance UID."""
    runs: Counter[str]
    conflicts: dict[str, str]


def _rows(target: Osteon) -> _Rows:
    """What the database says."""
    with contextlib.closing(sqlite3.connect(f"file:{target.node.data / 'osteon.sqlite'}?mode=ro", uri=True)) as conn:
        of_study = "SELECT {}, s.study_instance_uid FROM {} x JOIN studies s ON s.id = x.study_id"
        return _Rows(
            dict(conn.execute(of_study.format("x.sop_instance_uid", "instances"))),
            Counter(uid for _, uid in conn.execute(of_study.format("x.id", "runs"))),
            dict(conn.execute("SELECT sop_instance_uid, sha256 FROM conflicts WHERE kind = 'instance'")),
        )


def _even(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


CHECK = Check(
    "traffic",
    "studies by turns are never mixed, one over many associations is one job, what comes again starts none, other "
    "bytes under a UID are listed and the first are kept, and a sender that gives up leaves what it sent",
    run,
    full_count=20,
    short_count=1,
    peers=("osteon",),
)
