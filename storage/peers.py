"""The application entities we talk to: who may send to us, and to whom results go.

Checked here, so that command line, REST and web refuse the same things with the same words.
"""

import ipaddress
import json
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, and_, insert, select, update

from storage import audit_peers
from storage.audit import NODE, By
from storage.confirmations import give_up
from storage.deliveries import park
from storage.errors import PeerRefused, Unknown
from storage.states import TO_BE_SENT
from storage.tables import confirmations, deliveries, parcels
from storage.tables import peers as table

RESULTS = {
    "none": "it gets no results",
    "own": "it gets the results of the studies that it sent",
    "all": "it gets every result",
}
CONFIRM = {
    "none": "its answer to the object is believed",
    "commitment": "it is asked for storage commitment",
    "find": "it is asked by query whether it has the object",
    "auto": "storage commitment where it offers that, else a query where it answers them, else its answer is believed",
}
TRANSPORTS = {"dimse": "C-STORE to its AE title", "stow": "STOW-RS to its URL"}
PROFILES = {
    "default": "SEG, outlines, picture, ADC map and report: everybody finds something that shows",
    "ohif": "SEG, picture and report, as OHIF shows them",
    "slicer": "SEG and report, for 3D Slicer and software that computes",
    "weasis": "SEG, outlines, picture and report, for Weasis and other desktop viewers",
    "classic-pacs": "outlines, picture and a report of an older class: no SEG",
    "everything": "every kind of object that there is",
    "labelmap": "like ohif, with a SEG of the newer LABELMAP type",
    "fractional": "SEG and probability map of FRACTIONAL type, and report",
    "strict": "like default, with no plane made up for a radiograph and a frame for every slice",
}
"""The result profiles by name; node/report/profile.py says what is in them, and a test that both name the same."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")


@dataclass(frozen=True, slots=True)
class Peer:
    """One application entity; `id` 0 for one that is not stored yet."""

    id: int
    name: str
    ae_title: str
    host: str
    port: int
    may_send: bool = True
    addresses: tuple[str, ...] = ()
    """CIDR blocks from which it may connect; empty: any address."""
    results: str = "none"
    """A key of `RESULTS`."""
    may_find: bool = False
    """Whether it may be asked by C-FIND how many images a study has."""
    profile: str = "default"
    """A key of `PROFILES`: which objects it gets."""
    confirm: str = "none"
    """A key of `CONFIRM`: what proves that it has an object, beyond its answer."""
    transport: str = "dimse"
    """A key of `TRANSPORTS`: how results reach it."""
    url: str = ""
    """Of STOW-RS: the base of its DICOMweb services, to which /studies is added (PS3.18 8.2)."""


def add(conn: Connection, peer: Peer, now: float, by: By = NODE) -> Peer:
    """Store a new peer, by the wish of `by`; returns it with its number.

    Raises
    ------
    PeerRefused
        A value is wrong, or the name or AE title belongs to another peer.
    """
    peer = _checked(conn, replace(peer, id=0))
    row = _columns(peer) | {"added_at": now, "changed_at": now}
    audit_peers.added(conn, _columns(peer), by, now)
    return replace(peer, id=conn.execute(insert(table).returning(table.c.id), row).scalar_one())


def change(conn: Connection, peer: Peer, now: float, by: By = NODE) -> Peer:
    """Replace the values of the peer of that number. Raises `PeerRefused` like `add`, and `Unknown`."""
    before = by_id(conn, peer.id)
    peer = _checked(conn, peer)
    audit_peers.changed(conn, _columns(before), _columns(peer), by, now)
    conn.execute(update(table).where(table.c.id == peer.id).values(**_columns(peer), changed_at=now))
    return peer


def remove(conn: Connection, peer_id: int, now: float, by: By = NODE) -> int:
    """Remove a peer; what was still on its way to it is parked, where it can be seen. Returns how many objects.

    Raises
    ------
    Unknown
    """
    peer = by_id(conn, peer_id)
    mine = parcels.c.peer_id == peer_id
    still_open = and_(mine, deliveries.c.state.in_(TO_BE_SENT))
    query = select(deliveries.c.id).join_from(deliveries, parcels).where(still_open).order_by(parcels.c.study_id)
    left = list(conn.execute(query).scalars())
    for delivery_id in left:
        park(conn, delivery_id, f"peer {peer.name} was removed.", now)
    unconfirmed = select(confirmations.c.parcel_id).join_from(confirmations, parcels).where(mine)
    asked = conn.execute(unconfirmed.order_by(parcels.c.study_id)).scalars().all()
    count = len(left) + sum(give_up(conn, parcel_id, f"peer {peer.name} was removed.", now) for parcel_id in asked)
    conn.execute(update(table).where(table.c.id == peer_id).values(removed_at=now, changed_at=now))
    audit_peers.removed(conn, _columns(peer), count, by, now)
    return count


def peers(conn: Connection) -> list[Peer]:
    """All peers, by name."""
    return [_peer(row) for row in conn.execute(select(table).where(_living()).order_by(table.c.name))]


def by_id(conn: Connection, peer_id: int) -> Peer:
    """The peer of that number. Raises `Unknown`."""
    row = conn.execute(select(table).where(_living(), table.c.id == peer_id)).one_or_none()
    if row is None:
        raise Unknown(f"There is no peer {peer_id}. List them with: osteon peers list")
    return _peer(row)


def by_name(conn: Connection, name: str) -> Peer:
    """The peer of that name. Raises `Unknown`."""
    row = conn.execute(select(table).where(_living(), table.c.name == name)).one_or_none()
    if row is None:
        raise Unknown(f"There is no peer {name!r}. List them with: osteon peers list")
    return _peer(row)


def destinations(conn: Connection, calling_ae: str) -> list[Peer]:
    """Who gets the results of a study that `calling_ae` sent."""
    return [
        peer
        for peer in peers(conn)
        if peer.results == "all" or (peer.results == "own" and peer.ae_title == calling_ae.strip(" "))
    ]


def may_connect(peer: Peer, address: str) -> bool:
    """Whether the peer may come from this IP address; an IPv4 address mapped into IPv6 counts as itself."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return not peer.addresses or any(found in ipaddress.ip_network(block) for block in peer.addresses)


def _checked(conn: Connection, peer: Peer) -> Peer:
    place = f"peers.{peer.name}"
    if not _NAME.fullmatch(peer.name):
        raise PeerRefused(
            f"peers: {peer.name!r} cannot name a peer. "
            "Use up to 64 letters, digits, '.', '_' and '-', a letter or digit first."
        )
    _check_ae_title(place, peer.ae_title)
    if not _HOST.fullmatch(peer.host):
        raise PeerRefused(f"{place} host: {peer.host!r} is neither a host name nor an address. Correct it.")
    if not 1 <= peer.port <= 65535:
        raise PeerRefused(
            f"{place} port: {peer.port} is not between 1 and 65535. Correct it (DICOM's own is 104 or 11112)."
        )
    if peer.results not in RESULTS:
        raise PeerRefused(f"{place} results: {peer.results!r} is none of {', '.join(RESULTS)}. Choose one.")
    if peer.profile not in PROFILES:
        raise PeerRefused(f"{place} profile: {peer.profile!r} is none of {', '.join(PROFILES)}. Choose one.")
    addresses = tuple(_block(place, address) for address in peer.addresses)
    url = _checked_transport(place, peer)
    _check_taken(conn, peer)
    return replace(peer, addresses=addresses, url=url)


def _check_ae_title(place: str, ae_title: str) -> None:
    if not ae_title or ae_title != ae_title.strip(" "):
        raise PeerRefused(f"{place} ae_title: {ae_title!r} is empty or has spaces around it. Give the title alone.")
    if len(ae_title) > 16:
        raise PeerRefused(
            f"{place} ae_title: {ae_title!r} has {len(ae_title)} characters, DICOM allows 16. "
            "Shorten it here and in the PACS."
        )
    if not (ae_title.isascii() and ae_title.isprintable()) or "\\" in ae_title:
        raise PeerRefused(
            f"{place} ae_title: {ae_title!r} has a character that DICOM does not allow (PS3.5 6.2: printable ASCII "
            "without the backslash). Change it here and in the PACS."
        )


def _block(place: str, address: str) -> str:
    try:
        return str(ipaddress.ip_network(address, strict=False))
    except ValueError as exc:
        raise PeerRefused(
            f"{place} addresses: {address!r} is no IP address or block. Write 10.1.2.3 or 10.1.2.0/24."
        ) from exc


def _checked_transport(place: str, peer: Peer) -> str:
    """The URL without a slash at its end."""
    if peer.confirm not in CONFIRM:
        raise PeerRefused(f"{place} confirm: {peer.confirm!r} is none of {', '.join(CONFIRM)}. Choose one.")
    if peer.transport not in TRANSPORTS:
        raise PeerRefused(f"{place} transport: {peer.transport!r} is none of {', '.join(TRANSPORTS)}. Choose one.")
    if peer.transport == "dimse":
        if peer.url:
            raise PeerRefused(f"{place} url: only a STOW-RS peer has one. Leave it out, or choose transport stow.")
        return ""
    if peer.confirm == "commitment":
        raise PeerRefused(
            f"{place} confirm: storage commitment goes over DIMSE, which a STOW-RS peer is not asked by. "
            "Choose find, which asks it by QIDO-RS."
        )
    place_of_url(place, peer.url)
    return peer.url.rstrip("/")


def place_of_url(place: str, url: str) -> tuple[str, int]:
    """Host and port of the base of DICOMweb services; `place` begins the sentence when it is none.

    Raises
    ------
    PeerRefused
        Also for a user or password in it: the database keeps it and the lists show it.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host or not re.fullmatch(r"[!-~]+", url):
        raise PeerRefused(
            f"{place} url: this is no http or https address of a STOW-RS service. "
            "Write its base, such as https://pacs.example/dicom-web, to which /studies is added."
        )
    if parts.username is not None or parts.password is not None:
        raise PeerRefused(
            f"{place} url: a user or password has no place in it, for everybody who lists peers sees it. "
            f"Name a file that holds them under [web.{place.removeprefix('peers.')}] in the configuration."
        )
    if "?" in url or "#" in url:
        raise PeerRefused(f"{place} url: nothing may follow the path, for /studies is added to it. Drop '?' and '#'.")
    return host, port or (80 if parts.scheme == "http" else 443)


def _check_taken(conn: Connection, peer: Peer) -> None:
    same = (table.c.name == peer.name) | (table.c.ae_title == peer.ae_title)
    other = conn.execute(select(table).where(_living(), table.c.id != peer.id, same)).first()
    if other is None:
        return
    if other.name == peer.name:
        raise PeerRefused(f"peers: there is a peer {peer.name!r} already. Choose another name, or change that one.")
    raise PeerRefused(
        f"peers.{peer.name} ae_title: {peer.ae_title!r} is the title of peer {other.name!r} already. "
        "Change that one, or remove it first."
    )


def _living() -> Any:
    return table.c.removed_at.is_(None)


def _columns(peer: Peer) -> dict[str, Any]:
    return {
        "name": peer.name,
        "ae_title": peer.ae_title,
        "host": peer.host,
        "port": peer.port,
        "may_send": peer.may_send,
        "addresses": json.dumps(peer.addresses),
        "results": peer.results,
        "may_find": peer.may_find,
        "profile": peer.profile,
        "confirm": peer.confirm,
        "transport": peer.transport,
        "url": peer.url,
    }


def _peer(row: Row[Any]) -> Peer:
    return Peer(
        id=row.id,
        name=row.name,
        ae_title=row.ae_title,
        host=row.host,
        port=row.port,
        may_send=row.may_send,
        addresses=tuple(json.loads(row.addresses)),
        results=row.results,
        may_find=row.may_find,
        profile=row.profile,
        confirm=row.confirm,
        transport=row.transport,
        url=row.url,
    )
