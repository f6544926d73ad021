"""The listener over TLS: with a certificate from the right authority, or not at all."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from node.dimse.client import Timeouts, associate
from node.dimse.negotiate import VERIFICATION_CONTEXTS, storage_contexts
from node.errors import ConfigurationError, PeerError
from node.listen.settings import TlsFiles
from tests.bench.loads import EXPLICIT_LE, MR256, MR_IMAGE, made
from tests.certificates import Identity, identity

from .conftest import OURS, SENDER, House

CONTEXTS = (*VERIFICATION_CONTEXTS, *storage_contexts({MR_IMAGE: EXPLICIT_LE}))
TIMEOUTS = Timeouts(connect_s=5, response_s=5, idle_s=5)


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Identity, Identity, Identity]:
    """Ours, a peer's that we know, a stranger's."""
    folder = tmp_path_factory.mktemp("tls")
    return identity(folder, "node"), identity(folder, "peer"), identity(folder, "stranger")


def context_of(trusted: Identity, shown: Identity | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(trusted.certificate))
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    return context


@pytest.mark.checklist(59)
def test_a_known_certificate_may_send_and_others_may_not(
    new_house: Callable[..., House], identities: tuple[Identity, Identity, Identity]
) -> None:
    node, peer, stranger = identities
    house = new_house(tls=TlsFiles(node.certificate, node.key, peer.certificate), request_timeout_s=2)
    items = made(MR256, 3)

    def call(tls: ssl.SSLContext | None) -> None:
        with associate(
            "127.0.0.1", house.port, calling=SENDER, called=OURS, contexts=CONTEXTS, timeouts=TIMEOUTS, tls=tls
        ) as association:
            association.echo()
            for item in items:
                assert association.store(MR_IMAGE, item.sop_instance_uid, EXPLICIT_LE, item.data) == 0

    for refused in (context_of(node, None), context_of(node, stranger), None):
        with pytest.raises(PeerError):
            call(refused)
    call(context_of(node, peer))
    assert house.kept() == {item.sop_instance_uid: item.data for item in items}


@pytest.mark.checklist(59)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_1_1_is_not_spoken(
    new_house: Callable[..., House], identities: tuple[Identity, Identity, Identity]
) -> None:
    node, peer, _ = identities
    house = new_house(tls=TlsFiles(node.certificate, node.key, peer.certificate), request_timeout_s=2)
    old = context_of(node, peer)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")  # else OpenSSL itself would not even try
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(PeerError):
        associate("127.0.0.1", house.port, calling=SENDER, called=OURS, contexts=CONTEXTS, timeouts=TIMEOUTS, tls=old)


def test_files_that_are_no_certificate_are_the_admins_matter(new_house: Callable[..., House], tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("this is no certificate")
    with pytest.raises(ConfigurationError, match=r"listen\.tls"):
        new_house(tls=TlsFiles(tmp_path / "no.pem", tmp_path / "no.pem"))


def test_a_port_that_is_taken_is_the_admins_matter(new_house: Callable[..., House]) -> None:
    house = new_house()
    with pytest.raises(ConfigurationError, match=f"port {house.port} cannot be listened on"):
        new_house(port=house.port)
