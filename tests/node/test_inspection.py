"""Whatever a document holds, reading it ends in words; nothing that it says of a person is kept."""

import random
from dataclasses import replace
from io import BytesIO

import pydicom
import pytest

from node.inspection import inspected
from node.job import Inspection, Setup
from node.report.encode import part10
from node.report.kind import Kind
from storage.files import ResultStore
from storage.journal import Journal, RecordMeta
from storage.results import ResultFile
from tests.node.report import made_cases

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
SETUP = Setup("", "", "", "cpu", 1, "ERROR", "TEST")


@pytest.fixture
def ask(tmp_path):
    """Has bytes read that came for a study which was answered once."""
    for name in ("journal", "results"):
        (tmp_path / name).mkdir()
    store = ResultStore(tmp_path / "results")
    made = next(each for each in made_cases.radiograph().made() if each.kind is Kind.SR)
    path, sha256 = store.put(made.data)
    report = ResultFile("sr", 3, made.sop_class_uid, made.sop_instance_uid, made.series_instance_uid, EXPLICIT, path,
                        len(made.data), sha256)  # fmt: skip
    number = iter(range(1000))

    def asked(data, syntax=EXPLICIT, **changes):
        journal = Journal(tmp_path / "journal", f"j{next(number)}")
        meta = RecordMeta(
            sop_class_uid=made.sop_class_uid, sop_instance_uid="1.2.3", transfer_syntax_uid=syntax,
            study_instance_uid="1.2", series_instance_uid="1.2.9", patient_key="p", calling_ae="A", called_ae="B",
            address="127.0.0.1", association="a", received_at=0.0, modality="SR",
        )  # fmt: skip
        journal.begin()
        journal.write(data)
        place = journal.commit(meta)
        journal.close()
        task = Inspection(1, syntax, place, (report,), frozenset({made.sop_instance_uid}))
        return inspected(replace(task, **changes), SETUP, tmp_path / "journal", store)

    return asked, made


def by_a_person(made):
    """The report as a viewer writes it when its user has changed something, with who that was."""
    ds = pydicom.dcmread(BytesIO(part10(made)))
    ds.SOPInstanceUID, ds.Manufacturer, ds.OperatorsName = "1.2.3", "Workstation", "Reader^Rita"
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, ds, implicit_vr=False, little_endian=True, enforce_file_format=False, overwrite=True)
    data = buffer.getvalue()
    return data[data.index(b"\x08\x00\x05\x00") :] if b"DICM" in data[:140] else data


def test_a_report_that_a_person_changed_is_known_by_its_lesions_and_not_by_the_person(ask):
    asked, made = ask
    found = asked(by_a_person(made))
    assert found.fault == ""
    assert {each.judgement.value for each in found.said} == {"modified"}
    assert {each.result_sop_instance_uid for each in found.said} == {made.sop_instance_uid}
    assert "Rita" not in repr(found)


@pytest.mark.parametrize(
    "syntax", [EXPLICIT, IMPLICIT, "1.2.840.10008.1.2.1.99"], ids=["explicit", "implicit", "deflated"]
)
def test_damaged_documents_end_in_words_or_in_nothing_said(ask, syntax):
    asked, made = ask
    whole = by_a_person(made)
    rng = random.Random(7)
    broken = [b"", whole[: len(whole) // 2], rng.randbytes(5000), b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 3000]
    for _ in range(12):
        bytes_ = bytearray(whole)
        for _ in range(30):
            bytes_[rng.randrange(len(bytes_))] = rng.randrange(256)
        broken.append(bytes(bytes_))
    for data in broken:
        found = asked(data, syntax)
        assert isinstance(found.fault, str)
        assert all(each.result_sop_instance_uid == made.sop_instance_uid for each in found.said)


def test_a_document_that_is_too_large_or_not_there_is_not_read(ask, monkeypatch):
    asked, made = ask
    monkeypatch.setattr("node.inspection.MAX_BYTES", 100)
    assert "100 at most are read" in asked(by_a_person(made)).fault
