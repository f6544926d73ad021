"""Results by C-STORE on one association (PS3.4 B)."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from node.config import Config
from node.dimse.client import Association, Timeouts, associate
from node.dimse.negotiate import find_contexts, storage_contexts
from node.statuses import explain_status
from node.transport.protocol import Answer
from storage.peers import Peer
from storage.results import ResultFile


def timeouts_of(config: Config) -> Timeouts:
    """How long to wait for a peer, from the section [send]."""
    return Timeouts(connect_s=config.send.connect_timeout_s, response_s=config.send.response_timeout_s)


def open_association(config: Config, peer: Peer, results: Sequence[ResultFile]) -> "DimseSession":
    """An association on which the classes and encodings of `results` are proposed.

    Raises
    ------
    PeerError
    """
    wanted = [(result.sop_class_uid, result.transfer_syntax_uid) for result in results]
    association = associate(
        peer.host, peer.port, calling=config.node.ae_title, called=peer.ae_title,
        contexts=storage_contexts(wanted), timeouts=timeouts_of(config),
    )  # fmt: skip
    return DimseSession(association)


def open_query(config: Config, peer: Peer) -> Association:
    """An association for Study Root C-FIND (PS3.4 C). Raises PeerError."""
    return associate(
        peer.host, peer.port, calling=config.node.ae_title, called=peer.ae_title,
        contexts=find_contexts(), timeouts=timeouts_of(config),
    )  # fmt: skip


class DimseSession:
    """A `Session` (node/transport/protocol.py) on an association."""

    def __init__(self, association: Association) -> None:
        self.association = association

    def __enter__(self) -> Self:
        self.association.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.association.__exit__(kind, exc, trace)

    def store(self, result: ResultFile, data: bytes) -> Answer:
        """C-STORE; see `Session.store`."""
        status = self.association.store(result.sop_class_uid, result.sop_instance_uid, result.transfer_syntax_uid, data)
        return Answer(status, explain_status(status))
