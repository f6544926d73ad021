"""The node as an administrator runs it: a folder with a configuration file, the command line, and processes."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import written
from tests.e2e.processes import HOST, PROJECT, Child, free_port, listens, until

OSTEON = [sys.executable, "-c", "from node.cli import main; raise SystemExit(main())"]
FINAL = ("delivered", "not_applicable", "failed", "quarantined")

Settings = Mapping[str, Mapping[str, Any]]
DEFAULTS: Settings = {
    "node": {"ae_title": "OSTEON", "data_folder": "data", "log_level": "DEBUG"},
    "listen": {"host": HOST, "reserve_mb": 16},
    "work": {"provider": "cpu"},
    "send": {"first_retry_s": 0.3, "find_wait_s": 0.2},
}


class Node:
    """A node in `folder`; started and stopped by the test."""

    def __init__(self, folder: Path, settings: Settings | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.config = folder / "node.toml"
        sections = {name: dict(DEFAULTS.get(name, {})) for name in (*DEFAULTS, *(settings or {}))}
        sections["listen"]["port"] = self.port
        for name, values in (settings or {}).items():
            sections[name] |= values
        self.ae_title = sections["node"]["ae_title"]
        self.config.write_text("".join(_section(name, values) for name, values in sections.items()))
        self.children: list[Child] = []
        self._engine: Any = None

    @property
    def data(self) -> Path:
        """The node's data folder."""
        return self.folder / "data"

    def run(self, *words: object, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """An `osteon` command to its end; AssertionError unless it exits with `code` (None: any)."""
        command = [*OSTEON, *(str(word) for word in words), "--config", str(self.config)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
        assert code in (None, done.returncode), (
            f"osteon {words} exited with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
        return done

    def json(self, *words: object) -> Any:
        """What an `osteon` command prints with --json."""
        return json.loads(self.run(*words, "--json").stdout)

    def peer(
        self,
        name: str,
        ae_title: str,
        port: int = 104,
        *,
        may_send: bool = False,
        results: str = "none",
        profile: str = "",
    ) -> None:
        """Add a peer on this machine."""
        more = [*(["--may-send"] if may_send else []), *(["--profile", profile] if profile else [])]
        self.run("peers", "add", name, "--ae", ae_title, "--host", HOST, "--port", port, "--results", results, *more)

    def start(self, part: str = "serve", env: Mapping[str, str] | None = None) -> Child:
        """Start `osteon serve` (or listen, work); returns once it listens."""
        self.children = [child for child in self.children if child.is_running()]
        child = Child([*OSTEON, part, "--config", self.config], self.folder / f"{part}.log", env=env)
        self.children.append(child)
        if part != "work":
            child.wait_for_port(self.port, 60)
        return child

    def kill(self) -> None:
        """kill -9 of every process of the node at once."""
        for child in self.children:
            child.kill()
        until(lambda: not listens(self.port), 10, f"port {self.port} is still listened on after the kill")

    def terminate(self) -> float:
        """SIGTERM to every part; the seconds until the last one ended."""
        begin = time.monotonic()
        for child in self.children:
            child.process.terminate()
        for child in self.children:
            child.terminate()
        return time.monotonic() - begin

    def log(self) -> str:
        """All that the node's processes have written."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def held(self) -> dict[str, str]:
        """SOP Instance UID → SHA-256 of everything kept, as `osteon held` prints it."""
        lines = self.run("held").stdout.splitlines()
        return dict(line.split() for line in lines)

    def has(self, sop_instance_uid: str) -> bool:
        """Whether an object is kept (asked of the database, which costs less than `held`)."""
        from storage import studies
        from storage.engine import reading

        with reading(self._database()) as conn:
            return any(uid == sop_instance_uid for uid, _ in studies.held(conn))

    def number_of(self, study_instance_uid: str) -> int | None:
        """Our number of a study, None when it has not been recorded (read from the database, which costs less)."""
        study = self._study(study_instance_uid)
        return None if study is None else int(study.id)

    def states(self) -> Counter[str]:
        """How many studies are in each state (read from the database, which costs less)."""
        from storage import studies
        from storage.engine import reading

        with reading(self._database()) as conn:
            return Counter(study.state.value for study in studies.studies(conn, limit=1_000_000))

    def state(self, study_instance_uid: str) -> str:
        """The study's state, "" when it has not been recorded."""
        study = self._study(study_instance_uid)
        return "" if study is None else str(study.state.value)

    def ended(self, study_instance_uid: str, deadline_s: float = 60, states: Sequence[str] = FINAL) -> dict[str, Any]:
        """The study as `osteon studies N --json` shows it, once it is in one of the states."""
        self.wait(study_instance_uid, deadline_s, states)
        found: dict[str, Any] = self.json("studies", self.number_of(study_instance_uid))
        return found

    def outcome(self, study_instance_uid: str, deadline_s: float = 60) -> tuple[str, str]:
        """Outcome and explanation of a study, once it has ended (read from the database, which costs less)."""
        self.wait(study_instance_uid, deadline_s)
        study = self._study(study_instance_uid)
        return str(study.outcome.value), str(study.explanation)

    def wait(self, study_instance_uid: str, deadline_s: float = 60, states: Sequence[str] = FINAL) -> None:
        """Return once the study is in one of the states."""

        def late() -> str:
            number, state = self.number_of(study_instance_uid), self.state(study_instance_uid)
            return f"study {number} is {state!r}, not one of {states}; log:\n{self.log()[-6000:]}"

        until(lambda: self.state(study_instance_uid) in states, deadline_s, late, every_s=0.05)

    def _study(self, study_instance_uid: str) -> Any:
        from storage import studies
        from storage.engine import reading

        with reading(self._database()) as conn:
            return studies.study_by_uid(conn, study_instance_uid)

    def _database(self) -> Any:
        from node.config import read_config
        from storage.engine import open_engine

        if self._engine is None:
            self._engine = open_engine(read_config(self.config).database_url)
        return self._engine

    def close(self) -> None:
        """End every process; nothing may have named the patient meanwhile."""
        self.kill()
        if self._engine is not None:
            self._engine.dispose()
        written.keep_results(self.data / "results", "a node of tests/e2e")
        assert_no_patient_in(self)


def assert_no_patient_in(node: Node) -> None:
    """No log line, file name or error text may hold a word of the patient (promise P7)."""
    lines = [line for line in node.log().splitlines() if "CANARY" in line.upper()]
    assert not lines, f"{len(lines)} log lines name the patient, the first: {lines[0]}"
    names = [path.name for path in node.folder.rglob("*") if "CANARY" in path.name.upper()]
    assert not names, f"files named after the patient: {names[:3]}"


def _section(name: str, values: Mapping[str, Any]) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join([f"[{name}]", *lines, "", ""])
