"""What the listener has audited of those who call, and that nobody waits for it."""

from collections.abc import Callable
from typing import Any

import pytest

from node.dimse.client import Timeouts, associate
from node.dimse.negotiate import VERIFICATION_CONTEXTS
from node.errors import PeerError, Rejected
from node.listen.settings import TlsFiles
from storage import audit_rows
from storage.engine import reading
from tests.certificates import identity
from tests.e2e.processes import until

from .conftest import OURS, SENDER, House
from .test_listen_tls import context_of

TIMEOUTS = Timeouts(connect_s=5, response_s=5, idle_s=5)


def call(house: House, calling: str, called: str = OURS, **more: Any) -> None:
    with associate("127.0.0.1", house.port, calling=calling, called=called, contexts=VERIFICATION_CONTEXTS,
                   timeouts=TIMEOUTS, **more) as association:  # fmt: skip
        association.echo()


def audited(house: House, count: int) -> list[audit_rows.Audited]:
    def found() -> list[audit_rows.Audited]:
        with reading(house.engine) as conn:
            return [row for row in audit_rows.newest(conn, 100) if row.action.startswith("association")]

    return until(lambda: rows if len(rows := found()) >= count else None, 6, "the visits are not audited")


def test_who_came_in_and_who_did_not_is_audited_with_the_reason(new_house: Callable[..., House]) -> None:
    house = new_house()
    for _ in range(5):
        call(house, SENDER)
    for calling, called in (("STRANGER", OURS), ("FAR", OURS), (SENDER, "OTHER")):
        with pytest.raises(Rejected):
            call(house, calling, called)
    rows = audited(house, 4)
    assert [(row.action, row.who, row.address, row.details.get("count")) for row in rows] == [
        ("association-accepted", SENDER, "127.0.0.1", 5),
        ("association-rejected", "STRANGER", "127.0.0.1", 1),
        ("association-rejected", "FAR", "127.0.0.1", 1),
        ("association-rejected", SENDER, "127.0.0.1", 1),
    ]
    assert "not that of a peer" in rows[1].details["why"]
    assert "does not call from this address" in rows[2].details["why"]
    assert rows[3].details["called_ae"] == "OTHER"


def test_the_subject_of_a_certificate_is_audited_and_a_call_without_one(
    new_house: Callable[..., House], tmp_path: Any
) -> None:
    node, peer, stranger = (identity(tmp_path, name) for name in ("node", "peer", "stranger"))
    house = new_house(tls=TlsFiles(node.certificate, node.key, peer.certificate))
    call(house, SENDER, tls=context_of(node, peer))
    with pytest.raises(PeerError):
        call(house, SENDER, tls=context_of(node, stranger))
    accepted, rejected = audited(house, 2)
    assert accepted.details["certificate"].startswith("CN=")
    assert (rejected.who, rejected.details["why"]) == ("", "TLS did not come about")
