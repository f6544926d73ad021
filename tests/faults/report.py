"""The table of deploy/FAULTS-REPORT.md: one row for each check and receiver, replaced by its latest run.

A row holds the date, how many faults were done, the command that does it again, the figures, and whether the promise
held. Nothing comes into the table that was not run.
"""

import argparse
import os
import platform
import re
import time
from pathlib import Path

from tests.faults.checks import Check, Outcome

_COLUMNS = ("check", "receiver", "date", "faults", "result", "figures", "command")
_ROW = re.compile(r"^\| (?P<check>[\w-]+) \| (?P<receiver>\w+) \|.*\|$")
_HEAD = """# What happens when things go wrong

Written by `python tests/faults/run.py --report FILE`; each row is the latest run of its check and holds the command
that repeats it. `held` means that every promise of the check held, `n broken` counts the times that it did not. The
same code is run against Debian's Orthanc and dcmtk's storescp as they are shipped.

"""


def command(asked: argparse.Namespace, name: str) -> str:
    """The command line that does this run again."""
    words = ["python tests/faults/run.py", name, f"--against {asked.against}"]
    words += [f"--count {asked.count}"] * (asked.count is not None)
    words += [f"--seed {asked.seed}"] * (asked.seed != 7) + ["--short"] * asked.short
    return " ".join(words)


def note(path: Path, check: Check, against: str, outcome: Outcome, repeat: str) -> None:
    """Put the run into the table, in place of an earlier one of the same check and receiver."""
    rows, notes = _read(path)
    key = (check.name, against)
    figures = "; ".join(f"{name} {value}" for name, value in outcome.figures.items())
    result = f"{len(outcome.failures)} broken" if outcome.failures else "held"
    date = time.strftime("%Y-%m-%d")
    rows[key] = _line(check.name, against, date, str(outcome.count), result, figures, f"`{repeat}`")
    if outcome.note:
        notes[check.name] = outcome.note
    lines = [_HEAD, _line(*_COLUMNS), "|" + "---|" * len(_COLUMNS), *(rows[one] for one in sorted(rows))]
    lines += ["", "## How to read it", "", f"- The latest run was on {machine()}."]
    lines += [f"- {name}: {text}" for name, text in sorted(notes.items())]
    path.write_text("\n".join(lines) + "\n")


def machine() -> str:
    """What the latest run was made on, without naming it."""
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores shared with other work (load average {load:.1f}), Python {platform.python_version()}"
    )


def _read(path: Path) -> tuple[dict[tuple[str, str], str], dict[str, str]]:
    rows: dict[tuple[str, str], str] = {}
    notes: dict[str, str] = {}
    for line in path.read_text().splitlines() if path.is_file() else []:
        if (row := _ROW.match(line)) and row["check"] != "check":
            rows[row["check"], row["receiver"]] = line
        elif said := re.match(r"^- ([\w-]+): (.*)$", line):
            notes[said[1]] = said[2]
    return rows, notes


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
