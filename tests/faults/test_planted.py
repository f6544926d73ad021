"""The short form of the planted tokens: one study for each of the five ways in which it can end."""

import pytest

from tests.faults.planted import CHECK
from tests.faults.suite import run_check


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_names_a_patient_is_in_the_object_store_and_nowhere_else() -> None:
    outcome = run_check(CHECK, "osteon", short=True)
    assert outcome.failures == []
    assert int(outcome.figures["tokens"]) == 5 * 19
