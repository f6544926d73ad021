"""Configurations that cannot be meant: refused by every command before anything starts, with all that it takes to mend.

Each refusal names the file, the key, the value where it is no secret, the limit, and what to do; there is no traceback.
Single values and their sentences are in test_config.py.
"""

from pathlib import Path

import pytest

from node.cli import main

# text of the file → what the refusal must say of it
BAD: dict[str, tuple[str, tuple[str, ...]]] = {
    "a port of nothing": ("[listen]\nport = -1\n", ("listen.port: -1", "0 to 65535")),
    "a port in quotes": ("[listen]\nport = '11112'\n", ("listen.port: '11112'", "a whole number")),
    "no association at all": ("[listen]\nmax_associations = 0\n", ("listen.max_associations: 0", "1 to 2000")),
    "too many associations": ("[listen]\nmax_associations = 100000\n", ("max_associations: 100000", "1 to 2000")),
    "a PDU too short": ("[listen]\nmax_pdu_bytes = 100\n", ("listen.max_pdu_bytes: 100", "4096 to 1048576 bytes")),
    "objects of no size": ("[listen]\nmax_object_mb = 0\n", ("listen.max_object_mb: 0", "1 to 65536 MB")),
    "a time limit of zero": ("[listen]\nrequest_timeout_s = 0\n", ("listen.request_timeout_s: 0", "0.5 to 300 s")),
    "a time limit for ever": ("[listen]\nidle_timeout_s = inf\n", ("listen.idle_timeout_s: inf", "1 to 3600 s")),
    "a time limit that is no number": ("[listen]\npdu_timeout_s = nan\n", ("listen.pdu_timeout_s: nan", "1 to 600")),
    "a negative reserve": ("[listen]\nreserve_mb = -5\n", ("listen.reserve_mb: -5", "0 to 1048576 MB")),
    "yes for true": ("[listen]\nallow_unknown = 'yes'\n", ("listen.allow_unknown: 'yes'", "true or false")),
    "one for true": ("[listen]\nallow_unknown = 1\n", ("listen.allow_unknown: 1", "true or false")),
    "a list for a text": ("[listen]\nhost = ['a', 'b']\n", ("listen.host: ['a', 'b']", "a text in quotes")),
    "users required of nobody": ("[listen]\nuser_required = true\n", ("listen.user_required", "listen.users")),
    "a misspelt key": ("[listen]\nmax_asociations = 5\n", ("listen.max_asociations: there is no such key", "port")),
    "a key of another section": ("[node]\nport = 104\n", ("node.port: there is no such key", "ae_title")),
    "a misspelt section": ("[lisen]\nport = 104\n", ("[lisen]: there is no such section", "listen")),
    "a key outside all sections": ("ae_title = 'X'\n", ("[ae_title]: there is no such section", "node")),
    "a section within a section": ("[listen.port]\nx = 1\n", ("listen.port: {'x': 1}", "a whole number")),
    "an AE title too long": ("[node]\nae_title = 'RADIOLOGY_PACS_MAIN'\n", ("19 characters", "1 to 16", "Shorten")),
    "an AE title of umlauts": ("[node]\nae_title = 'RÖNTGEN'\n", ("node.ae_title: 'RÖNTGEN'", "ASCII")),
    "an AE title of two lines": ('[node]\nae_title = "A\\nB"\n', ("node.ae_title: 'A\\nB'", "printable")),
    "a number for an AE title": ("[node]\nae_title = 104\n", ("node.ae_title: 104", "a text in quotes")),
    "a folder of a zero byte": ("[node]\ndata_folder = 'a\\u0000b'\n".replace("'", '"'), ("node.data_folder",)),
    "a level in small letters": ("[node]\nlog_level = 'info'\n", ("node.log_level: 'info'", "INFO")),
    "quiet for years": ("[settle]\nmr_quiet_s = 1e9\n", ("settle.mr_quiet_s: 1000000000.0", "0 to 3600 s")),
    "a cap below patience": (
        "[settle]\ncap_s = 30\npatience_s = 90\n",
        ("settle.cap_s: 30.0", "settle.patience_s (90.0)"),
    ),
    "images of no pixels": ("[route]\nmax_megapixels = 0\n", ("route.max_megapixels: 0", "1 to 268 megapixels")),
    "no threads": ("[work]\nthreads = 0\n", ("work.threads: 0", "1 to 256")),
    "too little memory": ("[work]\nmemory_limit_mb = 10\n", ("work.memory_limit_mb: 10", "256 to 1048576 MB")),
    "a lease of a blink": ("[work]\nlease_s = 0.1\n", ("work.lease_s: 0.1", "2 to 3600 s")),
    "crashes without end": ("[work]\nmax_crashes = 99\n", ("work.max_crashes: 99", "1 to 10")),
    "a note of no kind": ("[results]\nrejection_note = 'yes'\n", ("results.rejection_note: 'yes'", "quality")),
    "a code without a scheme": ("[assessments]\naccepted_codes = '111'\n", ("assessments.accepted_codes: '111'",)),
    "retries at once": ("[send]\nfirst_retry_s = 0\n", ("send.first_retry_s: 0", "0.1 to 3600 s")),
    "an e-mail address for a database": ("[database]\nurl = 'me@here'\n", ("database.url", "sqlite:///")),
    "a key twice": ("[listen]\nport = 1\nport = 2\n", ("cannot be read as TOML", "line 3")),
    "a section twice": ("[node]\n[node]\n", ("cannot be read as TOML", "line 2")),
    "an open quote": ("[node]\nae_title = 'OSTEON\n", ("cannot be read as TOML", "at end of document")),
    "Windows paths": ('[node]\ndata_folder = "C:\\Users"\n', ("cannot be read as TOML", "line 2")),
}


def refused(path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says; it must end with code 2, one sentence and no traceback."""
    assert main([command, "--config", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("osteon: ")
    assert "Traceback" not in said.err
    assert str(path) in said.err
    return said.err


def test_there_are_thirty_and_more() -> None:
    assert len(BAD) >= 30


@pytest.mark.parametrize("name", BAD)
def test_a_bad_configuration_is_refused_by_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    text, words = BAD[name]
    path = tmp_path / "node.toml"
    path.write_text(text)
    said = refused(path, "serve", capsys)
    for word in words:
        assert word in said
    assert "node.example.toml" in said or "Mend that place" in said
    assert refused(path, "check", capsys) == said
    assert list(tmp_path.iterdir()) == [path], "nothing was started"


@pytest.mark.parametrize(
    "content",
    [pytest.param(b"[node]\nae_title = '\xff\xfe'\n", id="not UTF-8"), pytest.param(None, id="a folder")],
)
def test_what_is_no_text_file_is_refused_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = tmp_path / "node.toml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    assert "cannot be read as TOML" in refused(path, "serve", capsys)
