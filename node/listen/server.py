"""The listening process: accepts connections, decides who may come in, gives each association a thread, stops in order.

Connections that are no association yet wait in a room of limited size where the newest comes in and the oldest goes
(admit.py), so that nobody can lock others out by holding sockets.
"""

import contextlib
import errno
import functools
import gc
import itertools
import logging
import selectors
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from node.audit.visits import Visits
from node.dimse import negotiate, wire
from node.errors import PeerError, ProtocolBroken
from node.fitness import bound
from node.listen import admit, tls
from node.listen.admit import Admission, House, Rejection
from node.listen.association import Conversation, TakeEvent, Terms
from node.listen.audited import Audited
from node.listen.descriptors import capacity
from node.listen.indexer import Bookings, Indexer
from node.listen.offer import offer_of
from node.listen.room import Room
from node.listen.settings import ListenSettings
from node.listen.store import Caller, Store
from node.listen.users import Users
from node.listen.waiting import Callers, WaitingRoom
from node.reports import take_report
from storage.engine import Engine, open_engine
from storage.errors import StorageError
from storage.replay import replay

log = logging.getLogger(__name__)

_BACKLOG = 512
_TICK_S = 0.2
_FAREWELL_S = 2.0
_FIRST_REPLAY_PAUSE_S, _LONGEST_REPLAY_PAUSE_S = 1.0, 60.0
_INDEX_PATIENCE_S = 30.0
_SWITCH_S = 0.001  # a thread that comes back from a read waits at most so long for one that computes
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_ROOM_S = 0.02
_QUIET_S = 10.0  # between two lines of log about the same kind of rejection


class StopSign(Protocol):
    """An event of threading or multiprocessing."""

    def is_set(self) -> bool:
        """Whether the process is to stop."""


def run(
    settings: ListenSettings, engine_url: str, stop: StopSign, on_listening: Callable[[], None] = lambda: None
) -> None:
    """Listen until `stop` is set, then end in order: the main function of the listening process.

    Raises
    ------
    ConfigurationError
        The port is taken, or the TLS files or the file of users cannot be used.
    StorageError
        The database cannot be used at all.
    """
    sys.setswitchinterval(_SWITCH_S)
    server = Server(settings, open_engine(engine_url))
    server.start()
    on_listening()
    gc.collect()
    gc.freeze()  # what was imported lives as long as the process: never look at it again
    try:
        server.accept_until(stop)
    finally:
        server.stop()


@dataclass(slots=True)
class _Rejected:
    """How often a kind of rejection happened since it was last said."""

    said_at: float = float("-inf")
    unsaid: int = 0


class Server:
    """One listening socket and its associations."""

    def __init__(self, settings: ListenSettings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        room = capacity(settings)
        self._house = House(settings.ae_title, settings.allow_unknown, room.associations)
        self._users = Users(settings.users, required=settings.user_required) if settings.users else None
        self._offers = {reports: offer_of(settings, reports=reports) for reports in (False, True)}
        self._tls = tls.context_for(settings.tls) if settings.tls else None
        self._refused = tls.Refused()
        self._indexer = Indexer(engine, settings.name)
        self._room = Room(
            settings.journal_folder, settings.reserve_bytes, settings.max_backlog, lambda: self._indexer.backlog
        )
        self._callers = Callers(engine)
        self._visits = Visits(engine)
        self._audited = Audited(self._visits)
        self._waiting = WaitingRoom(settings.max_waiting_per_address, room.waiting)
        self._numbers = itertools.count(1)
        self._exhausted_at = float("-inf")
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._associations: Counter[str] = Counter()  # by caller, those that are open
        self._threads: dict[threading.Thread, wire.Connection] = {}
        self._rejected: dict[tuple[str, Rejection], _Rejected] = {}
        self._socket = bound(settings.host, settings.port)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Begin to make rows; connections queue up from here on."""
        self._indexer.start()
        self._visits.start()
        threading.Thread(target=self._replay, name="replay", daemon=True).start()
        self._socket.listen(_BACKLOG)
        log.info("listening as %s on %s port %d", self._settings.ae_title, self._settings.host, self.port)

    def accept_until(self, stop: StopSign) -> None:
        """Accept connections until `stop` is set."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            while not stop.is_set():
                if selector.select(_TICK_S):
                    while self._accept() and not stop.is_set():
                        pass

    def stop(self) -> None:
        """Take no more; let objects in transit arrive for a while; make their rows; end."""
        started = time.monotonic()
        self._stopping.set()
        self._socket.close()
        self._waiting.clear()
        deadline = started + self._settings.stop_patience_s
        for thread in self._living():
            thread.join(max(0.0, deadline - time.monotonic()))
        cut = self._living()
        for connection in cut.values():
            connection.cut()
        for thread in cut:
            thread.join(_FAREWELL_S)
        self._indexer.close(_INDEX_PATIENCE_S)
        self._visits.close(_FAREWELL_S)
        self._engine.dispose()
        log.info("stopped listening after %.1f s; %d association(s) were cut", time.monotonic() - started, len(cut))

    def _replay(self) -> None:
        """Until it is done, or the node stops: what was acknowledged must not wait for the next start."""
        pause_s = _FIRST_REPLAY_PAUSE_S
        while not self._stopping.is_set():
            try:
                replay(self._engine, self._settings.journal_folder, time.time())
            except StorageError as exc:
                self._replay_later(pause_s, str(exc))
            except Exception:  # a fault: objects without rows must not be forgotten
                log.exception("What a former run left unindexed met a fault")
                self._replay_later(pause_s, "see above")
            else:
                return
            pause_s = min(2 * pause_s, _LONGEST_REPLAY_PAUSE_S)

    def _replay_later(self, pause_s: float, why: str) -> None:
        log.warning("What a former run left unindexed waits for its rows; tried again in %.0f s: %s", pause_s, why)
        self._stopping.wait(pause_s)

    def _accept(self) -> bool:
        """Take one connection from the queue and give it a thread; False when none waits."""
        try:
            sock, peer = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as exc:
            if exc.errno in _EXHAUSTED:
                self._make_room(exc)
            return False  # else an error of that connection alone (accept(2)): the next is taken
        address = str(peer[0]).removeprefix("::ffff:")
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            settings = self._settings
            connection = wire.Connection(sock, max_pdu=settings.max_pdu_bytes, pdu_timeout_s=settings.pdu_timeout_s)
        except OSError as exc:  # gone again
            log.debug("a connection from %s could not be served: %s", address, exc)
            sock.close()
            return True
        self._waiting.enter(connection, address)
        thread = threading.Thread(target=self._serve, args=(connection, address), daemon=True)
        with self._lock:
            self._threads[thread] = connection
        try:
            thread.start()
        except RuntimeError:
            log.warning("a connection from %s could not be served: there are too many threads", address)
            self._forget(thread, connection)
            connection.close()
        return True

    def _make_room(self, exc: OSError) -> None:
        """Out of descriptors or memory: whoever waits longest goes, and what is being closed gets a moment."""
        if time.monotonic() - self._exhausted_at > _QUIET_S:
            self._exhausted_at = time.monotonic()
            log.warning("a connection could not be accepted: %s. Raise LimitNOFILE (or ulimit -n).", exc.strerror)
        self._waiting.make_room()
        time.sleep(_ROOM_S)

    def _forget(self, thread: threading.Thread, connection: wire.Connection) -> None:
        self._waiting.leave(connection)
        with self._lock:
            self._threads.pop(thread, None)

    def _serve(self, connection: wire.Connection, address: str) -> None:
        """The body of a connection's thread."""
        patience = 0.0
        try:
            patience = self._associate(connection, address)
        except ProtocolBroken as exc:
            log.debug("a connection from %s broke the protocol: %s", address, exc)
            with contextlib.suppress(PeerError):
                connection.send([wire.abort_pdu(wire.SERVICE_PROVIDER, exc.reason)], time.monotonic() + _FAREWELL_S)
            patience = _FAREWELL_S
        except PeerError as exc:
            log.debug("a connection from %s ended before it was an association: %s", address, exc)
        except Exception:
            log.exception("a connection from %s ended by a fault of this program", address)
        finally:
            connection.close(patience)
            self._forget(threading.current_thread(), connection)

    def _associate(self, connection: wire.Connection, address: str) -> float:
        """Read the request, decide, and talk; how long to wait afterwards for the peer to close."""
        deadline = time.monotonic() + self._settings.request_timeout_s
        if self._tls is not None:
            try:
                connection.handshake(deadline)
            except PeerError as exc:
                self._refused.note(address, exc)
                self._audited.without_tls(address)
                raise
        if connection.read_pdu(deadline) != wire.ASSOCIATE_RQ:
            raise ProtocolBroken("The first PDU is no association request.", wire.UNEXPECTED_PDU)
        body = connection.read_body()
        titles = negotiate.titles(body)
        verdict = self._decide(titles, address)
        if isinstance(verdict, Rejection):
            self._audited.rejected(connection, titles, address, verdict)
            self._reject(connection, verdict, titles.calling_ae, address)
            return _FAREWELL_S
        try:
            request = negotiate.decode_request(body)
            objection = _objection(request)
            if objection is None and self._users is not None:
                objection = self._users.judged(request.user.identity)
                self._audited.user(titles, address, request.user.identity, objection)
            if objection is not None:
                self._audited.rejected(connection, titles, address, objection)
                self._reject(connection, objection, titles.calling_ae, address)
                return _FAREWELL_S
            caller = Caller(
                next(self._numbers), uuid.uuid4().hex, titles.calling_ae, titles.called_ae, address, verdict.may_store
            )
            answer = negotiate.answer(body, request, self._offers[verdict.reporter is not None])
            self._audited.accepted(connection, titles, address)
            self._talk(connection, Terms(answer.contexts, request.user.max_pdu, self._taker(verdict)), answer, caller)
        finally:
            with self._lock:
                self._associations[self._house.caller(titles, address)] -= 1
                self._associations += Counter()  # forget who has none left
        return _FAREWELL_S

    def _decide(self, titles: negotiate.Titles, address: str) -> Admission | Rejection:
        """Ask admit.py; an admission counts as an association from here on."""
        try:
            known = self._callers.known()
        except StorageError:
            return admit.TEMPORARY_CONGESTION
        with self._lock:
            verdict = admit.admitted(titles, address, known, self._house, self._associations)
            if isinstance(verdict, Admission):
                self._associations[self._house.caller(titles, address)] += 1
        return verdict

    def _taker(self, admission: Admission) -> TakeEvent | None:
        """Takes the reports of a peer that may report."""
        if admission.reporter is None:
            return None
        return functools.partial(take_report, self._engine, admission.reporter, rules=self._settings.resends)

    def _talk(self, connection: wire.Connection, terms: Terms, answer: negotiate.Answer, caller: Caller) -> None:
        self._waiting.leave(connection)
        connection.send([answer.pdu], time.monotonic() + self._settings.pdu_timeout_s)
        log.debug("association %d with %s at %s begins", caller.number, caller.calling_ae, caller.address)
        bookings = Bookings(self._indexer, caller)
        store = Store(caller, self._settings, self._room, bookings.take)
        try:
            Conversation(connection, terms, caller, store, self._settings, self._stopping.is_set).run()
        finally:
            store.close()
            bookings.close()
            self._waiting.enter(connection, caller.address)  # until it has read our last word: a limited place, too

    def _reject(self, connection: wire.Connection, rejection: Rejection, calling_ae: str, address: str) -> None:
        self._note(rejection, calling_ae, address)
        pdu = negotiate.reject_pdu(rejection.result, rejection.source, rejection.reason)
        connection.send([pdu], time.monotonic() + _FAREWELL_S)

    def _note(self, rejection: Rejection, calling_ae: str, address: str) -> None:
        """One line for each address and reason in ten seconds, with the number of those left out."""
        now = time.monotonic()
        with self._lock:
            if len(self._rejected) > 1000:
                self._rejected.clear()
            known = self._rejected.setdefault((address, rejection), _Rejected())
            if now - known.said_at < _QUIET_S:
                known.unsaid += 1
                return
            before, known.unsaid, known.said_at = known.unsaid, 0, now
        more = f" ({before} more like it before)" if before else ""
        log.warning("rejected %s at %s: %s%s", calling_ae, address, rejection.words, more)

    def _living(self) -> dict[threading.Thread, wire.Connection]:
        with self._lock:
            return {thread: connection for thread, connection in self._threads.items() if thread.is_alive()}


def _objection(request: negotiate.Request) -> Rejection | None:
    if request.application_context != negotiate.APPLICATION_CONTEXT_NAME:
        return admit.APPLICATION_CONTEXT_NOT_SUPPORTED
    return None if request.contexts else admit.NO_CONTEXTS
