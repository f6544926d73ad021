"""Receive rate of every receiver on the same loads, side by side in one run, with every stored image compared.

A round measures each receiver once, in alternating order, each started empty; ratios are taken within a round, so that
what else the machine does in that minute weighs on both sides. A receiver that does not hold every byte that was sent
gets no rate but a count of what is damaged or missing.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import flood, loads, receivers
from tests.bench.loads import Item, Kind
from tests.bench.receivers import AE_TITLE, CALLING, Entry, Receiver
from tests.bench.tables import Table, middle, spread
from tests.e2e import dcmtk
from tests.e2e.processes import cpu_s

WARM_UP = 3  # objects sent before the clock starts, on an association of their own


@dataclass(frozen=True, slots=True)
class Load:
    """One row of the table: what is sent by how many senders."""

    kind: Kind
    senders: int
    objects: int
    entries: tuple[Entry, ...]


@dataclass(slots=True)
class Measured:
    """One receiver on one load over all rounds."""

    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)
    faulty: int = 0
    """Objects acknowledged but not held byte for byte."""
    refused: int = 0


Sender = Callable[[Receiver, Sequence[Item]], flood.Sent]


def loads_of(scale: float) -> list[Load]:
    """The rows of the bench; `scale` below 1 sends fewer objects."""
    own, orthanc, storescp, app = receivers.OSTEON, receivers.ORTHANC, receivers.STORESCP, receivers.PYNETDICOM

    def count(full: int, senders: int) -> int:
        return max(senders, round(full * scale / senders) * senders)

    rows = [Load(loads.MR256, n, count(480, n), (own, orthanc, storescp, app)) for n in (1, 4, 8)]
    rows += [Load(loads.MR512, n, count(160, n), (own, orthanc, storescp, app)) for n in (1, 8)]
    rows += [Load(loads.DX, n, count(16, n), (own, orthanc, storescp)) for n in (1, 4, 8)]
    return rows


def by_socket(senders: int) -> Sender:
    """Objects dealt to `senders` associations of the cheap sender."""

    def send(receiver: Receiver, items: Sequence[Item]) -> flood.Sent:
        dealt = [items[number::senders] for number in range(senders)]
        return flood.send(receiver.port, dealt, calling=CALLING, called=AE_TITLE)

    return send


def by_dcmsend(files: Sequence[Path], *, nodelay: bool = False) -> Sender:
    """The files by one dcmsend on one association; its whole run counts, start and reading included."""

    def send(receiver: Receiver, items: Sequence[Item]) -> flood.Sent:
        begin = time.perf_counter()
        done = dcmtk.dcmsend(receiver.port, files, calling=CALLING, to=AE_TITLE, nodelay=nodelay)
        seconds = time.perf_counter() - begin
        assert done.returncode == 0, done.stdout[-2000:]
        good = done.stdout.count("Received C-STORE Response (Success)")
        return flood.Sent(seconds, (0,) * good + (0xC000,) * (len(items) - good), ())

    return send


def measure(entries: Sequence[Entry], items: Sequence[Item], send: Sender, rounds: int) -> dict[str, Measured]:
    """Each receiver `rounds` times on the items, in alternating order."""
    measured = {entry.name: Measured() for entry in entries}
    warm = loads.made(loads.MR256, WARM_UP, seed=99)
    for number in range(rounds):
        for entry in entries if number % 2 == 0 else tuple(reversed(entries)):
            with tempfile.TemporaryDirectory(prefix="osteon-bench-") as folder:
                _once(entry, Path(folder), warm, items, send, measured[entry.name])
    return measured


def _once(
    entry: Entry, folder: Path, warm: Sequence[Item], items: Sequence[Item], send: Sender, into: Measured
) -> None:
    receiver = entry.start(folder)
    try:
        flood.send(receiver.port, [warm], calling=CALLING, called=AE_TITLE)
        before = cpu_s(receiver.child.pid)
        sent = send(receiver, items)
        into.cpu_ms.append((cpu_s(receiver.child.pid) - before) * 1000 / len(items))
        into.rates.append(len(items) / sent.seconds)
        into.waits_ms += [wait * 1000 for wait in sent.waits_s]
        into.refused += sum(status != 0 for status in sent.statuses)
        into.faulty += faulty(receiver, items)
    finally:
        receiver.child.kill()


def faulty(receiver: Receiver, items: Iterable[Item]) -> int:
    """How many of the items the receiver does not hold byte for byte."""
    wanted = {item.sop_instance_uid: item.data for item in items}
    for uid, data in receiver.held():
        if wanted.get(uid) == data:
            del wanted[uid]
    return len(wanted)


def receive_table(scale: float, rounds: int) -> tuple[Table, dict[tuple[str, int], dict[str, Measured]]]:
    """Rates and ratios of every load."""
    table = Table(
        "Receiving, images a second",
        (
            "load",
            "senders",
            "receiver",
            "images/s (min-max)",
            "Osteon is faster by",
            "CPU ms/image",
            "p50 / p99 ms",
            "bytes",
        ),
    )
    found: dict[tuple[str, int], dict[str, Measured]] = {}
    for load in loads_of(scale):
        items = loads.made(load.kind, load.objects)
        measured = measure(load.entries, items, by_socket(load.senders), rounds)
        found[load.kind.name, load.senders] = measured
        for name, one in measured.items():
            table.add(load.kind.name, load.senders, name, *cells(measured, name, one))
    return table, found


def dcmsend_table(scale: float, rounds: int) -> tuple[Table, dict[str, Measured]]:
    """dcmtk's dcmsend as Debian ships it, one association, MR 256²."""
    table = Table(
        "dcmsend as shipped (one association, MR 256², whole run of the program)",
        ("receiver", "images/s (min-max)", "Osteon is faster by", "CPU ms/image", "bytes"),
    )
    entries = (
        receivers.OSTEON,
        receivers.ORTHANC_SHIPPED,
        receivers.ORTHANC,
        receivers.STORESCP_SHIPPED,
        receivers.STORESCP,
    )
    items = loads.made(loads.MR256, max(60, round(240 * scale)))
    with tempfile.TemporaryDirectory(prefix="osteon-bench-") as folder:
        files = loads.written(items, Path(folder))
        measured = measure(entries, items, by_dcmsend(files), rounds)
    for name, one in measured.items():
        rate, ratio, cpu, _, held = cells(measured, name, one)
        table.add(name, rate, ratio, cpu, held)
    return table, measured


def drip_table(scale: float) -> tuple[Table, int]:
    """A sender that cuts its writes at odd places behind PDU boundaries: what is damaged afterwards."""
    table = Table("A dripping sender", ("receiver", "cuts after a PDU boundary", "images", "damaged or missing"))
    count = round(24 * scale) or 1
    cuts, total = (0, 1, 5, 6, 11, 12), 0
    items = {cut: loads.made(loads.MR256, count, seed=100 + cut) for cut in cuts}
    for entry in (receivers.OSTEON, receivers.ORTHANC, receivers.STORESCP):
        with tempfile.TemporaryDirectory(prefix="osteon-bench-") as folder:
            receiver = entry.start(Path(folder))
            try:
                wrong = sum(_dripped(receiver, items[cut], cut) for cut in cuts)
            finally:
                receiver.child.kill()
        table.add(entry.name, ", ".join(f"+{cut}" for cut in cuts), count * len(cuts), wrong)
        total += wrong if entry is receivers.OSTEON else 0
    return table, total


def _dripped(receiver: Receiver, items: Sequence[Item], cut: int) -> int:
    """Send the items dripping; how many are not held byte for byte."""
    flood.send(receiver.port, [items], calling=CALLING, called=AE_TITLE, write=flood.dripping(cut))
    return faulty(receiver, items)


def cells(measured: dict[str, Measured], name: str, one: Measured) -> tuple[str, str, str, str, str]:
    """Rate, ratio of Osteon to this receiver, CPU, waits and the state of the bytes, as text."""
    own = measured[receivers.OSTEON.name]
    ratio = "" if name == receivers.OSTEON.name else f"{spread(ratios(own, one))}×"
    waits = sorted(one.waits_ms)
    wait = f"{statistics.median(waits):.1f} / {waits[int(len(waits) * 0.99)]:.1f}" if waits else ""
    held = "all equal" if not one.faulty and not one.refused else f"{one.faulty} wrong, {one.refused} refused"
    return spread(one.rates), ratio, middle(one.cpu_ms), wait, held


def ratios(own: Measured, other: Measured) -> list[float]:
    """Osteon's rate divided by the other's, round by round; empty when bytes were wrong on our side."""
    return [] if own.faulty or own.refused else [a / b for a, b in zip(own.rates, other.rates, strict=True)]
