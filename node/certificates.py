"""When the certificates end that the configuration names: read from the PEM files, told 30 days before, daily.

Only the dates are read here (RFC 5280 4.1.2.5), by hand, for Python's ssl shows them of authorities alone; whether a
certificate is good for a connection is OpenSSL's to say.
"""

import logging
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from node.config import Config

log = logging.getLogger(__name__)

WARNED_DAYS = 30
_DAY_S = 86400.0
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _VERSION, _UTC_TIME = 0x30, 0xA0, 0x17
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to be said of one file of certificates."""

    what: str
    """The key of the configuration."""
    ok: bool
    says: str


def judged(config: Config, now: float) -> list[Judged]:
    """Every certificate file that the configuration names; not ok when one of it has ended, or does within 30 days."""
    return [_judged(key, path, now) for key, path in _files(config)]


def warn(config: Config, now: float) -> None:
    """One line of log for each file that needs an admin."""
    for each in judged(config, now):
        if not each.ok:
            log.error("%s: %s", each.what, each.says)


def validity(path: Path) -> list[tuple[float, float]]:
    """First and last moment (unix seconds) of each certificate in a PEM file, in their order.

    Raises
    ------
    ValueError
        There is none, or one is malformed.
    OSError
        The file cannot be read.
    """
    with path.open("rb") as file:
        text = file.read(_MAX_BYTES).decode("latin-1")
    found = [_dates(ssl.PEM_cert_to_DER_cert(pem)) for pem in _PEM.findall(text)]
    if not found:
        raise ValueError("it holds no certificate (-----BEGIN CERTIFICATE-----)")
    return found


def _files(config: Config) -> Iterator[tuple[str, Path]]:
    listen = config.listen
    named = [("listen.tls_certificate", listen.tls_certificate), ("listen.tls_authority", listen.tls_authority)]
    for name, section in config.web.items():
        named += [(f"web.{name}.certificate", section.certificate), (f"web.{name}.authority", section.authority)]
    return ((key, config.file(file)) for key, file in named if file)


def _judged(key: str, path: Path, now: float) -> Judged:
    try:
        spans = validity(path)
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        return Judged(key, False, f"{path} cannot be read as certificates: {why}. Give a PEM file.")
    begins, ends = max(span[0] for span in spans), min(span[1] for span in spans)
    days = (ends - now) / _DAY_S
    if begins > now:
        return Judged(
            key,
            False,
            f"{path} is valid from {_day(begins)} on, not yet: handshakes fail. Look at the clock, or at it.",
        )
    if days < 0:
        return Judged(key, False, f"{path} ended on {_day(ends)}: handshakes fail. Renew it and start Osteon again.")
    if days < WARNED_DAYS:
        words = f"{path} ends on {_day(ends)}, in {days:.0f} day(s). Renew it in time, and start Osteon again then."
        return Judged(key, False, words)
    return Judged(key, True, f"valid until {_day(ends)}")


def _day(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _dates(der: bytes) -> tuple[float, float]:
    """Of one certificate: Certificate, TBSCertificate, then version (optional), number, algorithm, issuer, validity."""
    _, certificate = next(_elements(der))
    _, body = next(_elements(certificate))
    fields = [content for tag, content in _elements(body) if tag != _VERSION]
    first, last = list(_elements(fields[3]))[:2] if len(fields) > 3 else (None, None)
    if first is None or last is None:
        raise ValueError("it holds something that is no certificate")
    return _moment(*first), _moment(*last)


def _moment(tag: int, content: bytes) -> float:
    """UTCTime until 2049 (two digits of the year), GeneralizedTime from then on; both end in Z."""
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        text = ("20" if int(text[:2]) < 50 else "19") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element of DER, one behind the other (X.690 8.1)."""
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            raise ValueError("it is cut short")
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(data[at : at + count], "big"), at + count
        if at + length > len(data):
            raise ValueError("it is cut short")
        yield tag, data[at : at + length]
        at += length
