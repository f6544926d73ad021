"""The owner of a lease is known to be dead only when it was a process of this machine that has ended."""

import os
import subprocess
import sys

from node.owner import is_dead, own_name

PROGRAM = "import sys; from node.owner import own_name; print(own_name(), flush=True); sys.stdin.read()"


def test_a_process_that_ended_is_dead_and_one_that_runs_is_not() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        name = other.stdout.readline().decode().strip()
        assert not is_dead(name)
        other.kill()
        other.wait()
    assert is_dead(name)
    assert not is_dead(own_name())


def test_another_process_under_the_same_number_is_not_the_owner() -> None:
    host, boot, pid, started = own_name().rsplit(":", 3)
    assert pid == str(os.getpid())
    assert is_dead(f"{host}:{boot}:{pid}:{int(started) + 1}")


def test_of_other_machines_nothing_is_known() -> None:
    _, boot, pid, _ = own_name().rsplit(":", 3)
    assert not is_dead(f"elsewhere:{boot}:{pid}:1")
    assert not is_dead(own_name().replace(boot, "another-start"))
    assert not is_dead("worker")
    assert not is_dead("")
