"""The node in an admin's hands: stopped, restarted, in parts, on PostgreSQL, with a full disk or a sulking PACS."""

import dataclasses
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE, AllStoragePresentationContexts, evt

from tests.bench import flood
from tests.bench.loads import MR256, Item, item_of, made
from tests.e2e import radiographs
from tests.e2e.node_process import Node
from tests.e2e.processes import HOST, PROJECT, free_port, until

SENDER = "MODALITY"
OUT_OF_RESOURCES = 0xA700


def pixels() -> radiographs.Pixels:
    """A small radiograph with a tumour, real where there is one."""
    return radiographs.any_pixels(640, 512)


def send(node: Node, *items: Item) -> tuple[int, ...]:
    """Send the objects on one association; their statuses."""
    return flood.send(node.port, [items], calling=SENDER, called=node.ae_title).statuses


@contextmanager
def archive(status_of: Callable[[pydicom.Dataset], int], port: int) -> Iterator[list[pydicom.Dataset]]:
    """A small PACS that answers as `status_of` says, and the objects it was offered."""
    offered: list[pydicom.Dataset] = []

    def store(event: evt.Event) -> int:
        offered.append(event.dataset)
        return status_of(event.dataset)

    ae = AE(ae_title="ARCHIVE")
    ae.supported_contexts = AllStoragePresentationContexts
    server = ae.start_server((HOST, port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    assert server is not None
    try:
        yield offered
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.checklist(48)
def test_a_late_image_reopens_its_study_and_a_duplicate_does_not(new_node: Callable[..., Node]) -> None:
    port = free_port()
    node = new_node()
    node.peer("modality", SENDER, may_send=True)
    node.peer("archive", "ARCHIVE", port, results="all")
    first = radiographs.radiograph(pixels())
    second = radiographs.radiograph(pixels()[::-1].copy(), study=first.StudyInstanceUID, ViewPosition="LL")
    with archive(lambda _: 0, port) as offered:
        node.start()
        assert send(node, item_of(first)) == (0,)
        study = node.ended(first.StudyInstanceUID)
        reports = [one for one in offered if one.Modality == "SR"]
        assert len(reports) == 1

        assert send(node, item_of(first)) == (0,)  # the same bytes again
        assert send(node, item_of(second)) == (0,)
        until(lambda: sum(one.Modality == "SR" for one in offered) == 2, 60, lambda: node.log()[-4000:])
        again = node.ended(first.StudyInstanceUID)
    old, new = (one for one in offered if one.Modality == "SR")
    assert (
        new.PredecessorDocumentsSequence[0]
        .ReferencedSeriesSequence[0]
        .ReferencedSOPSequence[0]
        .ReferencedSOPInstanceUID
        == old.SOPInstanceUID
    )
    assert again["id"] == study["id"]
    assert again["images"] == 2
    assert len(node.held()) == 2


def test_sigterm_ends_the_node_cleanly_with_work_in_hand(new_node: Callable[..., Node]) -> None:
    port = free_port()
    node = new_node()
    node.peer("modality", SENDER, may_send=True)
    node.peer("archive", "ARCHIVE", port, results="all")
    items = [item_of(radiographs.radiograph(pixels())) for _ in range(4)]
    with archive(lambda _: 0, port) as offered:
        child = node.start()
        for item in items:
            assert send(node, item) == (0,)
        seconds = node.terminate()
        print(f"SIGTERM with {len(items)} studies in hand: {seconds:.1f} s")
        assert child.process.returncode == 0, node.log()[-3000:]
        assert "Traceback" not in node.log(), node.log()[-6000:]
        node.start()
        for item in items:
            assert node.ended(item.study_instance_uid)["state"] == "delivered"
        for item in items:
            mine = [one for one in offered if one.StudyInstanceUID == item.study_instance_uid]
            assert len({one.SOPInstanceUID for one in mine if one.Modality == "SR"}) == 1
    assert {hashlib.sha256(item.data).hexdigest() for item in items} <= set(node.held().values())


def test_listener_and_worker_run_apart_on_one_database(new_node: Callable[..., Node]) -> None:
    port = free_port()
    node = new_node()
    node.peer("modality", SENDER, may_send=True)
    node.peer("archive", "ARCHIVE", port, results="all")
    item = item_of(radiographs.radiograph(pixels()))
    with archive(lambda _: 0, port) as offered:
        node.start("listen")
        assert send(node, item) == (0,)
        until(lambda: node.state(item.study_instance_uid) == "receiving", 10, "the study is not recorded")
        node.start("work")
        assert node.ended(item.study_instance_uid)["state"] == "delivered"
    assert offered[-1].Modality == "SR", "the report has to leave last"


def test_the_whole_node_runs_on_postgresql(new_node: Callable[..., Node], postgresql_url: str) -> None:
    port = free_port()
    node = new_node({"database": {"url": postgresql_url}})
    node.peer("modality", SENDER, may_send=True)
    node.peer("archive", "ARCHIVE", port, results="all")
    item = item_of(radiographs.radiograph(pixels()))
    with archive(lambda _: 0, port) as offered:
        node.start()
        assert send(node, item) == (0,)
        assert node.ended(item.study_instance_uid)["state"] == "delivered"
        assert {"SEG", "SR"} <= {one.Modality for one in offered}
        assert list(node.held()) == [item.sop_instance_uid]


def test_a_pacs_that_refuses_the_report_is_shown_and_gets_it_on_retry(new_node: Callable[..., Node]) -> None:
    port = free_port()
    node = new_node()
    node.peer("modality", SENDER, may_send=True)
    node.peer("archive", "ARCHIVE", port, results="all")
    item = item_of(radiographs.radiograph(pixels()))
    node.start()
    refuses = True
    with archive(lambda one: 0xA900 if refuses and one.Modality == "SR" else 0, port) as offered:
        assert send(node, item) == (0,)
        study = node.ended(item.study_instance_uid)
        assert study["state"] == "failed"
        parked = [row for row in study["results"] if row["state"] == "parked"]
        assert parked, study["results"]
        assert "A900" in parked[0]["error"], parked
        first = offered[-1].SOPInstanceUID
        refuses = False
        node.run("retry", study["id"])
        assert node.ended(item.study_instance_uid, states=("delivered",))["state"] == "delivered"
        assert offered[-1].SOPInstanceUID == first, "the second attempt has to be the same object"


@pytest.mark.checklist(57)
def test_a_pacs_that_is_down_gets_everything_when_it_is_back(new_node: Callable[..., Node]) -> None:
    port = free_port()
    node = new_node()
    node.peer("modality", SENDER, may_send=True)
    node.peer("archive", "ARCHIVE", port, results="all")
    item = item_of(radiographs.radiograph(pixels()))
    node.start()
    assert send(node, item) == (0,)
    study = node.ended(item.study_instance_uid, states=("sending",))
    until(
        lambda: any(row["attempts"] for row in node.json("studies", study["id"])["results"]),
        30,
        "nothing was ever tried",
    )
    with archive(lambda _: 0, port) as offered:
        node.ended(item.study_instance_uid, states=("delivered",))
        assert [one.Modality for one in offered].count("SR") == 1


def test_a_damaged_model_answers_nothing_and_says_so(new_node: Callable[..., Node], tmp_path: Path) -> None:
    bundles = tmp_path / "bundles"
    shutil.copytree(PROJECT / "models" / "bundles", bundles)
    network = next((bundles / "knee").glob("*.onnx"))
    content = bytearray(network.read_bytes())
    content[len(content) // 2] ^= 0xFF
    network.chmod(0o644)
    network.write_bytes(content)
    node = new_node({"work": {"models_folder": str(bundles)}})
    node.peer("modality", SENDER, may_send=True)
    checked = node.run("check", code=None)
    assert checked.returncode != 0
    assert network.name in checked.stdout + checked.stderr, checked.stdout + checked.stderr
    node.start()
    item = item_of(radiographs.radiograph(pixels()))
    assert send(node, item) == (0,)
    study = node.ended(item.study_instance_uid)
    assert (study["state"], study["outcome"]) == ("failed", "FAILED_MODEL"), study
    assert study["results"] == []
    assert item.sop_instance_uid in node.held()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.checklist(44)
@pytest.mark.parametrize("reserve_mb", [pytest.param(8, id="reserve"), pytest.param(0, id="to the last byte")])
def test_a_full_disk_is_answered_with_try_later_and_loses_nothing(
    new_node: Callable[..., Node], small_disk: Path, reserve_mb: int
) -> None:
    node = new_node({"node": {"data_folder": str(small_disk / "data")}, "listen": {"reserve_mb": reserve_mb}})
    node.peer("modality", SENDER, may_send=True)
    node.start("listen")
    images = [dataclasses.replace(one) for one in made(MR256, 500, seed=int.from_bytes(os.urandom(4), "big"))]
    statuses = send(node, *images)
    assert statuses[0] == 0
    assert OUT_OF_RESOURCES in statuses, f"{len(images)} images fitted"
    assert set(statuses) == {0, OUT_OF_RESOURCES}, {hex(one) for one in statuses}
    taken = [one for one, status in zip(images, statuses, strict=True) if status == 0]
    held = node.held()
    for one in taken:
        assert held.get(one.sop_instance_uid) == hashlib.sha256(one.data).hexdigest(), "an acknowledged image is lost"
    assert len(held) == len(taken), "more is held than was acknowledged"
    assert node.children[-1].is_running()
    subprocess.run(["mount", "-o", "remount,size=96m", small_disk], check=True)
    later = made(MR256, 1, seed=int.from_bytes(os.urandom(4), "big"))
    until(lambda: send(node, *later) == (0,), 5, "it does not take images again although there is room")
