"""Which way a peer's results go, and which way it is asked for them."""

from collections.abc import Sequence

from node.config import Config
from node.dicomweb.connection import Connection
from node.dicomweb.query import held_instances
from node.dicomweb.service import service_of
from node.dimse import query
from node.transport.dimse import open_association, open_query
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


def held_of(config: Config, peer: Peer, study_instance_uid: str, results: Sequence[ResultFile]) -> frozenset[str]:
    """The SOP Instance UIDs of those of `results`, all of one study, that a query finds at `peer`.

    Raises
    ------
    NotAccepted
        The peer answers no queries.
    PeerError
    """
    series = list(dict.fromkeys(result.series_instance_uid for result in results))
    wanted = frozenset(result.sop_instance_uid for result in results)
    if peer.transport == "stow":
        connection = Connection(service_of(config, peer))
        try:
            found = [held_instances(connection, study_instance_uid, uid) for uid in series]
        finally:
            connection.close()
    else:
        with open_query(config, peer) as association:
            found = [query.held_instances(association, study_instance_uid, uid) for uid in series]
    return wanted & frozenset[str]().union(*found)
