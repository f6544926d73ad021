"""Association negotiation (PS3.8 7.1, 9.3.2-9.3.4; PS3.7 Annex D): what is proposed, what is accepted, for both ends.

Pure: bytes and values in, bytes and values out. Whether a caller may come in at all is node/listen/admit.py.
"""

import functools
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pynetdicom import AllStoragePresentationContexts

from node.dimse import items
from node.dimse.wire import ASSOCIATE_AC, ASSOCIATE_RJ, ASSOCIATE_RQ, INVALID_PARAMETER, control_pdu
from node.errors import ProtocolBroken

APPLICATION_CONTEXT_NAME = "1.2.840.10008.3.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

_PLAIN = (EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN)

# Result of a presentation context, PS3.8 Table 9-18
ACCEPTANCE = 0
USER_REJECTION = 1
ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
TRANSFER_SYNTAXES_NOT_SUPPORTED = 4

# Below 1.2.840.10008.5.1.4.1.1, PS3.6 Table A-1: ultrasound, nuclear medicine, standalone overlays, curves and tables,
# biplane, PET curves, and the trial versions of waveforms, visible light and structured reports.
_RETIRED_STORAGE = (
    *("3", "5", "6", "8", "9", "10", "11", "12.3", "129"),
    *("9.1", "77.1", "77.2", "88.1", "88.2", "88.3", "88.4"),
)

MAX_CONTEXTS = 128  # the identifiers are the odd numbers of one byte
_FIXED = struct.Struct(">H2x16s16s32x")  # version, called, calling


@dataclass(frozen=True, slots=True)
class Context:
    """A presentation context as proposed: one SOP class and the transfer syntaxes in which it may travel."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """A presentation context in force."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Titles:
    """The fixed head of an A-ASSOCIATE-RQ, enough to decide whom to let in."""

    protocol_version: int
    called_ae: str
    calling_ae: str


@dataclass(frozen=True, slots=True)
class Request:
    """An A-ASSOCIATE-RQ, decoded."""

    application_context: str
    contexts: Mapping[int, Context]
    user: items.UserInformation


@dataclass(frozen=True, slots=True)
class Offer:
    """What this node takes: SOP classes, and transfer syntaxes in our order of preference."""

    classes: frozenset[str]
    transfer_syntaxes: tuple[str, ...]
    max_pdu: int
    knows_users: bool = False
    """User identities are looked at, see node/listen/users.py; else they stay unanswered."""
    reporting: frozenset[str] = frozenset()
    """SOP classes in which the caller is the SCP and reports events to us (PS3.7 D.3.3.4)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The contexts in force and the A-ASSOCIATE-AC that says so."""

    contexts: Mapping[int, AcceptedContext]
    pdu: bytes


@dataclass(frozen=True, slots=True)
class Agreement:
    """An A-ASSOCIATE-AC, decoded: the contexts in force, results of the others, and the peer's limit."""

    contexts: Mapping[int, AcceptedContext]
    refused: Mapping[int, int]
    user: items.UserInformation


@functools.cache
def storage_classes() -> frozenset[str]:
    """All composite storage classes of the standard, retired ones included, for archives still hold them.

    Not those without a study (hanging protocols, palettes), nor private ones.
    """
    current = (str(context.abstract_syntax) for context in AllStoragePresentationContexts)
    return frozenset(current) | {f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in _RETIRED_STORAGE}


VERIFICATION_CONTEXTS = (Context(VERIFICATION, _PLAIN),)


def storage_contexts(objects: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[Context, ...]:
    """One context for each pair of SOP class and transfer syntax: objects travel exactly as they are encoded."""
    pairs = objects.items() if isinstance(objects, Mapping) else objects
    return tuple(Context(sop_class, (transfer_syntax,)) for sop_class, transfer_syntax in dict.fromkeys(pairs))


def find_contexts() -> tuple[Context, ...]:
    """What a Study Root C-FIND needs."""
    return (Context(STUDY_ROOT_FIND, _PLAIN),)


def commitment_contexts() -> tuple[Context, ...]:
    """What a request for storage commitment needs."""
    return (Context(STORAGE_COMMITMENT, _PLAIN),)


def titles(body: bytes) -> Titles:
    """The AE titles of a request, before anything else in it is looked at."""
    if len(body) < _FIXED.size:
        raise ProtocolBroken("An association request is shorter than its fixed part.", INVALID_PARAMETER)
    version, called, calling = _FIXED.unpack_from(body)
    return Titles(version, _title(called), _title(calling))


def decode_request(body: bytes) -> Request:
    """All of a request; a second context of the same identifier, or an even one, breaks the protocol."""
    application, user = "", items.UserInformation()
    contexts: dict[int, Context] = {}
    for kind, value in items.walk(body, _FIXED.size):
        if kind == items.CONTEXT_RQ:
            context_id, context = _proposed(value)
            if context_id in contexts:
                raise ProtocolBroken(f"Presentation context {context_id} is proposed twice.", INVALID_PARAMETER)
            contexts[context_id] = context
        elif kind == items.APPLICATION_CONTEXT:
            application = items.uid(value)
        elif kind == items.USER_INFORMATION:
            user = items.decode_user_information(value)
    return Request(application, contexts, user)


def answer(body: bytes, request: Request, offer: Offer) -> Answer:
    """Decide every proposed context, by our order of transfer syntaxes, and encode the A-ASSOCIATE-AC."""
    accepted: dict[int, AcceptedContext] = {}
    encoded = []
    for context_id, context in request.contexts.items():
        result, transfer_syntax = _decided(context, request.user.roles, offer)
        if result == ACCEPTANCE:
            accepted[context_id] = AcceptedContext(context.abstract_syntax, transfer_syntax)
        syntax = items.item(items.TRANSFER_SYNTAX, transfer_syntax.encode())
        encoded.append(items.item(items.CONTEXT_AC, bytes((context_id, 0, result, 0)) + syntax))
    roles = {sop_class: _role(sop_class, role, offer) for sop_class, role in request.user.roles.items()}
    identity = request.user.identity
    user = items.encode_user_information(
        offer.max_pdu,
        with_window=request.user.wants_window,
        roles=roles,
        confirms_identity=offer.knows_users and identity is not None and identity.wants_response and identity.is_known,
    )
    return Answer(accepted, _associate_pdu(ASSOCIATE_AC, body[4:36], b"".join(encoded) + user))


def reject_pdu(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return control_pdu(ASSOCIATE_RJ, result, source, reason)


def request_pdu(calling_ae: str, called_ae: str, contexts: Sequence[Context], max_pdu: int) -> bytes:
    """An A-ASSOCIATE-RQ; the context at place n has the identifier 2n+1."""
    if not 0 < len(contexts) <= MAX_CONTEXTS:
        raise ValueError(f"{len(contexts)} presentation contexts; DICOM allows 1 to {MAX_CONTEXTS}")
    encoded = []
    for place, context in enumerate(contexts):
        syntaxes = [items.item(items.TRANSFER_SYNTAX, syntax.encode()) for syntax in context.transfer_syntaxes]
        abstract = items.item(items.ABSTRACT_SYNTAX, context.abstract_syntax.encode())
        encoded.append(items.item(items.CONTEXT_RQ, bytes((2 * place + 1, 0, 0, 0)) + abstract + b"".join(syntaxes)))
    user = items.encode_user_information(max_pdu, with_window=False, roles={})
    return _associate_pdu(ASSOCIATE_RQ, _padded(called_ae) + _padded(calling_ae), b"".join(encoded) + user)


def decode_accept(body: bytes, proposed: Sequence[Context]) -> Agreement:
    """An A-ASSOCIATE-AC; a context accepted in a transfer syntax that we did not propose counts as refused."""
    user = items.UserInformation()
    accepted: dict[int, AcceptedContext] = {}
    refused: dict[int, int] = {}
    for kind, value in items.walk(body, _FIXED.size):
        if kind == items.USER_INFORMATION:
            user = items.decode_user_information(value)
        elif kind == items.CONTEXT_AC and len(value) >= 4:
            context_id, result = value[0], value[2]
            place = context_id // 2
            if context_id % 2 == 0 or place >= len(proposed):
                raise ProtocolBroken(
                    f"The peer accepted context {context_id}, which was not proposed.", INVALID_PARAMETER
                )
            syntax = next((items.uid(v) for k, v in items.walk(value, 4) if k == items.TRANSFER_SYNTAX), "")
            if result == ACCEPTANCE and syntax in proposed[place].transfer_syntaxes:
                accepted[context_id] = AcceptedContext(proposed[place].abstract_syntax, syntax)
            else:
                refused[context_id] = result
    return Agreement(accepted, refused, user)


def _proposed(value: bytes) -> tuple[int, Context]:
    """One proposed presentation context (PS3.8 Table 9-13)."""
    if len(value) < 4 or value[0] % 2 == 0:
        raise ProtocolBroken("A presentation context has no odd identifier.", INVALID_PARAMETER)
    abstract, syntaxes = "", []
    for kind, uid in items.walk(value, 4):
        if kind == items.ABSTRACT_SYNTAX:
            abstract = items.uid(uid)
        elif kind == items.TRANSFER_SYNTAX:
            syntaxes.append(items.uid(uid))
    return value[0], Context(abstract, tuple(syntaxes))


def _role(sop_class: str, proposed: tuple[bool, bool], offer: Offer) -> tuple[bool, bool]:
    """Whether the requestor may be SCU, SCP in the class: the one or the other, as we offer it."""
    is_scu, is_scp = proposed
    return (False, is_scp) if sop_class in offer.reporting else (is_scu, False)


def _decided(context: Context, roles: Mapping[str, tuple[bool, bool]], offer: Offer) -> tuple[int, str]:
    """Result and transfer syntax of one context; the latter has no meaning when the result is not acceptance."""
    if context.abstract_syntax in offer.reporting:
        return _reporting(context, roles)
    if context.abstract_syntax not in offer.classes:
        return ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT_LITTLE_ENDIAN
    if not roles.get(context.abstract_syntax, (True, False))[0]:
        return USER_REJECTION, IMPLICIT_LITTLE_ENDIAN  # the requestor wants to be SCP only, and we are no SCU here
    for syntax in offer.transfer_syntaxes:
        if syntax in context.transfer_syntaxes:
            return ACCEPTANCE, syntax
    return TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT_LITTLE_ENDIAN


def _reporting(context: Context, roles: Mapping[str, tuple[bool, bool]]) -> tuple[int, str]:
    """The same for a class in which the requestor reports to us.

    One that names no role at all is let in as well: there are archives that forget it, and only peers that were asked
    for such reports get here.
    """
    if not roles.get(context.abstract_syntax, (False, True))[1]:
        return USER_REJECTION, IMPLICIT_LITTLE_ENDIAN  # it wants to ask, and we answer nothing in this class
    for syntax in _PLAIN:
        if syntax in context.transfer_syntaxes:
            return ACCEPTANCE, syntax
    return TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT_LITTLE_ENDIAN


def _associate_pdu(kind: int, ae_titles: bytes, variable: bytes) -> bytes:
    application = items.item(items.APPLICATION_CONTEXT, APPLICATION_CONTEXT_NAME.encode())
    body = struct.pack(">H2x", 1) + ae_titles + bytes(32) + application + variable
    return struct.pack(">BxI", kind, len(body)) + body


def _title(value: bytes) -> str:
    return value.strip(b" \0").decode("ascii", "backslashreplace")


def _padded(title: str) -> bytes:
    return title.encode("ascii").ljust(16)[:16]
