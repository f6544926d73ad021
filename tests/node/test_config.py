"""The configuration file: what is accepted, and that every fault is told at once."""

from pathlib import Path

import pytest

from node.config import Config, read_config
from node.dicomweb.service import service_of
from node.errors import ConfigurationError
from node.listen.settings import TlsFiles
from node.listener import settings_from
from node.suitable import RouteRules, rules_from
from storage.peers import Peer


def written(folder: Path, text: str) -> Path:
    path = folder / "node.toml"
    path.write_text(text)
    return path


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, ""))
    assert config.node.ae_title == "OSTEON"
    assert config.database_url == f"sqlite:///{tmp_path.resolve()}/osteon-data/osteon.sqlite"


def test_paths_start_from_the_folder_of_the_file(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, '[node]\ndata_folder = "elsewhere"\n'))
    assert config.journal_folder == tmp_path.resolve() / "elsewhere" / "journal"


def test_a_whole_number_is_taken_for_a_number(tmp_path: Path) -> None:
    assert read_config(written(tmp_path, "[settle]\nmr_quiet_s = 5\n")).settle.mr_quiet_s == 5.0


def test_all_faults_are_reported_together(tmp_path: Path) -> None:
    text = """
[node]
ae_title = "RADIOLOGY_PACS_MAIN"
colour = "red"
[listen]
port = 99999
max_associations = "many"
[fantasy]
"""
    with pytest.raises(ConfigurationError) as caught:
        read_config(written(tmp_path, text))
    message = str(caught.value)
    assert "has 5 fault(s)" in message
    assert "node.ae_title: 'RADIOLOGY_PACS_MAIN' has 19 characters" in message
    assert "node.colour: there is no such key" in message
    assert "listen.port: 99999 lies outside 0 to 65535" in message
    assert "listen.max_associations: 'many' is not a whole number" in message
    assert "[fantasy]: there is no such section" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("[node]\nae_title = ''\n", "node.ae_title", id="empty AE title"),
        pytest.param("[node]\nae_title = 'A\\\\B'\n", "node.ae_title", id="backslash in AE title"),
        pytest.param("[node]\nlog_level = 'LOUD'\n", "node.log_level", id="unknown level"),
        pytest.param("[listen]\nport = true\n", "listen.port", id="true for a number"),
        pytest.param("[listen]\nport = 1.5\n", "listen.port", id="fraction for a whole number"),
        pytest.param("[listen]\nname = 'two words'\n", "listen.name", id="a name with a space"),
        pytest.param("[listen]\ntls_key = 'a.pem'\n", "listen.tls_certificate", id="a key without certificate"),
        pytest.param("[listen]\ntls_authority = 'a.pem'\n", "listen.tls_authority", id="an authority alone"),
        pytest.param("[work]\nprovider = 'tpu'\n", "work.provider", id="unknown provider"),
        pytest.param("[database]\nurl = 'mysql://x'\n", "database.url", id="unknown database"),
        pytest.param("[web]\nauthority = 'a.pem'\n", "[web] has no keys of its own", id="a web key without a peer"),
        pytest.param("[audit]\ntransport = 'pigeon'\n", "audit.transport", id="unknown transport of audit messages"),
        pytest.param("[audit]\nrepository = 'a b'\n", "audit.repository", id="a repository with a space"),
        pytest.param("[audit]\nkey = 'a.pem'\n", "audit.certificate", id="an audit key without certificate"),
        pytest.param(
            "[audit]\ntransport = 'udp'\nauthority = 'a.pem'\n", "audit.transport", id="an authority without TLS"
        ),
        pytest.param("web = 3\n", "web: it must hold a section", id="a value for the web peers"),
        pytest.param("[web.pacs]\nurl = 'x'\n", "web.pacs.url: there is no such key", id="a URL in the file"),
        pytest.param("[web.pacs]\nkey = 'a.pem'\n", "web.pacs.certificate", id="a web key without certificate"),
        pytest.param(
            "[web.pacs]\nbearer_file = 'a'\nbasic_file = 'b'\n", "name one of them", id="two kinds of credentials"
        ),
        pytest.param("[settle]\ncap_s = 10\n", "settle.cap_s", id="cap below patience"),
        pytest.param("node = 3\n", "node: it must be a section", id="a value for a section"),
        pytest.param("[node\n", "cannot be read as TOML", id="not TOML"),
    ],
)
def test_a_bad_value_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says.replace("[", r"\[")):
        read_config(written(tmp_path, text))


def test_each_stow_peer_has_a_section_of_its_own(tmp_path: Path) -> None:
    text = "[web.pacs]\nauthority = 'ca.pem'\n[web.cloud]\nbearer_file = 'token'\n"
    config = read_config(written(tmp_path, text))
    assert {name: (each.authority, each.bearer_file) for name, each in config.web.items()} == {
        "pacs": ("ca.pem", ""),
        "cloud": ("", "token"),
    }
    cloud = service_of(config, Peer(0, "cloud", "CLOUD", "c", 443, transport="stow", url="https://c/rs"))
    assert cloud.bearer_file == tmp_path.resolve() / "token"


def test_what_an_admin_says_of_routing_becomes_its_rules(tmp_path: Path) -> None:
    assert rules_from(read_config(None).route) == RouteRules()
    config = read_config(written(tmp_path, "[route]\nrefuse_burned_in = true\nmax_megapixels = 50\n"))
    assert rules_from(config.route) == RouteRules(max_megapixels=50.0, refuse_burned_in=True)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--config"):
        read_config(tmp_path / "absent.toml")


def test_without_a_file_the_defaults_hold() -> None:
    assert read_config(None).listen == Config().listen


def test_the_listener_gets_its_name_and_its_tls_files_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    plain = settings_from(read_config(written(tmp_path, "")))
    assert (plain.name, plain.tls) == ("listener", None)
    text = '[listen]\nname = "second"\ntls_certificate = "node.pem"\ntls_key = "secret/node.key"\n'
    settings = settings_from(read_config(written(tmp_path, text)))
    folder = tmp_path.resolve()
    assert settings.name == "second"
    assert settings.tls == TlsFiles(folder / "node.pem", folder / "secret" / "node.key", None)
