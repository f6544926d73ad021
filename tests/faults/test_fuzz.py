"""The short form of fuzzing: few inputs of a fixed seed, each of which can be made again by its number."""

from tests.faults.fuzz import DATA_SETS, PDUS, mutated
from tests.faults.suite import run_check


def test_an_input_can_be_made_again_from_seed_and_number() -> None:
    assert mutated(7, 4711) == mutated(7, 4711)
    assert mutated(7, 4711) != mutated(7, 4712)


def test_mutated_data_sets_neither_harm_nor_mislead_the_listener() -> None:
    outcome = run_check(DATA_SETS, "osteon", short=True)
    assert not outcome.failures
    assert outcome.count == DATA_SETS.short_count


def test_mutated_pdus_keep_nobody_from_an_echo() -> None:
    outcome = run_check(PDUS, "osteon", short=True)
    assert not outcome.failures
    assert outcome.count == PDUS.short_count
