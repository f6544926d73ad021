"""What is agreed on in an association, by both sides (PS3.2 N.5): classes, syntaxes, limits, who is let in."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from node.config import Config
from node.conformance.markdown import bullets, table, uid_name
from node.conformance.sample import classes_made
from node.dimse import negotiate, opening
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.listen import admit, users
from node.listen.admit import Rejection
from node.listen.offer import offer_of
from node.listener import settings_from

_RESULTS = {1: "rejected permanent", 2: "rejected transient"}  # PS3.8 Table 9-21
_SOURCES = {1: "service user", 2: "service provider, ACSE", 3: "service provider, presentation"}


def parts() -> tuple[str, ...]:
    """Chapter 4, of associations."""
    config = Config(folder=Path())
    offer = offer_of(settings_from(config))
    storage = sorted(negotiate.storage_classes(), key=lambda uid: (uid_name(uid).casefold(), uid))
    return (
        "## 4 Application entities",
        "### 4.1 NODE_SCP",
        "#### 4.1.1 Presentation contexts accepted",
        "Each of these classes as SCP, in each of the transfer syntaxes below. Objects that are no images are kept as "
        "part of their study, and start nothing.",
        table(("SOP class", "UID"), [(uid_name(uid), uid) for uid in (negotiate.VERIFICATION, *storage)]),
        "Where a caller proposes several syntaxes in one context, the first of this list is taken. Compressed images "
        "are kept as they came.",
        table(("transfer syntax", "UID"), [(uid_name(uid), uid) for uid in offer.transfer_syntaxes]),
        "#### 4.1.2 Extended negotiation",
        table(("item", "answer"), _extended(offer)),
        "#### 4.1.3 Association policies",
        table(("policy", "value"), _acceptor_policies(config)),
        "#### 4.1.4 Rejections",
        table(("result", "source", "reason", "when"), sorted(_rejections())),
        "### 4.2 NODE_SCU and NODE_QR",
        "#### 4.2.1 Presentation contexts proposed",
        table(("SOP class", "UID", "transfer syntaxes", "role"), _proposed()),
        "An object travels in the syntax in which it is encoded, and in none other: there is no transcoding. A class "
        "that the peer refuses is followed by the fallback of the profile, if it has one (section 5.3).",
        "#### 4.2.2 Association policies",
        table(("policy", "value"), _requestor_policies(config)),
        "### 4.3 Configuration",
        "Static settings with their defaults; what may be sent, and to whom, is set by `osteon peers`.",
        table(("key", "default", "range"), _settings(config)),
    )


def _extended(offer: negotiate.Offer) -> Iterator[tuple[str, str]]:
    yield "Asynchronous operations window", "1, 1 where one is proposed: one operation at a time"
    yield "SCP/SCU role selection", "the caller may be SCU, not SCP, of storage and verification"
    for uid in sorted(offer.reporting):
        yield "SCP/SCU role selection", f"{uid_name(uid)}: the caller is SCP, and reports events here"
    yield (
        "User identity",
        (
            "types 1 and 2 (name; name and passcode) where `listen.users` is set, required with "
            "`listen.user_required`, a positive response where one is asked for; else left unanswered. Types 3 to 5 "
            "count as no identity"
        ),
    )
    yield "SOP class extended and common extended negotiation", "left unanswered"


def _acceptor_policies(config: Config) -> Iterator[tuple[str, object]]:
    section = config.listen
    yield "Application context", negotiate.APPLICATION_CONTEXT_NAME
    yield "Implementation Class UID, Version Name", f"{IMPLEMENTATION_CLASS_UID}, {IMPLEMENTATION_VERSION_NAME}"
    yield "Associations at once", f"{section.max_associations} (`listen.max_associations`)"
    yield "Longest PDU received", f"{section.max_pdu_bytes} bytes (`listen.max_pdu_bytes`)"
    yield "Presentation contexts of a request", f"up to {negotiate.MAX_CONTEXTS}"
    yield "Longest object", f"{section.max_object_mb} MB (`listen.max_object_mb`)"
    yield "Wait for the request", f"{section.request_timeout_s:g} s (`listen.request_timeout_s`)"
    yield "Wait between PDUs", f"{section.idle_timeout_s:g} s (`listen.idle_timeout_s`), then A-ABORT"
    yield "Wait for one PDU, one object", f"{section.pdu_timeout_s:g} s, {section.object_timeout_s:g} s"
    yield "Called AE title", "must be `node.ae_title`"
    yield "Calling AE title, address", "must be those of a peer, unless `listen.allow_unknown`"


def _rejections() -> Iterator[tuple[str, str, int, str]]:
    for module in (admit, users):
        for value in vars(module).values():
            if isinstance(value, Rejection):
                yield _RESULTS[value.result], _SOURCES[value.source], value.reason, value.words


def _proposed() -> Iterator[tuple[str, str, str, str]]:
    for name, uid in classes_made():
        yield name, uid, "that of the object: Explicit VR Little Endian", "SCU"
    for context in (
        *negotiate.VERIFICATION_CONTEXTS,
        *negotiate.find_contexts(),
        *negotiate.commitment_contexts(),
    ):
        syntaxes = ", ".join(uid_name(uid) for uid in context.transfer_syntaxes)
        yield uid_name(context.abstract_syntax), context.abstract_syntax, syntaxes, "SCU"


def _requestor_policies(config: Config) -> Iterator[tuple[str, object]]:
    usual = opening.Timeouts()
    yield "Associations at once", "one to each peer"
    yield "Longest PDU received", f"{opening.MAX_PDU} bytes"
    yield "Longest PDU sent", "what the peer takes"
    yield "Asynchronous operations window", "none proposed: one operation at a time"
    yield "User identity", "none proposed"
    yield "Wait for the connection", f"{config.send.connect_timeout_s:g} s (`send.connect_timeout_s`)"
    yield "Wait for an answer", f"{config.send.response_timeout_s:g} s (`send.response_timeout_s`)"
    yield "Wait for the peer to read", f"{usual.idle_s:g} s"
    yield (
        "Tried again",
        (
            f"after {config.send.first_retry_s:g} s, doubling up to {config.send.max_retry_s:g} s, for "
            f"{config.send.give_up_after_s / 3600:g} h; then a person is called (`send`)"
        ),
    )


def _settings(config: Config) -> Iterator[tuple[str, str, str]]:
    for section in dataclasses.fields(config):
        value = getattr(config, section.name)
        if not dataclasses.is_dataclass(value):
            continue
        for key in dataclasses.fields(value):
            low, high, unit = (key.metadata.get(name, "") for name in ("low", "high", "unit"))
            span = f"{low} to {high} {unit}".strip() if key.metadata else ""
            yield f"`{section.name}.{key.name}`", _shown(getattr(value, key.name)), span


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value != "" else "(none)"


def security() -> str:
    """Of the chapter on security."""
    return bullets(
        (
            "**Listening.** Plain TCP, or TLS 1.2 and newer alone with `listen.tls_certificate` and `listen.tls_key`; "
            "cipher suites are those of the TLS library's defaults. With `listen.tls_authority` a caller must show a "
            "certificate that this authority signed. No port speaks both.",
            "**Callers** are let in by AE title and address; by user identity too with `listen.users`.",
            "**Sending.** DIMSE to peers goes in plain; STOW-RS over TLS, with a client certificate, a bearer token or "
            "user and password from files (`[web.NAME]`).",
            "**Logs** name no patient and no UID above DEBUG.",
            "**Audit messages** of PS3.15 A.5 go to `audit.repository` by syslog over TLS, TCP or UDP (A.6): "
            "Application Activity, DICOM Instances Accessed, DICOM Instances Transferred, User Authentication, "
            "Security Alert. They name studies by UID and no patient, though A.5.3.6 and A.5.3.7 ask for one; like "
            "associations within a minute are one message with their number. Each is sent at least once, with the "
            "hash of its row in the node's own trail.",
            "**De-identification** is not done: results carry the patient of their source.",
        )
    )
