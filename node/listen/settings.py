"""What the listening process must be told; built from the configuration by node/listener.py."""

from dataclasses import dataclass, field
from pathlib import Path

from node.config import Config
from node.resends import ResendRules


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files for DICOM TLS (PS3.15 B.12); with an authority, callers must show a certificate that it signed."""

    certificate: Path
    key: Path
    authority: Path | None = None


def tls_files(config: Config) -> TlsFiles | None:
    """Those that the configuration names; None without TLS."""
    section = config.listen
    if not section.tls_certificate:
        return None
    authority = config.file(section.tls_authority) if section.tls_authority else None
    return TlsFiles(config.file(section.tls_certificate), config.file(section.tls_key), authority)


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Address, limits and time-outs of the listener."""

    ae_title: str
    journal_folder: Path
    """Where segments lie; it exists."""
    transfer_syntaxes: tuple[str, ...]
    """What is accepted, in order of preference; those that the scanner cannot walk are left out."""
    host: str = "127.0.0.1"
    port: int = 11112
    """0 takes a free one."""
    name: str = "listener"
    """Its lasting name in the table of associations; two listeners on one database need two."""
    allow_unknown: bool = False
    """Accept every calling AE title from everywhere."""
    max_associations: int = 100
    max_waiting: int = 256
    """Connections that have not yet become an association, from all addresses together."""
    max_waiting_per_address: int = 64
    max_pdu_bytes: int = 131072
    max_object_bytes: int = 2048 << 20
    max_backlog: int = 20000
    """Objects on stable storage whose rows are not made yet; beyond it objects are refused with 0xA700."""
    reserve_bytes: int = 1 << 30
    """Free space on the disk of the journal below which objects are refused with 0xA700."""
    request_timeout_s: float = 10.0
    pdu_timeout_s: float = 30.0
    idle_timeout_s: float = 60.0
    object_timeout_s: float = 600.0
    stop_patience_s: float = 10.0
    """How long objects in transit may take to arrive once the listener is told to stop."""
    tls: TlsFiles | None = None
    resends: ResendRules = field(default_factory=ResendRules)
    """What becomes of objects that a peer reports as not kept."""
    users: Path | None = None
    """The file of those for whom callers may act (node/listen/users.py)."""
    user_required: bool = False
