"""What `osteon check` says of the port, its TLS files and the peers."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node import listener
from node.cli import main, port
from node.config import Config, ListenSection, NodeSection
from node.database import open_database
from storage import peers
from storage.engine import begin


def configured(folder: Path, **listen: Any) -> Config:
    return Config(node=NodeSection(data_folder="data"), listen=ListenSection(**listen), folder=folder)


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_free_port_passes_by_name_and_in_either_family(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "localhost", "0.0.0.0"):
        assert port.port(configured(tmp_path, host=host, port=0))[0], host
    if socket.has_ipv6:
        is_fit, says = port.port(configured(tmp_path, host="::1", port=0))
        assert "Address family" not in says
        assert is_fit or "Cannot assign" in says


def test_a_port_that_another_program_holds_fails(
    tmp_path: Path, taken: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port, "_ECHO_S", 0.3)
    is_fit, says = port.port(configured(tmp_path, host="127.0.0.1", port=taken.getsockname()[1]))
    assert not is_fit
    assert "Another program holds it" in says


@pytest.mark.parametrize("allow_unknown", [True, False])
def test_a_port_that_the_node_itself_holds_passes(tmp_path: Path, allow_unknown: bool) -> None:
    config = configured(tmp_path, host="127.0.0.1", port=free_port(), allow_unknown=allow_unknown, reserve_mb=0)
    stop = threading.Event()
    running = threading.Thread(target=listener.run, args=(config, stop))
    running.start()
    try:
        while port.port(config)[1].endswith("is free"):
            assert running.is_alive()
        is_fit, says = port.port(config)
    finally:
        stop.set()
        running.join()
    assert is_fit, says
    assert "the node runs" in says


def test_tls_files_are_tried(tmp_path: Path) -> None:
    assert port.tls(configured(tmp_path)) is None
    (tmp_path / "node.pem").write_text("no certificate", encoding="ascii")
    tried = port.tls(configured(tmp_path, tls_certificate="node.pem", tls_key="node.pem"))
    assert tried is not None
    assert not tried[0]
    assert "listen.tls_certificate" in tried[1]


def test_a_sender_whose_results_nobody_gets_is_named(tmp_path: Path, capsys: Any) -> None:
    with begin(open_database(configured(tmp_path))) as conn:
        peers.add(conn, peers.Peer(0, "ward", "WARD", "127.0.0.1", 104, may_send=True), 1.0)
        peers.add(conn, peers.Peer(0, "pacs", "PACS", "127.0.0.1", 104, may_send=True, results="own"), 1.0)
    (tmp_path / "models").mkdir()
    settings = tmp_path / "node.toml"
    settings.write_text(
        '[node]\ndata_folder = "data"\n[listen]\nport = 0\n[work]\nmodels_folder = "models"\n', encoding="utf-8"
    )
    assert main(["check", "--json", "--config", str(settings)]) == 1
    found = [row for row in json.loads(capsys.readouterr().out) if row["what"] == "peers" and not row["ok"]]
    assert len(found) == 1
    assert "ward (WARD)" in found[0]["says"]


def test_credentials_of_stow_peers_are_tried(tmp_path: Path, capsys: Any) -> None:
    with begin(open_database(configured(tmp_path))) as conn:
        for name, url in (("cloud", "https://c.example/rs"), ("near", "http://127.0.0.1:1/rs")):
            peer = peers.Peer(0, name, name.upper(), "c", 443, transport="stow", url=url, results="all")
            peers.add(conn, peer, 1.0)
    (tmp_path / "models").mkdir()
    settings = tmp_path / "node.toml"
    settings.write_text(
        '[node]\ndata_folder = "data"\n[listen]\nport = 0\n[work]\nmodels_folder = "models"\n'
        '[web.cloud]\nbearer_file = "absent"\n[web.nobody]\nbearer_file = "token"\n',
        encoding="utf-8",
    )
    assert main(["check", "--json", "--config", str(settings)]) == 1
    found = {row["says"]: row["ok"] for row in json.loads(capsys.readouterr().out) if row["what"] == "web"}
    assert [ok for says, ok in found.items() if "web.cloud bearer_file" in says] == [False]
    assert [ok for says, ok in found.items() if "web.nobody: there is no STOW-RS peer" in says] == [False]
    assert [ok for says, ok in found.items() if says.startswith("near: results go to http")] == [True]
