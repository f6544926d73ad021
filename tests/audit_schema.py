"""Whether a document is an AuditMessage: the structure of PS3.15 A.5.1, written down as a table of our own."""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from xml.etree import ElementTree

_CODE = {"csd-code": r".+", "codeSystemName": r".+", "originalText": r".+", "displayName?": r".+"}
_UID = r"[0-2](\.(0|[1-9]\d*))+"


@dataclass(frozen=True)
class _Rule:
    """Attributes with the pattern of their values ("?" at the end: may be absent), and the order of the children."""

    attributes: dict[str, str]
    children: str = ""
    has_text: bool = False


_RULES = {
    "AuditMessage": _Rule(
        {}, "EventIdentification (ActiveParticipant )+AuditSourceIdentification (ParticipantObjectIdentification )*"
    ),
    "EventIdentification": _Rule(
        {"EventActionCode?": "[CRUDE]", "EventDateTime": r"\d{4}-\d\d-\d\dT.*", "EventOutcomeIndicator": "0|4|8|12"},
        "EventID (EventTypeCode )*(EventOutcomeDescription )?",
    ),
    "EventID": _Rule(_CODE),
    "EventTypeCode": _Rule(_CODE),
    "EventOutcomeDescription": _Rule({}, has_text=True),
    "ActiveParticipant": _Rule(
        {
            "UserID": ".+",
            "AlternativeUserID?": ".+",
            "UserName?": ".+",
            "UserIsRequestor": "true|false",
            "NetworkAccessPointID?": ".+",
            "NetworkAccessPointTypeCode?": "[1-5]",
        },
        "(RoleIDCode )*",
    ),
    "RoleIDCode": _Rule(_CODE),
    "AuditSourceIdentification": _Rule(
        {"AuditEnterpriseSiteID?": ".+", "AuditSourceID": ".+"}, "(AuditSourceTypeCode )*"
    ),
    "AuditSourceTypeCode": _Rule({"csd-code": "[1-9]"}),
    "ParticipantObjectIdentification": _Rule(
        {
            "ParticipantObjectID": ".+",
            "ParticipantObjectTypeCode?": "[1-4]",
            "ParticipantObjectTypeCodeRole?": r"[1-9]|1\d|2[0-6]",
            "ParticipantObjectDataLifeCycle?": r"[1-9]|1[0-5]",
            "ParticipantObjectSensitivity?": ".+",
        },
        "ParticipantObjectIDTypeCode (ParticipantObjectName |ParticipantObjectQuery )(ParticipantObjectDetail )*"
        "(ParticipantObjectDescription )*",
    ),
    "ParticipantObjectIDTypeCode": _Rule(_CODE),
    "ParticipantObjectName": _Rule({}, has_text=True),
    "ParticipantObjectDetail": _Rule({"type": ".+", "value": "[A-Za-z0-9+/]*={0,2}"}),
    "ParticipantObjectDescription": _Rule({}, "(SOPClass )*"),
    "SOPClass": _Rule({"UID?": _UID, "NumberOfInstances": r"\d+"}, "(Instance )*"),
    "Instance": _Rule({"UID": _UID}),
}


def checked(body: bytes) -> ElementTree.Element:
    """The message; AssertionError where it is not as A.5.1 says."""
    root = ElementTree.fromstring(body)
    assert root.tag == "AuditMessage"
    for element in root.iter():
        _check(element)
    moment = root.find("EventIdentification")
    assert moment is not None
    assert datetime.fromisoformat(moment.attrib["EventDateTime"]).tzinfo is not None
    return root


def details(root: ElementTree.Element) -> dict[str, str]:
    """Every ParticipantObjectDetail of a message."""
    return {
        each.attrib["type"]: base64.b64decode(each.attrib["value"]).decode()
        for each in root.iter("ParticipantObjectDetail")
    }


def _check(element: ElementTree.Element) -> None:
    assert element.tag in _RULES, f"no such element: {element.tag}"
    rule = _RULES[element.tag]
    known = {name.rstrip("?"): pattern for name, pattern in rule.attributes.items()}
    needed = {name for name in rule.attributes if not name.endswith("?")}
    assert needed <= set(element.attrib) <= set(known), f"{element.tag}: {element.attrib}"
    for name, value in element.attrib.items():
        assert re.fullmatch(known[name], value), f"{element.tag} {name}: {value!r}"
    order = "".join(f"{child.tag} " for child in element)
    assert re.fullmatch(rule.children, order), f"{element.tag} holds {order}"
    assert rule.has_text or not (element.text or "").strip(), f"{element.tag}: {element.text!r}"
