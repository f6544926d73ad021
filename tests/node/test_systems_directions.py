"""The diffusion system on a study of several directions and no trace: what is averaged, and what is made of it."""

import numpy as np
import pytest

from models.card import read_bundle
from models.diffusion import two_point
from models.findings import Answer
from models.session import Device, SessionOptions
from models.volume import volume
from node.systems.opening import open_system
from node.systems.protocol import Answered, System
from storage.states import Outcome
from tests.models import stack_nets
from tests.node import diffusions
from tests.node.test_systems_stacks import answered, map_of

NOTE = "b = 800 s/mm2 is the geometric mean of 3 directions of diffusion, 36 images."


@pytest.fixture(scope="module")
def diffusion(tmp_path_factory: pytest.TempPathFactory) -> System:
    folder = stack_nets.bundle(tmp_path_factory.mktemp("bundle") / "diffusion", stack_nets.DIFFUSION)
    return open_system(read_bundle(folder), SessionOptions(Device.CPU, threads=1))


@pytest.fixture(scope="module", params=diffusions.FORMS)
def said(request: pytest.FixtureRequest, diffusion: System) -> Answered:
    return answered(diffusion, diffusions.of_directions(request.param))


@pytest.fixture(scope="module")
def twin(diffusion: System) -> Answered:
    return answered(diffusion, diffusions.of_directions())


@pytest.mark.checklist(39)
def test_every_form_of_the_same_directions_gives_the_same_mask(said: Answered, twin: Answered) -> None:
    assert said.findings is not None
    assert twin.findings is not None
    assert said.findings.answer is Answer.TUMOUR
    (found,), (known,) = said.findings.sources, twin.findings.sources
    assert found.mask.any()
    assert np.array_equal(found.mask, known.mask)
    assert [each.measurements for each in found.lesions] == [each.measurements for each in known.lesions]


def test_what_was_averaged_is_said_with_the_findings(said: Answered) -> None:
    assert said.findings is not None
    assert NOTE in said.findings.sources[0].notes


def test_the_map_is_made_of_the_mean_of_the_exponents_and_names_every_image(said: Answered) -> None:
    images = map_of(said)
    low = diffusions.patient().images[0].astype(np.float32)
    pixels = diffusions.directional_pixels().astype(np.float32)
    each = [two_point(low, one, 0.0, 800.0) for one in pixels]
    sound = np.all([one.valid for one in each], axis=0) & np.all([one.values > 0 for one in each], axis=0)
    known = np.mean([one.values for one in each], axis=0) * 1000
    made = volume(images, is_adc=True).voxels
    assert sound.any()
    assert np.allclose(made[sound], known[sound], atol=0.51)
    assert not made[(pixels == 0).any(axis=0)].any()
    assert all(len(ds.SourceImageSequence) == 4 for ds in images)


def test_a_direction_that_cannot_be_decoded_ends_the_input(diffusion: System) -> None:
    sent = diffusions.of_directions()
    sent[-1].PixelData = sent[-1].PixelData[:-100]
    said = answered(diffusion, sent)
    assert said.findings is None
    assert said.failed == ("high",)
    assert said.left_out[0].outcome is Outcome.REJECTED_DECODE


@pytest.mark.parametrize("form", [0, 1], ids=["single frames", "one object"])
def test_a_baseline_that_was_taken_twice_is_averaged_and_said(diffusion: System, form: int) -> None:
    """A second time with four times the signal doubles the geometric mean."""
    sent = diffusions.with_the_baseline_again(4.0)[form]
    said = answered(diffusion, sent if isinstance(sent, list) else [sent])
    assert said.findings is not None
    (source,) = said.findings.sources
    assert "b = 0 s/mm2 is the geometric mean of 2 repetitions, 24 images." in source.notes
    patient = diffusions.patient()
    low, high = (patient.images[place].astype(np.float32) for place in (0, -1))
    known = two_point(2.0 * low, high, 0.0, 800.0)
    made = volume(map_of(said), is_adc=True).voxels
    assert known.valid.any()
    assert np.allclose(made[known.valid], (known.values * 1000)[known.valid].clip(0), atol=1.01)
