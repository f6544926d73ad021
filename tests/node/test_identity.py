"""Our names and UIDs: valid, ours, and the same every time."""

import random
import tomllib
import uuid
from pathlib import Path

import pytest
from pydicom.uid import UID

from node.identity import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    VERSION,
    device_uid,
    fingerprint,
    serial_number,
    uid_of,
)

HIGHDICOM_ROOT = "1.2.826.0.1.3680043"


@pytest.mark.checklist(9)
def test_ten_thousand_uids_are_valid_short_and_distinct() -> None:
    uids = {uid_of("sop", str(number)) for number in range(10_000)}
    assert len(uids) == 10_000
    for uid in uids:
        assert UID(uid).is_valid
        assert len(uid) <= 44
        assert uid.startswith("2.25.")
        assert not uid.startswith(HIGHDICOM_ROOT)


def test_a_uid_is_a_uuid_of_version_8() -> None:
    made = uuid.UUID(int=int(uid_of("a", "b").removeprefix("2.25.")))
    assert made.version == 8
    assert made.variant == uuid.RFC_4122


def test_parts_are_kept_apart() -> None:
    assert uid_of("ab", "c") != uid_of("a", "bc")
    assert uid_of("ab") != uid_of("ab", "")


def test_the_same_parts_give_the_same_uid() -> None:
    assert uid_of("x", "y") == uid_of("x", "y")


def test_implementation_class_uid_is_the_one_derived_from_its_name() -> None:
    assert uid_of("implementation class") == IMPLEMENTATION_CLASS_UID


@pytest.mark.checklist(10)
def test_implementation_version_name_has_at_most_16_characters() -> None:
    assert 1 <= len(IMPLEMENTATION_VERSION_NAME) <= 16


def test_version_is_that_of_the_distribution() -> None:
    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["version"] == VERSION


@pytest.mark.checklist(26)
def test_device_uid_is_stable_and_differs_between_installations_and_between_trainings() -> None:
    assert device_uid("a", "ab") == device_uid("a", "ab")
    assert device_uid("a", "ab") != device_uid("b", "ab")
    assert device_uid("a", "ab") != device_uid("a", "cd")


def test_the_serial_number_is_that_of_the_installation_whatever_is_trained() -> None:
    assert serial_number("a") == serial_number("a")
    assert serial_number("a") != serial_number("b")
    assert serial_number("a") != device_uid("a", "ab")


def test_fingerprint_ignores_the_order_and_repetition_of_inputs() -> None:
    inputs = [f"2.25.{number}" for number in range(20)]
    shuffled = random.Random(3).sample(inputs, len(inputs)) + inputs[:2]
    assert fingerprint("2.25.9", inputs, "aa", "c") == fingerprint("2.25.9", shuffled, "aa", "c")


@pytest.mark.parametrize(
    "changed",
    [
        ("2.25.8", ["2.25.1"], "aa", "c"),
        ("2.25.9", ["2.25.1", "2.25.2"], "aa", "c"),
        ("2.25.9", ["2.25.1"], "ab", "c"),
        ("2.25.9", ["2.25.1"], "aa", "d"),
    ],
    ids=["study", "inputs", "weights", "settings"],
)
def test_fingerprint_changes_with(changed: tuple[str, list[str], str, str]) -> None:
    assert fingerprint("2.25.9", ["2.25.1"], "aa", "c") != fingerprint(*changed)
