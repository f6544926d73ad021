"""Simulated power cuts and full disks, on file systems of our own that are mounted for the check (root is needed).

A power cut: the receiver writes into an ext4 file system on a loop device that commits by itself only every five
minutes. In the moment of the cut every process is stopped, and the file that lies under the loop device is copied. It
holds what was written through to the device; what only lay in the caches of the file system is lost. The receiver then
starts on the copy. What the device itself still had in a cache counts as written: that is more lenient than the worst
of real disks.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.processes import until
from tests.faults.checks import CannotRun, Check, Job, Outcome
from tests.faults.senders import Senders, missing
from tests.faults.targets import KINDS, Osteon, Target

_IMAGE_MB = 256
_SENDERS = 2
_DISK_MB = 48
_RESERVE_MB = 8
_BACK_S = 5.0


def _root(*words: object) -> None:
    """A command that needs root; CannotRun with its words when it fails."""
    try:
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    except OSError as error:
        raise CannotRun(f"{words[0]} is not there: {error}") from error
    if done.returncode:
        raise CannotRun(f"{words[0]} needs root and a kernel that allows it: {done.stderr.strip()}")


@contextlib.contextmanager
def mounted(what: object, where: Path, *options: object) -> Iterator[None]:
    """A file system, until the end of the block."""
    where.mkdir(parents=True, exist_ok=True)
    _root("mount", *options, what, where)
    try:
        yield
    finally:
        _root("umount", "--lazy", where)


def _on(disk: Path, target: Target) -> None:
    """Let the target keep what it receives on the mounted disk; its configuration and its log lie elsewhere."""
    store = disk / "store"
    store.mkdir(exist_ok=True)
    if target.storage.is_symlink():
        target.storage.unlink()
    elif target.storage.exists():
        shutil.copytree(target.storage, store, dirs_exist_ok=True)
        shutil.rmtree(target.storage)
    target.storage.symlink_to(store)


def cut_power(job: Job) -> Outcome:
    """Cut the power so many times, each on a file system of its own."""
    outcome, chance = Outcome(), random.Random(job.seed)
    acknowledged = lost = changed = cuts_with_loss = 0
    for number in range(job.count):
        sent, gone, other = _one_cut(job, number, chance.uniform(0.3, 1.5), outcome)
        outcome.count += 1
        acknowledged, lost, changed = acknowledged + sent, lost + gone, changed + other
        cuts_with_loss += bool(gone or other)
        if gone or other:
            outcome.fail(f"cut {number} (seed {job.seed}): {gone} lost and {other} changed of {sent} acknowledged")
    outcome.figures = {
        "acknowledged": str(acknowledged),
        "lost": str(lost),
        "changed": str(changed),
        "cuts with loss": f"{cuts_with_loss} of {outcome.count}",
    } | outcome.figures
    outcome.note = (
        "ext4 on a loop device with commit=300; all processes stopped, the file under the device copied. There is no "
        "device mapper on the test machine, so writes are not cut off below the device: what reached it counts as kept"
    )
    return outcome


def _one_cut(job: Job, number: int, after_s: float, outcome: Outcome) -> tuple[int, int, int]:
    folder = job.folder / str(number)
    folder.mkdir()
    image, copy, disk = folder / "disk", folder / "copy", folder / "mnt"
    with image.open("wb") as file:
        file.truncate(_IMAGE_MB << 20)
    _root("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
    target = KINDS[job.against](folder / "target")
    try:
        with mounted(image, disk, "-o", "loop,commit=300"):
            _on(disk, target)
            target.start()
            until(lambda: target.echo_s() is not None, 60, "it does not answer")
            os.sync()  # the empty store is there before the current fails
            senders = Senders(target, (job.seed, number))
            senders.start(_SENDERS)
            until(lambda: len(senders.acknowledged) > 0, 30, "nothing was acknowledged")
            time.sleep(after_s)
            assert target.child is not None
            os.killpg(target.child.pid, signal.SIGSTOP)
            time.sleep(0.3)  # answers that were already sent arrive
            shutil.copyfile(image, copy)
            acknowledged = dict(senders.acknowledged)
            target.kill()
            senders.end()
        with mounted(copy, disk, "-o", "loop"):
            target.start()
            try:
                until(lambda: target.echo_s() is not None, 60, "it does not start on the disk after the cut")
                gone, other = missing(acknowledged, target.held())
            except AssertionError as error:
                outcome.fail(f"cut {number}: {error}")
                gone, other = len(acknowledged), 0
            finally:
                target.kill()
    finally:
        target.close()
        image.unlink(missing_ok=True)
        copy.unlink(missing_ok=True)
    return len(acknowledged), gone, other


def fill_disk(job: Job) -> Outcome:
    """Fill the disk under a receiver, look at its answers, make room, and see whether it comes back by itself."""
    outcome = Outcome()
    disk = job.folder / "mnt"
    reserve_mb = 0 if job.seed % 2 else _RESERVE_MB
    settings = {"listen": {"reserve_mb": reserve_mb}} if job.against == "osteon" else None
    target = KINDS[job.against](job.folder / "target", settings=settings)
    with mounted("tmpfs", disk, "-t", "tmpfs", "-o", f"size={_DISK_MB}m"):
        _on(disk, target)
        try:
            target.start()
            until(lambda: target.echo_s() is not None, 60, "it does not answer")
            _fill_and_free(target, disk, job, outcome)
            if reserve_mb and job.against == "osteon":
                _never_full(target, outcome)
        finally:
            target.close()
    outcome.count = max(1, job.count)
    return outcome


def _fill_and_free(target: Target, disk: Path, job: Job, outcome: Outcome) -> None:
    senders = Senders(target, (job.seed, "full"))
    senders.start(_SENDERS)
    until(lambda: len(senders.acknowledged) > 5, 30, "nothing was acknowledged")
    ballast = disk / "ballast"
    _fill(ballast, leave_mb=0 if job.seed % 2 else _RESERVE_MB // 2)
    with contextlib.suppress(AssertionError):
        until(lambda: len(senders.refused) >= 15, 20, "it refuses nothing")
    answers = sorted({f"0x{status:04X}" for status in senders.refused})
    if any(status >> 8 != 0xA7 for status in senders.refused) or not senders.refused:
        outcome.fail(f"a full disk was answered with {answers or 'nothing'}, not with 0xA7xx")
    if target.echo_s() is None:
        outcome.fail("no C-ECHO is answered while the disk is full")
    held_back = len(senders.acknowledged)
    ballast.unlink()
    begin = time.monotonic()
    try:
        until(lambda: len(senders.acknowledged) > held_back, 30, "nothing is taken after room was made")
        back_s = time.monotonic() - begin
    except AssertionError as error:
        back_s = float("inf")
        outcome.fail(str(error))
    senders.end()
    if back_s > _BACK_S:
        outcome.fail(f"it took {back_s:.1f} s to come back; {_BACK_S:.0f} s are allowed")
    lost, changed = missing(senders.acknowledged, target.held())
    if lost or changed:
        outcome.fail(f"{lost} lost and {changed} changed of {len(senders.acknowledged)} acknowledged")
    empty = 0 if isinstance(target, Osteon) else sum(not path.stat().st_size for path in _files(target.storage))
    outcome.figures |= {
        "refusals": f"{len(senders.refused)} × {', '.join(answers)}",
        "acknowledged": str(len(senders.acknowledged)),
        "lost": str(lost),
        "changed": str(changed),
        "empty files": str(empty),
        "back after": f"{back_s:.1f} s",
    }


def _never_full(target: Target, outcome: Outcome) -> None:
    """With a reserve it refuses before the disk is full: neither a write nor the database ever met the end of it."""
    met = [line for line in target.log().splitlines() if "the disk is full" in line or "disk of the database" in line]
    outcome.figures["writes that met a full disk"] = str(len(met))
    if met:
        outcome.fail(f"the reserve was not kept, {len(met)} writes met a full disk, the first: {met[0]}")


def _fill(ballast: Path, leave_mb: int) -> None:
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while shutil.disk_usage(ballast.parent).free > leave_mb << 20:
            file.write(bytes(65536))
        while not leave_mb:
            file.write(bytes(512))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.resolve().rglob("*") if path.is_file())


POWER = Check(
    "power-cut",
    "nothing that was acknowledged is lost when the power fails",
    cut_power,
    full_count=50,
    short_count=1,
)
FULL = Check(
    "disk-full",
    "a full disk is answered with 0xA7xx, nothing is lost, and it comes back within 5 s by itself",
    fill_disk,
    full_count=1,
    short_count=1,
)
