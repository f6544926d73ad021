"""A spine bundle whose third file says how strange a sequence is."""

import numpy as np
import pytest

from models.card import read_bundle
from models.errors import BundleError
from models.findings import Answer, ImageRef, Spacing, SpacingSource
from models.session import Device, SessionOptions
from models.spine import SpineSequence
from models.spine_study import load
from tests.models import spine_nets

OPTIONS = SessionOptions(device=Device.CPU, threads=1)


def sequence(grey, uid="1.2"):
    """A dark half and one of this grey, with a bright spot: what is brighter on the whole is the stranger."""
    stack = np.full((6, 96, 96), 100.0, dtype=np.float32)
    stack[:, :, :48] = grey
    stack[:, 40:56, 40:56] = 1000.0
    stack[:, :2] = 0.0
    refs = tuple(ImageRef(f"{uid}.{place}") for place in range(6))
    return SpineSequence(uid, refs, stack, Spacing(1.0, 1.0, SpacingSource.CALIBRATED))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return load(read_bundle(spine_nets.bundle(tmp_path_factory.mktemp("plain"))), OPTIONS)


def test_a_sequence_unlike_the_training_is_not_assessed_and_says_so(tmp_path):
    found = load(read_bundle(spine_nets.bundle(tmp_path, 0.001)), OPTIONS).answer([sequence(300.0)], 50.0)
    assert found.answer is found.sources[0].answer is Answer.NOT_ASSESSED
    assert "unlike those that the model was trained on" in found.sources[0].notes[-1]


def test_a_sequence_like_those_of_the_training_is_answered_as_without_the_file(plain, tmp_path):
    one = [sequence(300.0)]
    found, without = (
        load(read_bundle(spine_nets.bundle(tmp_path, 1.0)), OPTIONS).answer(one, 50.0),
        plain.answer(one, 50.0),
    )
    assert found.answer is without.answer
    assert found.probabilities == without.probabilities


def test_a_strange_sequence_has_no_vote(plain, tmp_path):
    known, strange = sequence(300.0), sequence(900.0, "1.3")
    found = load(read_bundle(spine_nets.bundle(tmp_path, 0.3)), OPTIONS).answer([known, strange], 50.0)
    assert [each.answer is Answer.NOT_ASSESSED for each in found.sources] == [False, True]
    assert found.probabilities == plain.answer([known], 50.0).probabilities


def test_a_third_file_and_its_limit_come_together(tmp_path):
    folder = spine_nets.bundle(tmp_path, 1.0)
    card = folder / "card.toml"
    card.write_text(card.read_text().replace("unlike = 1.0\n", ""))
    with pytest.raises(BundleError, match="they are detector and classifier"):
        read_bundle(folder)
