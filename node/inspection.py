"""In the analysing child: a document that somebody else made is read, and what it says of our results is told.

It may be made to do harm, so nothing else opens it: the child has limits of time and memory, and what kills it costs
one document its reading.
"""

import logging
import warnings
from pathlib import Path

from models.encoded import READING_FAULTS
from node.headers import read_header
from node.job import Inspected, Inspection, Setup
from node.report.earlier import tracking_of
from node.report.returned import Ours, TooMuch, read
from node.report.verdicts import known_codes
from storage import journal
from storage.errors import StorageError
from storage.files import ResultStore

log = logging.getLogger(__name__)

MAX_BYTES = 1024 * 1024 * 1024


def inspected(inspection: Inspection, setup: Setup, folder: Path, store: ResultStore) -> Inspected:
    """What the document says of our results; a fault in words where it cannot be read."""
    if inspection.place.length > MAX_BYTES:
        return Inspected((), fault=f"It has {inspection.place.length} bytes; {MAX_BYTES} at most are read.")
    try:
        header = read_header(journal.read(folder, inspection.place), inspection.transfer_syntax_uid)
        if header.fault:
            return Inspected((), fault=f"It cannot be read: {header.fault}.")
        ours = Ours(_tracked(inspection, store), inspection.results)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's, about values that are judged by what reads them
            found = read(header.dataset, ours, known_codes(*setup.assessment_codes))
    except TooMuch as exc:
        return Inspected((), fault=f"It is not read: {exc}.")
    except StorageError as exc:
        return Inspected((), fault=str(exc))
    except READING_FAULTS as exc:
        return Inspected((), fault=f"It cannot be read ({type(exc).__name__}).")
    return Inspected(found.said, found.source_series_uid)


def _tracked(inspection: Inspection, store: ResultStore) -> dict[str, str]:
    """By tracking UID, the newest report of ours that has it."""
    tracked: dict[str, str] = {}
    for report in inspection.reports:
        try:
            uids = tracking_of(store.read(report.path, report.sha256))
        except (StorageError, *READING_FAULTS) as exc:
            log.warning("study %d: a report of ours cannot be read (%s); what is said of it is not recognised",
                        inspection.study_id, type(exc).__name__)  # fmt: skip
            continue
        for uid in uids:
            tracked.setdefault(uid, report.sop_instance_uid)
    return tracked
