"""The listener's side of TLS: which files, which versions, and what the log says of callers with whom it fails."""

import logging
import ssl
import threading
import time
from collections.abc import Callable

from node.errors import ConfigurationError, PeerError
from node.listen.settings import TlsFiles

log = logging.getLogger(__name__)

_QUIET_S = 60.0
_MOST = 1000


def context_for(files: TlsFiles) -> ssl.SSLContext:
    """TLS 1.2 or newer (PS3.15 B.12, BCP 195).

    Raises
    ------
    ConfigurationError
        A file cannot be used, or key and certificate do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key, password=_refuse_to_ask)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(
            f"listen.tls_certificate and tls_key: {files.certificate} with {files.key} cannot be used: {_why(exc)}."
        ) from exc
    if files.authority is not None:
        try:
            context.load_verify_locations(files.authority)
        except (OSError, ValueError) as exc:
            raise ConfigurationError(f"listen.tls_authority: {files.authority} cannot be used: {_why(exc)}.") from exc
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Refused:
    """Handshakes that failed: one line a minute for each address, so that a caller's admin can be told why."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._said: dict[str, float] = {}

    def note(self, address: str, exc: PeerError) -> None:
        """Say why, unless the same address was told of a moment ago."""
        with self._lock:
            if self._now() - self._said.get(address, float("-inf")) < _QUIET_S:
                return
            if len(self._said) > _MOST:
                self._said.clear()
            self._said[address] = self._now()
        log.warning("%s was not let in: %s", address, _of_handshake(exc))


def _of_handshake(exc: PeerError) -> str:
    cause = exc.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"the certificate that it shows is not accepted ({cause.verify_message}). Renew it there, or correct "
            "listen.tls_authority."
        )
    reason = getattr(cause, "reason", "") or ""
    if "PEER_DID_NOT_RETURN" in reason:
        return "it shows no certificate, and listen.tls_authority asks for one. Give it one."
    if "ALERT" in reason and ("CERT" in reason or "UNKNOWN_CA" in reason):
        return f"it does not accept our certificate ({reason}). Look at listen.tls_certificate, or at its authorities."
    return f"{exc} It must speak TLS 1.2 or newer on this port."


def _why(exc: OSError | ValueError) -> str:
    reason = getattr(exc, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return "the key is not that of the certificate. Name the two that belong together"
    if isinstance(exc, ssl.SSLError) or not isinstance(exc, OSError):
        return f"it is not PEM as expected ({reason or exc}). Give a PEM file, the key without a pass phrase"
    return f"{exc.strerror}. Correct the name, or the rights for the user of the node"


def _refuse_to_ask() -> str:
    raise ValueError("the key has a pass phrase")
