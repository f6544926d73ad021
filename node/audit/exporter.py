"""Sends the audit trail to its repository: one thread of a worker, which delays nothing else.

What waits is the trail itself, so a repository that is away for long costs nothing; the position is kept in the
database and moves only when everything before it has arrived. Several workers share the work by a lease.
"""

import logging
import os
import socket
import threading
import time

from node.audit.messages import Origin, message
from node.audit.syslog import Channel, Repository, line, open_channel
from node.config import Config
from node.errors import ConfigurationError, PeerError
from node.owner import is_dead, own_name
from storage import audit_position, audit_rows
from storage.audit_rows import Audited
from storage.engine import Engine, begin, reading
from storage.errors import StorageError

log = logging.getLogger(__name__)

_LOOK_S = 1.0
_BATCH = 100
_LEASE_S = 300.0
_OTHERS_S = 15.0
_LONGEST_PAUSE_S = 300.0


def repository_of(config: Config) -> Repository | None:
    """What [audit] says; None when nothing is to be sent."""
    section = config.audit
    if not section.repository:
        return None
    return Repository(
        host=section.repository,
        port=int(section.port),
        transport=section.transport,
        timeout_s=section.timeout_s,
        authority=config.file(section.authority) if section.authority else None,
        certificate=config.file(section.certificate) if section.certificate else None,
        key=config.file(section.key) if section.key else None,
    )


class Exporter:
    """The thread; does nothing where no repository is named."""

    def __init__(self, engine: Engine, config: Config, stop: threading.Event, *, look_s: float = _LOOK_S) -> None:
        self._engine = engine
        self._stop = stop
        self._look_s = look_s
        self._first_pause_s = config.audit.retry_s
        self._repository = repository_of(config)
        self._origin = Origin(config.node.ae_title, socket.gethostname())
        self._owner = own_name()
        self._channel: Channel | None = None
        self._position: int | None = None
        self._claim_again = 0.0
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        if self._repository is not None:
            self._thread.start()

    def close(self) -> None:
        """Let what is on its way end; `stop` must be set."""
        if self._repository is not None:
            self._thread.join(10)

    def _run(self) -> None:
        assert self._repository is not None
        pause_s = self._first_pause_s
        while not self._stop.is_set():
            wait_s = self._look_s
            try:
                while self._batch(self._repository) and not self._stop.is_set():
                    pause_s = self._first_pause_s
            except (PeerError, ConfigurationError, StorageError) as exc:
                log.warning("audit messages wait; tried again in %.0f s. %s", pause_s, exc)
                wait_s, pause_s = pause_s, min(2 * pause_s, _LONGEST_PAUSE_S)
                self._hang_up()
            except Exception:  # a turn of the thread: whatever went wrong, the next one is taken
                log.exception("Audit messages could not be sent in a way that is not foreseen; tried again")
                wait_s = self._first_pause_s
                self._hang_up()
            self._stop.wait(wait_s)
        self._hang_up()
        self._leave(self._repository)

    def _batch(self, repository: Repository) -> bool:
        """Send some rows; False when none is left, or another worker has them."""
        if time.monotonic() >= self._claim_again:  # not at every look: each claim waits for the disk
            self._claim(repository)
        if self._position is None:
            return False
        with reading(self._engine) as conn:
            rows = audit_rows.following(conn, self._position, _BATCH)
        if not rows:
            return False
        if self._channel is None:
            self._channel = open_channel(repository)
            log.info(
                "audit messages go to %s by %s from row %d on", repository.place, repository.transport, rows[0].number
            )
        self._channel.send([self._line(row) for row in rows])
        self._channel.settle()
        until = time.time() + _LEASE_S
        with begin(self._engine) as conn:
            is_ours = audit_position.advance(conn, repository.place, self._owner, rows[-1].number, until)
        self._position = rows[-1].number if is_ours else None
        return is_ours

    def _claim(self, repository: Repository) -> None:
        with begin(self._engine) as conn:
            self._position = audit_position.claim(conn, repository.place, self._owner, _LEASE_S, time.time(), is_dead)
        self._claim_again = time.monotonic() + (_OTHERS_S if self._position is None else _LEASE_S / 2)

    def _line(self, row: Audited) -> bytes:
        body = message(row, self._origin)
        return line(body, row.number, row.at, row.outcome, self._origin.host, os.getpid())

    def _hang_up(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _leave(self, repository: Repository) -> None:
        try:
            with begin(self._engine) as conn:
                audit_position.release(conn, repository.place, self._owner)
        except StorageError as exc:
            log.debug("the lease of sending audit messages runs out by itself: %s", exc)
