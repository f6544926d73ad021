"""Who holds a lease, in words that say whether that process still lives.

A lease of a process that was killed would run on for a while; the node that starts again on the same machine need not
wait for it. Of other machines nothing is known here: their leases run out.
"""

import os
import socket
from pathlib import Path

_START_TIME = 19
"""Place of the start time in /proc/PID/stat, counted from the process's state (proc(5): field 22, state is 3)."""


def own_name() -> str:
    """The name under which this process takes leases: host, start of the machine, process, start of the process."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{_boot()}:{pid}:{_started(pid)}"


def is_dead(owner: str) -> bool:
    """Whether `owner` was a process of this machine that has ended; False when that cannot be known."""
    host, boot, pid, started = owner.rsplit(":", 3) if owner.count(":") >= 3 else ("", "", "", "")
    if host != socket.gethostname() or not boot or boot != _boot() or not pid.isdigit():
        return False
    return _started(int(pid)) != started


def _boot() -> str:
    """What tells this start of the machine from others."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When the process began, in ticks since the machine started; "" when there is no such process (or a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[_START_TIME]
