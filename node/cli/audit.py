"""`osteon audit`: who did what, and whether the trail of it is whole."""

import argparse
import json
import re
import time
from datetime import datetime
from typing import Any

from node.cli.tables import local_time, show
from node.config import Config
from node.database import open_database
from node.errors import OsteonError
from storage import audit_rows
from storage.audit_chain import Anchor
from storage.engine import reading

_COLUMNS = ("number", "at", "action", "outcome", "who", "address", "study", "object", "before", "after", "details")
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0}


def add_commands(commands: "argparse._SubParsersAction[Any]", shared: argparse.ArgumentParser) -> None:
    """Register the commands of this file."""
    parser = commands.add_parser("audit", parents=[shared], help="the audit trail: 'audit', 'audit verify'")
    parser.add_argument("what", nargs="?", choices=("list", "verify"), default="list")
    parser.add_argument("--since", metavar="WHEN", help="of the list: 2026-11-29, 2026-11-29T08:00, 30m, 24h or 7d")
    parser.add_argument("--limit", type=int, default=100, help="of the list: how many, the newest (default 100)")
    parser.add_argument(
        "--expect",
        action="append",
        default=[],
        metavar="NUMBER:HASH",
        help="of verify: a row that must be there, as an earlier verify or the log printed it; may be repeated",
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(command=_audit)


def _audit(arguments: argparse.Namespace, config: Config) -> int:
    return _verify(arguments, config) if arguments.what == "verify" else _list(arguments, config)


def _list(arguments: argparse.Namespace, config: Config) -> int:
    since = since_of(arguments.since, time.time()) if arguments.since else None
    with reading(open_database(config)) as conn:
        found = audit_rows.newest(conn, arguments.limit, since)
    rows = [_whole(row) if arguments.json else _line(row) for row in found]
    show(rows, _COLUMNS, as_json=arguments.json, empty="Nothing has been audited yet.")
    return 0


def _whole(row: audit_rows.Audited) -> dict[str, object]:
    return {
        "number": row.number,
        "unix_s": row.at,
        "at": local_time(row.at),
        "action": row.action,
        "outcome": row.outcome.name.lower(),
        "who": row.who,
        "address": row.address,
        "study": row.study_id,
        "study_instance_uid": row.study_instance_uid,
        "object": row.about,
        "before": row.before,
        "after": row.after,
        "details": row.details,
        "hash": row.hash,
    }


def _line(row: audit_rows.Audited) -> dict[str, object]:
    details = {key: value for key, value in row.details.items() if key not in ("delivered", "parked", "process")}
    return _whole(row) | {"before": _brief(row.before), "after": _brief(row.after), "details": _brief(details)}


def _brief(value: object) -> str:
    if value is None or value == {}:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _verify(arguments: argparse.Namespace, config: Config) -> int:
    try:
        anchors = [Anchor.parsed(text) for text in arguments.expect]
    except ValueError as exc:
        raise OsteonError(f"--expect: {exc} is no row as verify prints it. Write NUMBER:HASH.") from exc
    with reading(open_database(config)) as conn:
        found = audit_rows.verify(conn, anchors)
    if arguments.json:
        print(json.dumps({"rows": found.count, "head": str(found.head), "whole": not found.fault,
                          "fault": found.fault}, indent=2))  # fmt: skip
    elif found.fault:
        print(f"The audit trail is not whole: {found.fault} {found.count} row(s) before that are as they were written.")
    else:
        print(f"{found.count} row(s) are whole. The trail ends with {found.head}")
        print("Keep that line elsewhere: 'osteon audit verify --expect' with it sees later whether the end was cut.")
    return 1 if found.fault else 0


def since_of(text: str, now: float) -> float:
    """The moment that a person means, unix seconds; a time without a zone is local.

    Raises
    ------
    OsteonError
    """
    if ago := re.fullmatch(r"(\d+)([mhd])", text):
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as exc:
        raise OsteonError(
            f"--since: {text!r} is no moment. Write 2026-11-29, 2026-11-29T08:00, or 30m, 24h, 7d for so long ago."
        ) from exc
