"""Takes what a peer reports on an association of its own."""

from collections.abc import Iterable

from node.dimse.commands import Command
from node.dimse.identifiers import decoded
from node.reports import take_report
from node.resends import ResendRules
from storage.engine import Engine
from storage.peers import Peer


def take(
    engine: Engine, peer: Peer, rules: ResendRules, command: Command, pieces: Iterable[memoryview], syntax: str
) -> int:
    """Record a report of storage commitment that arrives in `pieces`; the status to answer.

    Raises
    ------
    PeerError
        What the peer sends is no data set, or the connection broke.
    """
    return take_report(engine, peer, command, decoded(pieces, syntax), rules)
