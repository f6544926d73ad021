"""Who may come in, and who must make room."""

from collections import Counter

import pytest

from node.dimse.negotiate import Titles
from node.listen import admit
from node.listen.admit import Admission, House, Rejection, admitted, crowded_out
from storage.peers import Peer

OURS = House("OSTEON", allow_unknown=False, max_associations=2)
OPEN = House("OSTEON", allow_unknown=True, max_associations=2)
CROWDED = House("OSTEON", allow_unknown=False, max_associations=100)
CROWDED_OPEN = House("OSTEON", allow_unknown=True, max_associations=100)
PACS = Peer(1, "pacs", "PACS", "10.1.2.3", 104, addresses=("10.1.2.0/24",))
ANYWHERE = Peer(2, "cart", "CART", "cart.local", 104)
VIEWER = Peer(3, "viewer", "VIEWER", "10.9.9.9", 104, may_send=False)
KNOWN = {peer.ae_title: peer for peer in (PACS, ANYWHERE, VIEWER)}
MAY_STORE, MAY_ECHO = Admission(may_store=True), Admission(may_store=False)


@pytest.mark.parametrize(
    ("calling", "called", "address", "open_now", "house", "verdict"),
    [
        pytest.param("PACS", "OSTEON", "10.1.2.77", 0, OURS, MAY_STORE, id="a peer from its network"),
        pytest.param("PACS", "OSTEON", "10.1.3.77", 0, OURS, admit.ADDRESS_NOT_ALLOWED, id="a peer from elsewhere"),
        pytest.param("PACS", "OSTEON", "not an address", 0, OURS, admit.ADDRESS_NOT_ALLOWED, id="from nowhere"),
        pytest.param("CART", "OSTEON", "192.0.2.1", 1, OURS, MAY_STORE, id="a peer that may come from anywhere"),
        pytest.param("VIEWER", "OSTEON", "10.9.9.9", 0, OURS, MAY_ECHO, id="a peer that may not store"),
        pytest.param("pacs", "OSTEON", "10.1.2.3", 0, OURS, admit.CALLING_AE_NOT_RECOGNISED, id="case matters"),
        pytest.param("EVIL", "OSTEON", "10.1.2.3", 0, OURS, admit.CALLING_AE_NOT_RECOGNISED, id="a stranger"),
        pytest.param("EVIL", "X", "10.1.2.3", 9, OURS, admit.CALLING_AE_NOT_RECOGNISED, id="a stranger learns no more"),
        pytest.param("PACS", "OTHER", "10.1.2.3", 0, OURS, admit.CALLED_AE_NOT_RECOGNISED, id="not our title"),
        pytest.param("PACS", "OSTEON", "10.1.2.3", 2, OURS, admit.LOCAL_LIMIT_EXCEEDED, id="one too many"),
        pytest.param("EVIL", "OSTEON", "192.0.2.1", 0, OPEN, MAY_STORE, id="an open house takes everybody"),
        pytest.param("EVIL", "OTHER", "192.0.2.1", 0, OPEN, admit.CALLED_AE_NOT_RECOGNISED, id="who means us"),
        pytest.param("EVIL", "OSTEON", "192.0.2.1", 2, OPEN, admit.LOCAL_LIMIT_EXCEEDED, id="within its limit"),
    ],
)
def test_callers_are_let_in_by_title_address_and_limit(
    calling: str, called: str, address: str, open_now: int, house: House, verdict: Admission | Rejection
) -> None:
    assert admitted(Titles(1, called, calling), address, KNOWN, house, Counter(X=open_now)) == verdict


@pytest.mark.parametrize(
    ("calling", "address", "house", "verdict"),
    [
        pytest.param("PACS", "10.1.2.3", CROWDED, admit.CALLER_LIMIT_EXCEEDED, id="the peer that has them"),
        pytest.param("CART", "192.0.2.1", CROWDED, MAY_STORE, id="another peer"),
        pytest.param("ANY", "10.1.2.3", CROWDED_OPEN, admit.CALLER_LIMIT_EXCEEDED, id="anybody from its address"),
        pytest.param("PACS", "192.0.2.1", CROWDED_OPEN, MAY_STORE, id="its name from another address"),
    ],
)
def test_who_has_three_quarters_of_the_associations_leaves_the_rest_to_others(
    calling: str, address: str, house: House, verdict: Admission | Rejection
) -> None:
    opened = Counter({house.caller(Titles(1, "OSTEON", "PACS"), "10.1.2.3"): 75})
    assert admitted(Titles(1, "OSTEON", calling), address, KNOWN, house, opened) == verdict


@pytest.mark.parametrize("version", [0, 2, 0xFFFE])
def test_another_protocol_version_is_not_spoken(version: int) -> None:
    verdict = admitted(Titles(version, "OSTEON", "PACS"), "10.1.2.3", KNOWN, OURS, Counter())
    assert verdict == admit.PROTOCOL_VERSION_NOT_SUPPORTED


@pytest.mark.parametrize(
    ("waiting", "newcomer", "goes"),
    [
        pytest.param([], "a", None, id="an empty room"),
        pytest.param(["a", "a"], "a", None, id="room for one more of an address"),
        pytest.param(["b", "a", "a", "a"], "a", 1, id="the oldest of the address that has its share"),
        pytest.param(["b", "a", "a", "a"], "c", None, id="another address does not care"),
        pytest.param(["b", "a", "a", "c", "c", "c"], "d", 3, id="the oldest of the address that holds most"),
        pytest.param(["a", "b", "c", "d", "e", "f"], "g", 0, id="many addresses with one each: the oldest"),
    ],
)
def test_the_newest_comes_in_and_the_oldest_makes_room(waiting: list[str], newcomer: str, goes: int | None) -> None:
    assert crowded_out(waiting, newcomer, per_address=3, total=6) == goes
