"""Our requestor against pynetdicom, dcmtk and peers that refuse, hang, abort or talk nonsense."""

import contextlib
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from pynetdicom import AE, evt

from node.dimse import commands, messages, negotiate, query, wire
from node.dimse.client import Association, Timeouts, associate
from node.dimse.negotiate import Context, Offer, find_contexts, storage_contexts
from node.errors import (
    Answered,
    Disconnected,
    NotAccepted,
    PeerError,
    ProtocolBroken,
    Rejected,
    TimedOut,
    Unreachable,
)
from tests.e2e.processes import Child, free_port

MR = "1.2.840.10008.5.1.4.1.1.4"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
TIMEOUTS = Timeouts(connect_s=2, response_s=2, idle_s=2)
CONTEXTS = (*negotiate.VERIFICATION_CONTEXTS, *storage_contexts([(MR, EXPLICIT), (SEG, EXPLICIT)]), *find_contexts())


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    if vr in (b"OB", b"OW", b"UN", b"SQ"):
        return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def mr_image(instance: str, size: int = 300_000) -> bytes:
    return (
        element(8, 0x16, b"UI", MR.encode())
        + element(8, 0x18, b"UI", instance.encode())
        + element(0x7FE0, 0x10, b"OW", bytes(range(256)) * (size // 256))
    )


def open_to(port: int, contexts: tuple[Context, ...] = CONTEXTS, timeouts: Timeouts = TIMEOUTS) -> Association:
    return associate("127.0.0.1", port, calling="OSTEON", called="PEER", contexts=contexts, timeouts=timeouts)


class Peer:
    """A pynetdicom SCP that keeps what it gets and answers as told."""

    def __init__(self, max_pdu: int = 16382) -> None:
        self.kept: list[bytes] = []
        self.status = 0x0000
        self.matches: list[tuple[int, Dataset | None]] = []
        self.events: list[str] = []
        ae = AE(ae_title="PEER")
        ae.maximum_pdu_size = max_pdu
        for context in (MR, negotiate.VERIFICATION, negotiate.STUDY_ROOT_FIND):
            ae.add_supported_context(context, [EXPLICIT, IMPLICIT])
        handlers = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, lambda _: self.status),
            (evt.EVT_C_FIND, lambda _: iter(self.matches)),
            (evt.EVT_RELEASED, lambda _: self.events.append("released")),
            (evt.EVT_ABORTED, lambda _: self.events.append("aborted")),
        ]
        self.server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = self.server.socket.getsockname()[1]

    def _store(self, event: evt.Event) -> int:
        self.kept.append(event.request.DataSet.getvalue())
        return self.status


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.server.shutdown()


@contextlib.contextmanager
def scripted(script: Callable[[wire.Connection], None], *, accepts: bool = True) -> Iterator[int]:
    """A peer that accepts the association (when it does) and then runs `script`; yields its port."""
    done = threading.Event()

    def serve() -> None:
        sock, _ = server.accept()
        connection = wire.Connection(sock, max_pdu=131072, pdu_timeout_s=5)
        with contextlib.suppress(PeerError):
            if accepts:
                connection.read_pdu(time.monotonic() + 5)
                body = connection.read_body()
                offer = Offer(frozenset({MR, negotiate.VERIFICATION, negotiate.STUDY_ROOT_FIND}), (EXPLICIT,), 16384)
                answer = negotiate.answer(body, negotiate.decode_request(body), offer)
                connection.send([answer.pdu], time.monotonic() + 5)
            script(connection)
            done.wait(10)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        done.set()
        thread.join()


def request_of(connection: wire.Connection) -> tuple[int, commands.Command]:
    """The next request, with its data set thrown away."""
    received = messages.receive_command(connection, time.monotonic() + 5)
    assert not isinstance(received, int)
    if received[1].has_data_set:
        for _ in messages.data_set_pieces(connection, received[0], time.monotonic() + 5, 5):
            pass
    return received


def reply(connection: wire.Connection, context_id: int, command: bytes) -> None:
    messages.send_command(connection, context_id, command, 16384, 5)


def test_echo_and_release_in_order(peer: Peer) -> None:
    with open_to(peer.port) as association:
        association.echo()
        association.echo()
    wait_for(lambda: peer.events == ["released"])


def test_a_failed_echo_says_the_status(peer: Peer) -> None:
    peer.status = 0x0122
    with open_to(peer.port) as association, pytest.raises(Answered, match="0x0122 .SOP class not supported"):
        association.echo()


@pytest.mark.parametrize("max_pdu", [0, 16382, 131072, 4096], ids=str)
def test_objects_arrive_byte_for_byte_whatever_pdu_the_peer_takes(max_pdu: int) -> None:
    peer = Peer(max_pdu)
    images = [mr_image(f"1.2.{n}", size) for n, size in enumerate((256, 4096, 16384, 300_000, 1_000_192))]
    with open_to(peer.port) as association:
        for number, image in enumerate(images):
            assert association.store(MR, f"1.2.{number}", EXPLICIT, image) == 0
    peer.server.shutdown()
    assert peer.kept == images


def test_a_file_is_sent_as_it_is(peer: Peer, tmp_path: Path) -> None:
    image = mr_image("1.2.3", 3_000_064)
    path = tmp_path / "image"
    path.write_bytes(image)
    with open_to(peer.port) as association:
        assert association.store(MR, "1.2.3", EXPLICIT, path) == 0
    assert peer.kept == [image]


def test_an_empty_data_set_is_one_empty_fragment(peer: Peer) -> None:
    with open_to(peer.port) as association:
        assert association.store(MR, "1.2.3", EXPLICIT, b"") == 0
    assert peer.kept == [b""]


@pytest.mark.parametrize("status", [0xA700, 0xB000, 0xC001, 0x0111])
def test_the_answered_status_is_handed_on(peer: Peer, status: int) -> None:
    peer.status = status
    with open_to(peer.port) as association:
        assert association.store(MR, "1.2.3", EXPLICIT, mr_image("1.2.3")) == status
        peer.status = 0
        assert association.store(MR, "1.2.3", EXPLICIT, mr_image("1.2.3")) == 0


def test_a_class_that_the_peer_does_not_take_stops_only_that_object(peer: Peer) -> None:
    with open_to(peer.port) as association:
        assert association.accepts(MR, EXPLICIT)
        assert not association.accepts(SEG, EXPLICIT)
        with pytest.raises(NotAccepted, match="the class is not supported") as caught:
            association.store(SEG, "1.2.3", EXPLICIT, b"")
        assert caught.value.permanent
        with pytest.raises(NotAccepted, match="not proposed"):
            association.store(MR, "1.2.3", "1.2.840.10008.1.2.4.90", b"")
        association.echo()


def test_find_returns_the_matches(peer: Peer) -> None:
    for number in (1, 2):
        match = Dataset()
        match.StudyInstanceUID = f"1.2.{number}"
        match.NumberOfStudyRelatedInstances = 10 * number
        peer.matches.append((0xFF00, match))
    with open_to(peer.port) as association:
        wanted = Dataset()
        wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "STUDY", ""
        assert [str(match.StudyInstanceUID) for match in association.find(wanted)] == ["1.2.1", "1.2.2"]
        assert query.count_in_study(association, "1.2.2") == 20
        assert query.count_in_study(association, "1.2.3") is None
        peer.matches = []
        assert association.find(wanted) == []


def test_a_pacs_that_does_not_count_gives_no_count(peer: Peer) -> None:
    match = Dataset()
    match.StudyInstanceUID = "1.2.1"
    peer.matches.append((0xFF00, match))
    with open_to(peer.port) as association:
        assert query.count_in_study(association, "1.2.1") is None


def test_a_failed_find_says_the_status(peer: Peer) -> None:
    peer.matches.append((0xA700, None))
    with open_to(peer.port) as association, pytest.raises(Answered, match="0xA700"):
        association.find(Dataset())


def test_an_exception_in_the_block_aborts(peer: Peer) -> None:
    with pytest.raises(ZeroDivisionError), open_to(peer.port):
        raise ZeroDivisionError
    wait_for(lambda: peer.events == ["aborted"])


def test_a_wrong_title_is_a_permanent_rejection_in_words() -> None:
    ae = AE(ae_title="OTHER")
    ae.require_called_aet = True
    ae.add_supported_context(negotiate.VERIFICATION)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    with pytest.raises(Rejected, match="called AE title not recognised. Correct the AE title") as caught:
        open_to(server.socket.getsockname()[1])
    server.shutdown()
    assert (caught.value.permanent, caught.value.reason) == (True, 7)


@pytest.mark.parametrize(
    ("numbers", "words", "permanent"),
    [
        ((1, 1, 3), "calling AE title not recognised. Make OSTEON known there", True),
        ((2, 3, 2), "for now: local limit exceeded", False),
        ((2, 3, 1), "temporary congestion", False),
        ((1, 2, 2), "protocol version", True),
        ((1, 9, 9), "reason 9 of source 9", True),
    ],
)
def test_rejections_are_said_in_words(numbers: tuple[int, int, int], words: str, permanent: bool) -> None:
    def reject(connection: wire.Connection) -> None:
        connection.send([negotiate.reject_pdu(*numbers)], time.monotonic() + 1)

    with scripted(reject, accepts=False) as port, pytest.raises(Rejected, match=words) as caught:
        open_to(port)
    assert caught.value.permanent is permanent


def test_nobody_listening_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="Connection refused"):
        open_to(free_port())


def test_an_unknown_host_is_unreachable() -> None:
    with pytest.raises(Unreachable, match=r"host\.invalid"):
        associate("host.invalid", 104, calling="A", called="B", contexts=CONTEXTS, timeouts=TIMEOUTS)


def test_a_connection_that_is_not_taken_is_unreachable_in_time() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                sock = stack.enter_context(socket.socket())
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", port))
            begin = time.monotonic()
            with pytest.raises((Unreachable, TimedOut)):
                open_to(port, timeouts=Timeouts(connect_s=0.5, response_s=0.5, idle_s=0.5))
            assert time.monotonic() - begin < 3


SHORT = Timeouts(connect_s=1, response_s=0.6, idle_s=0.6)


def test_a_peer_that_does_not_answer_the_association_times_out() -> None:
    with (
        scripted(lambda _: None, accepts=False) as port,
        pytest.raises(TimedOut, match="did not answer the association"),
    ):
        open_to(port, timeouts=SHORT)


def test_a_peer_that_hangs_up_on_the_association_is_gone() -> None:
    def hang_up(connection: wire.Connection) -> None:
        connection.close()

    with scripted(hang_up, accepts=False) as port, pytest.raises(Disconnected, match="did not answer the association"):
        open_to(port)


def test_a_peer_that_speaks_another_protocol_is_said_so() -> None:
    def greet(connection: wire.Connection) -> None:
        connection.send([b"220 smtp.example.org ESMTP\r\n"], time.monotonic() + 1)

    with scripted(greet, accepts=False) as port, pytest.raises(ProtocolBroken, match="unknown type"):
        open_to(port)


def hang(connection: wire.Connection) -> None:
    request_of(connection)


def abort(connection: wire.Connection) -> None:
    request_of(connection)
    connection.send([wire.abort_pdu(0, 0)], time.monotonic() + 1)


def close(connection: wire.Connection) -> None:
    request_of(connection)
    connection.close()


def ask_release(connection: wire.Connection) -> None:
    request_of(connection)
    connection.send([wire.control_pdu(wire.RELEASE_RQ)], time.monotonic() + 1)


def answer_another(connection: wire.Connection) -> None:
    context_id, command = request_of(connection)
    other = commands.Command(command.field, command.message_id + 1, command.sop_class_uid)
    reply(connection, context_id, commands.response(other, 0))


def answer_in_another_context(connection: wire.Connection) -> None:
    context_id, command = request_of(connection)
    reply(connection, context_id + 2, commands.response(command, 0))


def answer_a_request(connection: wire.Connection) -> None:
    context_id, _ = request_of(connection)
    reply(connection, context_id, commands.echo_request(1, negotiate.VERIFICATION))


def answer_noise(connection: wire.Connection) -> None:
    request_of(connection)
    connection.send([bytes(range(200))], time.monotonic() + 1)


def answer_a_lie(connection: wire.Connection) -> None:
    request_of(connection)
    connection.send([struct.pack(">BxI", wire.DATA, 0xFFFFFFF0) + bytes(100)], time.monotonic() + 1)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (hang, TimedOut),
        (abort, Disconnected),
        (close, Disconnected),
        (ask_release, Disconnected),
        (answer_another, ProtocolBroken),
        (answer_in_another_context, ProtocolBroken),
        (answer_a_request, ProtocolBroken),
        (answer_noise, ProtocolBroken),
        (answer_a_lie, ProtocolBroken),
    ],
)
@pytest.mark.parametrize("operation", ["echo", "store", "find"])
def test_a_peer_that_misbehaves_ends_the_association_with_its_name(
    script: Callable[[wire.Connection], None], error: type[PeerError], operation: str
) -> None:
    with scripted(script) as port:
        association = open_to(port, timeouts=SHORT)
        with pytest.raises(error, match=f"^PEER at 127.0.0.1:{port}"):
            if operation == "echo":
                association.echo()
            elif operation == "store":
                association.store(MR, "1.2.3", EXPLICIT, mr_image("1.2.3"))
            else:
                association.find(Dataset())
        with pytest.raises(Disconnected, match="the association is over"):
            association.echo()


def test_a_peer_that_stops_reading_times_out() -> None:
    with scripted(lambda _: None) as port:
        association = open_to(port, timeouts=SHORT)
        begin = time.monotonic()
        with pytest.raises(TimedOut):
            association.store(MR, "1.2.3", EXPLICIT, bytes(80 << 20))
        assert time.monotonic() - begin < 4


def test_a_peer_that_does_not_answer_the_release_delays_only_for_the_time_out() -> None:
    with scripted(lambda _: None) as port:
        begin = time.monotonic()
        with open_to(port, timeouts=SHORT):
            pass
        assert time.monotonic() - begin < 3


def find_with_noise(connection: wire.Connection) -> None:
    context_id, command = request_of(connection)
    pending = commands.response(command, 0xFF00).replace(b"\0\0\0\x08\x02\0\0\0\x01\x01", b"\0\0\0\x08\x02\0\0\0\x01\0")
    reply(connection, context_id, pending)
    messages.send_data_set(connection, context_id, [memoryview(b"\xff" * 40)], 16384, 5)


def test_an_unreadable_identifier_is_the_peers_fault() -> None:
    with scripted(find_with_noise) as port:
        association = open_to(port, timeouts=SHORT)
        with pytest.raises(ProtocolBroken, match="identifier"):
            association.find(Dataset())


def wait_for(claim: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not claim():
        assert time.monotonic() < end, "not within 5 s"
        time.sleep(0.01)


DCMTK_STORESCP = next((p for p in (Path("/usr/bin/storescp"), Path("/usr/local/bin/storescp")) if p.exists()), None)


@pytest.mark.skipif(DCMTK_STORESCP is None, reason="dcmtk's storescp is not installed")
@pytest.mark.parametrize("options", [[], ["--refuse"], ["--abort-during"], ["--abort-after"]], ids=str)
def test_dcmtk_takes_refuses_and_aborts(tmp_path: Path, options: list[str]) -> None:
    port = free_port()
    child = Child([DCMTK_STORESCP, *options, "+B", "-od", tmp_path, str(port)], tmp_path / "log")  # type: ignore[list-item]
    child.wait_for_port(port)
    try:
        image = mr_image("1.2.3")
        if options == ["--refuse"]:
            with pytest.raises(Rejected, match="rejected the association"):
                open_to(port)
            return
        association = open_to(port)
        if options:
            with pytest.raises(Disconnected):
                association.store(MR, "1.2.3", EXPLICIT, image)
            return
        association.echo()
        assert association.store(MR, "1.2.3", EXPLICIT, image) == 0
        association.release()
        (kept,) = tmp_path.glob("MR.*")
        assert kept.read_bytes().endswith(image)
        assert dcmread(kept).SOPInstanceUID == "1.2.3"
    finally:
        child.kill()


def test_storescp_of_the_path_is_not_taken_for_dcmtk() -> None:
    """pynetdicom installs a storescp of its own beside Python's, which is no independent witness."""
    assert DCMTK_STORESCP is None or str(DCMTK_STORESCP) != shutil.which("python")
