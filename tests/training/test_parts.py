"""Which cases calibrate and measure a bundle, and what its card says of them."""

import pytest

from training.errors import DataFault
from training.parts import (
    CALIBRATES,
    MEASURES,
    calibrated_on,
    keep_apart,
    measured_on,
    part_of,
)
from training.patients import Parts

TAUGHT = {"kind": "real"}


class Case:
    """What a split must know."""

    def __init__(self, name: str) -> None:
        self.name, self.kind = name, 0


CASES = [Case(name) for name in "abcd"]


def division(cases: object) -> Parts[Case]:
    assert cases is CASES
    return Parts((CASES[0], CASES[1]), (CASES[2],), (CASES[3],))


@pytest.mark.parametrize(("part", "names"), [("test", "d"), ("validation", "c"), ("all", "abcd")])
def test_a_part_of_the_split_or_all(part: str, names: str) -> None:
    assert part in MEASURES
    assert [case.name for case in part_of(CASES, part, division)] == list(names)


def test_all_of_a_set_are_taken_without_a_split_so_that_one_patient_is_enough() -> None:
    def refuses(cases: object) -> Parts[Case]:
        raise AssertionError("a set of which all are taken is not divided")

    assert part_of(CASES[:1], "all", refuses) == (CASES[0],)


def test_a_card_says_of_a_withheld_part_that_none_of_it_taught_the_weights() -> None:
    said = measured_on("hand", "patients", "test", TAUGHT)
    assert said == {
        "on": "real patients, test part, none of them trained or calibrated on",
        "command": "osteon-train evaluate hand --bundle BUNDLE --data DIR --part test --write",
    }


def test_of_another_set_the_card_says_who_vouches_for_it_and_what_it_is_of() -> None:
    said = measured_on("limb", "patients", "all", TAUGHT, "phantom")
    assert said["on"] == "phantom patients, all of a set that, as who measured says, taught the weights nothing"
    assert said["kind"] == "phantom"
    assert said["command"].endswith("--part all --kind phantom --write")
    assert measured_on("limb", "patients", "all", TAUGHT)["kind"] == "real"


def test_what_was_calibrated_on_outlives_an_evaluation() -> None:
    assert "test" not in CALIBRATES, "what measures never calibrates"
    said = calibrated_on(["PH1", "PH2"], "all")
    assert all(key.startswith("validation_") for key in said)
    assert said["validation_cases"] == 2
    assert not any("PH" in str(value) for value in said.values()), "names may be those of patients"


def test_what_calibrated_a_bundle_does_not_measure_it() -> None:
    card = calibrated_on(["a", "b"], "all")
    with pytest.raises(DataFault, match="calibrated on these very 2 cases"):
        keep_apart(["b", "a"], card)
    keep_apart(["b", "c"], card)
    keep_apart(["a", "b"], calibrated_on(["a", "b"], "validation"))
    keep_apart(["a", "b"], {"validation_part": "all"})
