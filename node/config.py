"""The static settings: one TOML file, read once into frozen dataclasses.

Unknown keys are refused and all faults are reported together, before anything listens. What an admin changes while the
node runs (peers and what they receive) is not here but in the database.
"""

import dataclasses
import os
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.config_meaning import faults_of
from node.errors import ConfigurationError

BUNDLED_MODELS = Path(__file__).resolve().parent.parent / "models" / "bundles"


def _within(low: float, high: float, unit: str = "") -> dict[str, Any]:
    """Field metadata: the range allowed for a number."""
    return {"low": low, "high": high, "unit": unit}


def _number(default: float, low: float, high: float, unit: str = "") -> Any:
    return field(default=default, metadata=_within(low, high, unit))


@dataclass(frozen=True, slots=True)
class NodeSection:
    """Who we are and where our data lies."""

    ae_title: str = "OSTEON"
    data_folder: str = "osteon-data"
    """Journal, results and (by default) the database; relative to the configuration file."""
    log_level: str = "INFO"


@dataclass(frozen=True, slots=True)
class ListenSection:
    """Receiving: address, limits and time-outs."""

    host: str = "0.0.0.0"  # a PACS on another machine must reach it; who may send is the allow-list's matter
    port: int = _number(11112, 0, 65535)
    allow_unknown: bool = False
    """True accepts any calling AE title from anywhere; for a laboratory only."""
    max_associations: int = _number(100, 1, 2000)
    max_pdu_bytes: int = _number(131072, 4096, 1048576, "bytes")
    max_object_mb: int = _number(2048, 1, 65536, "MB")
    request_timeout_s: float = _number(10.0, 0.5, 300, "s")
    """From the connection to the complete association request."""
    pdu_timeout_s: float = _number(30.0, 1, 600, "s")
    """From the first byte of a PDU to its last."""
    idle_timeout_s: float = _number(60.0, 1, 3600, "s")
    """Between two PDUs of an association."""
    object_timeout_s: float = _number(600.0, 5, 7200, "s")
    """For one whole object."""
    reserve_mb: int = _number(1024, 0, 1048576, "MB")
    """Free disk space below which images are refused with 0xA700, so that the sender tries again later."""
    name: str = "listener"
    """Its lasting name in the database; two listeners on one database need two."""
    tls_certificate: str = ""
    """PEM file, relative to the configuration file; with it and its key the port speaks TLS only (PS3.15 B.12)."""
    tls_key: str = ""
    tls_authority: str = ""
    """PEM file; with it a caller must show a certificate that this authority signed."""
    users: str = ""
    """File of those for whom callers may act, relative to the configuration file (PS3.7 D.3.3.7; osteon passcode)."""
    user_required: bool = False
    """True rejects a caller that names no user."""


@dataclass(frozen=True, slots=True)
class DatabaseSection:
    """Where the rows are: SQLite in the data folder unless a URL says otherwise."""

    url: str = ""


@dataclass(frozen=True, slots=True)
class SettleSection:
    """When a study counts as complete (node/settle.py)."""

    xray_quiet_s: float = _number(0.3, 0, 600, "s")
    xray_quiet_open_s: float = _number(1.5, 0, 600, "s")
    mr_quiet_s: float = _number(3.0, 0, 3600, "s")
    mr_quiet_open_s: float = _number(10.0, 0, 3600, "s")
    patience_s: float = _number(60.0, 0, 86400, "s")
    """How long to wait for images that the sending PACS says it has and we do not."""
    cap_s: float = _number(1800.0, 1, 86400, "s")


@dataclass(frozen=True, slots=True)
class RouteSection:
    """Which images are used at all, whatever the model."""

    refuse_burned_in: bool = False
    """True leaves out images whose header says that text is burned into the pixels."""
    max_megapixels: float = _number(256.0, 1, 268, "megapixels")
    """Of one image with all its frames; a larger header is taken for a lie. The decoder takes no more than 268."""


@dataclass(frozen=True, slots=True)
class WorkSection:
    """Analysing: time and memory limits of the child process that decodes and infers."""

    models_folder: str = ""
    """Folder of model bundles; empty means the ones that ship with Osteon."""
    provider: str = "auto"
    """auto, cpu or cuda."""
    threads: int = _number(2, 1, 256)
    time_limit_s: float = _number(300.0, 1, 86400, "s")
    memory_limit_mb: int = _number(4096, 256, 1048576, "MB")
    gpu_memory_limit_mb: int = _number(0, 0, 1048576, "MB")
    """What one network may take of the GPU; 0 for all there is."""
    lease_s: float = _number(60.0, 2, 3600, "s")
    max_crashes: int = _number(2, 1, 10)


@dataclass(frozen=True, slots=True)
class ResultsSection:
    """Which result objects are made, beside segmentation and report."""

    adc_series: bool = True
    """Whether the ADC map that was computed here becomes a derived MR series where the scanner sent none."""
    rejection_note: str = "off"
    """off, quality or patient-safety: whether a peer is told to hide what a newer run replaces, and with which title
    (IHE Image Object Change Management)."""


@dataclass(frozen=True, slots=True)
class AssessmentsSection:
    """What people say of results: codes of their software, as SCHEME:VALUE with spaces between them."""

    accepted_codes: str = ""
    modified_codes: str = ""
    rejected_codes: str = ""


@dataclass(frozen=True, slots=True)
class SendSection:
    """Sending: time-outs towards a peer, and how long and how often it is asked whether it keeps what it accepted."""

    connect_timeout_s: float = _number(10.0, 0.5, 300, "s")
    response_timeout_s: float = _number(60.0, 1, 600, "s")
    first_retry_s: float = _number(10.0, 0.1, 3600, "s")
    max_retry_s: float = _number(900.0, 1, 86400, "s")
    check_patient: bool = True
    """Whether a peer that may be asked (osteon peers add --may-find) is asked for the patient of the study first."""
    give_up_after_s: float = _number(72 * 3600.0, 1, 30 * 86400, "s")
    commit_hold_s: float = _number(3.0, 0, 600, "s")
    """How long the association of a request for storage commitment stays open for the report."""
    commit_answer_s: float = _number(6 * 3600.0, 0.1, 30 * 86400, "s")
    """How long a report may take; then it is asked for again, in a new transaction."""
    commit_asks: int = _number(3, 1, 100)
    """So many requests without a report are enough."""
    find_wait_s: float = _number(5.0, 0, 3600, "s")
    """From an accepted object to the query whether it is there: archives need a moment to list it."""
    resend_after_s: float = _number(60.0, 0, 86400, "s")
    """Until an object that the peer accepted and does not have is sent again."""
    max_resends: int = _number(3, 0, 100)


@dataclass(frozen=True, slots=True)
class RetentionSection:
    """When studies are deleted; off by default."""

    days: float = _number(0.0, 0, 36500, "days")
    """So long after a study was delivered, or found to be for no model, it is deleted for good; 0 keeps it for ever."""


@dataclass(frozen=True, slots=True)
class AuditSection:
    """Where the audit trail is also sent, as DICOM audit messages by syslog (PS3.15 A.5, A.6)."""

    repository: str = ""
    """Host name or address of the audit record repository; empty: nothing is sent."""
    port: int = _number(6514, 1, 65535)
    transport: str = "tls"
    """tls, tcp or udp."""
    authority: str = ""
    """PEM file with the authority that signed its certificate; empty: those that the machine trusts."""
    certificate: str = ""
    """PEM files with the certificate that we show it, and its key."""
    key: str = ""
    timeout_s: float = _number(10.0, 0.5, 300, "s")
    """For connecting, and until what was sent has arrived."""
    retry_s: float = _number(5.0, 0.1, 3600, "s")
    """While it is away it is tried again after so long; each pause is twice the one before, up to 300 s."""


@dataclass(frozen=True, slots=True)
class WebSection:
    """[web.NAME]: what a STOW-RS peer of that name is shown. Files, relative to the configuration file."""

    authority: str = ""
    """PEM file with the authority that signed its certificate; empty: those that the machine trusts."""
    certificate: str = ""
    """PEM files with the certificate that we show it, and its key."""
    key: str = ""
    bearer_file: str = ""
    """A file that holds one token (RFC 6750)."""
    basic_file: str = ""
    """A file that holds one line, user:password (RFC 7617)."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the file says, with the folder that relative paths start from."""

    node: NodeSection = NodeSection()
    listen: ListenSection = ListenSection()
    database: DatabaseSection = DatabaseSection()
    settle: SettleSection = SettleSection()
    route: RouteSection = RouteSection()
    work: WorkSection = WorkSection()
    results: ResultsSection = ResultsSection()
    assessments: AssessmentsSection = AssessmentsSection()
    send: SendSection = SendSection()
    retention: RetentionSection = RetentionSection()
    audit: AuditSection = AuditSection()
    web: Mapping[str, WebSection] = field(default_factory=dict)
    """By the name of the peer."""
    folder: Path = Path()

    @property
    def data_folder(self) -> Path:
        """Where journal, results and the default database lie."""
        return (self.folder / self.node.data_folder).resolve()

    @property
    def journal_folder(self) -> Path:
        """The received data sets."""
        return self.data_folder / "journal"

    @property
    def results_folder(self) -> Path:
        """The encoded result objects (outbox)."""
        return self.data_folder / "results"

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL."""
        return self.database.url or f"sqlite:///{self.data_folder / 'osteon.sqlite'}"

    def file(self, named: str) -> Path:
        """A file that a section names, from the folder of the configuration on."""
        return (self.folder / named).resolve()

    @property
    def models_folder(self) -> Path:
        """The folder of model bundles."""
        if not self.work.models_folder:
            return BUNDLED_MODELS
        return self.file(self.work.models_folder)


def read_config(path: Path | None) -> Config:
    """Read the file, or the defaults when `path` is None.

    Raises
    ------
    ConfigurationError
        With one sentence for each fault found.
    """
    if path is None:
        return Config(folder=Path.cwd())
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)
    except FileNotFoundError as exc:
        raise ConfigurationError(
            f"configuration {path}: there is no such file. Name another (--config), or copy deploy/node.example.toml."
        ) from exc
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"configuration {path}: it cannot be read as TOML ({exc}). Mend that place.") from exc
    config, faults = config_from(tables, path.resolve().parent)
    if faults:
        lines = "\n  ".join(faults)
        raise ConfigurationError(
            f"configuration {path} has {len(faults)} fault(s):\n  {lines}\n"
            "Correct them there; deploy/node.example.toml shows every key with its default."
        )
    return config


def config_from(tables: dict[str, Any], folder: Path) -> tuple[Config, list[str]]:
    """The configuration that `tables` describe, and every fault in them as a sentence."""
    faults: list[str] = []
    sections = {f.name: f.type for f in dataclasses.fields(Config) if f.name != "folder"}
    faults += [
        f"[{name}]: there is no such section. The sections are {', '.join(sections)}."
        for name in tables
        if name not in sections
    ]
    values = {
        name: _section(typing.cast(type, kind), tables.get(name, {}), name, faults)
        for name, kind in sections.items()
        if name != "web"
    }
    values["web"] = _web(tables.get("web", {}), faults)
    config = Config(folder=folder, **values)
    faults += faults_of(config)
    return config, faults


def _section(kind: type, table: object, name: str, faults: list[str]) -> Any:
    """One section as its dataclass; a faulty key keeps its default and adds a sentence to `faults`."""
    if not isinstance(table, dict):
        faults.append(f"{name}: it must be a section, [{name}], with keys below it.")
        return kind()
    fields = {f.name: f for f in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            faults.append(f"{name}.{key}: there is no such key. The keys of [{name}] are {', '.join(fields)}.")
        elif fault := _fault(fields[key], value):
            faults.append(f"{name}.{key}: {fault}")
        else:
            values[key] = float(value) if fields[key].type is float else value
    return kind(**values)


def _web(tables: object, faults: list[str]) -> dict[str, WebSection]:
    """The sections [web.NAME], one for each peer that has one."""
    if not isinstance(tables, dict):
        faults.append("web: it must hold a section for each STOW-RS peer, [web.NAME], with keys below it.")
        return {}
    sections = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            faults.append(f"web.{name}: [web] has no keys of its own. Write [web.NAME] with the name of the peer.")
            continue
        section: WebSection = _section(WebSection, table, f"web.{name}", faults)
        if bool(section.certificate) != bool(section.key):
            faults.append(f"web.{name}.certificate and web.{name}.key: name both files, or neither.")
        if section.bearer_file and section.basic_file:
            faults.append(f"web.{name}.bearer_file and web.{name}.basic_file: name one of them.")
        sections[name] = section
    return sections


def _fault(spec: "dataclasses.Field[Any]", value: object) -> str | None:
    """What is wrong with `value` for this field, or None."""
    kind = spec.type
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, typing.cast("type | types.UnionType", accepted)) or (
        isinstance(value, bool) and kind is not bool
    ):
        words = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false"}
        return f"{value!r} is not {words[typing.cast(type, kind)]}."
    if "low" in spec.metadata:
        low, high, unit = spec.metadata["low"], spec.metadata["high"], spec.metadata["unit"]
        if not low <= typing.cast(float, value) <= high:
            return f"{value} lies outside {low} to {high} {unit}".rstrip() + "."
    return None


def config_path(argument: str | None) -> Path | None:
    """The file named on the command line, else by OSTEON_CONFIG, else None."""
    named = argument or os.environ.get("OSTEON_CONFIG")
    return Path(named) if named else None
