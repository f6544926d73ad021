"""Who may come in: callers by AE title and address, our own AE title, limits. Pure.

An AE title is a name that anybody can claim; what protects is the address, and TLS where it is configured.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from node.dimse.negotiate import Titles
from node.proof import may_report
from storage.peers import Peer, may_connect


@dataclass(frozen=True, slots=True)
class Rejection:
    """An A-ASSOCIATE-RJ (PS3.8 Table 9-21), in numbers and in words for our log."""

    result: int
    source: int
    reason: int
    words: str


NO_CONTEXTS = Rejection(1, 1, 1, "it proposed no presentation context")
APPLICATION_CONTEXT_NOT_SUPPORTED = Rejection(1, 1, 2, "its application context is not DICOM's")
CALLING_AE_NOT_RECOGNISED = Rejection(1, 1, 3, "its AE title is not that of a peer (osteon peers add)")
ADDRESS_NOT_ALLOWED = Rejection(1, 1, 3, "its AE title belongs to a peer that does not call from this address")
CALLED_AE_NOT_RECOGNISED = Rejection(1, 1, 7, "it called another AE title than ours")
PROTOCOL_VERSION_NOT_SUPPORTED = Rejection(1, 2, 2, "it does not speak protocol version 1")
TEMPORARY_CONGESTION = Rejection(2, 3, 1, "the list of peers cannot be read from the database")
LOCAL_LIMIT_EXCEEDED = Rejection(2, 3, 2, "the limit of associations is reached")
CALLER_LIMIT_EXCEEDED = Rejection(2, 3, 2, "it has three quarters of all associations open; the rest is for others")


@dataclass(frozen=True, slots=True)
class Admission:
    """The caller may have an association."""

    may_store: bool
    """False for a peer that may only ask whether we live; its objects are refused with 0x0124."""
    reporter: Peer | None = None
    """The peer, when it may report on storage commitments that it was asked for."""


@dataclass(frozen=True, slots=True)
class House:
    """Our side of the decision."""

    ae_title: str
    allow_unknown: bool
    max_associations: int

    @property
    def max_per_caller(self) -> int:
        """Three quarters: a peer that opens associations without end must not lock the others out."""
        return -(-self.max_associations * 3 // 4)

    def caller(self, titles: Titles, address: str) -> str:
        """Whose associations count together: a peer's, or where anybody may call, an address's (titles are free)."""
        return address if self.allow_unknown else titles.calling_ae


def admitted(
    titles: Titles, address: str, callers: Mapping[str, Peer], house: House, opened: Counter[str]
) -> Admission | Rejection:
    """Let a caller in or not; who is unknown learns nothing of our limits. `opened` counts associations by caller."""
    if not titles.protocol_version & 1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    peer = callers.get(titles.calling_ae)
    if not house.allow_unknown:
        if peer is None:
            return CALLING_AE_NOT_RECOGNISED
        if not may_connect(peer, address):
            return ADDRESS_NOT_ALLOWED
    if titles.called_ae != house.ae_title:
        return CALLED_AE_NOT_RECOGNISED
    if opened.total() >= house.max_associations:
        return LOCAL_LIMIT_EXCEEDED
    if opened[house.caller(titles, address)] >= house.max_per_caller:
        return CALLER_LIMIT_EXCEEDED
    may_store = house.allow_unknown or (peer is not None and peer.may_send)
    reports = peer is not None and may_report(peer) and may_connect(peer, address)
    return Admission(may_store, peer if reports else None)


def crowded_out(waiting: Sequence[str], newcomer: str, *, per_address: int, total: int) -> int | None:
    """Which waiting connection must go so that a new one from address `newcomer` can come in, or None.

    `waiting` are the addresses of connections that are no association yet, the oldest first. Whoever has waited longest
    goes: an honest caller sends its request at once, so those who hold sockets make room for it, not it for them.
    """
    if waiting.count(newcomer) >= per_address:
        return waiting.index(newcomer)
    if len(waiting) >= total:
        return waiting.index(Counter(waiting).most_common(1)[0][0])
    return None
