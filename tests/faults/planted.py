"""Planted tokens: what a header says of a patient is found in the object store afterwards, and nowhere else.

Every study has tokens of its own in each attribute that names or describes a patient, and ends in one of five ways.
Then everything is searched that the node wrote: logs at DEBUG, file names, temporary files, every column of every
table, the database's files, what the commands print, and the audit messages that left. The object store (journal,
results) must hold them, or the search would be blind; the rows of a study hold a SHA-256 of the patient, no more.
"""

import contextlib
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from sqlalchemy import text

from node.cli import main
from node.config import read_config
from node.database import open_database
from storage import peers
from storage.audit_tables import metadata
from storage.engine import begin, reading
from tests import audit_schema
from tests.bench import flood
from tests.bench.loads import Item, item_of
from tests.e2e import radiographs
from tests.e2e.processes import HOST, until
from tests.faults.checks import Check, Job, Outcome
from tests.faults.pacs import Pacs, listening
from tests.faults.targets import CALLING, Osteon
from tests.syslog_server import Repository

KINDS = ("delivered", "not applicable", "failed", "crashed", "parked")
REFUSED = "REFUSED"
_TEXTS = (
    "PatientName", "PatientID", "OtherPatientNames", "PatientAddress", "PatientComments", "AccessionNumber", "StudyID",
    "StudyDescription", "SeriesDescription", "ProtocolName", "InstitutionName", "InstitutionAddress", "StationName",
    "ReferringPhysicianName", "OperatorsName", "RequestedProcedureDescription", "ImageComments",
)  # fmt: skip
_PRIVATE = "private tag"
_FORM = re.compile(
    rb"zq\d\dx\d{5}w|(?<!\d)18\d\d-?02-?29(?!\d)|"
    rb"z\0q\0(?:\d\0){2}x\0(?:\d\0){5}w\0|(?<!\d\0)1\x008\0(?:\d\0){2}(?:-\0)?0\x002\0(?:-\0)?2\x009\0(?!\d\0)"
)
"""Every form of every token, so that a haystack is read once and not once for each of thousands. A date within a longer
row of digits is none: the UIDs of 500 studies hold one now and then."""
_LISTS = (("studies",), ("audit", "--limit", "100000"), ("held",), ("assessments",), ("peers", "list"), ("forgotten",))
_SLOW = (("explain", "1"), ("check",))
"""They open models or read images: asked once, for programs."""
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Planted:
    """One study and what must not be seen of it, by attribute."""

    kind: str
    item: Item
    tokens: dict[str, str]


def planted(number: int) -> Planted:
    """A small radiograph of a knee; of a chest, for which there is no model, where that is its end."""
    kind = KINDS[number % len(KINDS)]
    pixels = radiographs.any_pixels(320, 256).copy()
    pixels[:2, :2] = number % 4096
    dataset = radiographs.radiograph(pixels)
    if kind == "not applicable":
        dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", "PA"
    tokens = {}
    for place, keyword in enumerate((*_TEXTS, _PRIVATE)):
        tokens[keyword] = f"ZQ{place:02}X{number:05}W"
        if keyword != _PRIVATE:
            setattr(dataset, keyword, tokens[keyword])
    tokens["PatientBirthDate"] = dataset.PatientBirthDate = f"18{number % 90 + 10}0229"
    _add_private(dataset, tokens[_PRIVATE])
    return Planted(kind, item_of(dataset), tokens)


def _add_private(dataset: Dataset, token: str) -> None:
    block = dataset.private_block(0x0009, "ZQ TESTS", create=True)
    block.add_new(1, "LO", token)


def run(job: Job) -> Outcome:
    """So many studies, their ends by turns; then the search."""
    outcome = Outcome(count=job.count)
    with contextlib.ExitStack() as stack:
        archive = stack.enter_context(listening(Pacs()))
        refusing = stack.enter_context(listening(Pacs(objects=["A900"] * 100_000)))
        repository = Repository("tcp")
        stack.callback(repository.pause)
        stack.enter_context(_temporary(job.folder / "tmp"))
        settings = {
            "audit": {"repository": HOST, "port": repository.port, "transport": "tcp"},
            "settle": {"xray_quiet_s": 1.0},
            "work": {"max_crashes": 5, "provider": "cpu"},
        }
        target = Osteon(job.folder / "target", settings=settings, part="serve")
        stack.callback(target.close)
        _add_receivers(target, archive, refusing)
        target.start()
        sent = [planted(number) for number in range(job.count)]
        for each in sent:
            _send(target, each)
        ends = {
            each.item.study_instance_uid: target.node.outcome(each.item.study_instance_uid, _PATIENCE_S)
            for each in sent
        }
        printed = _printed(target, len(sent))
        until(lambda: _audited(target) in repository.rows(), 30, "the audit messages do not arrive")
        target.node.terminate()
        _check_ends(target, sent, {uid: end[0] for uid, end in ends.items()}, outcome)
        _search(target, job.folder / "tmp", sent, printed, repository, outcome)
    return outcome


def _add_receivers(target: Osteon, archive: Pacs, refusing: Pacs) -> None:
    """The modality gets what it sent at the archive; what the other title sent is refused for good."""
    with begin(open_database(read_config(target.node.config))) as conn:
        modality = peers.by_name(conn, CALLING.lower())
        peers.change(conn, peers.Peer(modality.id, modality.name, CALLING, HOST, archive.port, results="own"), 1.0)
        peers.add(conn, peers.Peer(0, "refused", REFUSED, HOST, refusing.port, results="own"), 1.0)


def _send(target: Osteon, study: Planted) -> None:
    calling = REFUSED if study.kind == "parked" else CALLING
    sent = flood.send(target.port, [[study.item]], calling=calling, called=target.called)
    assert sent.statuses == (0,), sent.statuses
    if study.kind == "failed":
        uid = study.item.study_instance_uid
        until(lambda: target.node.state(uid), 30, "it has no row")  # damage before that would leave it without one
        _damage(target.node.data / "journal", study)
    if study.kind == "crashed":
        target.kill()
        target.start()


def _damage(journal: Path, study: Planted) -> None:
    """One bit of the pixels, as a bad disk would; the node looks at the hash before it decodes."""
    for path in journal.iterdir():
        data = path.read_bytes()
        if (begin := data.find(study.item.data)) >= 0:
            at = begin + len(study.item.data) - 1000
            with path.open("r+b") as file:
                file.seek(at)
                file.write(bytes([data[at] ^ 1]))
            return
    raise AssertionError("the study is not in the journal")


def _check_ends(target: Osteon, sent: list[Planted], ends: dict[str, str], outcome: Outcome) -> None:
    """Each must have come to its end, or the search says less than it claims."""
    wanted = {
        "delivered": ("OK_", "REJECTED_UNLIKE"),
        "crashed": ("OK_", "REJECTED_UNLIKE"),
        "not applicable": ("NOT_APPLICABLE_",),
        "failed": ("FAILED_RESOURCE",),
        "parked": ("FAILED_SEND",),
    }
    for each in sent:
        found = ends[each.item.study_instance_uid]
        if not found.startswith(wanted[each.kind]):
            outcome.fail(f"a study that was to end as {each.kind} ended as {found}")
    with reading(open_database(read_config(target.node.config))) as conn:
        states = conn.execute(text("SELECT state, count(*) FROM studies GROUP BY state ORDER BY state")).all()
    outcome.figures["studies"] = ", ".join(f"{count} {state}" for state, count in states)


def _printed(target: Osteon, count: int) -> dict[str, str]:
    """What every command that lists anything prints, for people and for programs."""
    lists = [*_LISTS, *(("studies", str(number)) for number in range(1, count + 1))]
    found = {}
    for words in (*lists, *((*each, "--json") for each in (*lists, *_SLOW))):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            main([*words, "--config", str(target.node.config)])
        found[" ".join(("osteon", *words))] = out.getvalue()
    return found


def _audited(target: Osteon) -> int:
    with reading(open_database(read_config(target.node.config))) as conn:
        return int(conn.execute(text("SELECT max(number) FROM audit WHERE action = 'results-sent'")).scalar_one())


def _search(
    target: Osteon,
    temporary: Path,
    sent: list[Planted],
    printed: dict[str, str],
    repository: Repository,
    outcome: Outcome,
) -> None:
    needles = {
        form: f"{name} of a study that was {each.kind}"
        for each in sent
        for name, token in each.tokens.items()
        for form in _forms(token)
    }
    assert all(_FORM.fullmatch(form) for form in needles), "the search would be blind to some tokens"
    searched, leaks = 0, 0
    for place, haystack in _places(target, temporary, printed, repository):
        searched += len(haystack)
        for form in set(_FORM.findall(haystack)) & needles.keys():
            leaks += 1
            outcome.fail(f"{place} holds the {needles[form]}")
    kept = b"".join(path.read_bytes() for path in (target.node.data / "journal").iterdir()).lower()
    found = set(_FORM.findall(kept))
    lost = sum(not found & set(_forms(token)) for each in sent for token in each.tokens.values())
    if lost:
        outcome.fail(f"{lost} tokens are not found where they belong: the search is blind")
    outcome.figures |= {
        "tokens": str(sum(len(each.tokens) for each in sent)),
        "found outside the object store": str(leaks),
        "searched": f"{searched / 1e6:.1f} MB",
    }


def _forms(token: str) -> tuple[bytes, ...]:
    """As it stands, in two bytes a character, and of a date the form with dashes."""
    lower = token.lower()
    more = [f"{lower[:4]}-{lower[4:6]}-{lower[6:]}"] if lower.isdecimal() else []
    return tuple(form.encode(code) for form in (lower, *more) for code in ("ascii", "utf-16-le"))


def _places(
    target: Osteon, temporary: Path, printed: dict[str, str], repository: Repository
) -> Iterator[tuple[str, bytes]]:
    """Everything that must be free of them, by name, in small letters."""
    folders = (target.node.folder, temporary)
    store = (target.node.data / "journal", target.node.data / "results")
    for path in (path for folder in folders for path in folder.rglob("*")):
        inside = str(path.relative_to(path.parents[0]))
        yield f"the name of file {inside}", inside.lower().encode()
        if path.is_file() and not any(path.is_relative_to(folder) for folder in store):
            yield f"file {path.name}", path.read_bytes().lower()
    with reading(open_database(read_config(target.node.config))) as conn:
        for table in metadata.sorted_tables:
            for column in table.columns:
                values = conn.execute(table.select().with_only_columns(column)).scalars()
                yield f"column {table.name}.{column.name}", "\n".join(map(str, values)).lower().encode()
    for command, output in printed.items():
        yield f"what '{command}' prints", output.lower().encode()
    for body in repository.bodies():
        said = audit_schema.details(audit_schema.checked(body))
        yield "an audit message", body.lower() + "\n".join(said.values()).lower().encode()


@contextlib.contextmanager
def _temporary(folder: Path) -> Iterator[None]:
    """The folder in which the node's processes put temporary files."""
    folder.mkdir()
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)


CHECK = Check(
    "planted-tokens",
    "what a header says of a patient is in the object store and nowhere else: logs at DEBUG, file names, temporary "
    "files, every column of the database, what commands print, audit messages",
    run,
    full_count=500,
    short_count=5,
    peers=("osteon",),
)
