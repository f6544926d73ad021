"""Every row of the trail is a DICOM audit message as PS3.15 A.5 has it, and none says who the patient is."""

from dataclasses import replace

import pytest
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from node.audit.codes import EVENTS, ROW
from node.audit.messages import Origin, message
from node.audit.syslog import line
from storage.audit import Action, Indicator
from storage.audit_rows import Audited
from tests.audit_schema import checked, details

ORIGIN = Origin("OSTEON", "node.example")
ROW_1 = Audited(7, 1764417600.5, "started", Indicator.SUCCESS, "osteon", "node.example", None, "", "worker", None, None,
                {"version": "0.1.0"}, "ab" * 32)  # fmt: skip
SENT = {"ae_title": "PACS", "destination": "10.0.0.5:104", "run": 3, "sha256": "cd" * 32,
        "delivered": {"1.2.3": ["1.2.3.4", "1.2.3.5"]}, "parked": {"1.2.4": ["1.2.4.1"]}}  # fmt: skip


def row(action: str, **values: object) -> Audited:
    return replace(ROW_1, action=action, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("action", list(Action))
def test_every_action_is_a_message_of_the_schema(action: Action) -> None:
    for study in ({}, {"study_id": 42, "study_instance_uid": "1.2.3", "details": SENT}):
        root = checked(
            message(row(action, who="anna", address="10.1.2.3", before={"a": 1}, after="ü", **study), ORIGIN)
        )
        assert details(root)["hash"] == "ab" * 32
        assert details(root)["after"] == "ü"
    assert action in EVENTS


def test_the_codes_are_those_of_dicom() -> None:
    named = (getattr(codes.DCM, name, None) for name in dir(codes.DCM))
    known = {code.value: code.meaning for code in named if isinstance(code, Code)}
    used = {code for told in EVENTS.values() for code in (told.event, told.kind) if code is not None} - {ROW}
    assert [code for code in used if known.get(code.value) != code.meaning] == []


def test_a_start_is_an_application_activity_of_this_process() -> None:
    root = checked(message(ROW_1, ORIGIN))
    assert root.find("EventIdentification/EventID").attrib["csd-code"] == "110100"  # type: ignore[union-attr]
    assert root.find("EventIdentification/EventTypeCode").attrib["csd-code"] == "110120"  # type: ignore[union-attr]
    (participant,) = root.findall("ActiveParticipant")
    assert participant.attrib["AlternativeUserID"] == "AETITLES=OSTEON"


def test_results_go_from_us_to_the_peer_with_their_instances() -> None:
    root = checked(message(row("results-sent", study_id=42, study_instance_uid="1.2.3", details=SENT), ORIGIN))
    ends = {each.find("RoleIDCode").attrib["csd-code"]: each.attrib for each in root.findall("ActiveParticipant")}  # type: ignore[union-attr]
    assert ends["110153"]["UserIsRequestor"] == "true"
    assert ends["110152"]["AlternativeUserID"] == "AETITLES=PACS"
    study = root.findall("ParticipantObjectIdentification")[0]
    assert study.attrib["ParticipantObjectID"] == "1.2.3"
    assert [each.attrib["UID"] for each in study.iter("Instance")] == ["1.2.3.4", "1.2.3.5", "1.2.4.1"]


def test_a_refused_user_is_a_failed_login() -> None:
    root = checked(message(row("user-refused", who="WS1", address="10.0.0.7", outcome=Indicator.MINOR), ORIGIN))
    event = root.find("EventIdentification")
    assert event is not None
    assert event.attrib["EventOutcomeIndicator"] == "4"
    assert [child.attrib["csd-code"] for child in event] == ["110114", "110122"]


def test_what_is_hostile_stays_text() -> None:
    root = checked(message(row("association-rejected", who='<x a="1">&', details={"why": "]]> <b>"}), ORIGIN))
    assert root.find("ActiveParticipant").attrib["UserID"] == '<x a="1">&'  # type: ignore[union-attr]


def test_a_line_is_that_of_rfc_5424() -> None:
    made = line(b"<AuditMessage/>", 2**31, 1764417600.5, Indicator.SERIOUS, "no de", 12)
    assert made == (
        b'<83>1 2025-11-29T12:00:00.500Z node osteon 12 DICOM+RFC3881 [meta sequenceId="1"] \xef\xbb\xbf<AuditMessage/>'
    )
