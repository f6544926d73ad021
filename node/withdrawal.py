"""In the analysing child: the rejection note that tells one peer which results a newer run replaces (DICOM.md §4.5).

Made only when the newer run has arrived at that peer: what the peer then has of earlier runs is known for certain, and
the note names exactly that.
"""

import hashlib
import warnings
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset

from models.findings import ModelIdentity
from node.headers import read_header
from node.identity import MODEL_NAME, VERSION
from node.job import Setup, Withdrawal, Withdrawn
from node.report.encode import EncodedObject, result_of
from node.report.envelope import envelope
from node.report.kind import Kind
from node.report.kos import Rejection, rejection_note
from node.report.patient import carried
from node.report.request import DocumentRef, Request
from storage import journal
from storage.errors import StorageError
from storage.files import ResultStore


def withdrawn(withdrawal: Withdrawal, setup: Setup, folder: Path, store: ResultStore) -> Withdrawn:
    """Make the note and put it on stable storage; the same withdrawal gives the same bytes. A fault comes in words."""
    image = withdrawal.image
    try:
        header = read_header(journal.read(folder, image.place), image.transfer_syntax_uid)
        if header.fault:
            return Withdrawn(None, f"An image of the study cannot be read: {header.fault}.")
        note = _note(withdrawal, setup, header.dataset)
        path, sha256 = store.put(note.data)
    except StorageError as exc:
        return Withdrawn(None, str(exc))
    return Withdrawn(note.kept_at(path, sha256))


def _note(withdrawal: Withdrawal, setup: Setup, source: Dataset) -> EncodedObject:
    refs = [
        DocumentRef(withdrawal.study_instance_uid, file.series_instance_uid, file.sop_class_uid, file.sop_instance_uid)
        for file in withdrawal.rejected
    ]
    named = hashlib.sha256("\n".join(sorted(ref.sop_instance_uid for ref in refs)).encode()).hexdigest()
    request = Request(
        now=datetime.fromtimestamp(withdrawal.dated_at).astimezone(),
        run=withdrawal.version,
        installation=setup.installation,
    )
    speaker = ModelIdentity("", MODEL_NAME, VERSION, "", "", "")  # no model says so, the node does
    cover = envelope(Kind.REJECTION, withdrawal.order, withdrawal.reason, named, speaker, request)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Invalid value for VR UI")  # the source's UIDs are repeated as they are
        ds = rejection_note(source, refs, Rejection(withdrawal.reason), cover)
    if ds is None:
        raise ValueError(f"study {withdrawal.study_id}: a note of nothing was asked for")
    return result_of(Kind.REJECTION, cover.order, ds, carried(source))
