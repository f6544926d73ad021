"""Where a peer's DICOMweb services are and what we show them: TLS files and credentials, read when they are needed.

They lie in files that the configuration names, so that neither the database nor a list of peers ever holds a secret;
read anew for each connection, so that a token may be renewed while the node runs.
"""

import base64
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from node.config import Config
from node.errors import Unreachable
from storage.peers import Peer

_LONGEST_SECRET = 16_384


@dataclass(frozen=True, slots=True)
class Service:
    """One server and how it is spoken to; `None` for what the configuration does not name."""

    name: str
    """Our word for the peer."""
    url: str
    """The base, without a slash at its end (PS3.18 8.2)."""
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    bearer_file: Path | None = None
    basic_file: Path | None = None
    connect_s: float = 10.0
    response_s: float = 60.0

    @property
    def place(self) -> str:
        """As sentences call it."""
        return f"{self.name} at {self.url}"

    @property
    def parts(self) -> SplitResult:
        """The URL in its parts."""
        return urlsplit(self.url)


def service_of(config: Config, peer: Peer) -> Service:
    """The service of a STOW-RS peer, with what the section [web.NAME] says of it."""
    section = config.web.get(peer.name)

    def named(file: str) -> Path | None:
        return config.file(file) if file else None

    if section is None:
        return Service(
            peer.name, peer.url, connect_s=config.send.connect_timeout_s, response_s=config.send.response_timeout_s
        )
    return Service(
        peer.name,
        peer.url,
        authority=named(section.authority),
        certificate=named(section.certificate),
        key=named(section.key),
        bearer_file=named(section.bearer_file),
        basic_file=named(section.basic_file),
        connect_s=config.send.connect_timeout_s,
        response_s=config.send.response_timeout_s,
    )


def tls_context(service: Service) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with a checked certificate (BCP 195); None for plain http.

    Raises
    ------
    Unreachable
        A file that the configuration names cannot be used.
    """
    if service.parts.scheme != "https":
        return None
    try:
        context = ssl.create_default_context(cafile=service.authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if service.certificate is not None:
            context.load_cert_chain(service.certificate, service.key)
    except (OSError, ssl.SSLError) as exc:
        raise Unreachable(
            f"web.{service.name}: authority, certificate or key cannot be used ({exc.strerror or exc}). "
            "Give PEM files that the user of the node may read."
        ) from exc
    return context


def authorisation(service: Service) -> dict[str, str]:
    """The header with our credentials; empty when the configuration names none.

    Raises
    ------
    Unreachable
        The file cannot be used, or the secret would travel in the clear over a network.
    """
    path = service.bearer_file or service.basic_file
    if path is None:
        return {}
    key = "bearer_file" if service.bearer_file else "basic_file"
    if service.parts.scheme != "https" and not _is_this_machine(service.parts.hostname or ""):
        raise Unreachable(
            f"web.{service.name} {key}: over http everybody on the way could read it, so it is not sent. "
            "Give the peer an https URL."
        )
    secret = _secret(service, key, path)
    if service.bearer_file:
        return {"Authorization": f"Bearer {secret}"}
    return {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode("ascii")}


def _secret(service: Service, key: str, path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            secret = file.read(_LONGEST_SECRET + 1).strip()
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise Unreachable(f"web.{service.name} {key}: {path} cannot be read ({why}). Correct it.") from exc
    is_token = secret.isascii() and " " not in secret
    form, is_of_form = ("one token", is_token) if key == "bearer_file" else ("one line, user:password", ":" in secret)
    if not (is_of_form and secret.isprintable() and 0 < len(secret) <= _LONGEST_SECRET):
        raise Unreachable(f"web.{service.name} {key}: {path} does not hold {form} and nothing else. Correct it.")
    return secret


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
