"""Audits that a process of the node starts and stops, with which version and settings, and what a crash left behind.

A trail that cannot be written keeps nobody from receiving or working: that is said as an error in the log.
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator

from node.audit.settings import changes, hash_of, values_of
from node.config import Config
from node.database import patiently
from node.identity import VERSION
from node.owner import is_dead, own_name
from storage import audit, audit_rows
from storage.audit import Action, By, Entry, Indicator
from storage.engine import Connection, Engine, reading
from storage.errors import StorageError

log = logging.getLogger(__name__)

_PATIENCE_S = 5.0
_LIVES_KEPT = 500
_LIFE = (Action.STARTED, Action.STOPPED, Action.RECOVERED)


class Life:
    """One process's part of the node ("listener second", "worker"): `begin` once it is in service, `end` in order.

    Its start is written by a thread of its own: whoever waits for the process must not wait for the trail.
    """

    def __init__(self, engine: Engine, config: Config, part: str) -> None:
        self._engine = engine
        self._config = config
        self._part = part
        self._by = By("osteon", socket.gethostname())
        self._process = own_name()
        self._beginning: threading.Thread | None = None

    def begin(self) -> None:
        """The process is in service."""
        self._beginning = threading.Thread(target=self._begin, name="audit-start", daemon=True)
        self._beginning.start()

    def end(self) -> None:
        """It ends in order; nothing is written of one that never was in service."""
        if self._beginning is None:
            return
        self._beginning.join(2 * _PATIENCE_S)
        details = {"process": self._process, "version": VERSION}
        note(self._engine, Entry(Action.STOPPED, by=self._by, about=self._part, details=details))

    def _begin(self) -> None:
        try:
            _write(self._engine, lambda conn: _begin(conn, self._config, self._part, self._process, self._by))
            tell_head(self._engine)
        except Exception:  # the process serves all the same
            log.exception("The start could not be audited in a way that is not foreseen")


@contextlib.contextmanager
def life(engine: Engine, config: Config, part: str) -> Iterator[Life]:
    """A part of the node; the caller says when it begins to serve."""
    alive = Life(engine, config, part)
    try:
        yield alive
    finally:
        alive.end()


def note(engine: Engine, entry: Entry) -> None:
    """Audit one thing by itself; when the database is away for long, the log must do."""
    _write(engine, lambda conn: audit.add(conn, entry, time.time()))


def tell_head(engine: Engine) -> None:
    """Write the end of the trail into the log, which lies elsewhere: an end that is cut off later is missed there."""
    with reading(engine) as conn:
        anchor = audit_rows.head(conn)
    log.info("the audit trail ends with %s (osteon audit verify --expect)", anchor)


def _write(engine: Engine, change: Callable[[Connection], None]) -> None:
    try:
        patiently(engine, change, _PATIENCE_S)
    except StorageError as exc:
        log.error("The audit trail could not be written: %s Mend it; what happens meanwhile is in this log alone.", exc)


def _begin(conn: Connection, config: Config, part: str, process: str, by: By) -> None:
    audit.alone(conn)  # two processes that start at once must not both find the same settings changed
    now = time.time()
    values = values_of(config)
    _compare(conn, config, values, by, now)
    for former in _unfinished(conn):
        entry = Entry(
            Action.RECOVERED,
            Indicator.MAJOR,
            by,
            about=former.about,
            details={"process": former.details.get("process"), "started_at": former.at},
        )
        audit.add(conn, entry, now)
    details = {"process": process, "version": VERSION, "configuration_sha256": hash_of(values)}
    audit.add(conn, Entry(Action.STARTED, by=by, about=part, details=details), now)


def _unfinished(conn: Connection) -> list[audit_rows.Audited]:
    """Processes of this machine that started, did not stop in order, and do not live any more."""
    open_lives: dict[str, audit_rows.Audited] = {}
    for row in audit_rows.of_actions(conn, _LIFE, _LIVES_KEPT):
        process = str(row.details.get("process", ""))
        if row.action == Action.STARTED:
            open_lives[process] = row
        else:
            open_lives.pop(process, None)
    return [row for process, row in open_lives.items() if is_dead(process)]


def _compare(conn: Connection, config: Config, values: dict[str, object], by: By, now: float) -> None:
    """One row for each setting of the file that is another than at the last start with this data folder."""
    about = f"settings of {socket.gethostname()} {config.data_folder}"
    last = audit_rows.of_actions(conn, [Action.CONFIGURED], 1, about)
    if last and last[0].after == values:
        return
    for place, old, new in changes(last[0].after, values) if last else ():
        entry = Entry(Action.SETTING_CHANGED, by=by, about=about, before=old, after=new, details={"setting": place})
        audit.add(conn, entry, now)
    details = {"configuration_sha256": hash_of(values)}
    audit.add(conn, Entry(Action.CONFIGURED, by=by, about=about, after=values, details=details), now)
