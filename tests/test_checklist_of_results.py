"""The checklist is whole: every line has a test or says why not, and the committed list is that of the tests."""

import pytest

from tests import checklist

LINES = checklist.lines()


def test_the_lines_are_numbered_from_one_without_gaps() -> None:
    assert [line.number for line in LINES] == list(range(1, 66))


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(line.number))
def test_a_line_has_a_test_or_says_why_it_has_none(line: checklist.Line) -> None:
    checked = checklist.tests_by_line().get(line.number, [])
    assert checked or line.open, f"no test checks that {line.checks}"
    assert not (checked and line.open), "a line that is checked is no longer open"


def test_no_test_names_a_line_that_is_not_there() -> None:
    assert set(checklist.tests_by_line()) <= {line.number for line in LINES}


def test_the_list_in_the_repository_is_that_of_the_tests() -> None:
    written = checklist.TABLE.read_text(encoding="utf-8")
    assert checklist.table(checklist.outcomes_in(written)) == written, (
        "tests/CHECKLIST.md is not that of the tests. Run python -m tests.checklist, or ./tests/run --checklist"
    )


def test_the_outcome_of_a_line_is_that_of_its_tests() -> None:
    found = checklist.Outcomes()
    for outcome, when in (("passed", "setup"), ("passed", "call"), ("skipped", "setup"), ("failed", "call")):
        found.add(_report(outcome, when))
    assert found.counts == {"passed": 1, "skipped": 1, "failed": 1}
    assert found.words() == "**FAILED** (1 of 3)"


def test_what_was_skipped_says_why() -> None:
    found = checklist.Outcomes()
    found.add(_report("passed", "call"))
    found.add(_report("skipped", "setup"))
    assert found.words() == "green (1), 1 skipped: no server"


def _report(outcome: str, when: str) -> pytest.TestReport:
    longrepr = ("file", 1, "Skipped: no server") if outcome == "skipped" else None
    return pytest.TestReport("name", ("file", 1, "name"), {}, outcome, longrepr, when)  # type: ignore[arg-type]
