"""The goals of the product beside what this run reached."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench import loads, receivers
from tests.bench.latency import Latency
from tests.bench.memory import Memory
from tests.bench.receive import Measured, ratios
from tests.bench.tables import Table, number, percentile

if TYPE_CHECKING:  # what needs phantoms and networks is not loaded by the sections that need none
    from tests.bench.mr_latency import Way


@dataclass(slots=True)
class Goals:
    """What each section left for the table of goals: a text to print and whether the limits are kept."""

    rows: list[tuple[str, str, str, str, str]] = field(default_factory=list)

    def add(self, what: str, required: str, aim: str, reached: str, place: str) -> None:
        """One goal; `place` says "aim", "required" or "missed"."""
        self.rows.append((what, required, aim, reached, place))

    def at_least(self, what: str, required: float, aim: float, reached: float | None, unit: str = "×") -> None:
        """A goal that is reached from below."""
        self._add(what, required, aim, reached, unit, sign=1)

    def at_most(self, what: str, required: float, aim: float, reached: float | None, unit: str) -> None:
        """A goal that is reached from above."""
        self._add(what, required, aim, reached, unit, sign=-1)

    def _add(self, what: str, required: float, aim: float, reached: float | None, unit: str, sign: int) -> None:
        texts = [f"{number(value)} {unit}".replace(" ×", "×") for value in (required, aim)]
        if reached is None:
            self.add(what, texts[0], texts[1], "bytes were wrong", "missed")
            return
        place = "aim" if reached * sign >= aim * sign else "required" if reached * sign >= required * sign else "missed"
        self.add(what, texts[0], texts[1], f"{number(reached)} {unit}".replace(" ×", "×"), place)

    def receiving(self, measured: Mapping[tuple[str, int], Mapping[str, Measured]]) -> None:
        """The ratios to Orthanc and to pynetdicom's own application."""
        for (kind, senders), by_name in measured.items():
            own = by_name[receivers.OSTEON.name]
            small = kind == loads.MR256.name
            if small or senders == 8 or kind == loads.DX.name:
                limits = (2.0, 3.5) if small else (1.3, 1.8)
                what = f"durable receive against Orthanc, {kind}, {senders} sender(s)"
                self.at_least(what, *limits, _median(ratios(own, by_name[receivers.ORTHANC.name])))
            if receivers.PYNETDICOM.name in by_name:
                what = f"the same against `python -m pynetdicom storescp`, {kind}, {senders} sender(s)"
                self.at_least(what, 4, 8, _median(ratios(own, by_name[receivers.PYNETDICOM.name])))

    def dcmsend(self, measured: Mapping[str, Measured]) -> None:
        """dcmtk's sender as shipped."""
        own = measured[receivers.OSTEON.name]
        reached = None if own.faulty or own.refused else statistics.median(own.rates)
        self.at_least("`dcmsend` as shipped, one association, MR 256²", 250, 450, reached, "images/s")

    def damaged(self, count: int) -> None:
        """The dripping sender."""
        self.at_most("images damaged under a dripping sender", 0, 0, count, "images")

    def memory(self, own: Memory) -> None:
        """The listener's memory."""
        self.at_most("listener memory, idle", 150, 100, own.idle, "MB")
        self.at_most("listener memory while receiving 4 × 3000×4000", 400, 250, own.peak, "MB")

    def latency(self, found: Latency) -> None:
        """From the last image to the results, and what the worker holds."""
        self.at_most("last image → SEG + SR accepted by Orthanc, p95", 5, 2, percentile(found.seconds, 0.95), "s")
        self.at_most(
            "the node's own time in that (all but settle wait and inference), p95",
            1,
            0.3,
            percentile(found.own, 0.95),
            "s",
        )
        self.at_most("worker memory with the knee bundle", 1000, 600, found.worker_mb, "MB")

    def systems(self, found: "Mapping[str, Way]") -> None:
        """From the last MR image to the report, where the bundle is the one that ships."""
        for way in found.values():
            if way.ships:
                what = f"last image → report in Orthanc without settle wait, {way.of.what}, p50"
                self.at_most(what, way.of.limit_s, way.of.limit_s / 2, percentile(way.seconds, 0.5), "s")


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


def table(goals: Goals) -> Table:
    """The goals of this run."""
    result = Table("Goals", ("what", "required", "aim", "reached (median)", "reached?"))
    for row in goals.rows:
        result.add(*row)
    return result
