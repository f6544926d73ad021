"""The short form of the hostile files: every one refused or stored as it should, and nothing else happens."""

from collections import Counter
from itertools import islice

from tests.faults.cases import Verdict, all_cases
from tests.faults.hostile_files import CHECK
from tests.faults.suite import run_check


def test_there_are_at_least_150_hostile_files_and_each_is_another() -> None:
    cases = list(all_cases(7))
    assert len(cases) >= 150
    assert Counter((case.group, case.name) for case in cases).most_common(1)[0][1] == 1
    assert {case.verdict for case in cases} == set(Verdict)


def test_the_same_seed_makes_the_same_files() -> None:
    assert [case.data() for case in islice(all_cases(3), 150)] == [case.data() for case in islice(all_cases(3), 150)]


def test_every_hostile_file_is_refused_or_stored_as_it_should() -> None:
    outcome = run_check(CHECK, "osteon", short=True)
    assert outcome.count > 150
    assert not outcome.failures
