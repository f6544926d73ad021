"""`osteon backup`, `osteon restore`, `osteon rebuild`: what keeps the data of a node, or brings them back."""

import argparse
import re
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from node.cli.acting import add_reason, by, noted
from node.config import Config, config_path
from storage import backup, restore
from storage.audit import Action, Entry
from storage.engine import HEAD
from storage.occupied import alone, copying
from storage.rebuild import Rebuilt, rebuild

_PASSWORD = re.compile(r"(://[^:/@\s\"']*:)[^@\s\"']*@")
_MB = 1_000_000
LEFT_OUT = (
    "Not in it, and to be kept where you keep secrets: TLS keys and certificates, the file of listen.users, the tokens "
    "and passwords of [web.NAME]."
)


def add_commands(commands: "argparse._SubParsersAction[Any]", shared: argparse.ArgumentParser) -> None:
    """Register the commands of this file."""
    saving = commands.add_parser(
        "backup", parents=[shared], help="copy database, images and results into a new folder, while the node runs"
    )
    saving.add_argument("folder", type=Path)
    saving.add_argument("--dump", type=Path, help="PostgreSQL: the file that pg_dump has just written; it is included")
    add_reason(saving)
    saving.set_defaults(command=_backup)

    restoring = commands.add_parser(
        "restore", parents=[shared], help="put a backup into an empty data folder, once it has been checked"
    )
    restoring.add_argument("folder", type=Path)
    restoring.add_argument("--check", action="store_true", help="only read the backup and compare every SHA-256")
    add_reason(restoring)
    restoring.set_defaults(command=_restore)

    rebuilding = commands.add_parser(
        "rebuild", parents=[shared], help="make a lost or damaged SQLite database anew; the node is stopped"
    )
    add_reason(rebuilding)
    rebuilding.set_defaults(command=_rebuild)


def _backup(arguments: argparse.Namespace, config: Config) -> int:
    named = config_path(arguments.config)
    more = {"configuration.toml": without_passwords(named.read_text(encoding="utf-8")).encode()} if named else {}
    with copying(config.data_folder):
        made = backup.backup(
            config.database_url,
            config.journal_folder,
            config.results_folder,
            arguments.folder,
            program=f"osteon {version('osteon')}",
            dump=arguments.dump,
            more=more,
        )
    _noted(arguments, config, Action.BACKED_UP, {"files": len(made.files), "missing": len(made.missing)})
    print(f"{arguments.folder}: {len(made.files)} files, {made.size / _MB:.1f} MB, schema {made.schema or 'unknown'}.")
    if made.database == "absent":
        print(
            "THE DATABASE IS NOT IN IT. PostgreSQL keeps it: first run pg_dump --format=custom --file=DUMP, then "
            "osteon backup FOLDER --dump DUMP. The dump must be the older of the two."
        )
    for path in made.missing:
        print(f"missing or too short, also in the data folder: {path}")
    print(LEFT_OUT)
    return 1 if made.missing else 0


def _noted(arguments: argparse.Namespace, config: Config, action: Action, details: dict[str, object]) -> None:
    noted(config, Entry(action, by=by(arguments), about=f"folder {arguments.folder.resolve()}", details=details))


def without_passwords(text: str) -> str:
    """A configuration with the passwords of its URLs blotted out."""
    return _PASSWORD.sub(r"\1***@", text)


def _restore(arguments: argparse.Namespace, config: Config) -> int:
    if arguments.check:
        whole = restore.check(arguments.folder)
        print(f"{arguments.folder} is whole: {len(whole.files)} files, {whole.size / _MB:.1f} MB, of {whole.made_at}.")
        return 0
    with alone(config.data_folder):
        made = restore.restore(arguments.folder, config.data_folder, config.database_url)
    if made.database == "sqlite" and made.schema == HEAD:  # an older one is not upgraded by the way
        _noted(arguments, config, Action.RESTORED, {"files": len(made.files), "made_at": str(made.made_at)})
    print(f"{len(made.files)} files of {made.made_at} lie in {config.data_folder}, each with its SHA-256 as recorded.")
    if made.database != "sqlite":
        print(
            "The database is PostgreSQL's; if there is a dump: pg_restore --clean --if-exists --dbname=URL "
            f"{arguments.folder / backup.DUMP}"
        )
    print("What was received after the backup is not in it. Results that were delivered since go once more, unchanged.")
    print(f"The settings then in force: {arguments.folder / 'configuration.toml'}. {LEFT_OUT}")
    print("Run osteon check. Never start two nodes from one backup: both would send.")
    return 0


def _rebuild(arguments: argparse.Namespace, config: Config) -> int:
    with alone(config.data_folder):
        made = rebuild(config.database_url, config.journal_folder, time.time())
    found = {"objects": made.objects, "studies": made.studies, "peers": made.peers, "lost_rows_in": list(made.damaged)}
    noted(config, Entry(Action.REBUILT, by=by(arguments), about="database", details=found))
    for sentence in _told(made):
        print(sentence)
    return 0


def _told(made: Rebuilt) -> list[str]:
    """What is there again, and what is not."""
    sentences = [
        f"{made.objects} object(s) of {made.studies} studies are indexed from the segments: osteon held lists them.",
        f"{made.as_before} of the studies have their former state and answer; the others are taken up again as if they "
        "had just arrived, and their results are sent once more, with the same UIDs for the same images and model.",
    ]
    if made.peers:
        sentences.append(f"{made.peers} peer(s) were read from the old database: look at them (osteon peers list).")
    else:
        sentences.append("No peer could be read: enter them anew (osteon peers add). Until then nobody may send.")
    if made.damaged:
        tables = ", ".join(made.damaged)
        sentences.append(f"Rows are lost in: {tables}. Look at the newest studies and at the peers.")
    if made.kept:
        sentences.append(f"The old database is kept as {made.kept}; it holds patients' study UIDs: remove it in time.")
    else:
        sentences.append("There was no old database: runs, deliveries, timelines and what people said are not known.")
    sentences.append("Then run osteon check, and start the node.")
    return sentences
