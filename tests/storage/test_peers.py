"""Peers are checked when they are entered, with words that say what to change."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from storage import peers
from storage.engine import begin, reading
from storage.errors import PeerRefused, Unknown
from storage.peers import Peer

PACS = Peer(0, "pacs", "PACS", "pacs.example", 11112, addresses=("10.1.2.0/24", "10.9.9.9"), results="all")


def test_a_profile_that_nobody_knows_is_refused_and_the_known_ones_are_named(engine: Engine) -> None:
    with begin(engine) as conn, pytest.raises(PeerRefused) as refused:
        peers.add(conn, Peer(0, "pacs", "PACS", "localhost", 104, profile="ohiff"), 1.0)
    assert "peers.pacs profile: 'ohiff' is none of default, ohif, slicer" in str(refused.value)


def test_a_peer_comes_back_as_it_was_stored(engine: Engine) -> None:
    with begin(engine) as conn:
        stored = peers.add(conn, PACS, 1.0)
        other = peers.add(conn, Peer(0, "ct", "CT 1", "::1", 104), 1.0)
    assert stored == replace(PACS, id=1, addresses=("10.1.2.0/24", "10.9.9.9/32"))
    with reading(engine) as conn:
        assert peers.peers(conn) == [other, stored]
        assert peers.by_id(conn, 1) == peers.by_name(conn, "pacs") == stored


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ae_title": "RADIOLOGY_PACS_MAIN"}, "has 19 characters, DICOM allows 16"),
        ({"ae_title": ""}, "is empty"),
        ({"ae_title": " PACS"}, "spaces around"),
        ({"ae_title": "PA\\CS"}, "backslash"),
        ({"ae_title": "PÄCS"}, "does not allow"),
        ({"ae_title": "PA\nCS"}, "does not allow"),
        ({"name": "a b"}, "cannot name a peer"),
        ({"name": ""}, "cannot name a peer"),
        ({"name": "x" * 65}, "cannot name a peer"),
        ({"host": ""}, "neither a host name nor an address"),
        ({"host": "pacs;rm"}, "neither a host name nor an address"),
        ({"port": 0}, "not between 1 and 65535"),
        ({"port": 65536}, "not between 1 and 65535"),
        ({"results": "some"}, "none of none, own, all"),
        ({"confirm": "maybe"}, "none of none, commitment, find, auto"),
        ({"transport": "ftp"}, "none of dimse, stow"),
        ({"url": "https://pacs.example/dicom-web"}, "only a STOW-RS peer has one"),
        ({"transport": "stow"}, "no http or https address"),
        ({"transport": "stow", "url": "ftp://pacs.example/"}, "no http or https address"),
        ({"transport": "stow", "url": "https:///dicom-web"}, "no http or https address"),
        ({"transport": "stow", "url": "https://pacs.example:port/"}, "no http or https address"),
        ({"transport": "stow", "url": "https://pacs.example/a b"}, "no http or https address"),
        ({"transport": "stow", "url": "https://pacs.example/\n"}, "no http or https address"),
        ({"transport": "stow", "url": "https://me:secret@pacs.example/"}, "a user or password has no place"),
        ({"transport": "stow", "url": "https://pacs.example/rs?x=1"}, "nothing may follow the path"),
        ({"transport": "stow", "url": "https://pacs.example/rs", "confirm": "commitment"}, "goes over DIMSE"),
        ({"addresses": ("10.1.2.300",)}, "no IP address or block"),
        ({"addresses": ("pacs.example",)}, "no IP address or block"),
    ],
    ids=lambda value: next(iter(value.items()))[0] if isinstance(value, dict) else value.replace(" ", "-"),
)
def test_a_wrong_value_is_refused_with_its_place(engine: Engine, change: dict[str, object], words: str) -> None:
    with pytest.raises(PeerRefused, match=words) as caught, begin(engine) as conn:
        peers.add(conn, replace(PACS, **change), 1.0)  # type: ignore[arg-type]  # one field at a time
    assert str(caught.value).startswith("peers")
    with begin(engine) as conn:
        stored = peers.add(conn, PACS, 1.0)
    with pytest.raises(PeerRefused, match=words), begin(engine) as conn:
        peers.change(conn, replace(stored, **change), 2.0)  # type: ignore[arg-type]  # one field at a time


def test_a_stow_peer_keeps_the_base_of_its_services(engine: Engine) -> None:
    wanted = replace(PACS, transport="stow", url="https://pacs.example:8443/dicom-web/", confirm="find")
    with begin(engine) as conn:
        stored = peers.add(conn, wanted, 1.0)
    assert stored.url == "https://pacs.example:8443/dicom-web"
    with reading(engine) as conn:
        assert peers.by_name(conn, "pacs") == stored


def test_no_message_repeats_a_password(engine: Engine) -> None:
    with pytest.raises(PeerRefused) as caught, begin(engine) as conn:
        peers.add(conn, replace(PACS, transport="stow", url="https://me:secret@pacs.example/"), 1.0)
    assert "secret" not in str(caught.value)


def test_name_and_title_belong_to_one_living_peer(engine: Engine) -> None:
    with begin(engine) as conn:
        first = peers.add(conn, PACS, 1.0)
    with pytest.raises(PeerRefused, match="there is a peer 'pacs' already"), begin(engine) as conn:
        peers.add(conn, replace(PACS, ae_title="OTHER"), 1.0)
    with pytest.raises(PeerRefused, match="is the title of peer 'pacs' already"), begin(engine) as conn:
        peers.add(conn, replace(PACS, name="other"), 1.0)
    with begin(engine) as conn:
        assert peers.change(conn, replace(first, port=104), 2.0).port == 104
        assert peers.remove(conn, first.id, 3.0) == 0
        again = peers.add(conn, PACS, 4.0)
        assert peers.peers(conn) == [again]
    assert again.id != first.id
    with pytest.raises(Unknown, match="no peer 1"), begin(engine) as conn:
        peers.remove(conn, first.id, 5.0)
    with pytest.raises(Unknown, match="no peer 'nobody'"), reading(engine) as conn:
        peers.by_name(conn, "nobody")


@pytest.mark.parametrize(
    ("addresses", "address", "allowed"),
    [
        ((), "203.0.113.9", True),
        (("10.1.2.0/24",), "10.1.2.77", True),
        (("10.1.2.0/24",), "10.1.3.1", False),
        (("10.1.2.0/24", "fd00::/8"), "fd00::5", True),
        (("10.1.2.0/24",), "::ffff:10.1.2.7", True),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("10.1.2.0/24",), "not an address", False),
        ((), "not an address", False),
    ],
)
def test_a_peer_connects_from_its_addresses_only(addresses: tuple[str, ...], address: str, allowed: bool) -> None:
    assert peers.may_connect(replace(PACS, addresses=addresses), address) is allowed


def test_results_go_to_the_sender_and_to_those_who_want_all(engine: Engine) -> None:
    with begin(engine) as conn:
        everything = peers.add(conn, PACS, 1.0)
        own = peers.add(conn, Peer(0, "ct", "CT1", "ct", 104, results="own"), 1.0)
        peers.add(conn, Peer(0, "deaf", "DEAF", "deaf", 104), 1.0)
        assert peers.destinations(conn, "CT1 ") == [own, everything]
        assert peers.destinations(conn, "DEAF") == [everything]
        peers.remove(conn, everything.id, 2.0)
        assert peers.destinations(conn, "DEAF") == []
