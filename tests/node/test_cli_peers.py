"""What `osteon peers add` stores and `osteon peers list` shows of the way to a peer."""

import json
from pathlib import Path
from typing import Any

import pytest

from node.cli import main
from tests.node.dicomweb.made_servers import Says, serving


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    path = tmp_path / "node.toml"
    path.write_text('[node]\ndata_folder = "data"\n', encoding="utf-8")
    return ["--config", str(path)]


def listed(settings: list[str], capsys: Any) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["peers", "list", "--json", *settings]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_a_peer_gets_results_by_c_store_and_proves_them_as_it_can(settings: list[str], capsys: Any) -> None:
    adding = ["peers", "add", "pacs", "--ae", "PACS", "--host", "pacs.example", "--port", "104", "--results", "all"]
    assert main([*adding, *settings]) == 0
    (peer,) = listed(settings, capsys)
    assert (peer["confirm"], peer["transport"], peer["url"]) == ("auto", "dimse", "")
    assert main([*adding, "--confirm", "commitment", *settings]) == 0
    assert listed(settings, capsys)[0]["confirm"] == "commitment"


def test_a_peer_gets_what_everybody_gets_or_what_its_profile_names(settings: list[str], capsys: Any) -> None:
    adding = ["peers", "add", "pacs", "--ae", "PACS", "--host", "pacs.example", "--port", "104"]
    assert main([*adding, *settings]) == 0
    assert listed(settings, capsys)[0]["profile"] == "default"
    assert main([*adding, "--profile", "classic-pacs", *settings]) == 0
    assert listed(settings, capsys)[0]["profile"] == "classic-pacs"
    assert main([*adding, "--profile", "none-such", *settings]) != 0
    assert "none of default, ohif" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://pacs.example/dicom-web/", ("pacs.example", 443)),
        ("http://10.1.2.3/dicom-web", ("10.1.2.3", 80)),
        ("http://[::1]:8042/dicom-web", ("::1", 8042)),
    ],
)
def test_a_stow_peer_needs_no_dicom_port(settings: list[str], capsys: Any, url: str, place: tuple[str, int]) -> None:
    assert main(["peers", "add", "web", "--ae", "WEB", "--transport", "stow", "--url", url, *settings]) == 0
    (peer,) = listed(settings, capsys)
    assert (peer["transport"], peer["url"]) == ("stow", url.rstrip("/"))
    assert (peer["host"], peer["port"]) == place


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--host", "pacs"], "--port must be given"),
        ([], "--host and --port must be given"),
        (["--transport", "stow"], "no http or https address"),
        (["--transport", "stow", "--url", "http://pacs/rs", "--confirm", "commitment"], "Choose find"),
        (["--host", "pacs", "--port", "104", "--url", "http://pacs/rs"], "only a STOW-RS peer has one"),
    ],
    ids=["no port", "no place", "no URL", "commitment over the web", "a URL for nothing"],
)
def test_a_way_that_leads_nowhere_is_refused(settings: list[str], capsys: Any, given: list[str], words: str) -> None:
    assert main(["peers", "add", "pacs", "--ae", "PACS", *given, *settings]) == 1
    assert words in capsys.readouterr().err


def test_an_echo_to_a_stow_peer_tries_its_url_and_credentials(settings: list[str], capsys: Any) -> None:
    with serving(Says(401), Says(200, b"[]")) as server:
        url = f"http://127.0.0.1:{server.port}/rs"
        assert main(["peers", "add", "web", "--ae", "WEB", "--transport", "stow", "--url", url, *settings]) == 0
        assert main(["peers", "echo", "web", *settings]) == 1
        assert "Give it credentials in [web.web]" in capsys.readouterr().err
        assert main(["peers", "echo", "web", *settings]) == 0
    assert "answered a query" in capsys.readouterr().out
