"""Sends every hostile object and judges what comes back: status, time, memory, life, and what was written where."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.processes import until
from tests.faults.cases import Case, Verdict, all_cases
from tests.faults.checks import Check, Job, Outcome
from tests.faults.files_identity import ESCAPE
from tests.faults.files_text import FORGED
from tests.faults.octets import EXPLICIT, SOP_CLASS, SOP_INSTANCE, STUDY, encoded, honest, padded
from tests.faults.scu import Answer, store_once
from tests.faults.targets import Memory, OrthancTarget, Osteon, Storescp, Target, running

VERDICTS = (
    "ok",
    "wrongly acknowledged",
    "legal but refused",
    "wrong status",
    "no answer",
    "no echo afterwards",
    "dead",
)
ANSWER_S = 10.0
MEMORY_MB = 256.0
SETTINGS = {"settle": {"xray_quiet_s": 0.1, "mr_quiet_s": 0.1, "mr_quiet_open_s": 0.5}, "listen": {"reserve_mb": 16}}


@dataclass(slots=True)
class Seen:
    """What a receiver did with the objects."""

    verdicts: Counter[str] = field(default_factory=Counter)
    acknowledged: dict[str, str] = field(default_factory=dict)
    """SOP Instance UID of the command → SHA-256 of the data set."""
    wrong: list[str] = field(default_factory=list)


def judged(case: Case, answer: Answer, *, strict: bool) -> str:
    """ "ok", or what is wrong: acknowledged, refused, no answer, wrong status (the last for Osteon alone)."""
    if answer.family == "SILENT":
        return "no answer"
    if case.verdict is Verdict.REFUSE and answer.acknowledged:
        return "wrongly acknowledged"
    if case.verdict is Verdict.STORE and not answer.acknowledged:
        return "legal but refused"
    if strict and not answer.acknowledged and answer.family not in case.refusals | {"C"}:
        return "wrong status"
    return "ok"


def send_all(target: Target, cases: Iterable[Case], outcome: Outcome, *, strict: bool) -> Seen:
    """Each object on an association of its own; after each the receiver must live."""
    seen = Seen()
    for case in cases:
        outcome.count += 1
        begin = time.monotonic()
        uids, context = (case.sop_class, case.instance), (case.abstract, case.syntax)
        answer = store_once(target.port, target.titles, context, uids, case.data, timeout_s=ANSWER_S)
        verdict = judged(case, answer, strict=strict)
        if not target.is_alive() or (answer.status is None and target.echo_s() is None):
            verdict = "dead" if not target.is_alive() else "no echo afterwards"
            if verdict == "dead":
                target.start()
        seen.verdicts[verdict] += 1
        if answer.acknowledged:
            uid = case.instance.rstrip(b"\0 ").decode("ascii", "replace")
            seen.acknowledged.setdefault(uid, hashlib.sha256(case.data()).hexdigest())
        if verdict != "ok":
            took = time.monotonic() - begin
            seen.wrong.append(f"{verdict}: {case.group}, {case.name} (answered {answer}, {took:.1f} s)")
    return seen


def run(job: Job) -> Outcome:
    """The whole set against one receiver; for Osteon what was kept is read by the worker, too."""
    outcome = Outcome()
    cases = [case for case in all_cases(job.seed) if not (job.short and case.heavy)]
    if job.count:
        cases = cases[: job.count]
    folder = job.folder / "a" / "b" / "c" / "target"
    target = _target(job, folder)
    reads = isinstance(target, Osteon) and target.part == "serve"
    with running(target):
        assert target.child is not None
        if reads:
            _warmed(target)
        with Memory(target.child.pid) as memory:
            seen = send_all(target, cases, outcome, strict=isinstance(target, Osteon))
            if reads:
                _settled(target, outcome, 300)
        outcome.failures += seen.wrong
        if target.echo_s() is None:
            outcome.fail("it answers no C-ECHO at the end")
        _aftermath(target, seen, outcome, job.folder)
    if memory.grown_mb > MEMORY_MB:
        outcome.fail(f"memory grew by {memory.grown_mb:.0f} MB; {MEMORY_MB:.0f} MB are allowed")
    outcome.figures |= {words: str(seen.verdicts[words]) for words in VERDICTS}
    outcome.figures["memory"] = f"+{memory.grown_mb:.0f} MB"
    return outcome


def _target(job: Job, folder: Path) -> Target:
    """Osteon whole, in the short form its receiving half; storescp as it reads what it is sent."""
    if job.against == "osteon":
        return Osteon(folder, settings=SETTINGS, part="listen" if job.short else "serve")
    return Storescp(folder, as_received=False) if job.against == "storescp" else OrthancTarget(folder)


def _settled(target: Osteon, outcome: Outcome, limit_s: float) -> None:
    """Wait until the worker has been through everything that was kept, and look at what it said."""

    def unfinished() -> int:
        states = target.node.states()
        return sum(states[state] for state in ("receiving", "ready", "analysing", "sending"))

    try:
        until(lambda: not unfinished(), limit_s, "studies are still open", every_s=0.5)
    except AssertionError:
        outcome.fail(f"{unfinished()} studies have no answer after {limit_s:.0f} s")
    states = target.node.states()
    outcome.figures["studies"] = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    if states["quarantined"]:
        outcome.fail(f"{states['quarantined']} studies crashed the worker twice")


def _warmed(target: Osteon) -> None:
    """Let the worker load what it loads for any study, so that its memory is counted from there on."""
    elements = honest("warm-up", target.folder.name, modality="DX")
    uids = (elements[SOP_CLASS][1], padded(b"UI", elements[SOP_INSTANCE][1]))
    context = (elements[SOP_CLASS][1].decode(), EXPLICIT)
    assert store_once(target.port, target.titles, context, uids, lambda: encoded(elements)).status == 0
    target.node.wait(elements[STUDY][1].decode(), 120)


def _aftermath(target: Target, seen: Seen, outcome: Outcome, base: Path) -> None:
    """Nothing outside the storage folder, no forged line, and what was acknowledged is held as it was sent."""
    strays = [path for path in base.rglob(f"*{ESCAPE}*") if not path.is_relative_to(target.storage)]
    strays += [path for path in (Path("/tmp") / ESCAPE, Path.cwd() / ESCAPE) if path.exists()]
    outcome.figures["files outside"] = str(len(strays))
    for path in strays:
        outcome.fail(f"a file was written outside the storage folder: {path.name}")
        path.unlink(missing_ok=True)
    forged = [line for line in target.log().splitlines() if line.startswith(FORGED)]
    outcome.figures["forged lines of log"] = str(len(forged))
    if forged and isinstance(target, Osteon):
        outcome.fail(f"{len(forged)} lines of the log were written by a sender")
    try:
        held = target.held()
    except (AssertionError, OSError, ValueError) as error:
        outcome.fail(f"what it holds cannot be listed: {error}")
        return
    lost = [uid for uid, digest in seen.acknowledged.items() if held.get(uid) != digest]
    if isinstance(target, Osteon):  # the others write files anew, with other bytes
        outcome.figures["acknowledged, not held as sent"] = f"{len(lost)} of {len(seen.acknowledged)}"
    if lost and isinstance(target, Osteon):
        outcome.fail(f"{len(lost)} acknowledged objects are not held as they were sent")


CHECK = Check(
    "hostile-files",
    "every hostile object is refused or stored as it should, nobody dies, memory stays within 256 MB, nothing is "
    "written outside the data folder",
    run,
    full_count=0,
    short_count=0,
)
