"""A row of the audit trail as a DICOM audit message (PS3.15 A.5). Pure.

Where the standard asks for the patient (A.5.3.6, A.5.3.7) there is none: nothing that identifies one is in the trail.
A repository finds the patient by the Study Instance UID. Each message names its row and the row's hash, so that the
repository holds what a later end of the trail can be compared with.
"""

import base64
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree

from node.audit.codes import APPLICATION, DESTINATION, EVENTS, OTHER, ROW, SOURCE, STUDY_UID, TRANSFERRED, Code
from storage.audit import Action
from storage.audit_rows import Audited

_MACHINE_NAME, _IP_ADDRESS, _URI = "1", "2", "5"  # NetworkAccessPointTypeCode
_SYSTEM_OBJECT = "2"  # ParticipantObjectTypeCode
_REPORT, _SECURITY_RESOURCE = "3", "13"  # ParticipantObjectTypeCodeRole
_APPLICATION_SERVER = "4"  # AuditSourceTypeCode
_OBJECTS = ("delivered", "parked")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who reports."""

    ae_title: str
    host: str


def message(row: Audited, origin: Origin) -> bytes:
    """The AuditMessage, UTF-8 without a byte order mark."""
    try:
        told = EVENTS[Action(row.action)]
    except ValueError:
        told = OTHER
    root = ElementTree.Element("AuditMessage")
    event = ElementTree.SubElement(
        root,
        "EventIdentification",
        EventActionCode=told.action,
        EventDateTime=datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=str(int(row.outcome)),
    )
    _coded(event, "EventID", told.event)
    if told.kind is not None:
        _coded(event, "EventTypeCode", told.kind)
    if why := row.details.get("why"):
        ElementTree.SubElement(event, "EventOutcomeDescription").text = str(why)
    _participants(root, row, origin, is_transfer=told.event is TRANSFERRED)
    source = ElementTree.SubElement(root, "AuditSourceIdentification", AuditSourceID=f"{origin.ae_title}@{origin.host}")
    ElementTree.SubElement(source, "AuditSourceTypeCode", {"csd-code": _APPLICATION_SERVER})
    if row.study_instance_uid:
        _study(root, row)
    _row(root, row)
    body: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return body


def _participants(root: ElementTree.Element, row: Audited, origin: Origin, *, is_transfer: bool) -> None:
    """Who acted, and this node; of a transfer the two ends."""
    if row.action == Action.RESULTS_SENT:
        _node(root, origin, SOURCE, requests=True)
        ae_title = str(row.details.get("ae_title", ""))
        _participant(root, ae_title or row.about, str(row.details.get("destination", "")), DESTINATION, ae_title)
    elif is_transfer:
        _participant(root, row.who, row.address, SOURCE, row.who, requests=True)
        _node(root, origin, DESTINATION)
    elif row.who in ("osteon", ""):
        _node(root, origin, APPLICATION, requests=True)
        if row.address and row.address != origin.host:
            _participant(root, row.address, row.address, None)
    else:
        is_caller = row.action in (Action.ASSOCIATION_ACCEPTED, Action.ASSOCIATION_REJECTED)
        user = str(row.details.get("user", "")) or row.who
        _participant(root, user, row.address, None, row.who if is_caller or user != row.who else "", requests=True)
        _node(root, origin, APPLICATION)


def _node(root: ElementTree.Element, origin: Origin, role: Code, *, requests: bool = False) -> None:
    _participant(root, f"osteon@{origin.host}", origin.host, role, origin.ae_title, requests=requests)


def _participant(
    root: ElementTree.Element, user: str, address: str, role: Code | None, ae_title: str = "", *, requests: bool = False
) -> None:
    attributes = {"UserID": user or "unknown", "UserIsRequestor": "true" if requests else "false"}
    if ae_title:
        attributes["AlternativeUserID"] = f"AETITLES={ae_title}"
    if address:
        attributes |= {"NetworkAccessPointID": address, "NetworkAccessPointTypeCode": _kind_of(address)}
    element = ElementTree.SubElement(root, "ActiveParticipant", attributes)
    if role is not None:
        _coded(element, "RoleIDCode", role)


def _kind_of(address: str) -> str:
    if "://" in address:
        return _URI
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return _MACHINE_NAME
    return _IP_ADDRESS


def _study(root: ElementTree.Element, row: Audited) -> None:
    """The study, and of results the objects that went or did not."""
    element = _object(root, row.study_instance_uid, _REPORT, STUDY_UID, f"study {row.study_id}")
    for key in _OBJECTS:
        classes: Mapping[str, list[str]] = row.details.get(key) or {}
        if not classes:
            continue
        description = ElementTree.SubElement(element, "ParticipantObjectDescription")
        for sop_class, uids in classes.items():
            found = ElementTree.SubElement(description, "SOPClass", UID=sop_class, NumberOfInstances=str(len(uids)))
            for uid in uids:
                ElementTree.SubElement(found, "Instance", UID=uid)


def _row(root: ElementTree.Element, row: Audited) -> None:
    element = _object(root, str(row.number), _SECURITY_RESOURCE, ROW, row.about or row.action)
    pairs: dict[str, object] = {"action": row.action, "hash": row.hash}
    for key, value in (("before", row.before), ("after", row.after)):
        if value is not None:
            pairs[key] = value
    pairs |= {key: value for key, value in row.details.items() if key not in _OBJECTS}
    for key, value in pairs.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        encoded = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
        ElementTree.SubElement(element, "ParticipantObjectDetail", type=key, value=encoded)


def _object(root: ElementTree.Element, number: str, role: str, kind: Code, name: str) -> ElementTree.Element:
    element = ElementTree.SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=number,
        ParticipantObjectTypeCode=_SYSTEM_OBJECT,
        ParticipantObjectTypeCodeRole=role,
    )
    _coded(element, "ParticipantObjectIDTypeCode", kind)
    ElementTree.SubElement(element, "ParticipantObjectName").text = name
    return element


def _coded(parent: ElementTree.Element, name: str, code: Code) -> None:
    ElementTree.SubElement(
        parent,
        name,
        {"csd-code": code.value, "codeSystemName": code.scheme, "originalText": code.meaning},
    )
