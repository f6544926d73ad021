"""From the last image of an MR study to its report in Orthanc, through a running node, for each system.

The settle wait is not part of the figure: it is a setting (`settle.mr_quiet_s`, 3 s after the sender released its
association), chosen against scanners that pause between series. It is told beside it.
"""

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node.config import SettleSection
from tests.bench import flood
from tests.bench.latency import SENDER, stages_of
from tests.bench.loads import item_of
from tests.bench.mr_studies import SYSTEMS, Measured, again, shelf
from tests.bench.tables import Table, middle, number, percentile, spread
from tests.e2e.node_process import Node
from tests.e2e.orthanc import Orthanc
from tests.e2e.processes import until

QUIET_S = 0.3


@dataclass(slots=True)
class Way:
    """Seconds of every study of one system."""

    of: Measured
    ships: bool
    seconds: list[float] = field(default_factory=list)
    """Without the settle wait."""
    stages: dict[str, list[float]] = field(default_factory=dict)
    outcomes: list[str] = field(default_factory=list)
    results: int = 0


def measure(studies: int) -> dict[str, Way]:
    """Some studies of each system, one after the other, after one that does not count; by system."""
    with tempfile.TemporaryDirectory(prefix="osteon-bench-") as folder:
        ships = shelf(Path(folder) / "models")
        settings = {
            "work": {"provider": "cpu", "models_folder": str(Path(folder) / "models"), "threads": os.cpu_count() or 1},
            "settle": {"mr_quiet_s": QUIET_S},
            "node": {"log_level": "INFO"},
        }
        pacs, node = Orthanc(Path(folder) / "orthanc", ae_title="ARCHIVE"), Node(Path(folder) / "node", settings)
        try:
            node.peer("archive", "ARCHIVE", pacs.port, results="all")
            node.peer("bench", SENDER, may_send=True)
            node.start()
            return {one.system: _way(node, pacs, one, studies, ships[one.system]) for one in SYSTEMS}
        finally:
            node.close()
            pacs.stop()


def _way(node: Node, pacs: Orthanc, one: Measured, studies: int, ships: bool) -> Way:
    way = Way(one, ships)
    for place in range(studies + 1):
        items = [item_of(ds) for ds in again(one.make(90_001))]
        uid = items[0].study_instance_uid
        assert set(flood.send(node.port, [items], calling=SENDER, called=node.ae_title).statuses) == {0}
        sent = time.time()
        until(lambda uid=uid: pacs.has_series(uid, "SR"), 120, lambda: node.log()[-3000:], every_s=0.01)  # type: ignore[misc]
        accepted = time.time()
        study = node.ended(uid, 10)
        if place:
            stages = stages_of(study, sent, accepted)
            way.seconds.append(accepted - sent - stages["settle wait"])
            for stage, seconds in stages.items():
                way.stages.setdefault(stage, []).append(seconds)
            way.outcomes.append(study["outcome"])
            way.results = len(study["results"])
    return way


def mr_latency_table(studies: int) -> tuple[Table, Mapping[str, Way]]:
    """The whole with its limit, and the parts of it."""
    found = measure(studies)
    table = Table(
        f"Last image → report in Orthanc, without the settle wait ({SettleSection().mr_quiet_s:g} s as shipped), "
        f"{studies} studies each",
        ("system", "bundle", "asked, s", "p50 s (min-max)", "p95 s", "inference", "report and store", "send", "results",
         "outcome"),
    )  # fmt: skip
    for one in SYSTEMS:
        way = found[one.system]
        made = [sum(each) for each in zip(way.stages["report"], way.stages["store"], strict=True)]
        table.add(
            one.what, "ships" if way.ships else "tiny made networks", number(one.limit_s), spread(way.seconds),
            number(percentile(way.seconds, 0.95)), middle(way.stages["inference"]), middle(made),
            middle(way.stages["send"]), way.results, " ".join(sorted(set(way.outcomes))),
        )  # fmt: skip
    return table, found
