"""Has what others say of our results read, one document after the other, and records what it says."""

import logging
import threading
import time

from node.analyst import Analyst
from node.database import patiently
from node.errors import AnalystDied
from node.job import Inspected, Inspection
from storage import results, returned, runs
from storage.engine import Connection, Engine, reading

log = logging.getLogger(__name__)

_PATIENCE_S = 20.0


def assess_one(engine: Engine, analyst: Analyst, stop: threading.Event) -> bool:
    """Have the document that is due for longest read; False when none is."""
    with reading(engine) as conn:
        document = returned.next_due(conn)
        if document is None:
            return False
        inspection = _inspection(conn, document)
    try:
        found = analyst.ask(inspection, Inspected, lambda: not stop.is_set())
    except AnalystDied as exc:
        if stop.is_set():
            return False  # it stays due
        found = Inspected((), fault=f"Reading it ended the analysing process: {exc}")
    patiently(engine, lambda conn: _record(conn, document, found), _PATIENCE_S)
    if found.fault:
        log.warning("study %d: a document that came for it was not read. %s", document.study_id, found.fault)
    elif found.said:
        log.info("study %d: a document came that speaks of %d of our results", document.study_id, len(found.said))
    return True


def _inspection(conn: Connection, document: returned.Document) -> Inspection:
    made = results.of_study(conn, document.study_id)
    return Inspection(
        study_id=document.study_id,
        transfer_syntax_uid=document.transfer_syntax_uid,
        place=document.place,
        reports=runs.earlier_reports(conn, document.study_id),
        results=frozenset(file.sop_instance_uid for file in made),
    )


def _record(conn: Connection, document: returned.Document, found: Inspected) -> bool:
    if found.fault:
        return returned.unreadable(conn, document, found.fault, time.time())
    return returned.linked(conn, document, found.said, found.source_series_uid, time.time())
