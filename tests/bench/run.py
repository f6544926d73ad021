"""The bench, one command: `python tests/bench/run.py [--quick] [--markdown FILE] [SECTION...]`.

Sections: receive, dcmsend, drip, memory (all four need no model), latency, build, inference (radiographs), mr
(last image to report for each MR system), systems (stages of their studies), networks (onnxruntime beside torch),
phantoms (how long a patient for training takes to draw).
Without a name: all.
Every figure is taken beside its peers in the same run; every stored image is compared byte for byte.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench import memory, receive, verdict
from tests.bench.tables import Table
from tests.bench.verdict import Goals
from tests.e2e.processes import system_tool

ROUNDS = 3
QUICK_ROUNDS = 1


def sections(quick: bool, goals: Goals) -> dict[str, Callable[[], Table]]:
    """The sections by name; each gives its table and leaves what the goals ask for in `goals`."""
    scale, rounds = (0.15, QUICK_ROUNDS) if quick else (0.5, ROUNDS)

    def receiving() -> Table:
        table, measured = receive.receive_table(scale, rounds)
        goals.receiving(measured)
        return table

    def dcmsend() -> Table:
        table, measured = receive.dcmsend_table(scale, rounds)
        goals.dcmsend(measured)
        return table

    def drip() -> Table:
        table, damaged = receive.drip_table(scale)
        goals.damaged(damaged)
        return table

    def listener_memory() -> Table:
        table, own = memory.memory_table()
        goals.memory(own)
        return table

    def to_the_result() -> Table:
        from tests.bench import latency  # the sections below need models and reports, those above do not

        table, found = latency.latency_table(5 if quick else 30)
        goals.latency(found)
        return table

    def building() -> Table:
        from tests.bench import build

        return build.build_table(3 if quick else 15)

    def inferring() -> Table:
        from tests.bench import inference

        return inference.inference_table(3 if quick else 10)

    receivers = {"receive": receiving, "dcmsend": dcmsend, "drip": drip, "memory": listener_memory}
    return receivers | {"latency": to_the_result, "build": building, "inference": inferring} | mr_sections(quick, goals)


def mr_sections(quick: bool, goals: Goals) -> dict[str, Callable[[], Table]]:
    """Those of MR studies, and the networks of every bundle."""

    def mr_to_the_report() -> Table:
        from tests.bench import mr_latency

        table, found = mr_latency.mr_latency_table(2 if quick else 10)
        goals.systems(found)
        return table

    def in_stages() -> Table:
        from tests.bench import systems

        return systems.systems_table(1 if quick else 5)

    def through_networks() -> Table:
        from tests.bench import networks

        return networks.networks_table(2 if quick else 10)

    def drawing() -> Table:
        from tests.bench import phantoms

        return phantoms.phantoms_table(2 if quick else 10)

    return {"mr": mr_to_the_report, "systems": in_stages, "networks": through_networks, "phantoms": drawing}


def machine() -> str:
    """What the figures were taken on, without naming it."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "",
    )
    load = os.getloadavg()[0]
    versions = [
        f"Python {platform.python_version()}",
        _version("Orthanc", "--version"),
        _version("storescp", "--version"),
    ]
    return f"{os.cpu_count()} cores, {cpu}, load average {load:.1f} at the start; {', '.join(filter(None, versions))}."


def _version(program: str, option: str) -> str:
    try:
        done = subprocess.run([system_tool(program), option], capture_output=True, text=True, check=False)
    except OSError:
        return f"{program} is not installed"
    return (done.stdout or done.stderr).strip().splitlines()[0].replace("$", "").strip()[:60]


def main() -> int:
    """Run the sections asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="one round with few images: to see that it works, not to quote"
    )
    parser.add_argument("--markdown", type=Path, help="also write the tables to this file")
    parser.add_argument("section", nargs="*", help="sections to run")
    arguments = parser.parse_args()
    goals = Goals()
    known = sections(arguments.quick, goals)
    if unknown := set(arguments.section) - set(known):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    texts = [machine()]
    for name in arguments.section or known:
        begin = time.monotonic()
        texts.append(known[name]().markdown())
        print(texts[-1], f"({name}: {time.monotonic() - begin:.0f} s)\n", sep="\n", flush=True)
    texts.append(verdict.table(goals).markdown())
    print(texts[-1])
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(texts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
