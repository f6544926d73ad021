"""`osteon studies`, `osteon retry`, `osteon held`: what was received, what came of it, and starting it again."""

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

from node.cli import assessments
from node.cli.acting import add_reason, by
from node.cli.tables import local_time, show, show_one
from node.config import Config
from node.database import open_database
from storage import events, history, outbox, returned, runs, studies
from storage.engine import Connection, begin, reading
from storage.replay import unindexed_records
from storage.states import DeliveryState, StudyState

_HOW = {"commitment": "(commitment)", "find": "(query)", "": ""}
_RESULT_COLUMNS = ("run", "kind", "peer", "state", "attempts", "next_try", "status", "accepted", "confirmed", "instead",
                   "error")  # fmt: skip
_RUN_COLUMNS = ("run", "outcome", "model", "answer", "ended", "objects", "supersedes", "superseded_by")
_CONFLICTS = {
    "instance": "the same UID came again with other bytes; the first are kept and used, these are not",
    "patient": "an object of another patient than the study's first",
}


def add_commands(commands: "argparse._SubParsersAction[Any]", shared: argparse.ArgumentParser) -> None:
    """Register the commands of this file."""
    listing = commands.add_parser("studies", parents=[shared], help="the studies, or one with its timeline")
    listing.add_argument("number", type=int, nargs="?", help="our number of a study")
    listing.add_argument("--state", choices=[state.value for state in StudyState], help="only studies in this state")
    listing.add_argument("--limit", type=int, default=50, help="how many, newest first (default 50)")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=_studies)

    retrying = commands.add_parser(
        "retry",
        parents=[shared],
        help="analyse a study again, send its parked results again, or its waiting ones at once",
    )
    retrying.add_argument("number", type=int)
    add_reason(retrying)
    retrying.set_defaults(command=_retry)

    holding = commands.add_parser(
        "held", parents=[shared], help="print 'SOPInstanceUID sha256' of every image that is kept"
    )
    holding.add_argument("--json", action="store_true")
    holding.set_defaults(command=_held)


def _studies(arguments: argparse.Namespace, config: Config) -> int:
    with reading(open_database(config)) as conn:
        if arguments.number is not None:
            return _one(conn, arguments.number, as_json=arguments.json)
        state = StudyState(arguments.state) if arguments.state else None
        rows = [
            _row(conn, study, runs.last_finished(conn, study.id))
            for study in studies.studies(conn, state=state, limit=arguments.limit)
        ]
    columns = ("id", "state", "outcome", "model", "answer", "probability", "seconds", "images", "from", "last_image")
    show(rows, columns, as_json=arguments.json, empty="No study has been received yet.")
    return 0


def _row(conn: Connection, study: studies.Study, run: runs.Run | None) -> dict[str, object]:
    """One line of the list. Probability: of the answer. Seconds: from the last image to the last accepted result."""
    done = outbox.last_accepted(conn, study.id)
    return {
        "id": study.id,
        "study_instance_uid": study.study_instance_uid,
        "state": study.state.value,
        "outcome": study.outcome.value if study.outcome else None,
        "model": f"{run.model_name} {run.model_version}".strip() if run else "",
        "answer": run.answer if run else "",
        "probability": run.probabilities.get(run.answer) if run else None,
        "seconds": done - study.last_arrival if done is not None else None,
        "images": study.image_count,
        "from": study.calling_ae,
        "last_image": local_time(study.last_arrival),
    }


def _one(conn: Connection, number: int, *, as_json: bool) -> int:
    study = studies.study_of(conn, number)
    run = runs.last_finished(conn, number)
    record = _row(conn, study, run)
    past = history.past_runs(conn, number)
    numbers = {each.id: each.number for each in past}
    sent = [_sent(row) | {"run": numbers.get(row.run_id)} for row in outbox.deliveries_of(conn, number)]
    said = [assessments.line(each) for each in returned.listed(conn, number)]
    strange = [_strange(conflict) for conflict in studies.conflicts(conn, number)]
    timeline: list[dict[str, object]] = [
        {"at": local_time(event.at), "unix_s": event.at, "kind": event.kind, "text": event.text}
        for event in events.timeline(conn, number)
    ]
    if as_json:
        more = {
            "explanation": study.explanation.splitlines(),
            "probabilities": dict(run.probabilities) if run else {},
            "timings_s": dict(run.timings) if run else {},
            "model_sha256": run.model_sha256 if run else "",
            "provider": run.provider if run else "",
            "runs": [_past(each, past) for each in past],
            "results": sent,
            "assessments": said,
            "conflicts": strange,
            "timeline": timeline,
        }
        print(json.dumps(record | more, indent=2, ensure_ascii=False))
        return 0
    show_one(record)
    print("\nWhy")
    for sentence in study.explanation.splitlines():
        print(f"  {sentence}")
    if len(past) > 1:
        print("\nRuns")
        show([_past(each, past) for each in past], _RUN_COLUMNS, as_json=False, empty="none")
    print("\nResults")
    columns = (
        "run",
        "kind",
        "peer",
        "state",
        "attempts",
        "next_try",
        "status",
        "accepted",
        "confirmed",
        "instead",
        "error",
    )
    show(sent, columns, as_json=False, empty="none")
    if said:
        print("\nAssessments")
        show(said, assessments.COLUMNS[1:], as_json=False, empty="none")
    if strange:
        print("\nConflicts")
        show(strange, ("kind", "received", "sop_instance_uid", "means"), as_json=False, empty="none")
    print("\nTimeline")
    show(timeline, ("at", "kind", "text"), as_json=False, empty="nothing yet")
    return 0


def _sent(row: outbox.Delivery) -> dict[str, object]:
    """One result on its way to one peer: the next try of what waits, what the peer said last, and what proves it.

    Next try: of sending, or, of what was accepted, of asking whether it is kept.
    """
    next_try = row.due_at if row.state is DeliveryState.PENDING else row.asks_at
    return {
        "kind": row.kind,
        "peer": row.peer,
        "state": row.state.value,
        "attempts": row.attempts,
        "next_try": local_time(next_try),
        "next_try_unix_s": next_try,
        "status": f"0x{row.status:04X}" if row.status is not None else "",
        "accepted": local_time(row.accepted_at),
        "accepted_unix_s": row.accepted_at,
        "confirmed": f"{local_time(row.confirmed_at)} {_HOW[row.confirmed_by]}" if row.confirmed_at else "",
        "confirmed_unix_s": row.confirmed_at,
        "confirmed_by": row.confirmed_by,
        "instead": _instead(row),
        "instead_of": list(row.instead_of),
        "replaced_by": list(row.stand_ins) if row.state is DeliveryState.REPLACED else [],
        "error": row.error,
    }


def _past(run: history.PastRun, runs_of_study: list[history.PastRun]) -> dict[str, object]:
    """One run, and which run its results replace or are replaced by."""
    return {
        "run": run.number,
        "outcome": run.outcome.value,
        "model": run.model,
        "answer": run.answer,
        "ended": local_time(run.ended_at),
        "unix_s": run.ended_at,
        "objects": run.result_count,
        "supersedes": run.supersedes,
        "superseded_by": next(
            (other.number for other in runs_of_study if run.number is not None and other.supersedes == run.number), None
        ),
    }


def _instead(row: outbox.Delivery) -> str:
    """Which object goes instead of which."""
    if row.state is DeliveryState.REPLACED:
        return f"replaced by {', '.join(dict.fromkeys(row.stand_ins))}"
    return f"for {', '.join(dict.fromkeys(row.instead_of))}" if row.instead_of else ""


def _strange(conflict: studies.Conflict) -> dict[str, object]:
    return {
        "kind": conflict.kind,
        "received": local_time(conflict.received_at),
        "unix_s": conflict.received_at,
        "sop_instance_uid": conflict.sop_instance_uid,
        "sha256": conflict.place.sha256,
        "means": _CONFLICTS[conflict.kind],
    }


def _retry(arguments: argparse.Namespace, config: Config) -> int:
    with begin(open_database(config)) as conn:
        state = studies.retry(conn, arguments.number, time.time(), by(arguments))
    print(f"Study {arguments.number} is {state.words} now; a running node takes it up at once.")
    return 0


def _held(arguments: argparse.Namespace, config: Config) -> int:
    with reading(open_database(config)) as conn:
        held = _all_held(conn, config)
        if arguments.json:
            print(json.dumps([{"sop_instance_uid": uid, "sha256": sha256} for uid, sha256 in held], indent=2))
        else:
            for uid, sha256 in held:
                print(uid, sha256)
    return 0


def _all_held(conn: Connection, config: Config) -> Iterator[tuple[str, str]]:
    """What has a row, by UID, then what still waits for its row; an archive of millions is not gathered in memory."""
    waiting: dict[str, str] = {}
    for uid, sha256 in unindexed_records(conn, config.journal_folder):
        waiting.setdefault(uid, sha256)  # of two objects with one UID the first is kept
    for uid, sha256 in studies.held(conn):
        waiting.pop(uid, None)
        yield uid, sha256
    yield from sorted(waiting.items())
