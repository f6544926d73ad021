"""Segments of a journal for tests."""

from pathlib import Path

from storage import journal
from storage.journal import Journal, Place, RecordMeta

META = RecordMeta(
    sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
    sop_instance_uid="1.2.3.4",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    study_instance_uid="1.2",
    series_instance_uid="1.2.3",
    patient_key="ab" * 32,
    calling_ae="XRAY",
    called_ae="OSTEON",
    address="127.0.0.1",
    association="c0ffee",
    received_at=1700000000.25,
    modality="DX",
)


def keep(segment: Journal, payload: bytes, meta: RecordMeta = META) -> Place:
    segment.begin()
    segment.write(payload)
    return segment.commit(meta)


def payloads(path: Path, start: int = 0) -> list[bytes]:
    return [journal.read(path.parent, place) for _, place, _ in journal.records(path, start)]


def three_records(folder: Path, name: str = "three") -> tuple[Path, list[bytes], list[Place], list[int]]:
    segment = Journal(folder, name)
    contents = [b"first" * 200, b"second" * 700, b"third" * 20]
    places, ends = [], []
    for content in contents:
        places.append(keep(segment, content))
        ends.append(segment.end)
    segment.close()
    return segment.path, contents, places, ends
