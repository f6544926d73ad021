"""What a node cannot start with it says at once: which folder or port, which user, and what to do."""

import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from node import fitness
from node.config import Config, ListenSection, NodeSection
from node.errors import ConfigurationError
from tests.e2e.node_process import Node

NOBODY = 65534
CPU_S = 2.0


def config(folder: Path, data: str = "data", port: int = 0) -> Config:
    return Config(
        node=NodeSection(data_folder=data), listen=ListenSection(host="127.0.0.1", port=port), folder=folder.resolve()
    )


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held.getsockname()[1]


@contextlib.contextmanager
def another_user(folder: Path) -> Iterator[None]:
    """Somebody else's rights on a folder of ours: as root by becoming nobody, else by taking our own away."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        folder.chmod(0o500)
        try:
            yield
        finally:
            folder.chmod(0o700)


def test_a_sound_installation_passes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    fitness.ensure(config(tmp_path), listens=True)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_folder_of_another_owner_is_told_with_path_and_user(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    with another_user(tmp_path / "data"), pytest.raises(ConfigurationError) as caught:
        fitness.ensure(config(tmp_path), listens=False)
    message = str(caught.value)
    assert str(tmp_path / "data") in message
    assert "by user nobody" in message or os.geteuid() != 0
    assert "chown" in message


@pytest.mark.parametrize("inside", ["journal", "results", "osteon.sqlite"])
def test_a_part_of_the_folder_that_cannot_be_written_is_told(
    tmp_path: Path, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / inside).mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path).name != inside)
    with pytest.raises(ConfigurationError, match=rf"data/{inside} cannot be written by user \w+ \(Permission denied\)"):
        fitness.ensure(config(tmp_path), listens=False)


def test_a_part_that_does_not_listen_needs_no_port(tmp_path: Path, taken: int) -> None:
    fitness.ensure(config(tmp_path, port=taken), listens=False)
    with pytest.raises(ConfigurationError, match=f"port {taken} cannot be listened on"):
        fitness.ensure(config(tmp_path, port=taken), listens=True)


@pytest.mark.parametrize(
    ("listen", "data", "says"),
    [
        pytest.param({}, "/proc/osteon", "/proc/osteon cannot be written by user ", id="a folder that cannot be made"),
        pytest.param({"port": "taken"}, "data", "port {port} cannot be listened on (Address already", id="port in use"),
        pytest.param({"host": "192.0.2.1"}, "data", "192.0.2.1 port {port} cannot be", id="an address of others"),
    ],
)
def test_serving_ends_at_once_with_one_sentence(
    tmp_path: Path, taken: int, listen: dict[str, str], data: str, says: str
) -> None:
    chosen = listen | ({"port": taken} if "port" in listen else {})
    node = Node(tmp_path / "node", {"node": {"data_folder": data}, "listen": chosen})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = node.run("serve", code=2)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < CPU_S
    said = [line for line in done.stderr.splitlines() if line.startswith("osteon: ")]
    assert len(said) == 1, done.stderr
    assert says.format(port=chosen.get("port", node.port)) in said[0]
    assert "Traceback" not in done.stderr
