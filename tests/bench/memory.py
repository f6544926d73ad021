"""What the processes hold in memory: the listener idle and under the largest images, the worker with its model."""

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench import flood, loads, receivers
from tests.bench.receivers import AE_TITLE, CALLING, Entry
from tests.bench.tables import Table, number
from tests.e2e.processes import memory_mb, peak_memory_mb, tree


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes of one receiver with all its processes."""

    idle: float
    after: float
    peak: float
    """The most seen in all its processes together, or in its largest process ever (VmHWM) where that is more."""


def receiving(entry: Entry, images: int = 4, rounds: int = 2) -> Memory:
    """Start the receiver, look; send it `images` of 3000×4000 at once, `rounds` times, and look again."""
    with tempfile.TemporaryDirectory(prefix="osteon-bench-") as folder:
        receiver = entry.start(Path(folder))
        try:
            warm = loads.made(loads.MR256, 1, seed=99)
            flood.send(receiver.port, [warm], calling=CALLING, called=AE_TITLE)
            idle = memory_mb(receiver.child.pid)
            with sampling(receiver.child.pid) as seen:
                for seed in range(rounds):
                    items = loads.made(loads.DX, images, seed=seed)
                    flood.send(receiver.port, [[item] for item in items], calling=CALLING, called=AE_TITLE)
            after = memory_mb(receiver.child.pid)
            peak = max(peak_memory_mb(one) for one in tree(receiver.child.pid))
            return Memory(idle, after, max(peak, after, *seen))
        finally:
            receiver.child.kill()


@contextlib.contextmanager
def sampling(pid: int, every_s: float = 0.02) -> Iterator[list[float]]:
    """The memory of a process and its descendants, looked at again and again while the block runs."""
    seen, stop = [memory_mb(pid)], threading.Event()

    def look() -> None:
        while not stop.wait(every_s):
            seen.append(memory_mb(pid))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()


def memory_table() -> tuple[Table, Memory]:
    """The listener beside its peers."""
    title = "Memory of the receiver, MB (4 senders with one 3000×4000 image each, twice)"
    table = Table(title, ("receiver", "idle", "afterwards", "peak"))
    entries = (receivers.OSTEON, receivers.ORTHANC, receivers.STORESCP, receivers.PYNETDICOM)
    found = {entry.name: receiving(entry) for entry in entries}
    for name, one in found.items():
        table.add(name, number(one.idle), number(one.after), number(one.peak))
    return table, found[receivers.OSTEON.name]
