"""Results by STOW-RS (PS3.18 10.5), one object a request: each has a status of its own, and the order is kept."""

from types import TracebackType
from typing import Self

from node.config import Config
from node.dicomweb import stow
from node.dicomweb.connection import Connection
from node.dicomweb.service import service_of
from node.part10 import file_head
from node.transport.protocol import Answer
from storage.peers import Peer
from storage.results import ResultFile


class StowSession:
    """A `Session` (node/transport/protocol.py) on an HTTP connection."""

    def __init__(self, config: Config, peer: Peer) -> None:
        """Raises `Unreachable` when a file that the configuration names cannot be used."""
        self._connection = Connection(service_of(config, peer))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def store(self, result: ResultFile, data: bytes) -> Answer:
        """Store one instance; see `Session.store`."""
        head = file_head(result.sop_class_uid, result.sop_instance_uid, result.transfer_syntax_uid)
        headers, body = stow.request((head, data), result.sha256)
        reply = self._connection.ask("POST", stow.PATH, headers, body)
        return stow.answered(self._connection.service, reply, result.sop_instance_uid)
