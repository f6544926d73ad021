"""Which way a peer's results go."""

from collections.abc import Sequence

from node.config import Config
from node.transport.dimse import open_association
from node.transport.protocol import Session
from node.transport.stow import StowSession
from storage.peers import Peer
from storage.results import ResultFile


def open_session(config: Config, peer: Peer, results: Sequence[ResultFile]) -> Session:
    """Open the way to `peer` for these objects.

    Raises
    ------
    PeerError
    """
    if peer.transport == "stow":
        return StowSession(config, peer)
    return open_association(config, peer, results)
