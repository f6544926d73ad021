"""Server processes of the end-to-end tests and of the bench: started on free ports, waited for, measured, ended."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

PROJECT = Path(__file__).resolve().parents[2]
SHARED_DATA = PROJECT.parent / "shared" / "data"
HOST = "127.0.0.1"

Value = TypeVar("Value")


def system_tool(name: str) -> str:
    """The path of a program of the system.

    Virtual environments are passed over, ours and others on the PATH: pynetdicom puts its own storescp, storescu and
    echoscu there.
    """
    folders = [each for each in [*os.get_exec_path(), "/usr/sbin"] if not (Path(each).parent / "pyvenv.cfg").is_file()]
    return shutil.which(name, path=os.pathsep.join(folders)) or name


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def until(
    found: Callable[[], Value | None], deadline_s: float, message: str | Callable[[], str], every_s: float = 0.02
) -> Value:
    """The first true value of `found()`, asked again and again; AssertionError with `message` after the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        value = found()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s:g} s: {message() if callable(message) else message}")
        time.sleep(every_s)


def listens(port: int) -> bool:
    """Whether a socket of this machine is in state LISTEN on `port` (read from the kernel: no connection is made)."""
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[1].endswith(wanted):
                return True
    return False


class Child:
    """One process in a group of its own, with its output in a file."""

    def __init__(
        self, command: Sequence[object], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path = PROJECT
    ):
        self.command = [str(word) for word in command]
        self.log = log
        self._output = log.open("ab")
        self.process = subprocess.Popen(
            self.command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process, which leads its group."""
        return self.process.pid

    def output(self) -> str:
        """Everything written so far to standard output and error."""
        return self.log.read_text(errors="replace")

    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    def wait_for_port(self, port: int, deadline_s: float = 30.0) -> None:
        """Return once `port` is listened on; AssertionError with the output when the process ended or is late."""

        def ready() -> bool:
            if not self.is_running():
                raise AssertionError(
                    f"{self.command[0]} ended with {self.process.returncode}:\n{self.output()[-4000:]}"
                )
            return listens(port)

        until(ready, deadline_s, lambda: f"nobody listens on port {port}; output:\n{self.output()[-4000:]}")

    def terminate(self, deadline_s: float = 20.0) -> float:
        """SIGTERM to the leader, then wait: the seconds it took. Killed, and AssertionError, when it is late."""
        begin = time.monotonic()
        if self.is_running():
            self.process.terminate()
        try:
            self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"SIGTERM did not end it in {deadline_s:g} s:\n{self.output()[-4000:]}") from None
        finally:
            self.kill()
        return time.monotonic() - begin

    def kill(self) -> None:
        """SIGKILL to the whole group at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(10)
        self._output.close()


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def memory_mb(pid: int) -> float:
    """Resident memory of the process and its descendants in MB, shared pages counted once (PSS)."""
    return sum(_kilobytes(f"/proc/{one}/smaps_rollup", "Pss") for one in tree(pid)) / 1000


def peak_memory_mb(pid: int) -> float:
    """Highest resident memory that the one process ever had, in MB (VmHWM)."""
    return _kilobytes(f"/proc/{pid}/status", "VmHWM") / 1000


def _kilobytes(path: str, key: str) -> float:
    """A value of a /proc file in thousands of bytes; 0 for a process that is gone."""
    with contextlib.suppress(OSError):
        found = re.search(rf"^{key}:\s+(\d+) kB", Path(path).read_text(), re.MULTILINE)
        return int(found[1]) * 1.024 if found else 0.0
    return 0.0


def cpu_s(pid: int) -> float:
    """Processor seconds used by the process, its descendants and its children that were waited for."""
    ticks = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(value) for value in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(child: Child) -> Iterator[Child]:
    """End the child, whatever happens."""
    try:
        yield child
    finally:
        if child.is_running():
            child.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(10)
        child.kill()
