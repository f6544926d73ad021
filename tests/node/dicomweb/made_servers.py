"""Web servers for the tests of DICOMweb: each answers what its script says and keeps what came."""

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DICOM_JSON = "application/dicom+json"


@dataclass(frozen=True)
class Came:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Says:
    """One answer."""

    status: int
    body: bytes = b""
    content_type: str = DICOM_JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    reads: bool = True
    """False answers without reading the body, and closes."""
    closes: bool = False
    """True closes the connection afterwards without a word."""


@dataclass
class Server:
    """Its address, its script and what came; when the script is at its end the last answer is repeated."""

    script: list[Says]
    port: int = 0
    came: list[Came] = field(default_factory=list)
    connections: int = 0

    def next(self) -> Says:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def stored(uid: str, reason: int | None = None, *, failed: bool = False) -> bytes:
    """The Store Instances Response Module for one instance (PS3.18 I.2)."""
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    if reason is not None:
        item["00081197" if failed else "00081196"] = {"vr": "US", "Value": [reason]}
    sequence = "00081198" if failed else "00081199"
    return json.dumps({sequence: {"vr": "SQ", "Value": [item]}}).encode()


@contextlib.contextmanager
def serving(*script: Says, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server on the loopback address, ended with the block."""
    server = Server(list(script))
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    httpd.daemon_threads = True
    httpd.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that refuses our certificate
    if tls is not None:
        httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
    server.port = httpd.server_address[1]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            server.connections += 1
            super().setup()

        def _serve(self) -> None:
            says = server.next()
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))) if says.reads else b""
            server.came.append(Came(self.command, self.path, dict(self.headers), body))
            self.send_response(says.status)
            self.send_header("Content-Length", str(len(says.body)))
            if says.content_type:
                self.send_header("Content-Type", says.content_type)
            for name, value in says.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(says.body)
            self.close_connection = says.closes or not says.reads

        do_GET = do_POST = _serve  # noqa: N815  # the names that the standard library asks for

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


Serving = Callable[..., contextlib.AbstractContextManager[Server]]


def secret_file(folder: Path, text: str) -> Path:
    path = folder / "secret"
    path.write_text(text, encoding="utf-8")
    return path
