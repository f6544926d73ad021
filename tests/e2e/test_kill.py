"""kill -9 of the whole node between the last image and its result, at random points, again and again.

What was acknowledged is held, and the PACS gets exactly one SEG and one SR of each study.
"""

import hashlib
import os
import random
import time
from collections.abc import Callable

import pytest

from tests.bench import flood
from tests.bench.loads import Item, item_of
from tests.e2e import radiographs
from tests.e2e.node_process import Node
from tests.e2e.orthanc import Orthanc
from tests.e2e.processes import until

KILLS = int(os.environ.get("OSTEON_KILLS", "5"))
SENDER = "MODALITY"


def _tumour(number: int) -> Item:
    """A study of one radiograph in which the model finds something."""
    pixels = radiographs.any_pixels(640, 512).copy()
    pixels[:2, :2] = number  # no two studies are the same
    return item_of(radiographs.radiograph(pixels))


def _acknowledged(node: Node, item: Item) -> None:
    assert flood.send(node.port, [[item]], calling=SENDER, called=node.ae_title).statuses == (0,)


@pytest.mark.checklist(46)
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_random_points_every_study_is_answered_once_and_every_image_held(
    new_node: Callable[..., Node], new_orthanc: Callable[..., Orthanc]
) -> None:
    pacs = new_orthanc("ARCHIVE")
    node = new_node({"work": {"max_crashes": 2, "provider": "cpu"}})
    node.peer("archive", "ARCHIVE", pacs.port, results="all")
    node.peer("modality", SENDER, may_send=True)
    node.start()
    sent = {item.study_instance_uid: item for item in map(_tumour, range(KILLS + 2))}
    first, second, *others = sent.values()
    for item in (first, second):  # the first waits for the models to be loaded
        _acknowledged(node, item)
        study = node.ended(item.study_instance_uid)
    expected = pacs.modalities(second.study_instance_uid)
    print(f"undisturbed, the PACS holds {expected}")
    assert "SR" in expected
    assert "SEG" in expected or not radiographs.BTXRD.is_dir()
    usual_s = study["seconds"]

    seed = random.randrange(2**32)
    print(f"seed {seed}; undisturbed, a study takes {usual_s:.2f} s")
    moments, restarts, states = random.Random(seed), [], []
    for item in others:
        _acknowledged(node, item)
        _at(time.monotonic() + moments.uniform(0, usual_s))
        states.append(node.state(item.study_instance_uid))
        node.kill()
        begin = time.monotonic()
        node.start()
        restarts.append(time.monotonic() - begin)
        node.wait(item.study_instance_uid)

    restarts.sort()
    print(
        f"killed in states {sorted(states)}; restart until it listens: "
        f"median {restarts[len(restarts) // 2]:.2f} s, worst {restarts[-1]:.2f} s"
    )
    held = node.held()
    for item in sent.values():
        assert held.get(item.sop_instance_uid) == hashlib.sha256(item.data).hexdigest(), (
            "an acknowledged image is not held"
        )
        assert node.state(item.study_instance_uid) == "delivered"
        assert pacs.modalities(item.study_instance_uid) == expected


def _at(moment: float) -> None:
    """Return at that moment of the monotonic clock: the one place where a test has to let time pass."""
    until(lambda: time.monotonic() >= moment, 60, "the clock stands still", every_s=0.001)
