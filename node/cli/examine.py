"""`osteon check` and `osteon explain`: is this installation fit to run, and why does a study get the answer it gets."""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.card import Card, bundles
from node import certificates
from node.audit.exporter import repository_of
from node.audit.syslog import open_channel
from node.cli import port
from node.cli.tables import show
from node.config import Config
from node.database import open_database
from node.dicomweb.service import authorisation, service_of, tls_context
from node.errors import ConfigurationError, OsteonError, PeerError
from storage import peers
from storage.engine import HEAD, reading, revision, verify
from storage.errors import StorageError
from storage.files import free_bytes

_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `osteon check`."""

    what: str
    ok: bool
    says: str


def add_commands(commands: "argparse._SubParsersAction[Any]", shared: argparse.ArgumentParser) -> None:
    """Register the commands of this file."""
    checking = commands.add_parser(
        "check", parents=[shared], help="examine configuration, port, disk, database, models"
    )
    checking.add_argument("--json", action="store_true")
    checking.set_defaults(command=_check)

    explaining = commands.add_parser(
        "explain", parents=[shared], help="say which model would answer a DICOM file or a received study, and why"
    )
    explaining.add_argument("what", help="a DICOM file, a folder of them, or our number of a study")
    explaining.add_argument("--json", action="store_true")
    explaining.set_defaults(command=_explain)


def _check(arguments: argparse.Namespace, config: Config) -> int:
    findings: list[Finding] = []
    for check in (_data_folder, _disk, _database, _port, _certificates, _peers, _audit, _models, _provider):
        findings += _guarded(check, config)
    rows = [{"what": finding.what, "ok": finding.ok, "says": finding.says} for finding in findings]
    show(rows, ("what", "ok", "says"), as_json=arguments.json, empty="")
    return 0 if all(finding.ok for finding in findings) else 1


def _guarded(check: Callable[[Config], Iterator[Finding]], config: Config) -> list[Finding]:
    try:
        return list(check(config))
    except StorageError as exc:
        return [Finding(check.__name__.strip("_").replace("_", " "), False, str(exc))]


def _data_folder(config: Config) -> Iterator[Finding]:
    folder = config.data_folder
    probe = folder / ".check"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"1")
        probe.unlink()
    except OSError as exc:
        words = f"{folder}: {exc.strerror}. Give it to the user that runs Osteon, or set node.data_folder."
        yield Finding("data folder", False, words)
        return
    yield Finding("data folder", True, str(folder))


def _disk(config: Config) -> Iterator[Finding]:
    free, reserve = free_bytes(config.data_folder) // _MB, int(config.listen.reserve_mb)
    words = f"{free} MB free, images are refused below {reserve} MB (listen.reserve_mb)"
    yield Finding("disk", free > reserve, words)


def _database(config: Config) -> Iterator[Finding]:
    engine = open_database(config)
    with reading(engine) as conn:
        found = revision(conn)
        verify(conn)
    yield Finding("database", found == HEAD, f"{engine.dialect.name}, schema {found}, this program works with {HEAD}")


def _port(config: Config) -> Iterator[Finding]:
    yield Finding("port", *port.port(config))
    if (tried := port.tls(config)) is not None:
        yield Finding("tls", *tried)


def _certificates(config: Config) -> Iterator[Finding]:
    for each in certificates.judged(config, time.time()):
        yield Finding("certificate", each.ok, f"{each.what}: {each.says}")


def _audit(config: Config) -> Iterator[Finding]:
    """Whether the repository of audit messages takes a connection; nothing is sent."""
    repository = repository_of(config)
    if repository is None:
        return
    try:
        open_channel(repository).close()
    except OsteonError as exc:
        yield Finding("audit", False, str(exc))
    else:
        yield Finding("audit", True, f"{repository.place} by {repository.transport}")


def _peers(config: Config) -> Iterator[Finding]:
    with reading(open_database(config)) as conn:
        known = peers.peers(conn)
        senders = [peer for peer in known if peer.may_send]
        unanswered = [peer for peer in senders if not peers.destinations(conn, peer.ae_title)]
    yield from _web(config, known)
    if not senders and not config.listen.allow_unknown:
        yield Finding(
            "peers",
            False,
            "Nobody may send. Add the PACS: osteon peers add NAME --ae AE --host HOST --port PORT --may-send",
        )
    elif not any(peer.results != "none" for peer in known):
        yield Finding("peers", False, "No peer receives results. Give one of them --results own or --results all.")
    else:
        yield Finding("peers", True, ", ".join(f"{peer.name} ({peer.ae_title})" for peer in known))
        for peer in unanswered:
            words = f"Nobody gets the results of what {peer.name} ({peer.ae_title}) sends. Give it --results own, or"
            yield Finding("peers", False, f"{words} another peer --results all.")


def _web(config: Config, known: list[peers.Peer]) -> Iterator[Finding]:
    """The sections [web.NAME]: each belongs to a STOW-RS peer, and its files can be used."""
    by_web = {peer.name: peer for peer in known if peer.transport == "stow"}
    for name in config.web.keys() - by_web.keys():
        words = f"web.{name}: there is no STOW-RS peer of that name. Add it (osteon peers add), or drop the section."
        yield Finding("web", False, words)
    for name, peer in by_web.items():
        service = service_of(config, peer)
        try:
            tls_context(service)
            authorisation(service)
        except PeerError as exc:
            yield Finding("web", False, str(exc))
        else:
            yield Finding("web", True, f"{name}: results go to {peer.url}")


def _models(config: Config) -> Iterator[Finding]:
    found = bundles(config.models_folder)
    for bundle in found.sound:
        yield Finding(
            "model",
            True,
            _in_words(bundle.card),
        )
    for refused in found.damaged:
        yield Finding("model", False, refused.reason)
    if not found.sound and not found.damaged:
        yield Finding("model", False, f"There is no bundle in {config.models_folder}. Set work.models_folder.")


def _in_words(card: Card) -> str:
    return f"{card.name} {card.version}, {card.stage}, trained on {card.training_kind} data"


def _provider(config: Config) -> Iterator[Finding]:
    from models.errors import ModelsError
    from models.session import Device, SessionOptions
    from node.systems.opening import open_system  # loads onnxruntime, which the other commands need not

    work = config.work
    options = SessionOptions(Device(work.provider), work.threads, work.gpu_memory_limit_mb)
    for bundle in bundles(config.models_folder).sound:
        try:
            provider = open_system(bundle, options).identity.provider
        except ModelsError as exc:
            yield Finding("inference", False, str(exc))
        else:
            yield Finding("inference", True, f"{bundle.card.name} runs on {provider}")


def _explain(arguments: argparse.Namespace, config: Config) -> int:
    from node import explanation  # reads headers with pydicom, which the other commands need not

    what = arguments.what
    if Path(what).exists():
        told = explanation.of_path(Path(what), config)
    elif what.isdigit():
        told = explanation.of_study(int(what), config)
    else:
        raise ConfigurationError(f"explain: {what!r} is neither a file, a folder nor the number of a study.")
    print(json.dumps(told.as_dict(), indent=2, ensure_ascii=False) if arguments.json else told.text())
    return 0 if told.applies else 1
