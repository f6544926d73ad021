"""Certificates that end, have not begun, do not fit or cannot be read: each is told in words, in time (FAULTS 24)."""

import logging
import re
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from node import certificates, listener
from node.cli import port
from node.config import Config, ListenSection, NodeSection, WebSection
from node.errors import ConfigurationError, Disconnected
from node.listen.settings import tls_files
from node.listen.tls import Refused, context_for
from tests.certificates import identity, issued

DAYS = {"good": (-1, 400), "soon": (-1, 20), "expired": (-20, -2), "early": (2, 400)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates by an authority of ours, and one by another."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, other = identity(folder, "authority"), identity(folder, "other")
    for name, (first, last) in DAYS.items():
        issued(folder, name, authority, first, last)
    issued(folder, "stranger", other, -1, 400)
    (folder / "none.pem").write_text("no certificate")
    (folder / "cut.pem").write_text((folder / "good.pem").read_text()[:600] + "\n-----END CERTIFICATE-----\n")
    return folder


def configured(folder: Path, certificate: str, key: str = "", authority: str = "") -> Config:
    section = ListenSection(
        host="127.0.0.1", port=0, tls_certificate=certificate, tls_key=key or certificate.replace("pem", "key"),
        tls_authority=authority, reserve_mb=0,
    )  # fmt: skip
    return Config(node=NodeSection(data_folder="data"), listen=section, folder=folder)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("soon.pem", r"ends on .* UTC, in 20 day\(s\)\. Renew it in time"),
        ("expired.pem", "ended on .*Renew it"),
        ("early.pem", "not yet.*Look at the clock"),
        ("none.pem", "holds no certificate"),
        ("cut.pem", "cannot be read as certificates"),
        ("absent.pem", "No such file"),
    ],
)
def test_a_certificate_that_needs_an_admin_is_told(
    folder: Path, name: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = configured(folder, name)
    [found] = certificates.judged(config, time.time())
    assert not found.ok
    with caplog.at_level(logging.ERROR):
        certificates.warn(config, time.time())
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert caplog.records[0].getMessage().startswith("listen.tls_certificate: ")
    assert re.search(words, caplog.text), caplog.text


def test_the_warning_begins_thirty_days_before_the_end(folder: Path) -> None:
    config = configured(folder, "good.pem")
    [(begins, ends)] = certificates.validity(folder / "good.pem")
    assert 400 < (ends - begins) / 86400 < 402
    for before_s, is_ok in ((30 * 86400 + 60, True), (30 * 86400 - 60, False), (-60, False)):
        assert certificates.judged(config, ends - before_s)[0].ok is is_ok


def test_dates_are_those_that_openssl_reads(folder: Path) -> None:
    for name in DAYS:
        path = folder / f"{name}.pem"
        shown = ssl._ssl._test_decode_cert(path)  # type: ignore[attr-defined]  # no public way shows them of a leaf
        wanted = (ssl.cert_time_to_seconds(shown["notBefore"]), ssl.cert_time_to_seconds(shown["notAfter"]))
        assert certificates.validity(path) == [wanted]


def test_every_file_that_the_configuration_names_is_looked_at(folder: Path) -> None:
    web = {"cloud": WebSection(certificate="soon.pem", key="soon.key", authority="authority.pem")}
    config = Config(listen=configured(folder, "good.pem", authority="authority.pem").listen, web=web, folder=folder)
    assert {found.what: found.ok for found in certificates.judged(config, time.time())} == {
        "listen.tls_certificate": True,
        "listen.tls_authority": False,  # made for two days
        "web.cloud.certificate": False,
        "web.cloud.authority": False,
    }


@pytest.mark.parametrize(
    ("certificate", "key", "authority", "words"),
    [
        ("good.pem", "soon.key", "", "the key is not that of the certificate"),
        ("good.pem", "none.pem", "", "not PEM as expected"),
        ("none.pem", "good.key", "", "not PEM as expected"),
        ("good.pem", "absent.key", "", "No such file"),
        ("good.pem", "good.key", "none.pem", "listen.tls_authority.*not PEM"),
    ],
    ids=["mismatched", "key is no key", "certificate is none", "key absent", "authority is none"],
)
def test_files_that_do_not_fit_keep_the_node_from_starting(
    folder: Path, certificate: str, key: str, authority: str, words: str
) -> None:
    config = configured(folder, certificate, key, authority)
    files = tls_files(config)
    assert files is not None
    with pytest.raises(ConfigurationError, match=words):
        context_for(files)
    tried = port.tls(config)
    assert tried is not None
    assert not tried[0]


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("expired", "certificate has expired"),
        ("early", "certificate is not yet valid"),
        ("stranger", "unable to get local issuer certificate|self.signed"),
        ("", "shows no certificate"),
    ],
    ids=["expired", "not yet valid", "wrong authority", "none"],
)
def test_the_log_says_why_a_caller_was_not_let_in(
    folder: Path, shown: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = configured(folder, "good.pem", authority="authority.pem")
    files = tls_files(config)
    assert files is not None
    client = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    if shown:
        client.load_cert_chain(folder / f"{shown}.pem", folder / f"{shown}.key")
    exc = _failed(context_for(files), client)
    refused = Refused()
    with caplog.at_level(logging.WARNING):
        refused.note("10.0.0.9", exc)
        refused.note("10.0.0.9", exc)
        refused.note("10.0.0.8", exc)
    assert [record.args[0] for record in caplog.records if record.args] == ["10.0.0.9", "10.0.0.8"]
    assert re.search(words, caplog.text), caplog.text


def _failed(server: ssl.SSLContext, client: ssl.SSLContext) -> Disconnected:
    """The listener's error of a handshake between the two."""
    from node.dimse.wire import Connection

    ours, theirs = socket.socketpair()
    wrapped = server.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)

    def call() -> None:
        try:
            theirs.settimeout(5)
            with client.wrap_socket(theirs, server_hostname="127.0.0.1") as there:
                there.recv(1)
        except OSError:
            pass

    caller = threading.Thread(target=call)
    caller.start()
    connection = Connection(wrapped, max_pdu=16384, pdu_timeout_s=5)
    with pytest.raises(Disconnected) as caught:
        connection.handshake(time.monotonic() + 5)
    connection.close(0)
    caller.join()
    return caught.value


def test_a_node_whose_certificate_has_ended_says_so_at_its_start_and_goes_on(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    stop.set()
    with caplog.at_level(logging.ERROR):
        listener.run(configured(folder, "expired.pem"), stop)
    assert "listen.tls_certificate" in caplog.text
    assert "ended on" in caplog.text
