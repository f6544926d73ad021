"""The checklist: what must hold (tests/checklist.toml), which tests check it (their markers), what came of it.

A plugin of pytest, loaded by tests/conftest.py. `--line 17` runs what checks line 17 and nothing else; `--checklist`
writes tests/CHECKLIST.md; a line none of whose tests ran keeps the outcome of the run that ran them. Works under xdist:
what a worker finds travels with its reports. `python -m tests.checklist` brings the list of tests up to date, and runs
none.
"""

import ast
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
TABLE = TESTS / "CHECKLIST.md"
MARK = "checklist"
JUDGED = (1, 2, 8, 9, 14, 21, 23, 65)
"""Lines that hold for every object that any test writes: tests/written.py judges them at the end of a run."""
COLLECTOR = "checklist of this run"
_PROPERTY = "line of the checklist"


@dataclass(frozen=True)
class Line:
    """One thing that must hold."""

    number: int
    checks: str
    adapted: str = ""
    open: str = ""


@dataclass
class Outcomes:
    """What came of the tests of one line in a run."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: set[str] = field(default_factory=set)
    objects: int = 0
    """Result objects of the run that were judged for this line (tests/written.py)."""
    broken: int = 0
    """Of them, those that do not hold it."""

    def add(self, report: pytest.TestReport) -> None:
        """Count the call of a test, and whatever else of it did not pass."""
        if report.when != "call" and report.passed:
            return
        self.counts[report.outcome] += 1
        if report.skipped and isinstance(report.longrepr, tuple):
            self.reasons.add(report.longrepr[2].removeprefix("Skipped: ").replace("|", "/"))

    def words(self) -> str:
        """For the table."""
        if self.broken:
            return f"**FAILED** ({self.broken} of {self.objects} objects written)"
        if self.counts["failed"]:
            return f"**FAILED** ({self.counts['failed']} of {self.counts.total()})"
        if self.counts["skipped"]:
            why = "; ".join(sorted(self.reasons))
            return f"green ({self.counts['passed']}), {self.counts['skipped']} skipped: {why}"
        judged = f", {self.objects} objects" if self.objects else ""
        return f"green ({self.counts['passed']}{judged})" if self.counts["passed"] or judged else "not run"


def lines() -> list[Line]:
    """What must hold, in order."""
    with (TESTS / "checklist.toml").open("rb") as file:
        return [Line(int(number), **entry) for number, entry in tomllib.load(file).items()]


def tests_by_line() -> dict[int, list[str]]:
    """By line the tests that name it, as they stand in the sources: `node/test_x.py::test_y`."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        whole = [number for node in tree.body if _is_pytestmark(node) for number in _marked(node)]
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                own = [number for decorator in node.decorator_list for number in _marked(decorator)]
                for number in dict.fromkeys((*whole, *own)):
                    found[number].append(f"{path.relative_to(TESTS).as_posix()}::{node.name}")
    for number in JUDGED:
        found[number].append("written.py (every object that the tests write)")
    return {number: sorted(names) for number, names in sorted(found.items())}


def table(outcomes: dict[int, str]) -> str:
    """The whole of CHECKLIST.md.

    Parameters
    ----------
    outcomes
        By line what came of it; "not run" where it is missing.
    """
    checked = tests_by_line()
    rows = [
        f"| {line.number} | {line.checks} | {_command(line, checked)} | {_outcome(line, checked, outcomes)} |"
        for line in lines()
    ]
    notes = [f"* **{line.number}** {line.adapted}" for line in lines() if line.adapted]
    named = [
        f"* **{line.number}** {', '.join(f'`{name}`' for name in checked[line.number])}"
        for line in lines()
        if line.number in checked
    ]
    return "\n".join([_HEAD, *rows, "", "## Adapted", "", *notes, "", "## Which tests check a line", "", *named, ""])


def outcomes_in(text: str) -> dict[int, str]:
    """By line the outcome that a table states."""
    cells = [row.split(" | ") for row in text.splitlines() if row.startswith("| ") and row[2].isdigit()]
    return {int(row[0].removeprefix("| ")): row[-1].removesuffix(" |") for row in cells}


def write(outcomes: dict[int, str]) -> None:
    """Bring CHECKLIST.md up to date: the list of tests, and these outcomes."""
    before = outcomes_in(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}
    TABLE.write_text(table(before | outcomes), encoding="utf-8")


_HEAD = """# Checklist

Written by `./tests/run --checklist` from `tests/checklist.toml` and the outcomes of that run; the number in brackets
counts test cases. A line without a test says why it is open. `tests/test_checklist_of_results.py` fails when a line has
neither, or when this list is not that of the tests. `./tests/run --checklist --line 17` brings one line up to date.

| line | what must hold | run just this | outcome |
| --- | --- | --- | --- |"""


def _command(line: Line, checked: dict[int, list[str]]) -> str:
    return f"`./tests/run --line {line.number}`" if line.number in checked else "-"


def _outcome(line: Line, checked: dict[int, list[str]], outcomes: dict[int, str]) -> str:
    if line.number not in checked:
        return f"open: {line.open}"
    return outcomes.get(line.number, "not run")


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
    )


def _marked(node: ast.AST) -> Iterator[int]:
    """The numbers in every `pytest.mark.checklist(...)` at or below a node."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == MARK:
            yield from (int(ast.literal_eval(argument)) for argument in each.args)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two options."""
    group = parser.getgroup("checklist")
    group.addoption("--checklist", action="store_true", help="write tests/CHECKLIST.md of this run")
    group.addoption("--line", type=int, action="append", default=[], help="only tests of this line of the checklist")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test the lines that it checks, to travel with its reports; leave out what --line does not ask for."""
    wanted = set(config.getoption("line"))
    kept, left = [], []
    for item in items:
        numbers = {number for mark in item.iter_markers(MARK) for number in mark.args}
        item.user_properties += [(_PROPERTY, number) for number in sorted(numbers)]
        (kept if numbers & wanted or not wanted else left).append(item)
    if left:
        items[:] = kept
        config.hook.pytest_deselected(items=left)


class _Collector:
    """Hears of every test of the run; of those in workers too."""

    def __init__(self) -> None:
        self._outcomes: dict[int, Outcomes] = defaultdict(Outcomes)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, number in report.user_properties:
            if name == _PROPERTY:
                self._outcomes[int(str(number))].add(report)

    def judged(self, number: int, objects: int, broken: int) -> None:
        """What the judges of all written objects said (tests/written.py)."""
        self._outcomes[number].objects, self._outcomes[number].broken = objects, broken

    def pytest_sessionfinish(self) -> None:
        write({number: found.words() for number, found in self._outcomes.items()})


def pytest_configure(config: pytest.Config) -> None:
    """Only the process that sees all reports writes."""
    if config.getoption("checklist") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Collector(), COLLECTOR)


if __name__ == "__main__":
    write({})
