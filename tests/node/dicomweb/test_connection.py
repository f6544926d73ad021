"""One HTTP connection: kept, secured, limited; and what is said when it fails."""

import base64
import socket
import ssl
import threading
from pathlib import Path

import pytest

from node.dicomweb.connection import Connection
from node.dicomweb.service import Service
from node.errors import Disconnected, PeerError, ProtocolBroken, TimedOut, Unreachable
from tests.certificates import Identity, identity
from tests.node.dicomweb.made_servers import Says, Server, secret_file, serving

OK = Says(200, b"{}")


def to(server: Server, scheme: str = "http", **named: Path) -> Service:
    return Service("pacs", f"{scheme}://127.0.0.1:{server.port}/rs", connect_s=2, response_s=2, **named)  # type: ignore[arg-type]


def test_requests_follow_each_other_on_one_connection() -> None:
    with serving(OK) as server, Connection(to(server)) as connection:
        for _ in range(3):
            assert connection.ask("GET", "/studies?limit=1").status == 200
    assert server.connections == 1
    assert {came.path for came in server.came} == {"/rs/studies?limit=1"}


def test_a_connection_that_the_server_closed_meanwhile_is_opened_anew() -> None:
    with serving(Says(200, closes=True), OK) as server, Connection(to(server)) as connection:
        connection.ask("GET", "/a")
        assert connection.ask("POST", "/b", body=[b"x" * 3_000_000, b"y"]).status == 200
    assert server.connections == 2
    assert server.came[-1].body == b"x" * 3_000_000 + b"y"


def test_an_answer_that_comes_before_the_body_was_read_is_heard() -> None:
    with serving(Says(401, reads=False)) as server, Connection(to(server)) as connection:
        assert connection.ask("POST", "/studies", body=[b"x" * 50_000_000]).status == 401


@pytest.mark.parametrize(
    ("key", "text", "header"),
    [
        ("bearer_file", "abc.def-ghi\n", "Bearer abc.def-ghi"),
        ("basic_file", "osteon:geheim\n", "Basic " + base64.b64encode(b"osteon:geheim").decode()),
        ("basic_file", "osteon:gehéim", "Basic " + base64.b64encode("osteon:gehéim".encode()).decode()),
    ],
)
def test_credentials_come_from_their_file(tmp_path: Path, key: str, text: str, header: str) -> None:
    with serving(OK) as server, Connection(to(server, **{key: secret_file(tmp_path, text)})) as connection:
        connection.ask("GET", "/studies")
    assert server.came[0].headers["Authorization"] == header


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("bearer_file", "two words", "does not hold one token"),
        ("bearer_file", "", "does not hold one token"),
        ("bearer_file", "secret\nX-Header: 1", "does not hold one token"),
        ("basic_file", "geheim", "does not hold one line, user:password"),
        ("basic_file", "me:secret\nmore", "does not hold one line, user:password"),
    ],
)
def test_a_file_that_holds_something_else_is_named_and_not_quoted(
    tmp_path: Path, key: str, text: str, words: str
) -> None:
    service = Service("pacs", "https://pacs.example/rs", **{key: secret_file(tmp_path, text)})  # type: ignore[arg-type]
    with pytest.raises(Unreachable, match=words) as caught:
        Connection(service)
    assert f"web.pacs {key}" in str(caught.value)
    assert not text or text not in str(caught.value)


def test_a_secret_does_not_travel_in_the_clear(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="Give the peer an https URL"):
        Connection(Service("pacs", "http://pacs.example/rs", bearer_file=secret_file(tmp_path, "abc")))


@pytest.mark.parametrize("key", ["bearer_file", "basic_file", "authority", "certificate"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(Unreachable, match=r"web\.pacs"):
        Connection(Service("pacs", "https://pacs.example/rs", **{key: tmp_path / "absent"}))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Identity, Identity]:
    """The server's and ours."""
    folder = tmp_path_factory.mktemp("tls")
    return identity(folder, "pacs"), identity(folder, "node")


def server_context(own: Identity, trusted: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    context.load_verify_locations(trusted.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_tls_shows_our_certificate_and_checks_that_of_the_server(identities: tuple[Identity, Identity]) -> None:
    pacs, node = identities
    named = {"authority": pacs.certificate, "certificate": node.certificate, "key": node.key}
    with serving(OK, tls=server_context(pacs, node)) as server:
        with Connection(to(server, "https", **named)) as connection:
            assert connection.ask("GET", "/studies").status == 200
        with (
            Connection(to(server, "https", authority=node.certificate)) as stranger,
            pytest.raises(Unreachable, match=r"authority in \[web\.pacs\]"),
        ):
            stranger.ask("GET", "/studies")
        with (
            Connection(to(server, "https", authority=pacs.certificate)) as nobody,
            pytest.raises((Unreachable, Disconnected)),
        ):
            nobody.ask("GET", "/studies")
    assert len(server.came) == 1


def raw(answer: bytes, *, waits: bool = False) -> tuple[int, threading.Thread]:
    """A socket that answers these bytes to whatever comes, then closes; with `waits` it first waits for the client."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, listening.accept()[0] as sock:
            sock.recv(65536)
            sock.sendall(answer)
            if waits:
                sock.settimeout(10)
                sock.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    return listening.getsockname()[1], thread


@pytest.mark.parametrize(
    ("answer", "waits", "kind", "words"),
    [
        (b"", False, Disconnected, "closed the connection before"),
        (b"DICM", False, ProtocolBroken, "is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", False, Disconnected, "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 9_000_000, False, ProtocolBroken, "8 MB"),
        (b"", True, TimedOut, "did not answer within"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", True, TimedOut, "did not answer within"),
    ],
    ids=["closes", "no HTTP", "breaks off", "endless", "silent", "stops in the middle"],
)
def test_a_server_that_does_not_keep_to_http_is_named(
    answer: bytes, waits: bool, kind: type[PeerError], words: str
) -> None:
    port, thread = raw(answer, waits=waits)
    service = Service("pacs", f"http://127.0.0.1:{port}/rs", connect_s=1, response_s=0.3)
    with Connection(service) as connection, pytest.raises(kind, match=words) as caught:
        connection.ask("GET", "/studies")
    thread.join(10)
    assert str(caught.value).startswith(f"pacs at http://127.0.0.1:{port}/rs: ")


def test_nobody_at_the_port_is_named() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        service = Service("pacs", f"http://127.0.0.1:{probe.getsockname()[1]}/rs", connect_s=1)
        with Connection(service) as connection, pytest.raises(Unreachable, match="cannot be reached"):
            connection.ask("GET", "/studies")
