"""Every malformed and awkward file of the shared collection, sent as it is: each has a status, the listener lives."""

import io
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.filereader import _read_file_meta_info, read_preamble

from models.syntaxes import SUPPORTED_TRANSFER_SYNTAXES
from node.dimse.client import Timeouts, associate
from node.dimse.negotiate import storage_classes, storage_contexts
from node.listen.scan import UNWALKABLE
from tests.e2e.processes import SHARED_DATA

from .conftest import OURS, SENDER, House

NASTY = SHARED_DATA / "nasty"
MR_IMAGE, EXPLICIT_LE = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.1"
TAKEN = {0x0000}
REFUSED = {0xA900, 0xC000}

CERTAIN = {
    "charsets/*": TAKEN,
    "geometry/**/*": TAKEN,
    "fuzz/baseline/*": TAKEN,
    "fo-dicom/GH179A*": TAKEN,  # a VR of two spaces, from a real modality
    "fuzz/cat04_pixel_data/*buf_half*": TAKEN,  # too few pixels are the reader's matter: the structure is whole
    "fuzz/cat06_private_tags/*inject*": TAKEN,
    "command-set-in-file/*": REFUSED,
    "pydicom-reads-empty/*": REFUSED,
    "fuzz/*/*stray_seq_delim*": REFUSED,
    "fuzz/*/*uid_empty*": REFUSED,
    "fuzz/*/*leading_dot*": REFUSED,
    "fuzz/*/*traversal_config*": REFUSED,
    "fuzz/*/*missing_s*": REFUSED,
    "fuzz/*/*missing_all*": REFUSED,
    "fuzz/*/*midvalue_truncation*": REFUSED,
    "fuzz/*/*oob_len*": REFUSED,
    "fuzz/*/*encap_no_delim*": REFUSED,
    "fuzz/*/*frag_len_maxuint*": REFUSED,
    "fuzz/*/*patientid_4096*": REFUSED,
    "orthanc/Issue111*": REFUSED,
}


META = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")


@dataclass(frozen=True)
class Sent:
    """A file as a C-STORE: what its file meta says where it says something that can be sent, else made up."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data: bytes


def sent_as(path: Path) -> Sent:
    whole = path.read_bytes()
    file = io.BytesIO(whole)
    sop_class = instance = syntax = ""
    data = whole
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read_preamble(file, force=True)
            meta = _read_file_meta_info(file)
            sop_class, instance, syntax = (str(meta.get(name, "")) for name in META)
            data = whole[file.tell() :]
    except Exception:  # noqa: BLE001  file meta that cannot be read: all of the file is the data set
        data = whole
    # As dcmtk's senders do, the request says what the data set says, where that can be found.
    sop_class, instance = value_in(data, 0x16) or sop_class, value_in(data, 0x18) or instance
    is_walkable = syntax in SUPPORTED_TRANSFER_SYNTAXES and syntax not in UNWALKABLE
    return Sent(
        sop_class if sop_class in storage_classes() else MR_IMAGE,
        instance or "1.2.3",
        syntax if is_walkable else EXPLICIT_LE,
        data,
    )


def value_in(data: bytes, element: int) -> str:
    """The UID in (0008,element) near the beginning of a data set, with explicit or implicit VR."""
    head = re.escape(bytes((8, 0, element, 0)))
    found = re.search(head + rb"(?:UI|LO)(.)\0|" + head + rb"(.)\0\0\0", data[:2000], re.DOTALL)
    if found is None:
        return ""
    length = (found[1] or found[2])[0]
    return data[found.end() : found.end() + length].rstrip(b"\0 ").decode("ascii", "replace")


def matching(paths: Iterable[Path], pattern: str) -> list[Path]:
    return [path for path in paths if path.relative_to(NASTY).match(pattern)]


@pytest.mark.skipif(not NASTY.is_dir(), reason="shared/data/nasty is not there: its files were not sent")
def test_every_nasty_file_gets_its_status_and_the_listener_lives(new_house: Callable[..., House]) -> None:
    house = new_house()
    files = {path: sent_as(path) for path in sorted(NASTY.rglob("*.dcm"))}
    contexts = storage_contexts((sent.sop_class_uid, sent.transfer_syntax_uid) for sent in files.values())
    timeouts = Timeouts(connect_s=5, response_s=10, idle_s=10)
    statuses: dict[Path, int] = {}
    with associate(
        "127.0.0.1", house.port, calling=SENDER, called=OURS, contexts=contexts, timeouts=timeouts
    ) as association:
        for path, sent in files.items():
            statuses[path] = association.store(
                sent.sop_class_uid, sent.sop_instance_uid, sent.transfer_syntax_uid, sent.data
            )
    assert len(statuses) > 100
    assert set(statuses.values()) <= TAKEN | REFUSED
    for pattern, expected in CERTAIN.items():
        found = matching(statuses, pattern)
        assert found, f"no file matches {pattern}"
        wrong = {path.name: f"{statuses[path]:#06x}" for path in found if statuses[path] not in expected}
        assert not wrong, pattern
    last = {files[path].sop_instance_uid: files[path].data for path, status in statuses.items() if status == 0}
    assert house.kept() == last
    house.echo()
