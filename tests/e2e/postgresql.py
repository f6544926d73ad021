"""A PostgreSQL of Debian's, started for a test run in a folder of its own."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.processes import HOST, free_port

USER = "postgres"


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, None when it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextlib.contextmanager
def running(programs: Path) -> Iterator[str]:
    """A server for the block; its SQLAlchemy URL."""
    folder = Path(tempfile.mkdtemp(prefix="osteon-postgresql-"))
    port = free_port()
    as_user = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []  # PostgreSQL refuses to run as root
    if as_user:
        shutil.chown(folder, USER)

    def call(program: str, *words: str) -> None:
        command = [*as_user, str(programs / program), "-D", str(folder / "db"), *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    call("initdb", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -c listen_addresses={HOST} -c unix_socket_directories={folder}"
    call("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", options)
    try:
        yield f"postgresql+psycopg://{USER}@{HOST}:{port}/postgres"
    finally:
        call("pg_ctl", "stop", "-m", "immediate")
        shutil.rmtree(folder, ignore_errors=True)
