"""A backup is made while objects arrive, holds all that its rows name, and is restored whole or refused."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from storage import backup, errors, intake, journal, restore, studies
from storage.engine import HEAD, begin, open_engine, reading
from storage.files import ResultStore
from storage.intake import Taken
from storage.journal import Journal
from storage.replay import replay


@dataclass
class Data:
    """A data folder with its database."""

    folder: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'osteon.sqlite'}"

    def backup(self, target: Path, **more: Any) -> backup.Manifest:
        folders = (self.folder / "journal", self.folder / "results")
        return backup.backup(self.url, *folders, target, program="osteon test", **more)


@pytest.fixture
def data(tmp_path: Path, sqlite_template: Path) -> Data:
    data = Data(tmp_path / "data")
    (data.folder / "journal").mkdir(parents=True)
    shutil.copy(sqlite_template, data.folder / "osteon.sqlite")
    return data


def receive(segment: Journal, sender: Any, *numbers: int) -> list[Taken]:
    taken = []
    for number in numbers:
        meta = sender.sends(number, 1, segment=segment.path.name).meta
        segment.begin()
        segment.write(f"{number} ".encode() * 3000)
        taken.append(Taken(meta, segment.commit(meta), segment.end))
    return taken


def held(engine: Engine) -> dict[str, str]:
    with reading(engine) as conn:
        return dict(studies.held(conn))


def test_what_was_backed_up_while_objects_arrived_is_held_again(
    data: Data, tmp_path: Path, sender: Any, opened: Callable[..., Engine]
) -> None:
    engine = opened(data.url)
    segment = Journal(data.folder / "journal", "growing")
    acknowledged: list[Taken] = []
    done = threading.Event()

    def arrive() -> None:
        for number in range(2000):
            acknowledged.extend(receive(segment, sender, number))
            if number % 3 == 0:
                with begin(engine) as conn:
                    intake.index(conn, acknowledged[-3:], 1.0)
            if done.is_set():
                return

    arriving = threading.Thread(target=arrive)
    arriving.start()
    while len(acknowledged) < 20:
        time.sleep(0.001)
    promised = {taken.meta.sop_instance_uid: taken.place.sha256 for taken in list(acknowledged)}
    made = data.backup(tmp_path / "saved")
    done.set()
    arriving.join()
    segment.close()
    assert made.missing == ()
    again = Data(tmp_path / "again")
    restore.restore(tmp_path / "saved", again.folder, again.url)
    other = opened(again.url)
    replay(other, again.folder / "journal", 2.0)
    found = held(other)
    assert found.items() >= promised.items()
    with reading(other) as conn:
        for instance in studies.instances(conn, 1):
            assert len(journal.read(again.folder / "journal", instance.place)) == instance.place.length


@pytest.fixture
def saved(data: Data, tmp_path: Path, sender: Any) -> Path:
    """A backup with a segment and a result."""
    segment = Journal(data.folder / "journal", "s")
    taken = receive(segment, sender, 1, 2, 3)
    segment.close()
    ResultStore(data.folder / "results").put(b"a result")
    engine = open_engine(data.url)
    with begin(engine) as conn:
        intake.index(conn, taken, 1.0)
    engine.dispose()
    data.backup(tmp_path / "saved", more={"configuration.toml": b"[node]\n"})
    return tmp_path / "saved"


def test_a_backup_holds_rows_images_results_and_settings(saved: Path) -> None:
    manifest = restore.check(saved)
    kinds = sorted(entry.path.partition("/")[0] for entry in manifest.files)
    assert kinds == ["configuration.toml", "journal", "osteon.sqlite", "results"]
    assert (manifest.schema, manifest.database) == (HEAD, "sqlite")
    assert [path.name for path in saved.rglob("*-wal")] == []


def test_a_restored_folder_is_file_for_file_what_was_backed_up(saved: Path, data: Data, tmp_path: Path) -> None:
    again = Data(tmp_path / "again")
    restore.restore(saved, again.folder, again.url)
    for path in (data.folder / "journal").iterdir():
        copied = again.folder / "journal" / path.name
        assert copied.read_bytes() == path.read_bytes()
        assert copied.stat().st_mtime_ns == path.stat().st_mtime_ns, "the order of segments is that of their times"
    assert {path.read_bytes() for path in (again.folder / "results").rglob("*.dcm")} == {b"a result"}


@pytest.mark.parametrize("file", ["journal/s.seg", "osteon.sqlite", "configuration.toml"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_backup_that_is_not_what_was_written_is_refused(saved: Path, tmp_path: Path, file: str, harm: str) -> None:
    path = saved / file
    data = bytearray(path.read_bytes())
    if harm == "remove":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data if harm == "flip" else data[:-1])
    again = Data(tmp_path / "again")
    with pytest.raises(errors.Damaged, match=path.name):
        restore.restore(saved, again.folder, again.url)
    assert not (again.folder / "osteon.sqlite").exists()
    restore.refuse_half_restored(again.folder)


def _forge(**values: Any) -> Callable[[Path], None]:
    def forge(saved: Path) -> None:
        path = saved / backup.MANIFEST
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return forge


@pytest.mark.parametrize(
    ("forge", "error", "words"),
    [
        (_forge(schema="9999"), errors.SchemaMismatch, "Install that version"),
        (_forge(form=2), errors.Damaged, "form 2"),
        (_forge(files=[{"path": "../escaped", "size": 1, "sha256": "0"}]), errors.Damaged, "outside"),
        (_forge(files=[{"path": "/escaped", "size": 1, "sha256": "0"}]), errors.Damaged, "outside"),
        (_forge(files=3), errors.Damaged, "cannot be read"),
        (lambda saved: (saved / backup.MANIFEST).unlink(), errors.Damaged, "cut short"),
        (lambda saved: (saved / backup.MANIFEST).write_text("{"), errors.Damaged, "cannot be read"),
    ],
    ids=["newer schema", "newer form", "upwards", "absolute", "no list", "no manifest", "half a manifest"],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(
    saved: Path, tmp_path: Path, forge: Callable[[Path], None], error: type[Exception], words: str
) -> None:
    forge(saved)
    again = Data(tmp_path / "again")
    with pytest.raises(error, match=words):
        restore.restore(saved, again.folder, again.url)


def test_nothing_is_overwritten(saved: Path, data: Data, tmp_path: Path) -> None:
    with pytest.raises(errors.NotEmpty, match="never overwrites"):
        restore.restore(saved, data.folder, data.url)
    with pytest.raises(errors.NotEmpty, match="new folder"):
        data.backup(saved)
    elsewhere = Data(tmp_path / "elsewhere")
    with pytest.raises(errors.NotEmpty, match="another database"):
        restore.restore(saved, elsewhere.folder, data.url)


def test_a_restore_that_was_cut_short_is_refused_and_can_be_repeated(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., Engine]
) -> None:
    again = Data(tmp_path / "again")
    copied: list[str] = []
    plain = restore.copy

    def cut(source: Path, target: Path, name: str) -> backup.Entry:
        if copied:
            raise KeyboardInterrupt
        copied.append(name)
        return plain(source, target, name)

    monkeypatch.setattr(restore, "copy", cut)
    with pytest.raises(KeyboardInterrupt):
        restore.restore(saved, again.folder, again.url)
    monkeypatch.undo()
    with pytest.raises(errors.Damaged, match="cut short"):
        restore.refuse_half_restored(again.folder)
    restore.restore(saved, again.folder, again.url)
    restore.refuse_half_restored(again.folder)
    assert len(held(opened(again.url))) == 3


def test_a_backup_that_is_killed_is_never_taken_for_one(saved: Path, data: Data, tmp_path: Path) -> None:
    """Killed after a random while, until some were whole (FAULTS 4)."""
    for _ in range(40):
        ResultStore(data.folder / "results").put(os.urandom(20_000))
    chance = random.Random(2)
    context = multiprocessing.get_context("fork")
    started = time.monotonic()
    data.backup(tmp_path / "timed")
    takes = time.monotonic() - started
    killed = whole = 0
    for number in range(80):
        if number >= 10 and killed and whole:
            break
        target = tmp_path / f"b{number}"
        process = context.Process(target=data.backup, args=(target,))
        process.start()
        process.join(chance.uniform(0, 1.6 * takes))
        if process.is_alive() and process.pid:
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        again = Data(tmp_path / f"again{number}")
        if (target / backup.MANIFEST).exists():
            restore.restore(target, again.folder, again.url)
            assert len(list((again.folder / "results").rglob("*.dcm"))) == 41
            whole += 1
        else:
            with pytest.raises(errors.Damaged, match="cut short"):
                restore.restore(target, again.folder, again.url)
            killed += 1
    assert killed
    assert whole


def test_a_damaged_database_is_not_backed_up(data: Data, tmp_path: Path) -> None:
    path = data.folder / "osteon.sqlite"
    whole = path.read_bytes()
    page = 4096 * 12
    path.write_bytes(whole[:page] + os.urandom(4096) + whole[page + 4096 :])
    with pytest.raises(errors.Damaged, match="osteon check"):
        data.backup(tmp_path / "saved")
    with pytest.raises(errors.Damaged, match="cut short"):
        restore.check(tmp_path / "saved")


def test_a_file_that_rows_name_and_that_is_gone_is_told(saved: Path, data: Data, tmp_path: Path) -> None:
    (data.folder / "journal" / "s.seg").unlink()
    assert data.backup(tmp_path / "other").missing == ("journal/s.seg",)


def test_files_beside_postgresql_are_backed_up_with_its_dump(saved: Path, data: Data, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    dump.write_bytes(b"PGDMP")
    folders = (data.folder / "journal", data.folder / "results")
    url = "postgresql://127.0.0.1/osteon"
    made = backup.backup(url, *folders, tmp_path / "pg", program="osteon test", dump=dump)
    assert made.database == "postgresql"
    assert (tmp_path / "pg" / "database.dump").read_bytes() == b"PGDMP"
    restore.restore(tmp_path / "pg", tmp_path / "again", url)
    assert (tmp_path / "again" / "journal" / "s.seg").exists()
    assert not list((tmp_path / "again").glob("*dump*"))
    assert backup.backup(url, *folders, tmp_path / "files", program="osteon test").database == "absent"


def test_a_reader_of_the_backup_finds_no_lock_and_no_log(saved: Path) -> None:
    with sqlite3.connect(f"file:{saved / 'osteon.sqlite'}?mode=ro", uri=True) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    db.close()
