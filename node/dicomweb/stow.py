"""Storing one object by STOW-RS (PS3.18 10.5): what the request says, and what the answer means. Pure."""

import json
from http import HTTPStatus
from typing import Any

from node.dicomweb.connection import Reply
from node.dicomweb.service import Service
from node.errors import NotAccepted, PeerError, ProtocolBroken, WebAnswered
from node.statuses import SUCCESS, explain_status
from node.transport.protocol import Answer

PATH = "/studies"
ACCEPT = "application/dicom+json"

# PS3.18 F.2.3 names of attributes: their tags
FAILED_SOP_SEQUENCE = "00081198"
REFERENCED_SOP_SEQUENCE = "00081199"
OTHER_FAILURES_SEQUENCE = "0008119A"
REFERENCED_SOP_INSTANCE_UID = "00081155"
FAILURE_REASON = "00081197"
WARNING_REASON = "00081196"

_NOT_SAID = 0x0110
"""Processing failure: of an instance that is listed as failed without a reason."""


def request(file: tuple[bytes, ...], mark: str) -> tuple[dict[str, str], list[bytes]]:
    """Headers and body of a store transaction with one instance (PS3.18 8.6.1.2.2, 10.5.1.2).

    Parameters
    ----------
    file
        A PS3.10 file, in pieces.
    mark
        Text that occurs nowhere in the file, the same on every attempt.
    """
    boundary = f"osteon-{mark}"
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Accept": ACCEPT,
    }
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
    return headers, [head, *file, f"\r\n--{boundary}--\r\n".encode("ascii")]


def answered(service: Service, reply: Reply, sop_instance_uid: str) -> Answer:
    """What the server says of the one instance that was sent (PS3.18 10.5.3).

    Raises
    ------
    NotAccepted
        It will not take this object; others may follow.
    WebAnswered
        It took nothing, for a reason that concerns every object.
    ProtocolBroken
        What answers is no STOW-RS service.
    """
    said = f"{service.place} answered the STOW-RS request with {in_words(reply.status)}"
    if reply.status in (200, 202, 409):
        return _of_instance(service, reply, sop_instance_uid, said)
    raise refusal(service, reply.status, said)


def refusal(service: Service, status: int, said: str) -> PeerError:
    """An answer that stands for the whole request, as an error that says whether trying again makes sense."""
    if status in _OF_OBJECT:
        return NotAccepted(f"{said}: {_OF_OBJECT[status]}")
    if status in (401, 403):
        step = f"Give it credentials in [web.{service.name}] of the configuration, or the right to store there."
        return WebAnswered(f"{said}: it does not know us. {step}", status, permanent=True)
    if status in (404, 405, 410, 501):
        return WebAnswered(f"{said}: there is no such service. Correct the URL of the peer.", status, permanent=True)
    if 300 <= status < 400:
        step = "Enter the URL to which it leads, if you trust it; redirections are not followed."
        return WebAnswered(f"{said}. {step}", status, permanent=True)
    if status in (408, 425, 429) or status >= 500:
        return WebAnswered(f"{said}: it cannot take it now.", status, permanent=False)
    return WebAnswered(f"{said}. Ask its administrator why.", status, permanent=True)


_OF_OBJECT = {
    400: "it cannot read the request. Ask its administrator what its log says of it.",
    406: "it does not answer in DICOM JSON, which PS3.18 10.5.3 asks of it. Choose another transport for this peer.",
    413: "the object is larger than it takes. Raise its limit, or choose another result profile for this peer.",
    415: "it does not take such objects. Allow the class there, or choose another result profile for this peer.",
}


def in_words(status: int) -> str:
    """An HTTP status with the words of its standard, not the server's own, which might say anything."""
    try:
        return f"HTTP {status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return f"HTTP {status}"


def _of_instance(service: Service, reply: Reply, sop_instance_uid: str, said: str) -> Answer:
    response = _response(reply, said)
    stored, failed = (_items(response, tag) for tag in (REFERENCED_SOP_SEQUENCE, FAILED_SOP_SEQUENCE))
    for item in failed:
        if _value(item, REFERENCED_SOP_INSTANCE_UID) == sop_instance_uid:
            return _told(reply.status, _number(item, FAILURE_REASON, _NOT_SAID))
    for item in stored:
        if _value(item, REFERENCED_SOP_INSTANCE_UID) == sop_instance_uid:
            return _told(reply.status, _number(item, WARNING_REASON, SUCCESS))
    for item in _items(response, OTHER_FAILURES_SEQUENCE):  # one instance was sent, so it is the one that has no name
        return _told(reply.status, _number(item, FAILURE_REASON, _NOT_SAID))
    if reply.status == 200 and not stored and not failed:
        return Answer(SUCCESS, in_words(200))
    if reply.status == 409:
        raise NotAccepted(f"{said} and gives no reason. Ask its administrator what its log says of it.")
    raise WebAnswered(
        f"{said}, and its answer does not name the object: whether it has it is not known.",
        reply.status,
        permanent=False,
    )


def _told(http_status: int, status: int) -> Answer:
    return Answer(status, f"{in_words(http_status)} and {explain_status(status)}")


def _response(reply: Reply, said: str) -> dict[str, Any]:
    """The Store Instances Response Module (PS3.18 I.2); empty where there is no body."""
    if not reply.body.strip():
        return {}
    if "json" not in reply.content_type:
        if reply.status == 409:
            return {}
        raise ProtocolBroken(
            f"{said} and a body of type {reply.content_type[:80] or 'unknown'} where DICOM JSON belongs: "
            "this is no STOW-RS service, or something before it asks for a log-in. Correct the URL of the peer."
        )
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError) as exc:
        raise ProtocolBroken(f"{said}, whose JSON cannot be read. Ask its maker.") from exc
    if isinstance(found, list) and len(found) == 1:
        found = found[0]  # some wrap it as QIDO-RS does
    return found if isinstance(found, dict) else {}


def _items(data_set: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    element = data_set.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return [item for item in values if isinstance(item, dict)] if isinstance(values, list) else []


def _value(item: dict[str, Any], tag: str) -> object:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _number(item: dict[str, Any], tag: str, missing: int) -> int:
    try:
        number = int(str(_value(item, tag)))
    except ValueError:
        return missing
    return number if 0 <= number <= 0xFFFF else missing
