"""The node of the demonstration: a configuration, a process, and the command line that an administrator has."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from storage.engine import Engine, open_engine, reading
from storage.states import StudyState
from storage.studies import study_by_uid

HOST = "127.0.0.1"
STARTS_WITHIN_S, STOPS_WITHIN_S, ANSWERS_WITHIN_S = 60.0, 30.0, 300.0

CONFIGURATION = """\
# Written by deploy/demo; deploy/node.example.toml explains every key.
[node]
ae_title = "{ae_title}"
data_folder = "node-data"

[listen]
host = "{host}"
port = {port}
reserve_mb = 64

[work]
models_folder = "{models}"
"""


class DemonstrationFailed(Exception):
    """The demonstration cannot go on; the message says where to look."""


def free_port(wanted: int) -> int:
    """`wanted` when nobody has it, else one that is free."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise DemonstrationFailed(f"No port is free on {HOST}.")


def wait_for_port(name: str, port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return once the process listens.

    Raises
    ------
    DemonstrationFailed
        When it ends before, or takes too long.
    """
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.1)
    last = "\n  ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
    raise DemonstrationFailed(f"{name} does not listen on port {port}. The end of {log}:\n  {last}")


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask the process to end, and end it when it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class RunningNode:
    """`osteon serve` in a folder of its own."""

    def __init__(self, folder: Path, port: int, *, ae_title: str = "OSTEON", models: Path | None = None) -> None:
        self.folder, self.port, self.ae_title = folder, port, ae_title
        self._models = str(models.resolve()) if models else ""
        self.config, self.log = folder / "node.toml", folder / "node.log"
        self.osteon = Path(sys.executable).parent / "osteon"
        self._process: subprocess.Popen[bytes] | None = None
        self._engine: Engine | None = None

    def start(self) -> None:
        """Start the node; returns once it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = CONFIGURATION.format(ae_title=self.ae_title, host=HOST, port=self.port, models=self._models)
        self.config.write_text(text, encoding="utf-8")
        with self.log.open("wb") as log:
            command = [str(self.osteon), "serve", "--config", str(self.config)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for_port("The node", self.port, self._process, self.log)

    def stop(self) -> None:
        """Stop the node in order."""
        if self._engine is not None:
            self._engine.dispose()
        if self._process is not None:
            stop(self._process)

    def command(self, *words: str) -> str:
        """What `osteon WORDS --config ...` prints.

        Raises
        ------
        DemonstrationFailed
            When it exits with anything but 0, or not in time.
        """
        line = [str(self.osteon), *words, "--config", str(self.config)]
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=ANSWERS_WITHIN_S, check=False)
        except subprocess.TimeoutExpired as exc:
            raise DemonstrationFailed(
                f"osteon {words[0]} did not answer within {ANSWERS_WITHIN_S:.0f} s: is this machine busy?"
                f" Run ./deploy/demo again; the log of the node is {self.log}."
            ) from exc
        if done.returncode:
            raise DemonstrationFailed(f"osteon {' '.join(words)} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def state(self, study_instance_uid: str) -> StudyState | None:
        """Where a study is; None while nothing of it has come. Asked often, so of the database itself."""
        if self._engine is None:
            self._engine = open_engine(f"sqlite:///{self.folder / 'node-data' / 'osteon.sqlite'}")
        with reading(self._engine) as conn:
            study = study_by_uid(conn, study_instance_uid)
        return study.state if study else None

    def studies(self) -> list[dict[str, Any]]:
        """What the node says of every study."""
        listed: list[dict[str, Any]] = json.loads(self.command("studies", "--json"))
        return listed

    def why(self, number: int) -> str:
        """The node's explanation of one study, as one line."""
        told: dict[str, Any] = json.loads(self.command("studies", str(number), "--json"))
        return " ".join(told["explanation"])

    def add_peer(self, ae_title: str, port: int, profile: str = "default") -> None:
        """Let the PACS send, ask it whether a study is complete, and give it the results of a profile back."""
        self.command(
            *("peers", "add", "pacs", "--ae", ae_title, "--host", HOST, "--port", str(port)),
            *("--may-send", "--may-find", "--results", "own", "--address", f"{HOST}/32", "--profile", profile),
        )
