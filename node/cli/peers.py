"""`osteon peers`: who may send to us, and who gets results."""

import argparse
import time
from dataclasses import replace
from typing import Any

from node.cli.acting import add_reason, by
from node.cli.tables import show
from node.config import Config
from node.database import open_database
from storage import peers
from storage.engine import begin, reading
from storage.errors import PeerRefused


def add_commands(commands: "argparse._SubParsersAction[Any]", shared: argparse.ArgumentParser) -> None:
    """Register the commands of this file."""
    parser = commands.add_parser("peers", help="PACS and other systems we talk to")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    _add_adding(verbs, shared)
    listing = verbs.add_parser("list", parents=[shared], help="show all peers")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=_list)

    removing = verbs.add_parser("remove", parents=[shared], help="remove a peer; its open deliveries are parked")
    removing.add_argument("name")
    add_reason(removing)
    removing.set_defaults(command=_remove)

    echoing = verbs.add_parser(
        "echo", parents=[shared], help="send a C-ECHO to a peer; of a STOW-RS peer its QIDO-RS is asked"
    )
    echoing.add_argument("name")
    echoing.set_defaults(command=_echo)


def _add_adding(verbs: "argparse._SubParsersAction[Any]", shared: argparse.ArgumentParser) -> None:
    adding = verbs.add_parser("add", parents=[shared], help="add a peer, or change the one of that name")
    adding.add_argument("name", help="our word for it, for example pacs")
    adding.add_argument("--ae", required=True, help="its AE title")
    adding.add_argument("--host", help="its host name or address (with --transport stow: that of the URL)")
    adding.add_argument("--port", type=int, help="its DICOM port, where it takes results (with --transport stow: its)")
    adding.add_argument("--may-send", action="store_true", help="it may store images here")
    adding.add_argument(
        "--address",
        action="append",
        default=[],
        metavar="NETWORK",
        help="address or network it calls from, e.g. 10.1.2.0/24; may be repeated (default: any)",
    )
    adding.add_argument(
        "--results",
        choices=("none", "own", "all"),
        default="none",
        help="which results it receives: none, those of studies it sent (own), or all",
    )
    adding.add_argument(
        "--may-find", action="store_true", help="it answers queries; asked whether a study is complete, and whose it is"
    )
    adding.add_argument(
        "--profile",
        default="default",
        metavar="NAME",
        help=f"which objects it gets: {', '.join(peers.PROFILES)} (default: default)",
    )
    adding.add_argument(
        "--confirm",
        choices=tuple(peers.CONFIRM),
        default="auto",
        help="what proves that it has a result: its answer alone (none), storage commitment, a query (find), "
        "or the best of these that it offers (default: auto)",
    )
    adding.add_argument(
        "--transport",
        choices=tuple(peers.TRANSPORTS),
        default="dimse",
        help="how results reach it: C-STORE (dimse, the default) or STOW-RS (stow)",
    )
    adding.add_argument(
        "--url", default="", help="of STOW-RS: the base of its DICOMweb services, e.g. https://pacs.example/dicom-web"
    )
    add_reason(adding)
    adding.set_defaults(command=_add)


def _add(arguments: argparse.Namespace, config: Config) -> int:
    host, port = _place(arguments)
    wanted = peers.Peer(
        id=0,
        name=arguments.name,
        ae_title=arguments.ae,
        host=host,
        port=port,
        may_send=arguments.may_send,
        addresses=tuple(arguments.address),
        results=arguments.results,
        may_find=arguments.may_find,
        profile=arguments.profile,
        confirm=arguments.confirm,
        transport=arguments.transport,
        url=arguments.url,
    )
    with begin(open_database(config)) as conn:
        same = [peer for peer in peers.peers(conn) if peer.name == wanted.name]
        if same:
            peers.change(conn, replace(wanted, id=same[0].id), time.time(), by(arguments))
        else:
            peers.add(conn, wanted, time.time(), by(arguments))
    verb = "changed" if same else "added"
    print(f"Peer {wanted.name} ({wanted.ae_title}) is {verb}; a running node uses it within a second.")
    return 0


def _place(arguments: argparse.Namespace) -> tuple[str, int]:
    """Host and port; those of the URL when a STOW-RS peer has no DICOM port of its own."""
    host, port = arguments.host, arguments.port
    if arguments.transport == "stow":
        of_url = peers.place_of_url(f"peers.{arguments.name}", arguments.url)
        return host or of_url[0], of_url[1] if port is None else port
    missing = [name for name, value in (("--host", host), ("--port", port)) if value is None]
    if missing:
        raise PeerRefused(f"peers.{arguments.name}: {' and '.join(missing)} must be given, for C-STORE goes there.")
    return host, port


def _list(arguments: argparse.Namespace, config: Config) -> int:
    with reading(open_database(config)) as conn:
        rows = [
            {
                "name": peer.name,
                "ae_title": peer.ae_title,
                "host": peer.host,
                "port": peer.port,
                "may_send": peer.may_send,
                "addresses": list(peer.addresses),
                "results": peer.results,
                "may_find": peer.may_find,
                "profile": peer.profile,
                "confirm": peer.confirm,
                "transport": peer.transport,
                "url": peer.url,
            }
            for peer in peers.peers(conn)
        ]
    columns = (
        "name",
        "ae_title",
        "host",
        "port",
        "may_send",
        "addresses",
        "results",
        "may_find",
        "profile",
        "confirm",
        "transport",
        "url",
    )
    show(
        rows,
        columns,
        as_json=arguments.json,
        empty="There are no peers yet; nobody may send. Add one: osteon peers add.",
    )
    return 0


def _remove(arguments: argparse.Namespace, config: Config) -> int:
    with begin(open_database(config)) as conn:
        left = peers.remove(conn, peers.by_name(conn, arguments.name).id, time.time(), by(arguments))
    parked = f" {left} object(s) that waited for it are parked; osteon studies shows them." if left else ""
    print(f"Peer {arguments.name} is removed.{parked}")
    return 0


def _echo(arguments: argparse.Namespace, config: Config) -> int:
    with reading(open_database(config)) as conn:
        peer = peers.by_name(conn, arguments.name)
    print(f"Peer {peer.name}: {_asked_by_web(config, peer) if peer.transport == 'stow' else _echoed(config, peer)}")
    return 0


def _asked_by_web(config: Config, peer: peers.Peer) -> str:
    from node.dicomweb.connection import Connection
    from node.dicomweb.query import check_answers
    from node.dicomweb.service import service_of

    with Connection(service_of(config, peer)) as connection:
        check_answers(connection)
    return f"{peer.url} answered a query, so URL and credentials are right; whether we may store is seen when we do."


def _echoed(config: Config, peer: peers.Peer) -> str:
    # pydicom and pynetdicom take a second to load, which the other commands need not spend
    from node.dimse.client import associate
    from node.dimse.negotiate import VERIFICATION_CONTEXTS
    from node.transport.dimse import timeouts_of

    with associate(
        peer.host,
        peer.port,
        calling=config.node.ae_title,
        called=peer.ae_title,
        contexts=VERIFICATION_CONTEXTS,
        timeouts=timeouts_of(config),
    ) as association:
        association.echo()
    return f"{peer.ae_title} at {peer.host}:{peer.port} answered the C-ECHO with success."
