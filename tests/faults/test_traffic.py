"""The short form of images that come by turns, in any order, again, changed, or not to the end."""

from tests.faults.suite import run_check
from tests.faults.traffic import CHECK


def test_however_images_come_each_study_is_whole_and_analysed_once() -> None:
    outcome = run_check(CHECK, "osteon", short=True)
    assert not outcome.failures
    assert outcome.figures["conflicts listed"] == "3"
    assert outcome.figures["studies"] == "4"
