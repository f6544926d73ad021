"""The fault suite in one command: what the node promises, broken on purpose, against Osteon and against others.

    python tests/faults/run.py                                  everything, in full
    python tests/faults/run.py kill-9 --count 20                one check, twenty times
    python tests/faults/run.py hostile-files --against orthanc  the same against Debian's Orthanc
    python tests/faults/run.py --short                          what ./tests/run does

Exit code 1 when a promise was broken by Osteon; what other receivers do is shown and breaks nothing.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.faults import report
from tests.faults.checks import ALL, CannotRun, Outcome
from tests.faults.suite import CHECKS, run_check

_SHOWN = 20


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"checks to run: {', '.join(CHECKS)} (default: all)")
    parser.add_argument("--count", type=int, help="how many faults of each check (default: the full number)")
    parser.add_argument("--seed", type=int, default=7, help="of everything that is drawn by chance")
    parser.add_argument("--against", choices=ALL, default="osteon", help="the receiver (default: osteon)")
    parser.add_argument("--short", action="store_true", help="short counts and scaled-down time limits")
    parser.add_argument(
        "--report", type=Path, help="also write the results into this table, beside those of other runs"
    )
    found = parser.parse_args()
    if unknown := set(found.names) - set(CHECKS):
        parser.error(f"no check {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
    return found


def shown(outcome: Outcome) -> None:
    """Print what a check found."""
    for name, value in outcome.figures.items():
        print(f"   {name}: {value}")
    for sentence in outcome.failures[:_SHOWN]:
        print(f"   BROKEN: {sentence}")
    if len(outcome.failures) > _SHOWN:
        print(f"   and {len(outcome.failures) - _SHOWN} more")
    if outcome.note:
        print(f"   note: {outcome.note}")


def main() -> int:
    """Run what was asked for."""
    asked = arguments()
    broken = 0
    for name in asked.names or CHECKS:
        check = CHECKS[name]
        if not asked.names and asked.against not in check.peers:
            continue
        print(f"── {name} against {asked.against}: {check.promise}", flush=True)
        try:
            outcome = run_check(check, asked.against, count=asked.count, seed=asked.seed, short=asked.short)
        except CannotRun as reason:
            print(f"   not run: {reason}")
            continue
        shown(outcome)
        broken += bool(outcome.failures)
        if asked.report:
            report.note(asked.report, check, asked.against, outcome, report.command(asked, name))
    return int(broken > 0 and asked.against == "osteon")


if __name__ == "__main__":
    raise SystemExit(main())
