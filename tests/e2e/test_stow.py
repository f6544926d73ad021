"""Results by STOW-RS to Debian's Orthanc: refused in every way that an administrator meets, then taken, bit for bit."""

import email
import email.policy
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest

from node.config import read_config
from node.dicomweb.connection import Connection
from node.dicomweb.query import held_instances
from node.dicomweb.service import Service
from storage.engine import reading
from storage.files import ResultStore
from storage.results import ResultFile, of_study
from tests.e2e import dcmtk, radiographs
from tests.e2e.node_process import Node
from tests.e2e.orthanc import DICOMWEB, Orthanc
from tests.e2e.processes import HOST, free_port, until
from tests.node.dicomweb.made_servers import Says, serving

USER, PASSWORD = "osteon", "open sesame"


@dataclass(frozen=True)
class Sent:
    """A study whose results went to the archive at last, with what stood in their way before."""

    node: Node
    archive: Orthanc
    study_instance_uid: str
    study: dict[str, Any]
    refusals: dict[str, dict[str, Any]]
    """What was wrong: the study as `osteon studies N` showed it then."""

    def results(self) -> list[tuple[ResultFile, bytes]]:
        """What the node made of it, with the data sets as they lie in its outbox."""
        config = read_config(self.node.config)
        store = ResultStore(config.results_folder)
        with reading(self.node._database()) as conn:
            found = of_study(conn, int(self.study["id"]))
        return [(each, store.read(each.path, each.sha256)) for each in found]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    server = Orthanc(tmp_path_factory.mktemp("orthanc"), ae_title="ARCHIVE", settings=DICOMWEB, user=(USER, PASSWORD))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def sent(new_node: Callable[..., Node], archive: Orthanc, files: Path) -> Sent:
    """One way after the other: nobody there, a conflict, a wrong password, a wrong path, and at last all right."""
    node = new_node({"web.archive": {"basic_file": "password"}, "send": {"max_retry_s": 1.0}})
    password = node.folder / "password"
    password.write_text(f"{USER}:wrong\n")
    node.run("peers", "add", "camera", "--ae", "CAMERA", "--host", HOST, "--port", 104, "--may-send")
    _point(node, f"http://{HOST}:{free_port()}/dicom-web")
    node.start()
    path = radiographs.saved(radiographs.radiograph(radiographs.phantom_pixels()), files / "phantom.dcm")
    dcmtk.dcmsend_files(node.port, [path], calling="CAMERA", to=node.ae_title)
    uid = str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID)
    node.wait(uid, 90, ("sending",))
    number = node.number_of(uid)
    refusals = {"nobody there": _waiting(node, uid)}

    def retried(url: str) -> None:
        _point(node, url)
        node.run("retry", number)

    with serving(Says(409, b"", "")) as server:
        retried(f"http://{HOST}:{server.port}/dicom-web")
        refusals["conflict"] = node.ended(uid)
    right = f"http://{HOST}:{archive.http}/dicom-web"
    retried(right)
    refusals["wrong password"] = node.ended(uid)
    password.write_text(f"{USER}:{PASSWORD}\n")
    retried(f"http://{HOST}:{archive.http}/elsewhere")
    refusals["wrong path"] = node.ended(uid)
    retried(right)
    study = node.ended(uid)
    return Sent(node, archive, uid, study, refusals)


def _point(node: Node, url: str) -> None:
    words = ["peers", "add", "archive", "--ae", "ARCHIVE", "--transport", "stow", "--url", url]
    node.run(*words, "--results", "all", "--confirm", "none")


def _waiting(node: Node, uid: str) -> dict[str, Any]:
    def found() -> Any:
        study = node.json("studies", node.number_of(uid))
        return study if study["results"][0]["error"] else None

    return dict(until(found, 30, "the first attempt leaves no trace", every_s=0.2))


@pytest.mark.parametrize(
    ("what", "state", "words"),
    [
        ("nobody there", "sending", "cannot be reached (Connection refused)"),
        ("wrong path", "failed", "HTTP 404 (Not Found): there is no such service. Correct the URL of the peer."),
        ("conflict", "failed", "HTTP 409 (Conflict) and gives no reason"),  # it may be the class: others are tried
        ("wrong password", "failed", "HTTP 401 (Unauthorized): it does not know us. Give it credentials in [web.arch"),
    ],
)
def test_a_refusal_says_what_to_do_and_holds_the_results(sent: Sent, what: str, state: str, words: str) -> None:
    study = sent.refusals[what]
    assert study["state"] == state
    assert words in study["results"][0]["error"]
    states = {result["state"] for result in study["results"]}
    assert states == (
        {"pending"} if state == "sending" else {"parked", "replaced"} if what == "conflict" else {"parked"}
    )


def test_no_secret_is_in_log_or_database(sent: Sent) -> None:
    known = [sent.node.log().encode(), *(path.read_bytes() for path in sent.node.data.glob("osteon.sqlite*"))]
    assert not [each for each in known if PASSWORD.encode() in each or f"{USER}:wrong".encode() in each]


def test_every_result_arrives_bit_for_bit_and_in_order(sent: Sent) -> None:
    assert sent.study["state"] == "delivered", sent.study
    results = sent.results()
    assert {each.kind for each, _ in results} >= {"sr"}
    for result, data in results:
        assert _part10(_retrieved(sent, result)) == data, result.kind
        (stored,) = [one for one in sent.archive.instances() if one.sop_instance_uid == result.sop_instance_uid]
        assert _part10(sent.archive.file(stored.id)) == data, result.kind
    assert [row["kind"] for row in sent.study["results"]][-1] == "sr"


def test_a_query_finds_every_result(sent: Sent) -> None:
    password = sent.node.folder / "password"
    service = Service("archive", f"http://{HOST}:{sent.archive.http}/dicom-web", basic_file=password)
    with Connection(service) as connection:
        for result, _ in sent.results():
            found = held_instances(connection, sent.study_instance_uid, result.series_instance_uid)
            assert found == {result.sop_instance_uid}


def _retrieved(sent: Sent, result: ResultFile) -> bytes:
    """The file that WADO-RS serves (PS3.18 10.4), in its stored transfer syntax."""
    path = f"studies/{sent.study_instance_uid}/series/{result.series_instance_uid}/instances/{result.sop_instance_uid}"
    headers = {
        "Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*',
        **sent.archive._headers,
    }
    request = urllib.request.Request(f"http://{HOST}:{sent.archive.http}/dicom-web/{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + answer.read(), policy=email.policy.HTTP)
    (part,) = message.iter_parts()
    return bytes(part.get_payload(decode=True))


def _part10(file: bytes) -> bytes:
    """The data set behind preamble and file meta information (PS3.10 7.1)."""
    assert file[128:132] == b"DICM"
    length = int.from_bytes(file[140:144], "little")
    return file[144 + length :]
