"""What several end-to-end tests start: a node with its PACS, ended when the tests of a file are through."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.node_process import Node, Settings
from tests.e2e.orthanc import ORTHANC, Orthanc
from tests.e2e.processes import system_tool
from tests.postgresql import MISSING, Server, is_installed

TOOLS = (ORTHANC, "dcmsend", "storescu", "echoscu", "dsrdump", "dcmpschk", "dciodvfy")


@pytest.fixture(scope="session", autouse=True)
def tools_of_the_trade() -> None:
    """Skip everything here when a counterpart is not installed: the test run installs them where it may."""
    if missing := [tool for tool in TOOLS if shutil.which(system_tool(tool)) is None]:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian packages orthanc, dcmtk, dicom3tools)")


@pytest.fixture(scope="module")
def new_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Node]]:
    """Makes nodes; each is ended, and searched for the patient's name, after the tests of the file."""
    with ExitStack() as stack:

        def make(settings: Settings | None = None) -> Node:
            node = Node(tmp_path_factory.mktemp("node"), settings)
            stack.callback(node.close)
            return node

        yield make


@pytest.fixture(scope="module")
def new_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Orthanc]]:
    """Starts Orthancs; each is ended after the tests of the file."""
    with ExitStack() as stack:

        def make(ae_title: str = "ORTHANC", node: Node | None = None, *, always: bool = False) -> Orthanc:
            target = (node.ae_title, node.port) if node else None
            server = Orthanc(tmp_path_factory.mktemp("orthanc"), ae_title=ae_title, node=target, always=always)
            stack.callback(server.stop)
            return server

        yield make


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is sent."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def postgresql_url() -> Iterator[str]:
    """The URL of a PostgreSQL of this test run."""
    if not is_installed():
        pytest.skip(MISSING)
    server = Server()
    yield server.url()
    server.stop()
