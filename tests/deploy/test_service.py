"""The unit for systemd is as closed as the documents say, and the processes keep their memory to themselves."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import until
from tests.faults.targets import Osteon

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "deploy" / "osteon.service"
_PR_GET_DUMPABLE = 3


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


def test_the_unit_leaves_no_core_no_swap_and_no_rights() -> None:
    found = settings()
    assert found["LimitCORE"] == ["0"]
    assert found["MemorySwapMax"] == ["0"]
    assert found["CapabilityBoundingSet"] == [""]
    assert found["SystemCallFilter"] == ["@system-service", "~@privileged"]
    assert found["NoExecPaths"] == ["/var/lib/osteon"]
    assert found["RestartPreventExitStatus"] == ["2"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_exposes_as_little_as_the_documents_say() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    figure = re.search(r"Overall exposure level for osteon\.service: ([\d.]+)", done.stdout)
    assert figure, done.stdout + done.stderr
    assert float(figure[1]) <= 1.5
    stated = re.search(r"exposure ([\d.]+) of 10", (ROOT / "deploy" / "SECURITY.md").read_text(encoding="utf-8"))
    assert stated
    assert abs(float(stated[1]) - float(figure[1])) < 0.3


def test_a_process_that_never_dumps_says_so_to_the_kernel() -> None:
    told = f"; print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl({_PR_GET_DUMPABLE}))"
    assert _said("import ctypes, resource; from node.cores import never_dump; never_dump()" + told) == "(0, 0) 0"
    assert _said("import ctypes, resource" + told).endswith(" 1"), "a process may, unless it says so"


def _said(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_no_part_of_a_running_node_leaves_a_core(tmp_path: Path) -> None:
    target = Osteon(tmp_path / "node", part="serve")
    try:
        target.start()
        until(lambda: " analyst " in target.log(), 60, target.log)
        assert target.child is not None
        parts = [target.child.pid, *_descendants(target.child.pid)]
        assert len(parts) >= 4, "the parent, the listener, the worker and its analyst"
        for pid in parts:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"resource_tracker" in command:
                continue  # multiprocessing's own, which holds nothing
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert re.search(r"Max core file size +0 +0 ", limits), command
    finally:
        target.close()


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found
