"""The knee system in the analysing child: what could not be looked at is said, and no study with it is normal."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from models.card import read_bundle
from models.findings import Answer
from models.session import Device, SessionOptions
from node.cards import card_facts
from node.headers import facts_of, read_header
from node.route import route
from node.series import series_of
from node.systems.opening import open_system
from node.systems.protocol import Answered, Received
from tests.e2e import radiographs
from tests.models import nets
from tests.node.made_headers import on_the_wire

EXPLICIT = "1.2.840.10008.1.2.1"


def knee(number: int, pixel_bytes: int | None = None) -> Dataset:
    ramp = np.arange(300, dtype=np.uint16)[:, None] * 3 + np.arange(200, dtype=np.uint16)[None]
    ds = radiographs.radiograph(ramp)
    ds.SOPInstanceUID = f"1.2.3.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.0"
    if pixel_bytes is not None:
        ds.PixelData = ds.PixelData[:pixel_bytes]
    return ds


def answered(folder: Path, *images: Dataset) -> Answered:
    normal = {
        "whole": nets.net("global", bright=2.0, logits=[3.0, 0, 0]),
        "patch": nets.net("patch", bright=2.0, logits=[3.0, 0, 0]),
    }
    bundle = read_bundle(nets.bundle(folder / "knee", **normal))
    system = open_system(bundle, SessionOptions(Device.CPU, threads=1))
    received = {}
    for ds in images:
        data = on_the_wire(ds)
        header = read_header(data, EXPLICIT)
        facts = facts_of(header, "patient")
        received[facts.sop_instance_uid] = Received(header, facts, EXPLICIT, lambda data=data: data)
    decision = route(series_of(each.facts for each in received.values()), [card_facts(bundle.card)])
    assert decision.chosen is not None
    return system.study(decision.chosen, received)


def test_normal_is_said_when_every_image_was_looked_at(tmp_path: Path) -> None:
    said = answered(tmp_path, knee(1), knee(2))
    assert said.findings is not None
    assert said.findings.answer is Answer.NORMAL
    assert said.left_out == ()


def test_a_study_of_which_one_image_cannot_be_decoded_is_undecided_and_its_report_says_why(tmp_path: Path) -> None:
    said = answered(tmp_path, knee(1), knee(2, pixel_bytes=1000))
    assert said.findings is not None
    assert said.findings.answer is Answer.UNDECIDED
    assert [source.answer for source in said.findings.sources] == [Answer.NORMAL]
    assert said.left_out[0].sentence.startswith("Image 2 is left out: ")
    assert said.findings.sources[0].notes[-1] == said.left_out[0].sentence
