"""The results of the hand system: a mask per series on its own grid, the kind of tumour, and what is not known."""

from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import highdicom as hd
import numpy as np
import pytest

from node.report.encode import EncodedObject, part10
from node.report.kind import Kind
from node.report.objects import objects
from node.report.request import Request
from node.report.words import lesion_line
from node.systems.protocol import Answered
from tests.node.hands import study
from tests.node.report import sr_reading
from tests.node.report.made_cases import NOW, read
from tests.node.report.test_report_validators import judged
from tests.node.test_systems_hands import answered, opened
from training.phantoms.hand import Plane
from training.phantoms.spine_tissue import Weight

PROTOCOL = ((Weight.T1, Plane.CORONAL), (Weight.T2, Plane.AXIAL), (Weight.FS, Plane.SAGITTAL))


@cache
def said() -> Answered:
    with TemporaryDirectory() as folder:
        return answered(opened(Path(folder)), *study(*PROTOCOL))


@cache
def made() -> tuple[EncodedObject, ...]:
    findings = said().findings
    assert findings is not None
    return objects(findings, said().sources, Request(NOW))


def of(kind: Kind) -> list[EncodedObject]:
    return [each for each in made() if each.kind is kind]


def test_every_series_has_its_mask_outlines_and_picture_and_the_study_its_report() -> None:
    assert [each.kind for each in made()] == [*[Kind.SEG] * 3, *[Kind.GSPS] * 3, *[Kind.SC] * 3, Kind.SR]


@pytest.mark.checklist(1, 2)
@pytest.mark.parametrize("place", range(10))
def test_validators_find_no_error(place: int, tmp_path: Path) -> None:
    assert judged(made()[place : place + 1], tmp_path) == {}


def test_masks_read_back_on_the_images_of_their_series() -> None:
    findings = said().findings
    assert findings is not None
    for result, source in zip(of(Kind.SEG), findings.sources, strict=True):
        seg = hd.seg.segread(BytesIO(part10(result)))
        pixels = seg.get_pixels_by_source_instance(
            [each.sop_instance_uid for each in source.images], assert_missing_frames_are_empty=True
        )
        assert np.array_equal(pixels[..., 0], source.mask == 1)
        assert seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Neoplasm"


def test_the_report_names_the_kind_and_how_likely_each_is() -> None:
    report = read(made()[-1])
    lesions = [group for group in sr_reading.groups(report) if sr_reading.items(group, "finding")]
    assert len(lesions) == 3
    *_, patient = sr_reading.groups(report)
    for group in (*lesions, patient):
        assert sr_reading.codes(group, "kind") == [("K-GANGLION", "99OSTEON", "Ganglion")]
        assert sr_reading.numbers(group, "ganglion")[0][0] > 80.0
        assert sr_reading.numbers(group, "lipoma")[0][0] < 20.0
        assert sr_reading.codes(group, "assessment")[0][2] == "Neoplasm"
    comments = sr_reading.texts(patient, "comment")
    assert comments[0].startswith("AI: tumour (")
    assert comments[0].endswith("), resembles ganglion")
    assert any("knows five benign kinds of tumour only" in comment for comment in comments)
    assert [sr_reading.numbers(group, "volume")[0][1] for group in lesions] == ["cm3"] * 3


def test_the_line_at_an_outline_names_the_kind() -> None:
    findings = said().findings
    assert findings is not None
    lesion = findings.sources[0].lesions[0]
    line = lesion_line(replace(lesion, probability=0.93, kinds={"ganglion": 0.81, "lipoma": 0.19}))
    assert line == "1: tumour (93 %), resembles ganglion (81 %)"
    assert lesion_line(replace(lesion, probability=0.93, kind="")) == "1: tumour (93 %)"
