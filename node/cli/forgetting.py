"""`osteon forget`, `osteon forgotten`: deleting a study for good, and the proofs of what was deleted."""

import argparse
import time
from typing import Any

from node.cli.acting import add_reason, by
from node.cli.tables import local_time, show
from node.config import Config
from node.database import open_database
from storage import retention
from storage.engine import reading
from storage.occupied import deleting


def add_commands(commands: "argparse._SubParsersAction[Any]", shared: argparse.ArgumentParser) -> None:
    """Register the commands of this file."""
    forgetting = commands.add_parser(
        "forget", parents=[shared], help="delete a study for good: images, results and everything known of it"
    )
    forgetting.add_argument("number", type=int, help="our number of a study")
    forgetting.add_argument("--undelivered", action="store_true", help="also when results of it were never delivered")
    add_reason(forgetting)
    forgetting.set_defaults(command=_forget)
    listing = commands.add_parser("forgotten", parents=[shared], help="what was deleted, when and why, newest first")
    listing.add_argument("--limit", type=int, default=500, help="how many (default 500)")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=_forgotten)


def _forget(arguments: argparse.Namespace, config: Config) -> int:
    engine = open_database(config)
    store = retention.Store(config.journal_folder, config.results_folder)
    with deleting(config.data_folder):
        retention.forget(
            engine, store, arguments.number, time.time(), undelivered=arguments.undelivered, by=by(arguments)
        )
    print(f"Study {arguments.number} is deleted here. Not in the PACS, and not in backups: delete those in time.")
    return 0


def _forgotten(arguments: argparse.Namespace, config: Config) -> int:
    with reading(open_database(config)) as conn:
        proofs = retention.forgotten(conn, arguments.limit)
    rows = [{"at": local_time(proof.at), "unix_s": proof.at, "text": proof.text} for proof in proofs]
    show(rows, ("at", "text"), as_json=arguments.json, empty="Nothing has been deleted.")
    return 0
