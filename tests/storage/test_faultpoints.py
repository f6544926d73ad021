"""Fault points: nothing happens without the switch, and with it the process dies where and when it was told to."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage import faultpoints
from storage.faultpoints import SWITCH, FaultPoint

PASSES = """
from storage.faultpoints import FaultPoint, reached
for number in range(3):
    for point in FaultPoint:
        reached(point)
        print(number, point.value, flush=True)
"""


def passed(order: Path | None) -> tuple[int, list[str]]:
    """How a process ended that passes every point three times, and what it got past."""
    env = {"PATH": "", "PYTHONPATH": ":".join(sys.path)} | ({SWITCH: str(order)} if order else {})
    done = subprocess.run([sys.executable, "-c", PASSES], env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def test_the_process_dies_at_the_point_and_passing_that_were_ordered_and_only_once(tmp_path: Path) -> None:
    order = tmp_path / "order"
    order.write_text("object-sent 2")
    code, lines = passed(order)
    assert code == -signal.SIGKILL
    assert lines[-1] == "1 parcel-claimed"
    assert not order.exists()
    assert passed(order)[0] == 0


def test_without_the_switch_an_order_is_not_even_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert faultpoints._orders == ""
    for point in FaultPoint:
        faultpoints.reached(point)
