"""Stored images that changed, vanished or cannot be read: their study fails with the reason, and no other does."""

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from node.analyse import Desk, open_desk
from node.job import Job, Setup
from storage.states import Outcome, StudyState, state_for
from tests.models import stack_nets
from tests.models.stacks import body, single_frames
from tests.node.test_analyse import T1, job

FLIPS = 40


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("node")
    for name in ("models", "journal", "results"):
        (folder / name).mkdir()
    stack_nets.bundle(folder / "models" / "limb")
    return folder


@pytest.fixture(scope="module")
def desk(place: Path) -> Desk:
    found = open_desk(
        Setup(str(place / "models"), str(place / "journal"), str(place / "results"), "cpu", 1, "ERROR", "TEST")
    )
    assert isinstance(found, Desk)
    return found


def study(place: Path) -> tuple[Job, Path]:
    """A study that a model answers, and the segment with its bytes."""
    made: Job = job(place, single_frames(body()[0], **T1))
    return made, place / "journal" / made.instances[0].place.segment


def failed(desk: Desk, made: Job, says: str) -> None:
    analysis = desk.analyse(made)
    assert state_for(analysis.outcome) is StudyState.FAILED, analysis.explanation
    assert analysis.outcome is Outcome.FAILED_RESOURCE
    assert says in analysis.explanation[0]
    assert "send the study again" in analysis.explanation[0]
    assert analysis.results == ()


def test_every_changed_byte_is_found_before_a_model_sees_the_study(place: Path, desk: Desk) -> None:
    made, segment = study(place)
    chance = random.Random(7)
    for _ in range(FLIPS):
        where = chance.choice(made.instances).place
        at, bit = where.offset + chance.randrange(where.length), 1 << chance.randrange(8)
        with segment.open("r+b") as file:
            file.seek(at)
            before = file.read(1)
            file.seek(at)
            file.write(bytes([before[0] ^ bit]))
        failed(desk, made, f"{segment}: the {where.length} bytes from byte {where.offset} on are not those")
        with segment.open("r+b") as file:
            file.seek(at)
            file.write(before)
    assert desk.analyse(made).outcome is Outcome.OK_FINDINGS


def _removed(segment: Path, _patch: pytest.MonkeyPatch) -> None:
    segment.rename(segment.with_suffix(".gone"))


def _cut(segment: Path, _patch: pytest.MonkeyPatch) -> None:
    os.truncate(segment, segment.stat().st_size // 2)


def _overwritten(segment: Path, _patch: pytest.MonkeyPatch) -> None:
    segment.write_bytes(bytes(segment.stat().st_size))


def _unreadable(segment: Path, patch: pytest.MonkeyPatch) -> None:
    """EIO, as a dying disk answers, for this file alone."""
    pread, inode = os.pread, segment.stat().st_ino

    def dying(fd: int, length: int, at: int) -> bytes:
        if os.fstat(fd).st_ino == inode:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(fd, length, at)

    patch.setattr(os, "pread", dying)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(_removed, "cannot be read: No such file or directory", id="deleted"),
        pytest.param(_cut, "are not those that were received", id="cut"),
        pytest.param(_overwritten, "are not those that were received", id="overwritten"),
        pytest.param(_unreadable, "cannot be read: Input/output error", id="a dying disk"),
    ],
)
def test_what_cannot_be_read_fails_its_study_and_no_other(
    place: Path,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path, pytest.MonkeyPatch], None],
    says: str,
) -> None:
    (made, segment), (other, _) = study(place), study(place)
    spoil(segment, monkeypatch)
    failed(desk, made, says)
    assert desk.analyse(other).outcome is Outcome.OK_FINDINGS
