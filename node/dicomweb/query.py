"""Questions to a DICOMweb server by QIDO-RS (PS3.18 10.6): what it holds of a study."""

import json
from typing import Any
from urllib.parse import quote, urlencode

from node.dicomweb import stow
from node.dicomweb.connection import Connection, Reply
from node.dimse.query import IMAGE_MODALITIES
from node.errors import ProtocolBroken
from node.identity import uid_of

_PAGE = 500
_PAGES = 100

NO_STUDY = uid_of("no study")
PATIENT_ID = "00100020"
ISSUER_OF_PATIENT_ID = "00100021"
MODALITY = "00080060"
NUMBER_OF_INSTANCES = "00201209"
SOP_INSTANCE_UID = "00080018"
STUDY_INSTANCE_UID = "0020000D"


def held_instances(connection: Connection, study_instance_uid: str, series_instance_uid: str) -> frozenset[str]:
    """The SOP Instance UIDs that the server lists of a series; none of a series that it does not know.

    Raises
    ------
    PeerError
        It cannot be asked, or answers something else.
    """
    path = f"/studies/{_quoted(study_instance_uid)}/series/{_quoted(series_instance_uid)}/instances"
    found: set[str] = set()
    for page in range(_PAGES):
        more = {str(uid) for item in _matches(connection, path, _page(page)) if (uid := value(item, SOP_INSTANCE_UID))}
        if not more - found:  # the end, or a server that knows no pages
            break
        found |= more
        if len(more) < _PAGE:
            break
    return frozenset(found)


def matching_studies(connection: Connection, study_instance_uid: str, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """What the server says of a study: its attributes in DICOM JSON (PS3.18 F.2), `fields` (tags) among them.

    Raises
    ------
    PeerError
    """
    asked = [("StudyInstanceUID", study_instance_uid), *(("includefield", field) for field in fields)]
    found = _matches(connection, "/studies", asked)
    return [item for item in found if value(item, STUDY_INSTANCE_UID) == study_instance_uid]


def images_in_study(connection: Connection, study_instance_uid: str) -> int | None:
    """How many radiographs and MR images the server says the study has, or None when it does not say.

    From *NumberOfSeriesRelatedInstances* (0020,1209) of its series, which QIDO-RS returns (PS3.18 10.6.3.3.2).

    Raises
    ------
    PeerError
    """
    found = _matches(connection, f"/studies/{_quoted(study_instance_uid)}/series", [])
    counts = [value(item, NUMBER_OF_INSTANCES) for item in found if value(item, MODALITY) in IMAGE_MODALITIES]
    try:
        return sum(int(str(count)) for count in counts) if counts else None
    except ValueError:
        return None


def check_answers(connection: Connection) -> None:
    """Ask for a study that nobody can have: an answer shows that URL, TLS and credentials are right.

    Raises
    ------
    PeerError
    """
    matching_studies(connection, NO_STUDY, ())


def value(item: dict[str, Any], tag: str) -> object:
    """The first value of an element, None without one."""
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _page(number: int) -> list[tuple[str, str]]:
    return [("limit", str(_PAGE)), ("offset", str(number * _PAGE))]


def _matches(connection: Connection, path: str, asked: list[tuple[str, str]]) -> list[dict[str, Any]]:
    reply = connection.ask("GET", f"{path}?{urlencode(asked)}" if asked else path, {"Accept": stow.ACCEPT})
    service = connection.service
    said = f"{service.place} answered the QIDO-RS request with {stow.in_words(reply.status)}"
    if reply.status == 204:
        return []
    if reply.status == 404 and path != "/studies":  # of a study that it does not know
        return []
    if reply.status != 200:
        raise stow.refusal(service, reply.status, said)
    return _listed(reply, said)


def _listed(reply: Reply, said: str) -> list[dict[str, Any]]:
    if not reply.body.strip():
        return []
    try:
        found = json.loads(reply.body) if "json" in reply.content_type else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise ProtocolBroken(f"{said}, but no list in DICOM JSON: this is no QIDO-RS service. Correct the URL.")
    return [item for item in found if isinstance(item, dict)]


def _quoted(uid: str) -> str:
    return quote(uid, safe="")
