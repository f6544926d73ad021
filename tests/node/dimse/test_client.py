"""Our requestor against pynetdicom, dcmtk and peers that refuse, hang, abort or talk nonsense."""

import contextlib
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from pynetdicom import AE

from node.dimse import negotiate, query, wire
from node.dimse.client import Timeouts, associate
from node.errors import (
    Answered,
    Disconnected,
    NotAccepted,
    ProtocolBroken,
    Rejected,
    TimedOut,
    Unreachable,
)
from tests.e2e.processes import Child, free_port

from .made_peers import (
    CONTEXTS,
    EXPLICIT,
    MR,
    SEG,
    SHORT,
    TIMEOUTS,
    Peer,
    mr_image,
    open_to,
    scripted,
)


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.server.shutdown()


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
        peer.matches = []
        assert association.find(wanted) == []


def series(modality: str, count: int | None) -> tuple[int, Dataset]:
    match = Dataset()
    match.StudyInstanceUID = "1.2.1"
    match.Modality = modality
    if count is not None:
        match.NumberOfSeriesRelatedInstances = count
    return 0xFF00, match


def test_the_images_of_a_study_are_counted_and_nothing_else(peer: Peer) -> None:
    peer.matches += [series("DX", 2), series("CR", 1), series("SR", 5), series("SEG", 1), series("KO", 1)]
    with open_to(peer.port) as association:
        assert query.images_in_study(association, "1.2.1") == 3
        assert query.images_in_study(association, "1.2.3") is None


def test_a_pacs_that_does_not_count_gives_no_count(peer: Peer) -> None:
    peer.matches += [series("DX", 2), series("MR", None)]
    with open_to(peer.port) as association:
        assert query.images_in_study(association, "1.2.1") is None


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
