"""Who gives a command, and why: for the audit trail."""

import argparse
import os
import pwd
import socket
import sys
import time

from node.config import Config
from node.database import open_database
from node.errors import OsteonError
from storage.audit import By, Entry, add
from storage.engine import begin
from storage.errors import StorageError


def add_reason(parser: argparse.ArgumentParser) -> None:
    """Let the person say why."""
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for the audit trail; no patient data")


def by(arguments: argparse.Namespace) -> By:
    """The user of this machine, and behind `sudo` the one who called it; from where, when it was by SSH."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = f"user {os.getuid()}"
    behind = os.environ.get("SUDO_USER", "")
    who = f"{user} (sudo by {behind})" if behind and behind != user else user
    came_from = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    return By(who, came_from or socket.gethostname(), getattr(arguments, "reason", ""))


def noted(config: Config, entry: Entry) -> None:
    """Audit what was done without the database; where there is none yet no trail is begun."""
    if not config.database.url and not config.data_folder.is_dir():
        return
    try:
        with begin(open_database(config)) as conn:
            add(conn, entry, time.time())
    except (OsteonError, StorageError) as exc:
        print(f"osteon: this is done, but is not in the audit trail: {exc}", file=sys.stderr)
