"""Every result object that any test writes, before the judges: at the end of a run, all of them, each once.

A plugin of pytest, loaded by tests/conftest.py. What node/report encodes in a process of the tests, and what a node of
tests/e2e has in its results folder, is kept in one folder by its hash; when the run is over, dciodvfy and dsrdump read
it, and what no public tool asks for is looked at here. A complaint fails the run.

Not counted is what dciodvfy says of a text that is repeated byte for byte from a source: characters outside the set
that the source declares, an identity that is too long, a length in UTF-8 that the tool counts in bytes; and of a UID
of the source that is none.
"""

import hashlib
import os
import re
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

from node.report.patient import IDENTITY, OPTIONAL, REQUIRED
from tests import checklist
from tests.node.report.validators import said_of

CALLED = "everything that was written"
_FOLDER = "OSTEON_TESTS_WRITTEN"
_LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", _LABEL_MAP)
_KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
_DOCUMENTS = "1.2.840.10008.5.1.4.1.1.88."
_ROOT_OF_HIGHDICOM = b"1.2.826.0.1.3680043.10.511.3"
_GROUP, _TRACKING, _TRACKING_UID, _ALGORITHM = "125007", "112039", "112040", "111001"
_GROUP_8 = b"\x08\0"
_INVALID_VALUE = re.compile(r"Error - </(?P<keyword>\w+)\(.*Value invalid for this VR .* - (?P<why>Character|Length) ")
_UID = re.compile(r"(?:Illegal root for UID|Value invalid for this VR \[UI\]) = <(?P<value>[^>]*)>")
_OWN_ROOTS = ("2.25.", "1.2.840.10008.")
"""Of every UID that a result does not have from its source."""
_OF_SOURCE = re.compile(
    r"LUTData\(.*LookupTableData bad .* maximum LUT Data value"
    r"|WindowWidth\(.*Not permitted to be 0 when VOILUTFunction is SIGMOID = <(?!0*\.?0*>)"
)
"""A table of the source that does not use all its bits, and a width that is not 0: both are repeated as they are."""
_SHOWN = 20
_AT_ONCE = 4


class Complaint(NamedTuple):
    """What a judge says of an object, and the line of the checklist that it breaks."""

    line: int
    words: str


def keep(data: bytes, written_by: str) -> None:
    """Keep a DICOM file for the end of the run; the same again costs nothing."""
    if _FOLDER not in os.environ:
        return
    path = Path(os.environ[_FOLDER]) / f"{hashlib.sha256(data).hexdigest()[:40]}.dcm"
    if path.exists():
        return
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_bytes(data)
    path.with_suffix(".txt").write_text(written_by)
    temporary.rename(path)


def keep_results(folder: Path, written_by: str) -> None:
    """The same for the outbox of a node: data sets without file meta information."""
    for path in sorted(folder.glob("??/*.dcm")):
        keep(_as_file(path.read_bytes()), written_by)


def _as_file(data: bytes) -> bytes:
    from node.report.encode import EncodedObject, part10
    from node.report.request import Kind

    ds = pydicom.dcmread(BytesIO(data), force=True, stop_before_pixels=True)
    uids = str(ds.SOPClassUID), str(ds.SOPInstanceUID), str(ds.SeriesInstanceUID)
    return part10(EncodedObject(Kind.SR, 0, *uids, "1.2.840.10008.1.2.1", data))


def complaints_of(path: Path) -> list[Complaint]:
    """Of one object, by all judges."""
    ds = pydicom.dcmread(path)
    found = [Complaint(8, f"{tag} is private or repeating") for tag in _strange_tags(ds)]
    if _ROOT_OF_HIGHDICOM in path.read_bytes():
        found.append(Complaint(9, "a UID under the root of highdicom"))
    if ds.SOPClassUID != _LABEL_MAP and not _names_a_segment_of_a_label_map(ds):
        said = said_of("dciodvfy", "-new", path)[1]
        found += [Complaint(1, line) for line in said if line.startswith("Error") and not is_inherited(line, ds)]
    if str(ds.SOPClassUID).startswith(_DOCUMENTS):
        found += _of_document(ds, path)
    if ds.SOPClassUID in _SEGMENTATIONS and len(ds.get("ReferencedSeriesSequence", ())) != 1:
        found.append(Complaint(14, f"{len(ds.get('ReferencedSeriesSequence', ()))} series are referred to"))
    return found


def is_inherited(line: str, ds: Dataset) -> bool:
    """Whether a complaint of dciodvfy is about a value of the source that no result may change."""
    if _OF_SOURCE.search(line):
        return True
    uid = _UID.search(line)
    if uid is not None:
        return not uid["value"].startswith(_OWN_ROOTS)
    match = _INVALID_VALUE.match(line)
    if match is None or match["keyword"] not in (*REQUIRED, *OPTIONAL):
        return False
    if match["why"] == "Character":
        return True
    return match["keyword"] in IDENTITY or ds.get("SpecificCharacterSet") == "ISO_IR 192"


def _of_document(ds: Dataset, path: Path) -> Iterator[Complaint]:
    status, lines = said_of("dsrdump", path)
    bad = [line for line in lines if line.startswith("E:")]
    if (status or bad) and not _repeats_an_illegal_uid(ds) and not _names_a_segment_of_a_label_map(ds):
        yield Complaint(2, f"dsrdump: {(bad or lines)[-1]}")
    if ds.SOPClassUID == _KEY_OBJECTS:
        return
    template = ds.get("ContentTemplateSequence", [Dataset()])[0].get("TemplateIdentifier", "none")
    if (_name(ds), template) != ("126000", "1500"):
        yield Complaint(2, f"root {_name(ds)}, template {template}")
    for item in _items(ds):
        if "ReferencedSOPSequence" in item and {"ReferencedFrameNumber", "ReferencedSegmentNumber"} <= _keywords(
            item.ReferencedSOPSequence[0]
        ):
            yield Complaint(21, "an item with both a frame and a segment number")
        if _name(item) == _GROUP:
            yield from _of_group(item)


def _repeats_an_illegal_uid(ds: Dataset) -> bool:
    """Whether the evidence names an instance whose UID is none: its source called it so."""
    named = [
        str(instance.ReferencedSOPInstanceUID)
        for study in ds.get("CurrentRequestedProcedureEvidenceSequence", ())
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]
    return any(not UID(uid).is_valid and not uid.startswith(_OWN_ROOTS) for uid in named)


def _names_a_segment_of_a_label_map(ds: Dataset) -> bool:
    """Whether a report refers to a class that dciodvfy and dsrdump do not know, and so take for no segmentation."""
    return any(
        each.get("ReferencedSOPClassUID") == _LABEL_MAP
        for item in _items(ds)
        for each in item.get("ReferencedSOPSequence", ())
    )


def _of_group(group: Dataset) -> Iterator[Complaint]:
    held = Counter(_name(item) for item in group.get("ContentSequence", ()))
    for code, line in ((_TRACKING, 65), (_TRACKING_UID, 65), (_ALGORITHM, 23)):
        if held[code] != 1:
            yield Complaint(line, f"a measurement group with {held[code]} items {code}")


def _strange_tags(ds: Dataset) -> list[Any]:
    """Of private and repeating groups, at any depth; no text is decoded on the way."""
    strange = [tag for tag in ds.keys() if tag.is_private or tag.group & 0xFF00 in (0x5000, 0x6000)]  # noqa: SIM118
    sequences = [tag for tag in ds.keys() if ds.get_item(tag).VR == "SQ"]  # noqa: SIM118
    return [*strange, *(tag for at in sequences for item in ds[at].value for tag in _strange_tags(item))]


def _keywords(ds: Dataset) -> set[str]:
    return {element.keyword for element in ds}


def _name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].get("CodeValue", "")) if names else ""


def _items(ds: Dataset) -> Iterator[Dataset]:
    for item in ds.get("ContentSequence", ()):
        yield item
        yield from _items(item)


def watch() -> None:
    """From now on every object that this process encodes is kept, with the name of the test that wrote it first."""
    from node.report import encode

    make: Callable[..., None] = encode.EncodedObject.__init__

    def made(self: encode.EncodedObject, *values: Any, **named: Any) -> None:
        make(self, *values, **named)
        if self.data[:2] == _GROUP_8:  # and no stand-in of a test
            keep(encode.part10(self), os.environ.get("PYTEST_CURRENT_TEST", "a fixture").partition(" (")[0])

    encode.EncodedObject.__init__ = made  # type: ignore[method-assign]


class Judge:
    """In the process that ends last: judges everything, and fails the run over a complaint."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._folder = Path(tempfile.mkdtemp(prefix="osteon-written-"))
        os.environ[_FOLDER] = str(self._folder)  # workers and nodes inherit it
        self._report: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge, and tell the checklist."""
        paths = sorted(self._folder.glob("*.dcm"))
        if not paths:
            return
        if missing := [tool for tool in ("dciodvfy", "dsrdump") if shutil.which(tool) is None]:
            self._report = [f"{len(paths)} objects were written and not judged: {', '.join(missing)} is not installed"]
            return
        with warnings.catch_warnings(), ThreadPoolExecutor(_AT_ONCE) as pool:
            warnings.simplefilter("ignore")  # values of broken sources are repeated as they are
            found = dict(zip(paths, pool.map(complaints_of, paths), strict=True))
        bad = {path: complaints for path, complaints in found.items() if complaints}
        self._report = [f"{len(paths)} result objects that tests wrote were judged, {len(bad)} of them complained of"]
        for path, complaints in list(bad.items())[:_SHOWN]:
            self._report.append(f"written by {path.with_suffix('.txt').read_text()}:")
            self._report += [f"    line {each.line}: {each.words}" for each in complaints[:_SHOWN]]
        if bad:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        collector = self._config.pluginmanager.get_plugin(checklist.COLLECTOR)
        if collector is not None:
            broken = Counter(each.line for complaints in bad.values() for each in complaints)
            for line in checklist.JUDGED:
                collector.judged(line, len(paths), broken[line])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was found."""
        if self._report:
            terminalreporter.section(CALLED)
            for line in self._report:
                terminalreporter.write_line(line)

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._folder, ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    """Workers record, the process that sees them end judges; without workers one does both."""
    is_worker = hasattr(config, "workerinput")
    if not is_worker:
        config.pluginmanager.register(Judge(config), "judge of what was written")
    if is_worker or not config.getoption("numprocesses", None):
        watch()
