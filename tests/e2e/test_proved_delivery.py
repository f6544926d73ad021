"""Delivered means that the PACS says it keeps the results: by storage commitment of a small archive and of Orthanc, by
a query, and over kill -9 between the acceptance and the proof."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.bench import flood
from tests.bench.loads import Item, item_of
from tests.commitment_scp import CommittingArchive
from tests.e2e import radiographs
from tests.e2e.node_process import Node
from tests.e2e.orthanc import Orthanc
from tests.e2e.processes import HOST, free_port, until

SENDER = "MODALITY"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
QUICK = {"send": {"first_retry_s": 0.3, "commit_hold_s": 1.0, "find_wait_s": 0.2, "resend_after_s": 0.1}}


def sent(node: Node) -> Item:
    """Send a radiograph with a tumour to the node."""
    item = item_of(radiographs.radiograph(radiographs.any_pixels(640, 512)))
    assert flood.send(node.port, [[item]], calling=SENDER, called=node.ae_title).statuses == (0,)
    return item


def with_archive(node: Node, port: int, confirm: str) -> None:
    node.run("peers", "add", "modality", "--ae", SENDER, "--host", HOST, "--port", 104, "--may-send")
    node.run("peers", "add", "archive", "--ae", "ARCHIVE", "--host", HOST, "--port", port, "--results", "all",
             "--confirm", confirm)  # fmt: skip


@contextmanager
def running(archive: CommittingArchive) -> Iterator[CommittingArchive]:
    archive.start()
    try:
        yield archive
    finally:
        archive.stop()


def needed(study: dict[str, Any]) -> list[dict[str, Any]]:
    """The results that had to reach the archive."""
    return [row for row in study["results"] if row["state"] not in ("reserve", "replaced")]


@pytest.mark.checklist(58)
@pytest.mark.parametrize("answers", ["same", "new"])
def test_an_archive_reports_on_the_association_of_the_request_or_on_its_own(
    new_node: Callable[..., Node], answers: str
) -> None:
    node = new_node(QUICK)
    with running(CommittingArchive(answers, (node.ae_title, node.port), port=free_port())) as archive:
        with_archive(node, archive.port, "commitment")
        node.start()
        study = node.ended(sent(node).study_instance_uid)
        assert study["state"] == "delivered", study
        assert {row["confirmed_by"] for row in needed(study)} == {"commitment"}
        assert all(row["accepted_unix_s"] <= row["confirmed_unix_s"] for row in needed(study))
        [(_, objects)] = archive.asked
        assert sorted(objects) == sorted(uid for _, uid, _ in archive.came)
        until(lambda: archive.answered == [0], 10, "the report was not answered with success")
    shown = node.run("studies", study["id"]).stdout
    assert "(commitment)" in shown


@pytest.mark.checklist(58)
def test_what_an_archive_lost_is_sent_again_and_one_that_loses_it_for_ever_is_shown(
    new_node: Callable[..., Node],
) -> None:
    node = new_node(QUICK)
    lost = {"reason": 0x0112}
    archive = CommittingArchive(
        "new", (node.ae_title, node.port), port=free_port(),
        fails=lambda sop_class: lost["reason"] if sop_class == SEG else 0,
    )  # fmt: skip
    with running(archive):
        with_archive(node, archive.port, "commitment")
        node.start()
        study = node.ended(sent(node).study_instance_uid)
        assert (study["state"], study["outcome"]) == ("failed", "FAILED_COMMIT"), study
        assert "no such object instance" in " ".join(study["explanation"])
        segs = [data for sop_class, _, data in archive.came if sop_class == SEG]
        assert len(segs) == 4, "once, and three times again"
        assert len(set(segs)) == 1, "other bytes on another attempt"
        lost["reason"] = 0
        node.run("retry", study["id"])
        again = node.ended(study["study_instance_uid"], states=("delivered",))
        assert again["outcome"] == "OK_FINDINGS"


@pytest.mark.checklist(58)
def test_an_archive_that_never_reports_is_asked_again_and_then_queried(new_node: Callable[..., Node]) -> None:
    node = new_node({"send": {**QUICK["send"], "commit_hold_s": 0.2, "commit_answer_s": 0.3, "commit_asks": 2}})
    with running(CommittingArchive("never", port=free_port(), finds=True)) as archive:
        with_archive(node, archive.port, "auto")
        node.start()
        study = node.ended(sent(node).study_instance_uid)
        assert study["state"] == "delivered", study
        assert len({transaction for transaction, _ in archive.asked}) == 2
        assert {row["confirmed_by"] for row in needed(study)} == {"find"}


@pytest.mark.checklist(56)
def test_an_archive_without_segmentations_delivers_or_parks_and_says_why(new_node: Callable[..., Node]) -> None:
    node = new_node(QUICK)
    with running(CommittingArchive("none", port=free_port(), store_status=lambda one: 0x0122 if one == SEG else 0)) as (
        archive
    ):
        with_archive(node, archive.port, "auto")
        node.start()
        study = node.ended(sent(node).study_instance_uid)
        [seg] = [row for row in study["results"] if row["kind"] == "seg"]
        if seg["state"] == "replaced":
            assert study["state"] == "delivered", study
            assert seg["replaced_by"]
            assert any("does not take the seg" in sentence for sentence in study["explanation"])
        else:
            assert (study["state"], seg["state"]) == ("failed", "parked"), study
            assert "0x0122" in seg["error"]


def test_killed_between_acceptance_and_proof_the_node_asks_again_and_sends_nothing_twice(
    new_node: Callable[..., Node],
) -> None:
    node = new_node({"send": {**QUICK["send"], "commit_hold_s": 30.0}})
    with running(CommittingArchive("never", (node.ae_title, node.port), port=free_port())) as archive:
        with_archive(node, archive.port, "commitment")
        node.start()
        uid = sent(node).study_instance_uid
        until(lambda: archive.asked, 60, lambda: f"nothing was asked: {node.log()[-3000:]}")
        node.kill()
        came = len(archive.came)
        number = node.number_of(uid)
        waiting = node.json("studies", number)
        assert waiting["state"] == "sending"
        assert {row["state"] for row in needed(waiting)} == {"accepted"}
        node.start()
        transaction, objects = archive.asked[0]
        assert archive.report(transaction, *objects) == 0, "a report on what was asked before the kill"
        study = node.ended(uid)
        assert study["state"] == "delivered", study
        assert len(archive.came) == came, "an object was sent twice"


def test_orthanc_commits_and_reports_to_the_host_and_port_that_it_knows(
    new_node: Callable[..., Node], new_orthanc: Callable[..., Orthanc]
) -> None:
    node = new_node(QUICK)
    pacs = new_orthanc("ARCHIVE", node)
    with_archive(node, pacs.port, "commitment")
    node.start()
    uid = sent(node).study_instance_uid
    study = node.ended(uid)
    assert study["state"] == "delivered", study
    assert {row["confirmed_by"] for row in needed(study)} == {"commitment"}
    assert len(needed(study)) == len(pacs.instances(uid))
    seconds = max(row["confirmed_unix_s"] - row["accepted_unix_s"] for row in needed(study))
    print(f"Orthanc confirmed {len(needed(study))} objects within {seconds:.2f} s")


@pytest.mark.parametrize(
    ("knows", "confirm", "by"),
    [pytest.param(True, "find", "find", id="by query"), pytest.param(False, "auto", "", id="that talks to nobody")],
)
def test_orthanc_is_asked_by_query_and_believed_where_it_answers_nothing(
    new_node: Callable[..., Node], new_orthanc: Callable[..., Orthanc], knows: bool, confirm: str, by: str
) -> None:
    node = new_node(QUICK)
    pacs = new_orthanc("ARCHIVE", node if knows else None)
    with_archive(node, pacs.port, confirm)
    node.start()
    study = node.ended(sent(node).study_instance_uid)
    assert study["state"] == "delivered", study
    assert {row["confirmed_by"] for row in needed(study)} == {by}
