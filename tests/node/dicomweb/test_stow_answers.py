"""What a STOW-RS server answers, and what it means for the object that was sent."""

import json
import re

import pytest

from node.dicomweb import stow
from node.dicomweb.connection import Reply
from node.dicomweb.service import Service
from node.errors import NotAccepted, PeerError, ProtocolBroken, WebAnswered
from node.statuses import Verdict, verdict
from tests.node.dicomweb.made_servers import DICOM_JSON, stored

UID = "2.25.7"
SERVICE = Service("pacs", "https://pacs.example/dicom-web")


def reply(status: int, body: bytes = b"", content_type: str = DICOM_JSON) -> Reply:
    return Reply(status, content_type, body)


@pytest.mark.parametrize(
    ("status", "body", "meaning", "words"),
    [
        (200, stored(UID), Verdict.DELIVERED, "HTTP 200 (OK) and 0x0000 (success)"),
        (200, b"", Verdict.DELIVERED, "HTTP 200 (OK)"),
        (200, b"[" + stored(UID) + b"]", Verdict.DELIVERED, "0x0000"),
        (202, stored(UID, 0xB000), Verdict.DELIVERED, "HTTP 202 (Accepted) and 0xB000 (accepted with coercion"),
        (202, stored(UID, 0xA700, failed=True), Verdict.RETRY, "HTTP 202 (Accepted) and 0xA700 (out of resources)"),
        (409, stored(UID, 0xA700, failed=True), Verdict.RETRY, "HTTP 409 (Conflict) and 0xA700"),
        (409, stored(UID, 0x0110, failed=True), Verdict.RETRY, "0x0110 (processing failure)"),
        (409, stored(UID, failed=True), Verdict.RETRY, "0x0110"),
        (409, stored(UID, 0x0111, failed=True), Verdict.DELIVERED, "0x0111 (duplicate"),
        (409, stored(UID, 0x0122, failed=True), Verdict.STOP, "0x0122 (SOP class not supported)"),
        (409, stored(UID, 0x0124, failed=True), Verdict.STOP, "0x0124 (not authorised)"),
        (409, stored(UID, 0xA900, failed=True), Verdict.STOP, "0xA900 (data set does not match"),
        (409, stored(UID, 0xC122, failed=True), Verdict.STOP, "0xC122 (transfer syntax not supported)"),
        (409, stored(UID, 0xC000, failed=True), Verdict.STOP, "0xC000 (cannot understand"),
        (
            409,
            json.dumps({"0008119A": {"Value": [{"00081197": {"Value": ["272"]}}]}}).encode(),
            Verdict.RETRY,
            "0x0110",
        ),
    ],
)
def test_an_instance_has_the_status_that_the_server_gives_it(
    status: int, body: bytes, meaning: Verdict, words: str
) -> None:
    answer = stow.answered(SERVICE, reply(status, body), UID)
    assert verdict(answer.status) is meaning
    assert words in answer.words


@pytest.mark.parametrize(
    ("given", "kind", "permanent", "words"),
    [
        (reply(200, stored("2.25.8")), WebAnswered, False, "does not name the object"),
        (reply(202), WebAnswered, False, "does not name the object"),
        (reply(202, b"{}"), WebAnswered, False, "does not name the object"),
        (reply(200, b"<html>", "text/html"), ProtocolBroken, True, "asks for a log-in"),
        (reply(200, b"{", DICOM_JSON), ProtocolBroken, True, "JSON cannot be read"),
        (reply(200, b"[" * 100_000, DICOM_JSON), ProtocolBroken, True, "JSON cannot be read"),
        (reply(409), NotAccepted, True, "gives no reason"),
        (reply(409, b"no", "text/plain"), NotAccepted, True, "gives no reason"),
        (reply(400), NotAccepted, True, "cannot read the request"),
        (reply(413), NotAccepted, True, "larger than it takes"),
        (reply(415), NotAccepted, True, "does not take such objects"),
        (reply(401), WebAnswered, True, "Give it credentials in [web.pacs]"),
        (reply(403), WebAnswered, True, "the right to store there"),
        (reply(404), WebAnswered, True, "Correct the URL"),
        (reply(405), WebAnswered, True, "Correct the URL"),
        (reply(302), WebAnswered, True, "redirections are not followed"),
        (reply(418), WebAnswered, True, "Ask its administrator"),
        (reply(429), WebAnswered, False, "cannot take it now"),
        (reply(500), WebAnswered, False, "cannot take it now"),
        (reply(503), WebAnswered, False, "HTTP 503 (Service Unavailable)"),
        (reply(599), WebAnswered, False, "HTTP 599"),
    ],
    ids=lambda value: f"HTTP {value.status} {value.body[:20]!r}" if isinstance(value, Reply) else "",
)
def test_an_answer_to_the_whole_request_says_whether_trying_again_makes_sense(
    given: Reply, kind: type[PeerError], permanent: bool, words: str
) -> None:
    with pytest.raises(kind, match=re.escape(words)) as caught:
        stow.answered(SERVICE, given, UID)
    assert caught.value.permanent is permanent
    assert str(caught.value).startswith("pacs at https://pacs.example/dicom-web answered")


def test_the_request_holds_the_file_between_its_boundaries_and_repeats_itself() -> None:
    file = (b"head", b"data\r\n--")
    headers, body = stow.request(file, "mark")
    assert (headers, body) == stow.request(file, "mark")
    assert headers["Content-Type"] == 'multipart/related; type="application/dicom"; boundary=osteon-mark'
    assert b"".join(body) == (
        b"--osteon-mark\r\nContent-Type: application/dicom\r\n\r\nheaddata\r\n--\r\n--osteon-mark--\r\n"
    )
