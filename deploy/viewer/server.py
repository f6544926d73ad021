"""OHIF's pages and a PACS's DICOMweb on one origin of this machine, so that the browser lets one use the other.

For a demonstration and for tests: it listens on the loopback address, knows no users and no TLS. A hospital puts its
own web server in this place.
"""

import http.client
import shutil
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

HOST = "127.0.0.1"
DICOMWEB = "/dicom-web/"
SETTINGS = Path(__file__).with_name("app-config.js")
FORWARDED = ("Accept", "Content-Type")
RETURNED = ("Content-Type", "Content-Length")
PATIENCE_S = 120.0
LARGEST_BODY = 2**30


class _Server(ThreadingHTTPServer):
    """Keeps no thread alive beyond the end of the program."""

    daemon_threads = True

    def __init__(self, port: int, pages: Path, dicomweb_port: int) -> None:
        super().__init__((HOST, port), _Handler)
        self.pages, self.dicomweb_port = pages, dicomweb_port

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away in the middle of an answer is no fault to print."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as it came


class _Handler(SimpleHTTPRequestHandler):
    """A file of the pages, or an answer of the PACS."""

    protocol_version = "HTTP/1.1"
    server: _Server
    extensions_map: ClassVar[dict[str, str]] = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(self, request: object, client: object, server: _Server) -> None:
        super().__init__(request, client, server, directory=str(server.pages))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self._is_ours():
            self._forward("GET", None) if self.path.startswith(DICOMWEB) else super().do_GET()

    def do_HEAD(self) -> None:
        if self._is_ours():
            super().do_HEAD()

    def do_POST(self) -> None:
        """STOW-RS: a reader's own measurements and outlines go to the PACS."""
        if not self._is_ours():
            return
        length = self.headers.get("Content-Length", "")
        if not self.path.startswith(DICOMWEB):
            self._refuse(405)
        elif not length.isdecimal() or int(length) > LARGEST_BODY:
            self._refuse(411)
        else:
            self._forward("POST", self.rfile.read(int(length)))

    def translate_path(self, path: str) -> str:
        """The settings are ours; an address without a file is one of the pages' own, which index.html answers."""
        if urlsplit(path).path == "/app-config.js":
            return str(SETTINGS)
        found = Path(super().translate_path(path))
        return str(found if found.is_file() else self.server.pages / "index.html")

    def end_headers(self) -> None:
        """Nobody frames the pages, and other origins get nothing of them."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged: addresses name studies."""

    def _is_ours(self) -> bool:
        """Whether the browser was asked for this very server, by a page of it; else it is refused.

        A page of another origin could point a name of its own at this machine (DNS rebinding), or post from there.
        """
        own = {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") in own and (origin is None or urlsplit(origin).netloc in own):
            return True
        self._refuse(403)
        return False

    def _refuse(self, status: int) -> None:
        self.close_connection = True
        self.send_error(status)

    def _forward(self, method: str, body: bytes | None) -> None:
        """Ask the PACS the same, and hand its answer on as it comes."""
        headers = {name: self.headers[name] for name in FORWARDED if name in self.headers}
        headers["Host"] = self.headers["Host"]  # the PACS builds its own addresses from it
        pacs = http.client.HTTPConnection(HOST, self.server.dicomweb_port, timeout=PATIENCE_S)
        try:
            pacs.request(method, one_by_one(self.path), body, headers)
            answer = pacs.getresponse()
        except (OSError, http.client.HTTPException):
            pacs.close()
            return self._refuse(502)
        self.send_response(answer.status)
        for name in RETURNED:
            if (value := answer.getheader(name)) is not None:
                self.send_header(name, value)
        if answer.length is None:  # sent in chunks: the end of the connection is the end of the answer
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        try:
            shutil.copyfileobj(answer, self.wfile)
        except (OSError, http.client.HTTPException):  # either side went away: what is left cannot be told
            self.close_connection = True
        finally:
            pacs.close()


def one_by_one(path: str) -> str:
    """The same question with each attribute asked for by itself.

    OHIF asks `includefield=A,B` (PS3.18 §8.3.4.3), of which Orthanc's DICOMweb of Debian 12 gives neither: its list of
    studies then has no descriptions.
    """
    address = urlsplit(path)
    asked = parse_qsl(address.query, keep_blank_values=True)
    if not any(name == "includefield" and "," in value for name, value in asked):
        return path
    each = [(name, part) for name, value in asked for part in (value.split(",") if name == "includefield" else [value])]
    return address._replace(query=urlencode(each)).geturl()


class Viewer:
    """The running server."""

    def __init__(self, pages: Path, dicomweb_port: int, port: int = 0) -> None:
        self._server = _Server(port, pages, dicomweb_port)
        self.url = f"http://{HOST}:{self._server.server_port}/"

    def start(self) -> None:
        """Serve in threads of this process."""
        threading.Thread(target=self._server.serve_forever, name="viewer", daemon=True).start()

    def study(self, study_instance_uid: str) -> str:
        """The address at which one study opens."""
        return f"{self.url}viewer?{urlencode({'StudyInstanceUIDs': study_instance_uid})}"

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
