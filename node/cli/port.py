"""What `osteon check` says of the port (free, held by this node, or by something else) and of the TLS files."""

import contextlib
import socket
import ssl

from node.config import Config
from node.errors import ConfigurationError
from node.listen.settings import tls_files
from node.listen.tls import context_for

CALLING_NOT_RECOGNISED = (1, 3)
"""Source and reason of an A-ASSOCIATE-RJ (PS3.8 9.3.4): the answer of a node that does not list who asks."""
_ECHO_S = 5.0
_ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def port(config: Config) -> tuple[bool, str]:
    """Whether the listener can use its port or holds it already, and in what words."""
    host, number = config.listen.host, int(config.listen.port)
    place = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
    try:
        found = socket.getaddrinfo(host or None, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as exc:
        return False, f"listen.host: {host!r} is no address of this machine ({exc.strerror}). Correct it."
    except OSError as exc:
        is_us, says = _who_answers(config)
        if is_us:
            return True, f"{place}: {says}"
        return False, f"{place}: {exc.strerror}. {says}"
    return True, f"{place} is free"


def tls(config: Config) -> tuple[bool, str] | None:
    """Whether the TLS files can be used; None when there are none."""
    files = tls_files(config)
    if files is None:
        return None
    try:
        context_for(files)
    except ConfigurationError as exc:
        return False, str(exc)
    asked = "callers must show one of listen.tls_authority" if config.listen.tls_authority else "callers show none"
    return True, f"certificate and key fit, {asked}"


def _who_answers(config: Config) -> tuple[bool, str]:
    """Ask whoever holds the port by C-ECHO; a node that knows no peer of our own name refuses in a way we know."""
    from node.dimse.client import Timeouts, associate  # pydicom and pynetdicom take a second to load
    from node.dimse.negotiate import VERIFICATION_CONTEXTS
    from node.errors import PeerError, Rejected

    title = config.node.ae_title
    try:
        with associate(
            _ANYWHERE.get(config.listen.host, config.listen.host),
            int(config.listen.port),
            calling=title,
            called=title,
            contexts=VERIFICATION_CONTEXTS,
            timeouts=Timeouts(connect_s=_ECHO_S, response_s=_ECHO_S, idle_s=_ECHO_S),
            tls=_client_context(config),
        ) as association:
            association.echo()
    except Rejected as exc:
        if (exc.source, exc.reason) == CALLING_NOT_RECOGNISED:
            return True, f"the node runs (it answers DICOM, and refuses {title} as a caller, as it should)"
        return False, f"A DICOM program holds it and refuses us: {exc}"
    except PeerError as exc:
        return False, f"Another program holds it, or the address is not ours (ss -ltnp): {exc}"
    return True, "the node runs and answers C-ECHO"


def _client_context(config: Config) -> ssl.SSLContext | None:
    """For a connection to ourselves: our certificate is shown, and what comes back is not checked."""
    if not config.listen.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(OSError):  # said by `tls`
        _load_own(context, config)
    return context


def _load_own(context: ssl.SSLContext, config: Config) -> None:
    context.load_cert_chain(config.file(config.listen.tls_certificate), config.file(config.listen.tls_key))
