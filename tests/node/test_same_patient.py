"""When the patient whom a result names is the one whom an archive records for its study."""

import pytest
from pydicom.dataset import Dataset

from node.report.encode import encoded
from node.same_patient import Identity, Match, identity, identity_of, match, study_and_patient

OURS = Identity("P-17", "HOSPITAL")


@pytest.mark.parametrize(
    ("named", "recorded", "found"),
    [
        pytest.param(OURS, [OURS], Match.SAME, id="the same"),
        pytest.param(OURS, [identity(" P-17 ", "HOSPITAL\0")], Match.SAME, id="padding says nothing"),
        pytest.param(OURS, [Identity("P-17")], Match.SAME, id="no issuer there"),
        pytest.param(Identity("P-17"), [OURS], Match.SAME, id="no issuer here"),
        pytest.param(identity("\u00c9-1"), [identity("E\u0301-1")], Match.SAME, id="one letter, two ways to write it"),
        pytest.param(Identity(""), [Identity("")], Match.SAME, id="nobody on both sides"),
        pytest.param(OURS, [Identity("P-18"), OURS], Match.SAME, id="the study under both"),
        pytest.param(OURS, [Identity("P-18", "HOSPITAL")], Match.OTHER, id="another number"),
        pytest.param(OURS, [Identity("P-17", "CLINIC")], Match.OTHER, id="the number of another issuer"),
        pytest.param(OURS, [Identity("p-17", "HOSPITAL")], Match.OTHER, id="another case of letters"),
        pytest.param(Identity(""), [OURS], Match.OTHER, id="somebody for nobody"),
        pytest.param(OURS, [], Match.UNKNOWN_STUDY, id="no such study"),
        pytest.param(OURS, [Identity("")], Match.NOT_SAID, id="no number there"),
        pytest.param(OURS, [Identity(None)], Match.NOT_SAID, id="a number that cannot be read there"),
        pytest.param(Identity(None), [OURS], Match.NOT_SAID, id="a number that cannot be read here"),
    ],
)
def test_the_record_is_compared_by_patient_id_and_issuer(
    named: Identity, recorded: list[Identity], found: Match
) -> None:
    assert match(named, recorded) is found


def test_the_name_is_not_compared() -> None:
    before, after = Dataset(), Dataset()
    before.PatientName, after.PatientName = "Maiden^Name", "Married^Name"
    before.PatientID = after.PatientID = "P-17"
    assert match(identity_of(before), [identity_of(after)]) is Match.SAME


def test_a_result_tells_its_study_and_patient() -> None:
    ds = Dataset()
    ds.StudyInstanceUID, ds.PatientID, ds.IssuerOfPatientID = "1.2.3", "P-17", "HOSPITAL"
    ds.NumberOfFrames = "1"
    assert study_and_patient(encoded(ds, {})) == ("1.2.3", OURS)


@pytest.mark.parametrize(
    ("character_set", "value", "read"),
    [
        ("ISO_IR 192", "患者".encode(), "患者"),
        ("ISO_IR 100", "Patiënt".encode("latin-1"), "Patiënt"),
        ("", "患者".encode("gb18030"), None),
    ],
)
def test_an_id_in_letters_is_read_only_where_its_character_set_is_declared(
    character_set: str, value: bytes, read: str | None
) -> None:
    text = character_set.encode() + b" " * (len(character_set) % 2)
    data = b"\x08\x00\x05\x00CS" + len(text).to_bytes(2, "little") + text if character_set else b""
    value += b" " * (len(value) % 2)
    data += b"\x10\x00\x20\x00LO" + len(value).to_bytes(2, "little") + value
    data += b"\x20\x00\x0d\x00UI\x06\x001.2.3\x00"
    assert study_and_patient(data) == ("1.2.3", Identity(read))
