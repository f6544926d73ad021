"""From the last image to its results in Orthanc: one study after the other through a running node, with the stages.

The clock starts when the sender has the answer to the last image and stops when Orthanc shows SEG and SR. What the node
says of its own stages comes from its timeline.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import flood
from tests.bench.loads import item_of
from tests.bench.tables import Table, number, percentile, spread
from tests.e2e import radiographs
from tests.e2e.node_process import Node
from tests.e2e.orthanc import Orthanc
from tests.e2e.processes import memory_mb, peak_memory_mb, tree, until

SENDER = "BENCH"
ROWS, COLUMNS = 3000, 2400
ANALYSIS = ("read", "decode", "preprocess", "inference", "fusion", "postprocess", "report", "store")
STAGES = ("settle wait", "claim", *ANALYSIS, "rest of the analysis", "send")
NETWORKS = ("detection", "classification")
"""What the spine system calls its two."""
WAITING_AND_COMPUTING = ("settle wait", "inference")


@dataclass(slots=True)
class Latency:
    """Seconds of every study, and megabytes of the processes afterwards."""

    seconds: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in STAGES})
    own: list[float] = field(default_factory=list)
    """The node's own time: all but the settle wait and the inference."""
    listener_mb: float = 0.0
    worker_mb: float = 0.0
    worker_peak_mb: float = 0.0
    outcomes: list[str] = field(default_factory=list)


LATE_S = 10.0
"""A study without a report by then is asked whether it was refused."""


def measure(studies: int) -> Latency:
    """Run `studies` radiographs of tumours through a node, listener and worker as processes of their own."""
    found = Latency()
    with tempfile.TemporaryDirectory(prefix="osteon-bench-") as folder:
        pacs = Orthanc(Path(folder) / "orthanc", ae_title="ARCHIVE")
        node = Node(Path(folder) / "node", {"node": {"log_level": "INFO"}})
        try:
            node.peer("archive", "ARCHIVE", pacs.port, results="all")
            node.peer("bench", SENDER, may_send=True)
            listener, worker = node.start("listen"), node.start("work")
            _one(node, pacs, 0)  # warm: the models are loaded, every file has been read once
            for seed in range(1, studies + 1):
                one = _one(node, pacs, seed)
                if isinstance(one, str):
                    found.outcomes.append(one)
                else:
                    _note(found, node, *one)
            found.listener_mb, found.worker_mb = memory_mb(listener.pid), memory_mb(worker.pid)
            found.worker_peak_mb = sum(peak_memory_mb(one) for one in tree(worker.pid))
        finally:
            node.close()
            pacs.stop()
    return found


def _one(node: Node, pacs: Orthanc, seed: int) -> tuple[str, float, float] | str:
    """Send one study and wait for its report: its UID, and when it was sent and accepted (unix seconds).

    Of one that is refused, of which no report comes, the outcome.
    """
    names = radiographs.real_names("malignant", 24) if radiographs.BTXRD.is_dir() else []
    pixels = (
        radiographs.real_pixels(names[seed % 24], ROWS, COLUMNS) if names else radiographs.any_pixels(ROWS, COLUMNS)
    )
    item = item_of(radiographs.radiograph(pixels))
    assert flood.send(node.port, [[item]], calling=SENDER, called=node.ae_title).statuses == (0,)
    sent = time.time()

    def report_there() -> bool:
        return pacs.has_series(item.study_instance_uid, "SR")

    def silent() -> str:
        return f"no report came; log:\n{node.log()[-3000:]}"

    until(lambda: report_there() or time.time() - sent > LATE_S, 120, silent, every_s=0.01)
    if not report_there():
        outcome: str = node.ended(item.study_instance_uid, 120)["outcome"]
        if outcome.startswith("REJECTED"):
            return outcome
        until(report_there, 120, silent, every_s=0.01)
    return item.study_instance_uid, sent, time.time()


def _note(found: Latency, node: Node, uid: str, sent: float, accepted: float) -> None:
    study = node.ended(uid, 10)
    stages = stages_of(study, sent, accepted)
    found.seconds.append(accepted - sent)
    for name, seconds in stages.items():
        found.stages[name].append(seconds)
    found.own.append(accepted - sent - sum(stages[name] for name in WAITING_AND_COMPUTING))
    found.outcomes.append(study["outcome"])


def by_stage(timings_s: Mapping[str, float]) -> dict[str, float]:
    """The analysis's own seconds, with the two networks of a spine as one inference."""
    parts = dict(timings_s)
    networks = [parts.pop(name) for name in NETWORKS if name in parts]
    return parts | {"inference": sum(networks)} if networks else parts


def stages_of(study: Mapping[str, Any], sent: float, accepted: float) -> dict[str, float]:
    """Where the time went, by the node's timeline and the analysis's own clock."""
    at = {event["kind"]: event["unix_s"] for event in study["timeline"]}
    told = by_stage(study["timings_s"])
    parts = {name: told.get(name, 0.0) for name in ANALYSIS}
    return {
        "settle wait": at["ready"] - sent,
        "claim": at["claimed"] - at["ready"],
        **parts,
        "rest of the analysis": at["ended"] - at["claimed"] - sum(parts.values()),
        "send": accepted - at["ended"],
    }


def latency_table(studies: int) -> tuple[Table, Latency]:
    """Median and 95th percentile of the whole and of each stage."""
    found = measure(studies)
    answers = ", ".join(f"{found.outcomes.count(one)} {one}" for one in sorted(set(found.outcomes)))
    sent = f"one DX {ROWS}×{COLUMNS}, {studies} studies one after the other: {answers}"
    title = f"Last image → SEG and SR in Orthanc ({sent})"
    table = Table(title, ("stage", "p50 ms", "p95 ms", "min-max ms"))
    for name, values in {
        **found.stages,
        "whole": found.seconds,
        "the node's own time (whole without settle wait and inference)": found.own,
    }.items():
        milliseconds = [value * 1000 for value in values]
        table.add(
            name, number(percentile(milliseconds, 0.5)), number(percentile(milliseconds, 0.95)), spread(milliseconds)
        )
    table.add("memory of the worker with its analysing process, MB", number(found.worker_mb), "", "")
    table.add("the same at its highest (VmHWM summed), MB", number(found.worker_peak_mb), "", "")
    table.add("memory of the listener, MB", number(found.listener_mb), "", "")
    return table, found
