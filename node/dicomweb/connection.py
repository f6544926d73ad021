"""One HTTP/1.1 connection to a DICOMweb server, kept for several requests; failures become PeerErrors.

The standard library's client: it streams a body from pieces, keeps a connection, and follows neither proxies nor
redirections, which would take patients and credentials to places that nobody entered here.
"""

import contextlib
import http.client
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from node.dicomweb.service import Service, authorisation, tls_context
from node.errors import Disconnected, PeerError, ProtocolBroken, TimedOut, Unreachable
from node.identity import IMPLEMENTATION_VERSION_NAME

_PIECE = 1 << 20
_LONGEST_ANSWER = 8 << 20


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered."""

    status: int
    content_type: str
    """Lower case, without parameters; empty when there is none."""
    body: bytes


class Connection:
    """Opened by the first request. Not for use by several threads."""

    def __init__(self, service: Service) -> None:
        """Read what the service needs of us.

        Raises
        ------
        Unreachable
            A file that the configuration names cannot be used.
        """
        self.service = service
        self._headers = authorisation(service) | {"User-Agent": IMPLEMENTATION_VERSION_NAME}
        self._tls = tls_context(service)
        self._http: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it; a further request would open it anew."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: Sequence[bytes] = ()
    ) -> Reply:
        """One request, whose `path` is below the base, and its answer, whatever its status.

        Raises
        ------
        Unreachable, Disconnected, TimedOut, ProtocolBroken
            After which the connection is closed; whether the server did what was asked is not known.
        """
        is_kept = self._http is not None and self._http.sock is not None
        try:
            return self._asked(method, path, headers or {}, body)
        except Disconnected:
            if not is_kept:
                raise
        return self._asked(method, path, headers or {}, body)  # the server had closed the kept connection meanwhile

    def _asked(self, method: str, path: str, headers: Mapping[str, str], body: Sequence[bytes]) -> Reply:
        connection = self._opened()
        with self._translating():
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have answered before the end
                connection.request(
                    method,
                    f"{self.service.parts.path}{path}",
                    body=_pieces(body) if body else None,
                    headers={**self._headers, **headers, **_length(body)},
                )
            with connection.getresponse() as response:
                kind = (response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
                return Reply(response.status, kind, self._read(response))

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        deadline = time.monotonic() + self.service.response_s
        body = bytearray()
        while piece := response.read1(_PIECE):
            body += piece
            if len(body) > _LONGEST_ANSWER:
                raise ProtocolBroken(f"Its answer is longer than {_LONGEST_ANSWER >> 20} MB.")
            if time.monotonic() > deadline:
                raise TimedOut(f"Its answer took longer than {self.service.response_s:.0f} s.")
        if response.length:
            raise Disconnected("It closed the connection in the middle of its answer.")
        return bytes(body)

    def _opened(self) -> http.client.HTTPConnection:
        if self._http is not None and self._http.sock is not None:
            return self._http
        parts = self.service.parts
        host, port = parts.hostname or "", parts.port
        if self._tls is None:
            self._http = http.client.HTTPConnection(host, port or 80, timeout=self.service.connect_s)
        else:
            self._http = http.client.HTTPSConnection(
                host, port or 443, timeout=self.service.connect_s, context=self._tls
            )
        try:
            self._http.connect()
        except ssl.SSLCertVerificationError as exc:
            raise Unreachable(
                f"{self.service.place}: its certificate is not accepted ({exc.verify_message}). "
                f"Name the authority that signed it: authority in [web.{self.service.name}] of the configuration."
            ) from exc
        except OSError as exc:
            raise Unreachable(
                f"{self.service.place} cannot be reached ({exc.strerror or exc}). Check the URL, the firewall"
                f"{', and TLS on both sides' if self._tls else ''}."
            ) from exc
        self._http.sock.settimeout(self.service.response_s)
        return self._http

    @contextlib.contextmanager
    def _translating(self) -> Iterator[None]:
        """Close after any failure; its words begin with the place."""
        try:
            try:
                yield
            except TimeoutError as exc:
                raise TimedOut(f"It did not answer within {self.service.response_s:.0f} s.") from exc
            except (OSError, http.client.IncompleteRead) as exc:  # RemoteDisconnected is a ConnectionResetError
                why = getattr(exc, "strerror", None) or type(exc).__name__
                raise Disconnected(f"It closed the connection before it had answered ({why}).") from exc
            except (http.client.HTTPException, ValueError) as exc:
                raise ProtocolBroken(f"What it answered is not HTTP ({type(exc).__name__}). Correct the URL.") from exc
        except PeerError as exc:
            self.close()
            exc.args = (f"{self.service.place}: {exc}",)
            raise


def _length(body: Sequence[bytes]) -> dict[str, str]:
    return {"Content-Length": str(sum(map(len, body)))} if body else {}


def _pieces(body: Sequence[bytes]) -> Iterator[memoryview]:
    """So small that the time-out is one for each of them, not for the whole body."""
    for part in body:
        view = memoryview(part)
        for start in range(0, len(view), _PIECE):
            yield view[start : start + _PIECE]
