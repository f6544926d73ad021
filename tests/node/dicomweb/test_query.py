"""Asking a DICOMweb server what it holds."""

import json

import pytest

from node.dicomweb.connection import Connection
from node.dicomweb.query import held_instances, matching_studies, value
from node.dicomweb.service import Service
from node.errors import PeerError, ProtocolBroken, WebAnswered
from tests.node.dicomweb.made_servers import Says, Server, serving


def to(server: Server) -> Connection:
    return Connection(Service("pacs", f"http://127.0.0.1:{server.port}/rs", connect_s=2, response_s=2))


def listed(*uids: str, tag: str = "00080018") -> Says:
    return Says(200, json.dumps([{tag: {"vr": "UI", "Value": [uid]}} for uid in uids]).encode())


def test_the_instances_of_a_series_are_asked_for_page_by_page() -> None:
    first = [f"2.25.{number}" for number in range(500)]
    with serving(listed(*first), listed("2.25.500")) as server, to(server) as connection:
        assert held_instances(connection, "1.2", "1.2.3") == {*first, "2.25.500"}
    assert [came.path for came in server.came] == [
        "/rs/studies/1.2/series/1.2.3/instances?limit=500&offset=0",
        "/rs/studies/1.2/series/1.2.3/instances?limit=500&offset=500",
    ]
    assert server.came[0].headers["Accept"] == "application/dicom+json"


def test_a_server_that_knows_no_pages_is_asked_no_third_time() -> None:
    every = [f"2.25.{number}" for number in range(700)]
    with serving(listed(*every)) as server, to(server) as connection:
        assert held_instances(connection, "1.2", "1.2.3") == set(every)
    assert len(server.came) == 2


@pytest.mark.parametrize("says", [Says(204), Says(200, b"[]"), Says(404), Says(200, b"")])
def test_a_series_that_the_server_does_not_know_holds_nothing(says: Says) -> None:
    with serving(says) as server, to(server) as connection:
        assert held_instances(connection, "1.2", "1.2.3") == frozenset()


@pytest.mark.parametrize(
    ("says", "kind", "permanent"),
    [
        (Says(401), WebAnswered, True),
        (Says(503), WebAnswered, False),
        (Says(200, b"<html>", "text/html"), ProtocolBroken, True),
        (Says(200, b"{}"), ProtocolBroken, True),
        (Says(200, b"["), ProtocolBroken, True),
    ],
    ids=["no credentials", "busy", "a page", "no list", "half a list"],
)
def test_an_answer_that_is_no_list_proves_nothing(says: Says, kind: type[PeerError], permanent: bool) -> None:
    with serving(says) as server, to(server) as connection, pytest.raises(kind) as caught:
        held_instances(connection, "1.2", "1.2.3")
    assert caught.value.permanent is permanent


def test_only_the_study_that_was_asked_for_is_believed() -> None:
    """A server that does not match by UID lists other studies, which say nothing of this one."""
    other = {"0020000D": {"vr": "UI", "Value": ["1.2.9"]}, "00100020": {"vr": "LO", "Value": ["OTHER"]}}
    ours = {"0020000D": {"vr": "UI", "Value": ["1.2"]}, "00100020": {"vr": "LO", "Value": ["P1"]}}
    with serving(Says(200, json.dumps([other, ours]).encode())) as server, to(server) as connection:
        (found,) = matching_studies(connection, "1.2", ("00100021",))
    assert value(found, "00100020") == "P1"
    assert value(found, "00100021") is None
    assert server.came[0].path == "/rs/studies?StudyInstanceUID=1.2&includefield=00100021"
