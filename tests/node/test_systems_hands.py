"""The hand system in the analysing child: series of all planes on their own grids, kinds of tumour, what is missing."""

from pathlib import Path

import numpy as np
import pytest

from models.card import read_bundle
from models.findings import Answer, MeasurementKind
from models.session import Device, SessionOptions
from node.cards import card_facts
from node.route import route
from node.series import series_of
from node.systems.opening import open_system
from node.systems.protocol import Answered, System
from storage.states import Outcome
from tests.models import hand_nets
from tests.node.hands import block, study
from tests.node.spines import received
from training.hand.bundle import NEEDS
from training.phantoms.hand import Plane
from training.phantoms.spine_tissue import Weight


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> System:
    return opened(tmp_path_factory.mktemp("bundle"))


def opened(folder: Path) -> System:
    """A bundle of known answers that needs what the shipped one needs."""
    text = hand_nets.with_needs(NEEDS)
    system = open_system(read_bundle(hand_nets.bundle(folder / "hand", text)), SessionOptions(Device.CPU, threads=1))
    system.warm_up()
    return system


def answered(system: System, *series: list) -> Answered:
    images = received(*series)
    decision = route(series_of(each.facts for each in images.values()), [card_facts(system.card)])
    assert decision.chosen is not None, decision.explanation
    return system.study(decision.chosen, images)


def test_every_series_is_outlined_on_its_own_grid_whatever_its_plane(hand: System) -> None:
    series = study()
    said = answered(hand, *series)
    assert said.findings is not None
    assert said.findings.answer is Answer.TUMOUR
    found = {source.series_instance_uid: source for source in said.findings.sources}
    assert set(found) == {slices[0].SeriesInstanceUID for slices in series}
    for slices in series:
        source, truth = found[slices[0].SeriesInstanceUID], block(slices)
        place = {ref.sop_instance_uid: number for number, ref in enumerate(source.images)}
        mask = source.mask[[place[ds.SOPInstanceUID] for ds in slices]] > 0
        assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.93
        (lesion,) = source.lesions
        told = {each.kind: each.value for each in lesion.measurements}
        first = slices[0]
        voxel = float(np.prod([float(each) for each in (*first.PixelSpacing, first.SpacingBetweenSlices)]))
        assert told[MeasurementKind.VOLUME] == pytest.approx(mask.sum() * voxel / 1000, rel=1e-3)
    assert [source.images[0].sop_instance_uid for source in said.findings.sources] == [
        source.datasets[0].SOPInstanceUID for source in said.sources
    ]


@pytest.mark.parametrize("kind", ["ganglion", "lipoma"])
def test_the_kind_is_named_with_how_likely_it_is_and_nothing_is_called_benign(hand: System, kind: str) -> None:
    found = answered(hand, *study((Weight.T1, Plane.AXIAL), (Weight.T2, Plane.CORONAL), kind=kind)).findings
    assert found is not None
    assert (found.answer, found.kind) == (Answer.TUMOUR, kind)
    assert next(iter(found.kinds)) == kind
    assert sum(found.kinds.values()) == pytest.approx(1.0)
    assert set(found.probabilities) == {Answer.NORMAL, Answer.TUMOUR}
    assert any("benign kinds of tumour only" in note for note in found.notes)


def test_a_study_of_one_series_is_answered_and_says_what_was_not_there(hand: System) -> None:
    found = answered(hand, *study((Weight.T1, Plane.SAGITTAL))).findings
    assert found is not None
    assert found.answer is Answer.TUMOUR
    assert "after contrast agent" in " ".join(found.notes)


def test_a_series_that_cannot_be_decoded_is_named_and_the_others_are_answered(hand: System) -> None:
    series = study((Weight.T1, Plane.AXIAL), (Weight.T2, Plane.AXIAL))
    series[1][2].PixelData = series[1][2].PixelData[:100]
    said = answered(hand, *series)
    assert said.findings is not None
    assert len(said.findings.sources) == 1
    assert said.left_out[0].sentence.startswith("Series 2 is left out: ")
    assert said.left_out[0].sentence in said.findings.notes


def test_a_study_of_which_nothing_can_be_decoded_has_no_answer(hand: System) -> None:
    (slices,) = study((Weight.T1, Plane.AXIAL))
    slices[0].PixelData = slices[0].PixelData[:100]
    said = answered(hand, slices)
    assert said.findings is None
    assert said.left_out[0].outcome is Outcome.REJECTED_DECODE


def test_an_mr_of_the_knee_is_not_for_this_model(hand: System) -> None:
    (slices,) = study((Weight.T1, Plane.AXIAL))
    for ds in slices:
        ds.BodyPartExamined, ds.StudyDescription = "KNEE", "MR knee"
    images = received(slices)
    decision = route(series_of(each.facts for each in images.values()), [card_facts(hand.card)])
    assert decision.chosen is None
    assert decision.outcome is Outcome.NOT_APPLICABLE_BODYPART
