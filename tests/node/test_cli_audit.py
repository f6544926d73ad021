"""`osteon audit`: the list, what it says of commands, and what verify finds."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from node.cli import main
from node.cli.audit import since_of
from node.errors import OsteonError


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    path = tmp_path / "node.toml"
    path.write_text('[node]\ndata_folder = "data"\n', encoding="utf-8")
    return ["--config", str(path)]


def run(capsys: Any, *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(list(words)) == code
    return str(capsys.readouterr().out)


def add(settings: list[str], capsys: Any, *more: str) -> None:
    run(capsys, "peers", "add", "pacs", "--ae", "PACS", "--host", "pacs.example", *more, *settings)


def test_what_a_person_did_to_a_peer_is_listed_with_both_values_and_the_reason(
    settings: list[str], capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "anna")
    monkeypatch.setenv("SSH_CONNECTION", "10.1.2.3 5000 10.1.2.4 22")
    add(settings, capsys, "--port", "104")
    add(settings, capsys, "--port", "105", "--reason", "it moved")
    run(capsys, "peers", "remove", "pacs", *settings)
    added, changed, removed = json.loads(run(capsys, "audit", "--json", *settings))
    assert [each["action"] for each in (added, changed, removed)] == ["peer-added", "peer-changed", "peer-removed"]
    assert (changed["before"], changed["after"], changed["object"]) == (104, 105, "peer pacs")
    assert changed["details"] == {"setting": "port", "reason": "it moved"}
    assert "anna" in changed["who"]
    assert changed["address"] == "10.1.2.3"
    assert removed["before"]["port"] == 105
    table = run(capsys, "audit", *settings)
    assert "peer-changed" in table
    assert "it moved" in table


def test_verify_prints_an_anchor_that_sees_a_cut_end_later(settings: list[str], capsys: Any, tmp_path: Path) -> None:
    add(settings, capsys, "--port", "104")
    add(settings, capsys, "--port", "105")
    said = run(capsys, "audit", "verify", *settings)
    assert "2 row(s) are whole" in said
    anchor = next(word for word in said.split() if word.startswith("2:"))
    assert json.loads(run(capsys, "audit", "verify", "--json", "--expect", anchor, *settings))["whole"]
    database = sqlite3.connect(tmp_path / "data" / "osteon.sqlite")
    database.execute("DROP TRIGGER audit_no_delete")
    database.execute("DELETE FROM audit WHERE number = 2")
    database.commit()
    database.close()
    assert "1 row(s) are whole" in run(capsys, "audit", "verify", *settings)
    assert "its end was cut" in run(capsys, "audit", "verify", "--expect", anchor, *settings, code=1)
    run(capsys, "audit", "verify", "--expect", "nonsense", *settings, code=1)


def test_a_passcode_is_audited_without_itself(
    settings: list[str], capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("very secret\n"))
    run(capsys, "passcode", "early", *settings)
    assert not (tmp_path / "data").exists(), "before the node has run there is no trail, and none is begun"
    add(settings, capsys, "--port", "104")
    monkeypatch.setattr("sys.stdin", io.StringIO("very secret\n"))
    run(capsys, "passcode", "anna", *settings)
    listed = run(capsys, "audit", "--json", *settings)
    assert json.loads(listed)[-1]["object"] == "user anna"
    assert "secret" not in listed
    assert "scrypt" not in listed


def test_a_moment_is_a_date_a_time_or_so_long_ago() -> None:
    assert since_of("24h", 100_000.0) == 100_000.0 - 86400
    assert since_of("2026-11-29T08:00:00+00:00", 0.0) == 1795939200.0
    with pytest.raises(OsteonError, match="--since"):
        since_of("yesterday", 0.0)
