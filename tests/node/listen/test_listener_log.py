"""What the listener says in its log: a line for each association, no patient, no flood."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests.bench import flood
from tests.bench.loads import MR_IMAGE, Item, Kind, encoded, made
from tests.e2e.processes import until

from .conftest import OURS, SENDER, House

SMALL = Kind("MR 64²", MR_IMAGE, "MR", 64, 64)


def of_canary(number: int, **changes: str) -> Item:
    """An object of a patient whose name no log may show."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = MR_IMAGE, f"1.2.77777.{number}"
    dataset.AccessionNumber = "CANARY-ACC"
    dataset.Modality, dataset.StudyDescription = "MR", "CANARY STUDY"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "CANARY^BIRD", "CANARY-ID", "19010203"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.77777", "1.2.77777.1"
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    data = encoded(dataset)
    return Item(MR_IMAGE, f"1.2.77777.{number}", "1.2.77777", data)


@pytest.mark.checklist(62)
def test_no_patient_and_no_uid_is_said_and_no_file_is_named_after_them(
    new_house: Callable[..., House], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    house = new_house()
    items = [of_canary(1), of_canary(2, SOPInstanceUID="1.2.77777.9"), of_canary(3)]
    items[2] = Item(MR_IMAGE, items[2].sop_instance_uid, "", items[2].data[:-5])
    sent = flood.send(house.port, [items], calling=SENDER, called=OURS)
    assert sent.statuses == (0, 0xA900, 0xC000)
    until(lambda: any("released" in record.getMessage() for record in caplog.records), 5, "the last line")
    for record in caplog.records:
        text = f"{record.getMessage()} {record.exc_text or ''}"
        assert "CANARY" not in text
        assert "19010203" not in text
        assert "1.2.77777" not in text or record.levelno <= logging.DEBUG
    assert not [path for path in tmp_path.rglob("*") if "CANARY" in path.name or "77777" in path.name]


def test_an_association_is_one_line_with_what_it_brought(
    new_house: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    house = new_house()
    flood.send(house.port, [[*made(SMALL, 3), of_canary(1, StudyInstanceUID="")]], calling=SENDER, called=OURS)
    until(lambda: any("released" in record.getMessage() for record in caplog.records), 5, "the last line")
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("association")]
    assert [line for line in lines if "3 object(s)" in line and "1 refused" in line and f"with {SENDER}" in line]
    assert [line for line in lines if "0xC000" in line and "Study Instance UID" in line]
    assert len(lines) == 2


def test_the_same_rejection_is_not_said_again_and_again(
    new_house: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    house = new_house()
    for _ in range(20):
        with pytest.raises(flood.Refused):
            flood.send(house.port, [made(SMALL, 1)], calling="NOBODY", called=OURS)
    with pytest.raises(flood.Refused):
        flood.send(house.port, [made(SMALL, 1)], calling=SENDER, called="OTHER")
    lines = [record.getMessage() for record in caplog.records if "rejected" in record.getMessage()]
    assert len(lines) == 2
    assert "NOBODY at 127.0.0.1" in lines[0]


def test_many_refused_objects_are_three_lines_and_a_number(
    new_house: Callable[..., House], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    house = new_house()
    flood.send(house.port, [[of_canary(n, StudyInstanceUID="") for n in range(40)]], calling=SENDER, called=OURS)
    until(lambda: any("40 refused" in record.getMessage() for record in caplog.records), 5, "the last line")
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 3
