"""The journal keeps what it acknowledged, whatever happens to the process, the disk or the bits."""

import contextlib
import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import disk, journal
from storage.errors import Damaged, DiskFailed, DiskFull
from storage.journal import Journal, Place, RecordMeta

from .made_segments import META, keep, payloads, three_records

ROOT = Path(__file__).parents[2]


def test_a_record_comes_back_with_its_values_and_bytes(tmp_path: Path) -> None:
    segment = Journal(tmp_path, "one")
    place = keep(segment, b"the data set")
    segment.close()
    assert list(journal.records(segment.path)) == [(META, place, segment.path.stat().st_size)]
    assert place == Place("one.seg", place.offset, 12, hashlib.sha256(b"the data set").hexdigest())
    assert journal.read(tmp_path, place) == b"the data set"


def test_the_scan_resumes_from_every_end(tmp_path: Path) -> None:
    path, contents, _, ends = three_records(tmp_path)
    assert [payloads(path, end) for end in (0, *ends)] == [contents, contents[1:], contents[2:], []]


def test_an_empty_data_set_is_a_record(tmp_path: Path) -> None:
    segment = Journal(tmp_path, "empty")
    place = keep(segment, b"")
    assert journal.read(tmp_path, place) == b""
    assert payloads(segment.path) == [b""]


@pytest.mark.parametrize("size", [1, 7, 4096, 131_066, 1_000_003], ids=lambda size: f"pieces of {size}")
def test_pieces_of_any_size_make_the_same_payload(tmp_path: Path, size: int) -> None:
    length = 40_000 if size < 100 else 3_500_000
    content = random.Random(size).randbytes(length)
    segment = Journal(tmp_path, "pieces")
    scratch = bytearray(size)
    segment.begin()
    for at in range(0, length, size):
        piece = content[at : at + size]
        scratch[: len(piece)] = piece
        segment.write(memoryview(scratch)[: len(piece)])
        scratch[:] = b"\xff" * size  # as a receive buffer is filled again
    place = segment.commit(META)
    assert journal.read(tmp_path, place) == content


def test_a_big_object_is_not_held_in_memory(tmp_path: Path) -> None:
    segment = Journal(tmp_path, "big")
    piece = random.Random(1).randbytes(131_000)
    segment.begin()
    for _ in range(184):
        segment.write(piece)
    assert segment.path.stat().st_blocks * 512 > 20_000_000
    place = segment.commit(META)
    assert place.length == 184 * 131_000
    assert journal.read(tmp_path, place) == piece * 184


def test_a_segment_cut_at_any_byte_gives_the_records_before_the_cut(tmp_path: Path) -> None:
    path, contents, _, ends = three_records(tmp_path)
    whole = path.read_bytes()
    copy = tmp_path / "cut.seg"
    copy.write_bytes(whole)
    for size in range(len(whole), -1, -1):
        os.truncate(copy, size)
        assert payloads(copy) == contents[: sum(end <= size for end in ends)], size


def test_a_flipped_bit_costs_at_most_the_record_it_lies_in(tmp_path: Path) -> None:
    path, contents, places, ends = three_records(tmp_path)
    whole = path.read_bytes()
    spans = [(place.offset - journal.HEAD.size, end) for place, end in zip(places, ends, strict=True)]
    copy = tmp_path / "flipped.seg"
    copy.write_bytes(whole)
    chance = random.Random(3)
    with copy.open("r+b", buffering=0) as file:
        for at, byte in enumerate(whole):
            is_filling = not byte or any(place.offset <= at < place.offset + place.length for place in places)
            if is_filling and at % 16:  # payload and padding in samples, all else byte by byte
                continue
            os.pwrite(file.fileno(), bytes([byte ^ 1 << chance.randrange(8)]), at)
            found = payloads(copy)
            expected = [content for content, (start, end) in zip(contents, spans, strict=True) if not start <= at < end]
            assert found == expected, at
            os.pwrite(file.fileno(), bytes([byte]), at)


def test_a_damaged_record_between_whole_ones_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, contents, places, _ = three_records(tmp_path)
    with path.open("r+b") as file:
        file.seek(places[1].offset)
        file.write(b"\0")
    assert payloads(path) == [contents[0], contents[2]]
    assert "damaged" in caplog.text


def test_the_reserved_tail_of_a_killed_writer_is_passed_over(tmp_path: Path) -> None:
    segment = Journal(tmp_path, "killed", chunk_bytes=1 << 20)
    keep(segment, b"kept")
    assert segment.path.stat().st_size == 1 << 20
    assert payloads(segment.path) == [b"kept"]


def test_an_abandoned_record_leaves_its_place_to_the_next(tmp_path: Path) -> None:
    segment = Journal(tmp_path, "abandoned")
    first = keep(segment, b"first")
    segment.begin()
    segment.write(os.urandom(3_000_000))  # beyond the buffer: it is in the file
    segment.abandon()
    second = keep(segment, b"short")
    third = keep(segment, os.urandom(2_000_000))
    segment.begin()
    segment.write(b"never committed")
    assert [place for _, place, _ in journal.records(segment.path)] == [first, second, third]
    segment.close()
    assert [place for _, place, _ in journal.records(segment.path)] == [first, second, third]


def test_a_sender_cannot_forge_a_record(tmp_path: Path) -> None:
    """The bytes of a genuine record, put where a head would be, and left by a crash in mid-object."""
    other, _, _, _ = three_records(tmp_path, "other")
    genuine = other.read_bytes()[journal.ALIGNMENT :]
    segment = Journal(tmp_path, "victim")
    kept = keep(segment, b"kept")
    segment.begin()
    segment.write(b"\0" * (journal.ALIGNMENT - journal.HEAD.size) + genuine)
    segment.write(os.urandom(2_000_000))
    assert [place for _, place, _ in journal.records(segment.path)] == [kept]


def test_a_growing_segment_is_never_read_with_a_gap(tmp_path: Path) -> None:
    segment = Journal(tmp_path, "growing", chunk_bytes=1 << 18)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            keep(segment, number.to_bytes(4, "big") * random.randrange(1, 3000))
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        end, seen = 0, 0
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            for _, place, after in journal.records(segment.path, end):
                assert int.from_bytes(journal.read(tmp_path, place)[:4], "big") == seen
                seen, end = seen + 1, after
    finally:
        stop.set()
        writer.join()
    assert seen > 10


def test_two_journals_in_one_folder_keep_apart(tmp_path: Path) -> None:
    one, two = Journal(tmp_path, "one"), Journal(tmp_path, "two")
    places = [keep(segment, content) for segment, content in ((one, b"1"), (two, b"2"), (one, b"3"))]
    one.close()
    two.close()
    assert payloads(one.path) == [b"1", b"3"]
    assert payloads(two.path) == [b"2"]
    assert [place.segment for place in places] == ["one.seg", "two.seg", "one.seg"]


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    segment = Journal(tmp_path, "taken")
    keep(segment, b"kept")
    with pytest.raises(DiskFailed, match="exists"):
        Journal(tmp_path, "taken")
    assert payloads(segment.path) == [b"kept"]


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a b", "é", "x" * 101], ids=ascii)
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a segment"):
        Journal(tmp_path, name)


def test_closing_cuts_the_segment_and_removes_an_empty_one(tmp_path: Path) -> None:
    empty, used = Journal(tmp_path, "empty"), Journal(tmp_path, "used")
    keep(used, b"kept")
    for segment in (empty, used, empty, used):
        segment.close()
    assert [path.name for path in tmp_path.iterdir()] == ["used.seg"]
    assert used.path.stat().st_size == used.end


def test_values_keep_what_a_header_may_hold(tmp_path: Path) -> None:
    odd = RecordMeta(**dict.fromkeys(journal.META_FIELDS, '\0\n\udcff\\"é') | {"received_at": 0.1})
    segment = Journal(tmp_path, "odd")
    keep(segment, b"x", odd)
    assert next(journal.records(segment.path))[0] == odd


def test_values_written_by_a_later_version_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extended = json.dumps({name: getattr(META, name) for name in journal.META_FIELDS} | {"colour": "grey"}).encode()
    monkeypatch.setattr("storage.journal.encode_meta", lambda meta: extended)
    segment = Journal(tmp_path, "later")
    keep(segment, b"x")
    assert next(journal.records(segment.path))[0] == META


def test_a_payload_that_changed_on_disk_is_damaged(tmp_path: Path) -> None:
    path, contents, places, _ = three_records(tmp_path)
    with path.open("r+b") as file:
        file.seek(places[0].offset + 3)
        file.write(b"X")
    with pytest.raises(Damaged, match="not those that were received"):
        journal.read(tmp_path, places[0])
    assert journal.read(tmp_path, places[1]) == contents[1]
    os.truncate(path, places[2].offset + 1)
    with pytest.raises(Damaged):
        journal.read(tmp_path, places[2])
    path.unlink()
    with pytest.raises(Damaged, match="No such file"):
        journal.read(tmp_path, places[1])
    with pytest.raises(Damaged, match="gone"):
        list(journal.records(path))


def test_trimming_spares_the_living_and_what_is_sealed(tmp_path: Path) -> None:
    segment = Journal(tmp_path, "living")
    keep(segment, b"kept")
    assert journal.is_live(segment.path)
    assert not journal.trim(segment.path, segment.end)
    os.close(segment._fd)  # as a kill does
    assert not journal.is_live(segment.path)
    assert journal.trim(segment.path, segment.end)
    assert segment.path.stat().st_size == segment.end
    assert not journal.trim(segment.path, 0), "a sealed record was cut away"
    assert payloads(segment.path) == [b"kept"]
    assert not journal.trim(tmp_path / "nowhere.seg", 0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system needs root and mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_the_record_and_keeps_the_others(small_disk: Path) -> None:
    segment = Journal(small_disk, "full", chunk_bytes=1 << 20)
    kept = [keep(segment, os.urandom(700_000))]
    for _ in range(3):
        with pytest.raises(DiskFull, match="Make room"):
            keep(segment, os.urandom(9_000_000))
        segment.abandon()
        kept.append(keep(segment, os.urandom(100_000)))
    with contextlib.suppress(DiskFull):
        while len(kept) < 20:
            kept.append(keep(segment, os.urandom(900_000)))
    assert len(kept) < 20
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(disk.free_bytes(small_disk)))
    with pytest.raises(DiskFull):
        Journal(small_disk, "another")
    assert not (small_disk / "another.seg").exists()
    ballast.unlink()
    segment.abandon()
    kept.append(keep(segment, b"room again"))
    assert [place for _, place, _ in journal.records(segment.path)] == kept
    segment.close()
    assert [place for _, place, _ in journal.records(segment.path)] == kept


@pytest.mark.parametrize("step", ["posix_fallocate", "pwritev", "pwrite", "fdatasync"])
def test_a_disk_error_at_any_step_costs_the_record_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    segment = Journal(tmp_path, "step", chunk_bytes=1 << 16)
    first = keep(segment, b"first")

    def fails(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    if step == "pwrite":  # only used after a short write
        monkeypatch.setattr(os, "pwritev", lambda fd, pieces, at: 1)
    monkeypatch.setattr(os, step, fails)
    with pytest.raises(DiskFull, match="disk is full"):
        keep(segment, os.urandom(3_000_000))
    monkeypatch.undo()
    with pytest.raises(DiskFailed):
        segment.commit(META)
    segment.abandon()
    if step == "fdatasync":  # the kernel may have dropped what it could not write
        with pytest.raises(DiskFailed, match="earlier"):
            keep(segment, b"not promised")
        kept = [first]
    else:
        kept = [first, keep(segment, b"second")]
    segment.close()
    assert [place for _, place, _ in journal.records(segment.path)] == kept


def test_space_that_was_reserved_in_vain_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems keep what they had found when the disk turned out to be full."""
    segment = Journal(tmp_path, "vain", chunk_bytes=1 << 16)
    keep(segment, b"kept")

    def half(fd: int, start: int, length: int) -> None:
        os.truncate(fd, start + length // 2)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", half)
    with pytest.raises(DiskFull):
        keep(segment, os.urandom(3_000_000))
    assert segment.path.stat().st_size == 1 << 16


def test_short_writes_are_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.pwrite
    monkeypatch.setattr(os, "pwritev", lambda fd, pieces, at: whole(fd, b"".join(pieces)[:1000], at))
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: whole(fd, data[:70_000], at))
    segment = Journal(tmp_path, "short")
    content = os.urandom(2_500_000)
    assert journal.read(tmp_path, keep(segment, content)) == content


def test_a_file_system_without_reservation_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", cannot)
    segment = Journal(tmp_path, "plain")
    keep(segment, b"kept")
    assert payloads(segment.path) == [b"kept"]


WRITER = """
    import os, sys
    from pathlib import Path
    from storage.journal import Journal, RecordMeta
    folder, name = Path(sys.argv[1]), sys.argv[2]
    segment = Journal(folder, name, chunk_bytes=1 << 20)
    chance = __import__("random").Random(name)
    number = 0
    while True:
        segment.begin()
        for _ in range(chance.randrange(1, 14)):
            segment.write(os.urandom(chance.randrange(1, 131072)))
        if chance.random() < 0.2:
            segment.abandon()
            continue
        values = {field: str(number) for field in RecordMeta.__slots__} | {"received_at": 0.0}
        place = segment.commit(RecordMeta(**values))
        os.write(1, f"{number} {place.offset} {place.sha256}\\n".encode())
        number += 1
"""


def test_what_was_acknowledged_before_a_kill_is_found(tmp_path: Path) -> None:
    chance = random.Random(20)
    acknowledged = 0
    for life in range(12):
        command = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path), f"life{life}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}) as writer:
            assert writer.stdout is not None
            first = writer.stdout.readline()
            time.sleep(chance.random() * 0.12)
            writer.send_signal(signal.SIGKILL)
            lines = [first, *writer.stdout.readlines()]
        said = [line.split() for line in lines if line.endswith(b"\n")]
        path = tmp_path / f"life{life}.seg"
        found = {meta.modality: (place.offset, place.sha256) for meta, place, _ in journal.records(path)}
        for number, offset, sha256 in said:
            assert found[number.decode()] == (int(offset), sha256.decode())
        acknowledged += len(said)
        assert len(found) <= len(said) + 1
        assert not journal.is_live(path)
    assert acknowledged > 50
