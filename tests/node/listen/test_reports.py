"""A peer calls to report on storage commitment: who may, in which role, and what it is answered."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from models.syntaxes import SUPPORTED_TRANSFER_SYNTAXES
from node.config import SendSection
from node.listen.server import Server
from node.listen.settings import ListenSettings
from node.reports import ResendRules
from storage import peers
from storage.engine import begin, open_engine
from storage.states import DeliveryState, Outcome, StudyState
from tests.commitment_scp import CommittingArchive
from tests.node.made_outbox import Outbox, uid

from .conftest import OURS, served

NewOutbox = Callable[..., Outbox]
PATIENT = SendSection(connect_timeout_s=2, response_timeout_s=2, commit_hold_s=10)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Callable[[Outbox], int]]:
    """Starts a listener on the database of an outbox; its port."""
    with ExitStack() as running:

        def start(outbox: Outbox) -> int:
            folder = tmp_path / "journal"
            folder.mkdir()
            settings = ListenSettings(
                OURS, folder, SUPPORTED_TRANSFER_SYNTAXES, port=0, reserve_bytes=0, stop_patience_s=0.5,
                resends=ResendRules(after_s=0.0, limit=1),
            )  # fmt: skip
            engine = open_engine(f"sqlite:///{outbox.config.folder / 'test.sqlite'}")
            return running.enter_context(served(Server(settings, engine), engine)).port

        yield start


def reported(port: int, event_type: int = 1, *, calling: str = "ARCHIVE", **values: Any) -> int | None:
    """Call as `calling` and report; the status answered, None when the class is not taken."""
    ae = AE(calling)
    ae.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    assoc = ae.associate("127.0.0.1", port, ae_title=OURS, ext_neg=[role])
    if not assoc.accepted_contexts:
        assoc.abort()
        return None
    what = Dataset()
    for keyword, value in values.items():
        setattr(what, keyword, value)
    status, _ = assoc.send_n_event_report(
        what, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    assoc.release()
    return int(status.Status)


@pytest.mark.checklist(58)
def test_a_report_on_an_association_of_the_archive_delivers_the_study_and_ends_the_waiting(
    archive: Callable[..., CommittingArchive], new_outbox: NewOutbox, listening: Callable[[Outbox], int]
) -> None:
    pacs = archive(answers="new")
    outbox = new_outbox(pacs.port, confirm="commitment", settings=PATIENT)
    pacs.node = (OURS, listening(outbox))
    outbox.send()
    assert outbox.ask()
    assert outbox.state() == (StudyState.DELIVERED, Outcome.OK_FINDINGS)
    assert {line.confirmed_by for line in outbox.lines()} == {"commitment"}
    assert pacs.answered == [0]


@pytest.mark.checklist(58)
def test_what_is_reported_as_lost_is_due_again_and_parked_in_the_end(
    archive: Callable[..., CommittingArchive], new_outbox: NewOutbox, listening: Callable[[Outbox], int]
) -> None:
    pacs = archive(answers="new", fails=lambda _: 0x0110)
    outbox = new_outbox(pacs.port, confirm="commitment", settings=PATIENT)
    pacs.node = (OURS, listening(outbox))
    outbox.send()
    outbox.ask()
    assert outbox.states() == [DeliveryState.PENDING] * 2
    outbox.send()
    outbox.ask()
    assert outbox.state() == (StudyState.FAILED, Outcome.FAILED_COMMIT)
    assert [data for _, _, data in pacs.came] == [*outbox.files, *outbox.files]


def test_a_report_comes_once_and_again_and_of_nothing_that_was_asked(
    archive: Callable[..., CommittingArchive], new_outbox: NewOutbox, listening: Callable[[Outbox], int]
) -> None:
    pacs = archive(answers="never")
    settings = SendSection(connect_timeout_s=2, response_timeout_s=2, commit_hold_s=0)
    outbox = new_outbox(pacs.port, confirm="auto", settings=settings)
    with begin(outbox.engine) as conn:
        peers.add(conn, peers.Peer(0, "other", "OTHER", "127.0.0.1", 104, results="all", confirm="auto"), 1.0)
    port = listening(outbox)
    outbox.send()
    outbox.ask()
    [(transaction, _)] = pacs.asked
    assert reported(port, TransactionUID="2.25.4711") == 0x0115
    assert reported(port, RetrieveAETitle="ARCHIVE") == 0x0115
    assert reported(port, 3, TransactionUID=transaction) == 0x0113
    assert outbox.states() == [DeliveryState.ACCEPTED] * 2
    assert reported(port, calling="OTHER", TransactionUID=transaction) == 0x0115, "another peer answered for it"
    pacs.node = (OURS, port)
    assert pacs.report(transaction, uid(1)) == 0
    assert outbox.states() == [DeliveryState.ACCEPTED, DeliveryState.DELIVERED]
    assert pacs.report(transaction, uid(0)) == 0
    assert outbox.states() == [DeliveryState.ACCEPTED, DeliveryState.DELIVERED], "a transaction is answered once"


@pytest.mark.parametrize("confirm", ["none", "find"])
def test_a_peer_that_is_not_asked_for_commitment_may_not_report(
    archive: Callable[..., CommittingArchive], new_outbox: NewOutbox, listening: Callable[[Outbox], int], confirm: str
) -> None:
    outbox = new_outbox(archive().port, confirm=confirm)
    assert reported(listening(outbox), TransactionUID="2.25.1") is None


def test_a_peer_that_asks_this_node_to_commit_is_told_that_it_does_not(
    new_outbox: NewOutbox, listening: Callable[[Outbox], int]
) -> None:
    outbox = new_outbox(104, confirm="auto")
    ae = AE("ARCHIVE")
    ae.add_requested_context(StorageCommitmentPushModel)
    assoc = ae.associate("127.0.0.1", listening(outbox), ae_title=OURS)
    what = Dataset()
    what.TransactionUID = "2.25.1"
    status, _ = assoc.send_n_action(what, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
    assert status.Status == 0x0211
    assoc.release()
