"""By what a peer proves that it keeps what it accepted. Pure."""

from enum import Enum

from storage.peers import Peer


class Proof(Enum):
    """What a peer is asked for."""

    ANSWER = "answer"
    """Nothing: its answer to the object is believed."""
    COMMITMENT = "commitment"
    """A report of storage commitment (PS3.4 Annex J)."""
    FIND = "find"
    """Its answer to a query for the objects (PS3.4 C, or QIDO-RS, PS3.18 10.6)."""


def proof_of(peer: Peer, *, by_find: bool = False) -> Proof:
    """What to ask this peer for; `by_find` when storage commitment has been given up.

    Storage commitment is a service of DIMSE, so a peer that gets its results by STOW-RS is not asked for it.
    """
    if peer.confirm == "none":
        return Proof.ANSWER
    if peer.confirm == "find" or peer.transport == "stow" or by_find:
        return Proof.FIND
    return Proof.COMMITMENT


def may_report(peer: Peer) -> bool:
    """Whether the peer may call to report on storage commitment: it is asked for that, or was until lately."""
    return peer.results != "none" and peer.transport == "dimse" and peer.confirm in ("commitment", "auto")


def seconds_until_asked(peer: Peer, find_wait_s: float) -> float | None:
    """From an accepted object to the first question; None when there is none to ask."""
    return {Proof.ANSWER: None, Proof.COMMITMENT: 0.0, Proof.FIND: find_wait_s}[proof_of(peer)]
