"""What is wrong with a configuration whose every value is of the right type and range. Pure."""

import dataclasses
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.config import AuditSection, Config, ListenSection

AE_TITLE_LIMIT = 16  # PS3.5 6.2, VR AE


def faults_of(config: "Config") -> list[str]:
    """Every fault that types alone do not catch, as a sentence."""
    faults: list[str] = []
    title = config.node.ae_title
    if (
        not title.strip()
        or len(title) > AE_TITLE_LIMIT
        or "\\" in title
        or not title.isascii()
        or not title.isprintable()
    ):
        faults.append(
            f"node.ae_title: {title!r} has {len(title)} characters; DICOM allows 1 to {AE_TITLE_LIMIT} printable ASCII "
            "characters without backslash. Shorten it here and in the PACS."
        )
    if "\0" in config.node.data_folder:
        faults.append(f"node.data_folder: {config.node.data_folder!r} holds a zero byte, which no path has.")
    _check_listen(config.listen, faults)
    _check_audit(config.audit, faults)
    if config.node.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        faults.append(f"node.log_level: {config.node.log_level!r} is none of DEBUG, INFO, WARNING, ERROR.")
    if config.results.rejection_note not in ("off", "quality", "patient-safety"):
        note = config.results.rejection_note
        faults.append(f"results.rejection_note: {note!r} is none of off, quality, patient-safety.")
    for name, value in dataclasses.asdict(config.assessments).items():
        if bad := [each for each in value.split() if not re.fullmatch(r"[^:]+:[^:]+", each)]:
            faults.append(f"assessments.{name}: {bad[0]!r} is no code. Write SCHEME:VALUE, with spaces between codes.")
    if config.work.provider not in ("auto", "cpu", "cuda"):
        faults.append(f"work.provider: {config.work.provider!r} is none of auto, cpu, cuda.")
    url = config.database.url
    if url and not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
        faults.append("database.url: it must start with sqlite:/// or postgresql://.")
    if config.settle.cap_s < config.settle.patience_s:
        settle = config.settle
        faults.append(
            f"settle.cap_s: {settle.cap_s} is shorter than settle.patience_s ({settle.patience_s}). Raise the one or "
            "lower the other."
        )
    return faults


def _check_audit(section: "AuditSection", faults: list[str]) -> None:
    if section.transport not in ("tls", "tcp", "udp"):
        faults.append(f"audit.transport: {section.transport!r} is none of tls, tcp, udp.")
    if section.repository and not re.fullmatch(r"[A-Za-z0-9._:-]{1,253}", section.repository):
        faults.append(f"audit.repository: {section.repository!r} is neither a host name nor an address.")
    if bool(section.certificate) != bool(section.key):
        faults.append("audit.certificate and audit.key: name both files, or neither.")
    if section.transport != "tls" and (section.authority or section.certificate):
        faults.append(f"audit.transport: {section.transport} shows and checks no certificates. Use tls, or name none.")


def _check_listen(section: "ListenSection", faults: list[str]) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", section.name):
        faults.append(f"listen.name: {section.name!r} is not 1 to 64 letters, digits, '_', '.' and '-'.")
    if bool(section.tls_certificate) != bool(section.tls_key):
        faults.append("listen.tls_certificate and listen.tls_key: name both files, or neither.")
    if section.tls_authority and not section.tls_certificate:
        faults.append("listen.tls_authority: it needs listen.tls_certificate and listen.tls_key beside it.")
    if section.user_required and not section.users:
        faults.append("listen.user_required: it needs a file of users in listen.users.")
