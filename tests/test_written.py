"""The judges of written objects bite: a good object has no complaint, a spoilt one that of its fault."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.report.request import Kind
from tests import written
from tests.node.report.made_cases import stock_one


def _groups(ds: Dataset) -> list[Dataset]:
    return [item for item in written._items(ds) if written._name(item) == "125007"]


def _without(code: str) -> Callable[[Dataset], None]:
    def change(ds: Dataset) -> None:
        group = _groups(ds)[0]
        group.ContentSequence = [item for item in group.ContentSequence if written._name(item) != code]

    return change


def _both_numbers(ds: Dataset) -> None:
    item = next(item for item in written._items(ds) if "ReferencedSOPSequence" in item)
    item.ReferencedSOPSequence[0].ReferencedFrameNumber = 1
    item.ReferencedSOPSequence[0].ReferencedSegmentNumber = 1


def _another_title(ds: Dataset) -> None:
    ds.ConceptNameCodeSequence[0].CodeValue = "126001"


def _private(ds: Dataset) -> None:
    ds.add_new(0x00291010, "LO", "x")


def _of_highdicom(ds: Dataset) -> None:
    ds.SeriesInstanceUID = "1.2.826.0.1.3680043.10.511.3.1"


@pytest.mark.parametrize(
    ("kind", "change", "lines"),
    [
        pytest.param(Kind.SR, None, set(), id="a good report"),
        pytest.param(Kind.SEG, None, set(), id="a good segmentation"),
        pytest.param(Kind.SR, _without("112040"), {65}, id="no tracking UID"),
        pytest.param(Kind.SR, _without("112039"), {65}, id="no tracking identifier"),
        pytest.param(Kind.SR, _without("111001"), {23}, id="no algorithm"),
        pytest.param(Kind.SR, _both_numbers, {21}, id="frame and segment"),
        pytest.param(Kind.SR, _another_title, {2}, id="another title"),
        pytest.param(Kind.SEG, lambda ds: delattr(ds, "ReferencedSeriesSequence"), {14}, id="no series"),
        pytest.param(Kind.SEG, lambda ds: delattr(ds, "SegmentationType"), {1}, id="no type"),
        pytest.param(Kind.SC, _private, {8}, id="a private element"),
        pytest.param(Kind.SC, _of_highdicom, {9}, id="a UID of the library"),
    ],
)
def test_an_object_is_complained_of_for_its_fault(
    kind: Kind, change: Callable[[Dataset], None] | None, lines: set[int], tmp_path: Path
) -> None:
    ds = stock_one("cr", kind)
    if change:
        change(ds)
    ds.save_as(tmp_path / "object.dcm", enforce_file_format=True)
    found = {each.line for each in written.complaints_of(tmp_path / "object.dcm")}
    assert lines <= found
    assert found <= lines | {1, 2}  # the public tools see some of it too


@pytest.mark.parametrize(
    ("keyword", "why", "inherited"),
    [
        ("PatientID", "Length", True),
        ("PatientName", "Character", True),
        ("StudyDescription", "Length", False),
        ("SeriesDescription", "Character", False),
    ],
)
def test_only_what_a_source_said_itself_is_not_counted(keyword: str, why: str, inherited: bool) -> None:
    line = f"Error - </{keyword}(0010,0020)[1]> - Value invalid for this VR [LO] = <x> - {why} invalid for this"
    assert written.is_inherited(line, Dataset()) is inherited


@pytest.mark.parametrize(
    ("uid", "inherited"), [("999.999.01.2", True), ("2.25.01", False), ("1.2.840.10008.01", False)]
)
def test_an_illegal_uid_is_counted_where_it_is_ours(uid: str, inherited: bool) -> None:
    line = f"Error - </SourceImageSequence(0008,2112)[1]> - Illegal root for UID = <{uid}>"
    assert written.is_inherited(line, Dataset()) is inherited


def test_an_object_is_kept_once_and_only_in_a_run_that_judges(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OSTEON_TESTS_WRITTEN", str(tmp_path))
    written.keep(b"x", "one test")
    written.keep(b"x", "another")
    assert [path.read_text() for path in tmp_path.glob("*.txt")] == ["one test"]
    monkeypatch.delenv("OSTEON_TESTS_WRITTEN")
    written.keep(b"y", "a third")
    assert len(list(tmp_path.glob("*.dcm"))) == 1
