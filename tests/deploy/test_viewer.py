"""The viewer beside a PACS: whom its server answers and with what, and when OHIF's pages are refused."""

import base64
import hashlib
import http.client
import io
import socket
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.demonstration import archives
from deploy.viewer import pages as ohif
from deploy.viewer.server import HOST, SETTINGS, Viewer

ANSWER = b"multipart of a PACS" * 1000


class Pacs(BaseHTTPRequestHandler):
    """Answers as DICOMweb servers do: with a length, or in chunks; it notes what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.command, self.path, self.headers["Accept"], self.headers["Host"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/dicom+json")
        if self.path.endswith("chunks"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(ANSWER), ANSWER))
        else:
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.command, self.path, body, self.headers["Content-Type"]))
        self.send_response(409)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def pacs():
    server = ThreadingHTTPServer((HOST, 0), Pacs)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def viewer(pacs, tmp_path):
    built = tmp_path / "pages"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("the pages")
    (built / "app-config.js").write_text("as shipped")
    (built / "a.wasm").write_bytes(b"code")
    (tmp_path / "secret").write_text("not for the browser")
    server = Viewer(built, pacs.server_port)
    server.start()
    yield server
    server.stop()


def _ask(viewer, path, *, method="GET", body=None, headers=None):
    address = viewer.url.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/", "/viewer?StudyInstanceUIDs=1.2.3", "/assets/", "/../secret", "/%2e%2e/secret"])
def test_every_address_without_a_file_is_one_of_the_pages(viewer, path):
    status, headers, body = _ask(viewer, path)
    assert (status, body) == (200, b"the pages")
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_the_settings_are_ours_and_files_have_their_type(viewer):
    assert _ask(viewer, "/app-config.js")[2] == SETTINGS.read_bytes()
    _, headers, body = _ask(viewer, "/a.wasm")
    assert (headers["Content-Type"], body) == ("application/wasm", b"code")


@pytest.mark.parametrize("path", ["/dicom-web/studies?limit=3", "/dicom-web/chunks"])
def test_dicomweb_is_asked_of_the_pacs_and_its_answer_handed_on(viewer, pacs, path):
    status, headers, body = _ask(viewer, path, headers={"Accept": "application/dicom+json"})
    assert (status, headers["Content-Type"], body) == (200, "application/dicom+json", ANSWER)
    own = viewer.url.removeprefix("http://").rstrip("/")
    assert pacs.asked == [("GET", path, "application/dicom+json", own)]


def test_attributes_that_are_asked_for_together_are_asked_for_one_by_one(viewer, pacs):
    """Orthanc's DICOMweb of Debian 12 gives neither of `A,B`; see test_seen_in_ohif.py."""
    _ask(viewer, "/dicom-web/studies?limit=3&includefield=00081030%2C00080060&PatientName=*a%2Cb*")
    (asked,) = pacs.asked
    assert asked[1] == "/dicom-web/studies?limit=3&includefield=00081030&includefield=00080060&PatientName=%2Aa%2Cb%2A"


def test_what_a_reader_stores_goes_to_the_pacs_and_its_word_comes_back(viewer, pacs):
    told = _ask(viewer, "/dicom-web/studies", method="POST", body=b"object", headers={"Content-Type": "multipart/x"})
    assert told[0] == 409
    assert pacs.asked == [("POST", "/dicom-web/studies", b"object", "multipart/x")]
    assert _ask(viewer, "/viewer", method="POST", body=b"object")[0] == 405


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example:80"}, {"Origin": "http://evil.example"}], ids=["by another name", "from another"]
)
def test_pages_of_another_origin_get_nothing(viewer, pacs, headers):
    assert _ask(viewer, "/dicom-web/studies", headers=headers)[0] == 403
    assert _ask(viewer, "/dicom-web/studies", method="POST", body=b"x", headers=headers)[0] == 403
    assert _all_said(viewer, "POST", {"Content-Length": "1", **headers}, b"x").startswith(b"HTTP/1.1 403")
    assert not pacs.asked


def _all_said(viewer, method, headers, body):
    """Everything up to the end of the connection: what the server does after its answer is done by then too."""
    host, port = viewer.url.removeprefix("http://").rstrip("/").split(":")
    lines = [
        f"{method} /dicom-web/studies HTTP/1.1",
        *(f"{k}: {v}" for k, v in ({"Host": f"{host}:{port}"} | headers).items()),
    ]
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(("gone", "printed"), [(ConnectionResetError(), False), (ValueError("a fault"), True)])
def test_a_browser_that_goes_away_is_not_printed_and_a_fault_is(viewer, capsys, monkeypatch, gone, printed):
    monkeypatch.setattr("sys.exception", lambda: gone)
    viewer._server.handle_error(None, ("127.0.0.1", 1))
    assert bool(capsys.readouterr().err) is printed


def test_a_pacs_that_is_not_there_is_said(viewer, pacs):
    pacs.shutdown()
    pacs.server_close()
    assert _ask(viewer, "/dicom-web/studies")[0] == 502


def test_without_npm_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(ohif.shutil, "which", lambda _name: None)
    with pytest.raises(ohif.ViewerUnavailable, match="apt-get install npm"):
        ohif.pages(tmp_path)
    assert not list(tmp_path.iterdir())


def _npm(folder: Path, package: bytes, code: int = 0) -> Path:
    """A program that hands out a package, as npm does."""
    (folder / "package").write_bytes(package)
    program = folder / "npm"
    copy = f"cp '{folder / 'package'}' ohif.tgz" if package else "echo 'npm error ENOTFOUND' >&2"
    program.write_text(f"#!/bin/sh\n{copy}\nexit {code}\n")
    program.chmod(0o755)
    return program


def _package(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_the_built_pages_of_the_known_package_are_unpacked_once(tmp_path, monkeypatch):
    wanted = {"package/dist/index.html": b"pages", "package/dist/a.js.map": b"map", "package/dist/ort/m": b"model"}
    package = _package(**wanted, **{"package/LICENSE": b"MIT"})
    npm = _npm(tmp_path, package)
    monkeypatch.setattr(ohif.shutil, "which", lambda _name: str(npm))
    monkeypatch.setattr(ohif, "SHA512", base64.b64encode(hashlib.sha512(package).digest()).decode())
    folder = ohif.pages(tmp_path / "cache")
    assert [path.name for path in folder.iterdir()] == ["index.html"]
    npm.unlink()
    assert ohif.pages(tmp_path / "cache") == folder
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing of the download stays"


def test_a_package_that_would_write_elsewhere_is_refused(tmp_path, monkeypatch):
    package = _package(**{"package/dist/index.html": b"pages", "package/dist/../../../elsewhere": b"no"})
    npm = _npm(tmp_path, package)
    monkeypatch.setattr(ohif.shutil, "which", lambda _name: str(npm))
    monkeypatch.setattr(ohif, "SHA512", base64.b64encode(hashlib.sha512(package).digest()).decode())
    with pytest.raises(ohif.ViewerUnavailable, match="outside its pages"):
        ohif.pages(tmp_path / "cache")
    assert not list(tmp_path.rglob("elsewhere"))


@pytest.mark.parametrize(
    ("package", "code", "words"), [(b"other", 0, "it is not used"), (b"", 1, "ENOTFOUND.*within reach")]
)
def test_another_package_or_none_is_refused_with_what_to_do(tmp_path, monkeypatch, package, code, words):
    npm = _npm(tmp_path, package, code)
    monkeypatch.setattr(ohif.shutil, "which", lambda _name: str(npm))
    with pytest.raises(ohif.ViewerUnavailable, match=words):
        ohif.pages(tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_orthanc_without_dicomweb_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_shipped", lambda: {"Plugins": [str(tmp_path)]})
    archive = archives.OrthancArchive(tmp_path)
    assert not archive.has_dicomweb()
    (tmp_path / "libOrthancDicomWeb.so").touch()
    assert archive.has_dicomweb()
