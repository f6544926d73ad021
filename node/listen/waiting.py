"""Connections that are no association yet, and the peers that may become one."""

import threading
import time
from collections.abc import Mapping

from node.dimse.wire import Connection
from node.listen.admit import crowded_out
from storage import peers
from storage.engine import Engine, reading
from storage.errors import StorageError
from storage.peers import Peer

_FRESH_S = 1.0


class WaitingRoom:
    """Holds a limited number of connections; a newcomer pushes the oldest out (admit.crowded_out)."""

    def __init__(self, per_address: int, total: int) -> None:
        self._per_address = per_address
        self._total = total
        self._lock = threading.Lock()
        self._waiting: dict[Connection, str] = {}  # the oldest first

    def enter(self, connection: Connection, address: str) -> None:
        """Let a connection wait; whoever must make room is cut off."""
        victim = None
        with self._lock:
            addresses = list(self._waiting.values())
            place = crowded_out(addresses, address, per_address=self._per_address, total=self._total)
            if place is not None:
                victim = list(self._waiting)[place]
                del self._waiting[victim]
            self._waiting[connection] = address
        if victim is not None:
            victim.cut()

    def make_room(self) -> None:
        """Cut the oldest off, of the address that has most: there is nothing left to let a newcomer in with."""
        with self._lock:
            place = crowded_out(list(self._waiting.values()), "", per_address=self._per_address, total=1)
            victim = None if place is None else list(self._waiting)[place]
            if victim is not None:
                del self._waiting[victim]
        if victim is not None:
            victim.cut()

    def leave(self, connection: Connection) -> None:
        """It became an association, or is gone."""
        with self._lock:
            self._waiting.pop(connection, None)

    def clear(self) -> None:
        """Cut all of them off."""
        with self._lock:
            victims, self._waiting = list(self._waiting), {}
        for victim in victims:
            victim.cut()


class Callers:
    """The peers by AE title, read again when the last reading is a second old."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._peers: Mapping[str, Peer] | None = None

    def known(self) -> Mapping[str, Peer]:
        """The peers as they stand; while the database is busy, as they stood.

        Raises
        ------
        StorageError
            They could never be read yet.
        """
        with self._lock:
            if time.monotonic() - self._read_at > _FRESH_S:
                try:
                    with reading(self._engine) as conn:
                        self._peers = {peer.ae_title: peer for peer in peers.peers(conn)}
                except StorageError:
                    if self._peers is None:
                        raise
                self._read_at = time.monotonic()
            return self._peers or {}
