"""`osteon assessments`: what people say of results, and the corrections as material to train on."""

import argparse
import time
from pathlib import Path
from typing import Any

from node.cli.acting import add_reason, by
from node.cli.tables import local_time, show
from node.config import Config
from node.database import open_database
from node.errors import OsteonError
from storage import returned
from storage.audit import Action, By, Entry, add
from storage.engine import begin, reading
from storage.studies import study_of

COLUMNS = ("study", "run", "about", "says", "tracking_uid", "received")


def add_commands(commands: "argparse._SubParsersAction[Any]", shared: argparse.ArgumentParser) -> None:
    """Register the commands of this file."""
    parser = commands.add_parser(
        "assessments",
        parents=[shared],
        help="what people say of results: 'assessments', 'assessments STUDY', 'assessments export FOLDER'",
    )
    parser.add_argument("what", nargs="*", metavar="STUDY | export FOLDER", help="our number of a study, or an export")
    parser.add_argument("--limit", type=int, default=500, help="how many, newest first (default 500)")
    parser.add_argument("--json", action="store_true")
    add_reason(parser)
    parser.set_defaults(command=_assessments)


def _assessments(arguments: argparse.Namespace, config: Config) -> int:
    what: list[str] = arguments.what
    if what[:1] == ["export"] and len(what) == 2:
        return _export(Path(what[1]), config, by(arguments))
    if len(what) > 1 or (what and not what[0].isdecimal()):
        raise OsteonError(
            f"assessments {' '.join(what)}: write 'assessments', 'assessments STUDY' with the number of a study, or "
            "'assessments export FOLDER'."
        )
    number = int(what[0]) if what else None
    with reading(open_database(config)) as conn:
        if number is not None:
            study_of(conn, number)
        rows = [line(each) for each in returned.listed(conn, number, arguments.limit)]
    show(rows, COLUMNS, as_json=arguments.json, empty="Nobody has said anything of a result yet.")
    return 0


def line(assessment: returned.Assessment) -> dict[str, object]:
    """One assessment as it is shown."""
    return {
        "study": assessment.study_id,
        "run": assessment.run_number,
        "about": assessment.result_kind,
        "says": assessment.judgement.value,
        "tracking_uid": assessment.tracking_uid,
        "received": local_time(assessment.received_at),
        "unix_s": assessment.received_at,
        "sop_class_uid": assessment.sop_class_uid,
        "sop_instance_uid": assessment.sop_instance_uid,
    }


def _export(folder: Path, config: Config, person: By) -> int:
    from node.corrections import export  # reads objects, for which the listings need load nothing

    engine = open_database(config)
    with reading(engine) as conn:
        done = export(conn, config.journal_folder, folder)
    details = {"studies": done.studies, "images": done.images, "corrections": done.corrections}
    with begin(engine) as conn:
        entry = Entry(Action.EXPORTED, by=person, about=f"folder {folder.resolve()}", details=details)
        add(conn, entry, time.time())
    what = f"{done.corrections} corrected segmentation(s) of {done.studies} studies"
    print(f"{what} with {done.images} images lie in {folder}.")
    print("They are patients' data as they were received: keep the folder as you keep the PACS.")
    return 0
