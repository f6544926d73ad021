"""Result files are whole or not there, unchanged or refused, and swept when no row names them."""

import errno
import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from storage import intake, runs, studies, tables
from storage.engine import begin, reading
from storage.errors import Damaged, DiskFailed, DiskFull
from storage.files import ResultStore, free_bytes


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "results")


def files(tmp_path: Path) -> list[str]:
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())


def test_what_is_put_comes_back(store: ResultStore, tmp_path: Path) -> None:
    data = os.urandom(100_000)
    path, sha256 = store.put(data)
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert store.read(path, sha256) == data
    assert files(tmp_path) == [f"results/{path}"]
    assert store.put(data)[0] != path


def test_the_file_and_its_names_are_synced_before_it_is_promised(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, Path.rename

    def synced(fd: int) -> None:
        steps.append(Path(f"/proc/self/fd/{fd}").readlink().suffix or "folder")
        sync(fd)

    def renamed(self: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(self, target)

    store.put(b"first, which makes the folders")
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    store.put(b"second")
    assert steps[-3:] == [".part", "rename", "folder"]
    assert set(steps[:-3]) <= {"folder"}


def test_a_changed_cut_or_missing_file_is_damaged(store: ResultStore, tmp_path: Path) -> None:
    path, sha256 = store.put(b"a result")
    place = tmp_path / "results" / path
    place.write_bytes(b"A result")
    with pytest.raises(Damaged, match="not what was stored"):
        store.read(path, sha256)
    place.write_bytes(b"")
    with pytest.raises(Damaged):
        store.read(path, sha256)
    place.unlink()
    with pytest.raises(Damaged, match="No such file"):
        store.read(path, sha256)


def test_a_failed_write_leaves_nothing(store: ResultStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(DiskFailed, match="Look at the disk"):
        store.put(b"a result")
    assert files(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system needs root and mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_the_file_and_is_used_again_with_room(small_disk: Path) -> None:
    store = ResultStore(small_disk)
    kept = store.put(os.urandom(300_000))
    with pytest.raises(DiskFull, match="Make room"):
        store.put(os.urandom(2_000_000))
    assert len(files(small_disk)) == 1
    again = store.put(os.urandom(300_000))
    for path, sha256 in (kept, again):
        store.read(path, sha256)
    assert free_bytes(small_disk) < 600_000


def test_free_space_of_a_missing_folder_is_told(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
    with pytest.raises(DiskFailed, match="nowhere"):
        free_bytes(tmp_path / "nowhere")


def test_files_that_no_row_names_are_swept_when_old(
    engine: Engine, store: ResultStore, tmp_path: Path, sender: Any
) -> None:
    with begin(engine) as conn:
        intake.index(conn, [sender.sends(1)], 1.0)
        studies.mark_ready(conn, 1, "It is quiet.", 2.0)
        mine = runs.claim_ready(conn, "worker", 60.0, 3.0)
        assert mine is not None
    named, orphan, young = (store.put(content.encode()) for content in ("named", "orphan", "young"))
    row = {"study_id": 1, "run_id": mine.run_id, "kind": "sr", "position": 0, "sop_class_uid": "1", "made_at": 4.0}
    row |= {"sop_instance_uid": "1", "series_instance_uid": "1", "transfer_syntax_uid": "1", "size": 5, "sha256": "x"}
    with begin(engine) as conn:
        conn.execute(insert(tables.results), row | {"path": named[0]})
    half = tmp_path / "results" / orphan[0][:2] / ("f" * 32 + ".part")
    half.write_bytes(b"cut by a crash")
    for place in (half, *(tmp_path / "results" / path for path, _ in (named, orphan))):
        os.utime(place, (1000.0, 1000.0))
    with reading(engine) as conn:
        assert store.sweep(conn, 2000.0) == sorted([orphan[0], f"{orphan[0][:2]}/{half.name}"])
        assert store.sweep(conn, 2000.0) == []
    assert store.read(*named) == b"named"
    assert store.read(*young) == b"young"
    with pytest.raises(Damaged):
        store.read(*orphan)


def test_sweeping_a_store_that_was_never_used_is_no_fault(engine: Engine, store: ResultStore) -> None:
    with reading(engine) as conn:
        assert store.sweep(conn, 2000.0) == []


def test_several_are_stored_at_once_and_come_back_in_their_order(store: ResultStore) -> None:
    several = [bytes([number]) * (number + 1) for number in range(20)]
    kept = store.put_all(several)
    assert [store.read(*each) for each in kept] == several
    assert len({path for path, _ in kept}) == len(several)
    assert store.put_all([]) == []


def test_where_one_of_several_cannot_be_stored_that_is_raised(
    store: ResultStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        store.put_all([b"one", b"two"])
    assert not files(tmp_path)
