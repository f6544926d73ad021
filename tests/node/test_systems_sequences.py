"""The spine system in the analysing child: sequences on their own grids, what is missing, and what the age says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.card import read_bundle
from models.findings import Answer
from models.session import Device, SessionOptions
from node.cards import card_facts
from node.route import route
from node.series import series_of
from node.systems.opening import open_system
from node.systems.protocol import Answered, System
from storage.states import Outcome
from tests.models import spine_nets
from tests.node.spines import Drawn, classic, enhanced, received

T1, T2 = Drawn("t1", 1), Drawn("t2", 2, rows=120, columns=120, step_mm=3.5, box=(30, 60, 56, 80))
FS = Drawn("fs", 3, slices=7, lesion=(2, 3, 4))


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory) -> System:
    return opened(tmp_path_factory.mktemp("bundle"))


def opened(folder: Path, **nets: bytes) -> System:
    bundle = read_bundle(spine_nets.bundle(folder / "spine", **nets))
    system = open_system(bundle, SessionOptions(Device.CPU, threads=1))
    system.warm_up()
    return system


def answered(system: System, *series: list) -> Answered:
    images = received(*series)
    decision = route(series_of(each.facts for each in images.values()), [card_facts(system.card)])
    assert decision.chosen is not None, decision.explanation
    return system.study(decision.chosen, images)


def test_each_sequence_is_answered_on_its_own_grid_and_votes(spine: System) -> None:
    said = answered(spine, classic(T1), classic(T2), classic(FS))
    found = said.findings
    assert found is not None
    assert found.answer is Answer.MALIGNANT
    assert [source.mask.shape for source in found.sources] == [(8, 120, 120), (7, 128, 112), (8, 128, 112)]
    assert [len(source.datasets) for source in said.sources] == [8, 7, 8]
    for source, drawn in zip(found.sources, (T2, FS, T1), strict=True):
        assert not source.mask.any(), "boxes are no masks"
        (lesion,) = source.lesions
        assert {outline.sop_instance_uid for outline in lesion.outlines} == {drawn.uid(n) for n in drawn.lesion}
        assert np.allclose(lesion.outlines[0].points[[0, 2]].ravel(), drawn.box, atol=1.4), "a pixel of the input"
    detector, sequence, age = found.terms
    assert (detector.weight, sequence.weight, age.weight) == (0.45, 0.45, 0.1)
    assert detector.malignant_probability == pytest.approx(0.7 / 0.9, abs=1e-6)
    assert sequence.malignant_probability == pytest.approx(0.7, abs=1e-6)
    assert age.malignant_probability == 0.55
    assert found.probabilities[Answer.MALIGNANT] == pytest.approx(0.45 * 0.7 / 0.9 + 0.45 * 0.7 + 0.1 * 0.55, abs=1e-5)
    assert found.notes[0] == "3 sequence(s) vote malignant, 0 benign."
    assert "answers without sagittal T1 after contrast agent" in found.notes[-1]


def test_a_multi_frame_study_is_answered_as_its_single_frame_twin(spine: System) -> None:
    single, multi = (answered(spine, *map(make, (T1, T2, FS))).findings for make in (classic, enhanced))
    assert multi is not None
    assert single is not None
    assert multi.answer is single.answer
    assert multi.probabilities == pytest.approx(single.probabilities)
    for one, other in zip(multi.sources, single.sources, strict=True):
        assert all(np.array_equal(a.points, b.points) for a, b in zip(_outlines(one), _outlines(other), strict=True))
        assert [one.images.index(_ref(each, one)) for each in _outlines(one)] == [
            other.images.index(_ref(each, other)) for each in _outlines(other)
        ]


def _outlines(source):
    return [outline for lesion in source.lesions for outline in lesion.outlines]


def _ref(outline, source):
    return next(
        ref for ref in source.images if (ref.sop_instance_uid, ref.frame) == (outline.sop_instance_uid, outline.frame)
    )


def test_without_a_box_no_tumour_was_detected_and_nobody_says_benign(spine: System) -> None:
    said = answered(spine, classic(replace(T1, lesion=())), classic(replace(T2, lesion=())))
    assert said.findings is not None
    assert said.findings.answer is Answer.NORMAL
    assert said.findings.probabilities == {}
    assert said.findings.terms == ()
    assert "not the finding of a benign" in said.findings.notes[0]


def test_a_sequence_that_cannot_be_decoded_is_named_and_the_study_is_not_normal(spine: System) -> None:
    broken = classic(T2)
    broken[2].PixelData = broken[2].PixelData[:1000]
    said = answered(spine, classic(replace(T1, lesion=())), broken)
    assert said.findings is not None
    assert said.findings.answer is Answer.UNDECIDED
    assert said.left_out[0].sentence.startswith("Series 2 is left out: ")
    assert said.left_out[0].sentence in said.findings.notes


def test_a_study_of_which_nothing_can_be_decoded_has_no_answer(spine: System) -> None:
    broken = classic(T1)
    broken[0].PixelData = broken[0].PixelData[:1000]
    said = answered(spine, broken)
    assert said.findings is None
    assert said.left_out[0].outcome is Outcome.REJECTED_DECODE


@pytest.mark.parametrize(
    ("header", "share", "words"),
    [
        ({}, 0.55, ""),
        ({"PatientAge": None}, 0.55, ""),
        ({"PatientAge": "033Y"}, 0.2, "differ by more than two years"),
        ({"PatientAge": None, "PatientBirthDate": None}, None, "age of the patient is not known"),
        ({"PatientAge": "000Y", "PatientBirthDate": "19000101"}, None, "age of the patient is not known"),
    ],
    ids=["stated", "from the dates", "contradicting", "missing", "taken out"],
)
def test_the_age_counts_where_it_is_known_and_its_absence_is_said(spine: System, header, share, words) -> None:
    found = answered(spine, classic(T1, **header)).findings
    assert found is not None
    assert found.terms[2].malignant_probability == share
    assert words in " ".join(found.notes)


def test_what_is_not_sure_enough_is_undecided(tmp_path: Path) -> None:
    wavering = opened(
        tmp_path, detector=spine_nets.detector((0.1, 0.45, 0.45)), classifier=spine_nets.classifier(malignant=0.5)
    )
    found = answered(wavering, classic(T1)).findings
    assert found is not None
    assert found.answer is Answer.UNDECIDED
    assert "not sure enough" in " ".join(found.notes)
