"""User identity (PS3.7 D.3.3.7): who a caller says it is, by name or by name and passcode, and whether to believe it.

The admin's file holds one user a line: `name:scrypt:SALT:HASH` as `osteon passcode NAME` prints it, or a name alone for
a user without a passcode (type 1). Lines that begin with `#` and empty ones say nothing. It is read again when it has
changed. A passcode travels as it is: without TLS everybody on the way can read it.

Kerberos, SAML and JSON Web Tokens (types 3 to 5) are not looked at: such a caller counts as one without identity.
"""

import binascii
import hashlib
import hmac
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node.dimse.items import NAME_AND_PASSCODE, UserIdentity
from node.errors import ConfigurationError
from node.listen.admit import Rejection

MISSING = Rejection(1, 1, 1, "it says of no user that it acts for one, and listen.user_required asks for it")
UNKNOWN = Rejection(1, 1, 1, "its user is not in the file of listen.users, or the passcode is wrong")
UNREADABLE = Rejection(2, 1, 1, "the file of listen.users cannot be read")

_SALT_BYTES = 16
_COST = {"n": 1 << 14, "r": 8, "p": 1, "dklen": 32}  # RFC 7914; 16 MB and some 40 ms
_LONGEST_NAME = 256
_AT_ONCE = threading.BoundedSemaphore(2)
"""Passcodes looked at together: each takes 16 MB, and whoever may call could ask for a hundred at once."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What is kept of a passcode."""

    salt: bytes = field(repr=False)
    hashed: bytes = field(repr=False)


NOBODY = Secret(bytes(_SALT_BYTES), bytes(32))
"""Compared with where the user is unknown, so that the time taken tells nothing."""


def line_for(name: str, passcode: bytes) -> str:
    """A line of the file, with a fresh salt.

    Raises
    ------
    ConfigurationError
        When the name is empty, too long or cannot stand in a line of the file, or the passcode is empty.
    """
    if not name.strip() or len(name) > _LONGEST_NAME or ":" in name or not name.isprintable() or name[0] == "#":
        raise ConfigurationError(
            f"passcode: the name has {len(name)} characters; it must have 1 to {_LONGEST_NAME} printable ones, no ':', "
            "and no '#' at its beginning. Choose another."
        )
    if not passcode:
        raise ConfigurationError(f"passcode: that of {name} is empty. Type one, or list the name alone in the file.")
    salt = os.urandom(_SALT_BYTES)
    return f"{name}:scrypt:{salt.hex()}:{_hashed(passcode, salt).hex()}"


def users_in(text: str) -> dict[str, Secret | None]:
    """The users of a file, by name; None for one without a passcode.

    Raises
    ------
    ConfigurationError
        Naming the first line that says nothing one can use; never its content.
    """
    users: dict[str, Secret | None] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, *rest = line.strip().split(":")
        try:
            users[name] = _secret(rest) if rest else None
        except (ValueError, binascii.Error) as exc:
            raise ConfigurationError(
                f"listen.users: line {number} is neither a name nor name:scrypt:SALT:HASH. Make it anew with "
                "`osteon passcode NAME`."
            ) from exc
    return users


def judged(identity: UserIdentity | None, users: Mapping[str, Secret | None], *, required: bool) -> Rejection | None:
    """None when the caller may come in.

    A user who is listed with a passcode must show it; who is listed without one may show any or none.
    """
    if identity is None or not identity.is_known:
        return MISSING if required else None
    name = identity.primary.decode("utf-8", "replace")
    secret = users.get(name, NOBODY)
    if secret is None:
        return None
    shown = identity.secondary if identity.kind == NAME_AND_PASSCODE else b""
    return None if hmac.compare_digest(_hashed(shown, secret.salt), secret.hashed) else UNKNOWN


class Users:
    """The file of users, read again when it has changed. For use by several threads."""

    def __init__(self, path: Path, *, required: bool) -> None:
        """Read the file.

        Raises
        ------
        ConfigurationError
            It cannot be read, or one of its lines says nothing one can use.
        """
        self._path = path
        self._required = required
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._users: dict[str, Secret | None] = {}
        self._known()

    def judged(self, identity: UserIdentity | None) -> Rejection | None:
        """None when the caller may come in; nobody may where the file has become unusable."""
        try:
            users = self._known()
        except ConfigurationError:
            return UNREADABLE
        return judged(identity, users, required=self._required)

    def _known(self) -> Mapping[str, Secret | None]:
        with self._lock:
            try:
                stat = self._path.stat()
                stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
                if stamp != self._stamp:
                    self._users = users_in(self._path.read_text(encoding="utf-8"))
                    self._stamp = stamp
            except (OSError, UnicodeDecodeError) as exc:
                raise ConfigurationError(
                    f"listen.users: {self._path.name} cannot be read ({type(exc).__name__}). Make it readable for the "
                    "node, or leave listen.users empty."
                ) from exc
            return self._users


def _secret(parts: list[str]) -> Secret:
    scheme, salt, hashed = parts
    if scheme != "scrypt" or len(salt) != 2 * _SALT_BYTES or len(hashed) != 2 * _COST["dklen"]:
        raise ValueError(scheme)
    return Secret(bytes.fromhex(salt), bytes.fromhex(hashed))


def _hashed(passcode: bytes, salt: bytes) -> bytes:
    with _AT_ONCE:
        return hashlib.scrypt(passcode, salt=salt, **_COST)
