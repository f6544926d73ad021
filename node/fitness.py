"""What must be so before a part of the node starts: its folder can be written, its port is free; else it is said so.

Asked by whoever starts processes, so that they are not started again and again for something only a person can mend.
"""

import os
import socket
from pathlib import Path

from node.config import Config
from node.errors import ConfigurationError


def ensure(config: Config, *, listens: bool) -> None:
    """Return when the node can start.

    Raises
    ------
    ConfigurationError
        Naming the folder and the user, or the port.
    """
    _folder(config)
    if listens:
        bound(config.listen.host, int(config.listen.port)).close()


def bound(host: str, port: int) -> socket.socket:
    """A socket bound to the port, not listening yet.

    Raises
    ------
    ConfigurationError
        Another program has the port, or the user may not have it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        sock.setblocking(False)
        sock.bind((host, port))
    except OSError as exc:
        sock.close()
        raise ConfigurationError(
            f"listen: {host} port {port} cannot be listened on ({exc.strerror}). Choose another port, or stop the "
            "program that uses it; osteon check says whether that is a node."
        ) from exc
    return sock


def _folder(config: Config) -> None:
    """Whether we may write where received objects, results and the database lie."""
    folder = config.data_folder
    probe = folder / f".start-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as exc:
        raise _unwritable(folder, exc.strerror or type(exc).__name__) from exc
    for inside in (config.journal_folder, config.results_folder, *folder.glob("osteon.sqlite*")):
        if inside.exists() and not os.access(inside, os.W_OK):
            raise _unwritable(inside, "Permission denied")


def _unwritable(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"node.data_folder: {path} cannot be written by user {user()} ({why}). Give it to that user (chown -R "
        f"{user()}), see that its disk is not mounted read-only, or name another folder."
    )


def user() -> str:
    """The user as whom this process runs, by name where it has one."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
