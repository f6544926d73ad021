"""A PostgreSQL of Debian's for a test run: in a temporary folder, on 127.0.0.1 and a free port, without fsync."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

_BINARIES = Path("/usr/lib/postgresql")
MISSING = "Debian's package 'postgresql' is not installed"


def is_installed() -> bool:
    """Whether this machine has the server's programs."""
    return bool(list(_BINARIES.glob("*/bin/initdb")))


class Server:
    """A running server; `stop` ends it and removes its folder."""

    def __init__(self) -> None:
        self.bin = max(_BINARIES.glob("*/bin"), key=lambda path: int(path.parent.name))
        self.folder = Path(tempfile.mkdtemp(prefix="osteon-pg-"))
        # PostgreSQL refuses to run as root
        self.account: dict[str, Any] = (
            {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        )
        self.role = "postgres" if self.account else getpass.getuser()
        if self.account:
            shutil.chown(self.folder, "postgres", "postgres")
        self._run("initdb", "-A", "trust", "-N", "-E", "UTF8", "--locale=C", "--no-instructions")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        settings = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=32MB"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", settings, "start")

    def url(self, database: str = "postgres") -> str:
        """The address of a database, as an administrator would write it."""
        return f"postgresql://{self.role}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """An empty database of that name; its address."""
        engine = create_engine(self.url().replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
        with engine.connect() as conn:
            conn.execute(text(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)"))
            conn.execute(text(f"CREATE DATABASE {database}"))
        engine.dispose()
        return self.url(database)

    def stop(self) -> None:
        """End the server at once."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.bin / program), "-D", str(self.folder / "data"), *arguments]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            cwd=self.folder,
            **self.account,
        )
        assert done.returncode == 0, f"{program}: {done.stderr.decode()}"
