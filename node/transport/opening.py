"""Which way a peer's results go, and which way it is asked for them."""

from collections.abc import Sequence

from node.config import Config
from node.dicomweb.connection import Connection
from node.dicomweb.query import held_instances
from node.dicomweb.service import service_of
from node.dimse import query
from node.dimse.client import Association
from node.errors import NotAccepted
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
        The peer answers no queries, or none that would say anything of a result.
    PeerError
    """
    wanted = frozenset(result.sop_instance_uid for result in results)
    series: dict[str, list[str]] = {}
    for result in results:
        series.setdefault(result.series_instance_uid, []).append(result.sop_instance_uid)
    if peer.transport == "stow":
        connection = Connection(service_of(config, peer))
        try:
            found = [held_instances(connection, study_instance_uid, uid) for uid in series]
        finally:
            connection.close()
    else:
        with open_query(config, peer) as association:
            found = [_held_of_series(association, study_instance_uid, uid, ours) for uid, ours in series.items()]
            if not any(found):
                _need_series(association, peer, study_instance_uid)
    return wanted & frozenset[str]().union(*found)


def _held_of_series(
    association: Association, study_instance_uid: str, series_instance_uid: str, ours: Sequence[str]
) -> frozenset[str]:
    """The instances of a series that the peer lists; where it lists none, ours if it counts as many.

    The series is ours alone, so that a count is proof too.
    """
    listed = query.held_instances(association, study_instance_uid, series_instance_uid)
    if listed or query.counted_in_series(association, study_instance_uid, series_instance_uid) < len(ours):
        return listed
    return frozenset(ours)


def _need_series(association: Association, peer: Peer, study_instance_uid: str) -> None:
    """Raise NotAccepted when the peer has the study and says of no series that it is there: then it lists none ever."""
    if query.matching_studies(association, study_instance_uid) and not query.lists_series(
        association, study_instance_uid
    ):
        raise NotAccepted(
            f"{peer.name} has the study and lists none of its series: it answers queries at the level STUDY only, "
            "which say nothing of a result. Let it answer at the level SERIES, or choose --confirm none for it."
        )
