"""The diffusion system in the analysing child: one b-value an object or all in one, pairs and maps."""

from datetime import UTC, datetime
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO

from models.card import read_bundle
from models.diffusion import log_linear, two_point
from models.findings import Answer
from models.session import Device, SessionOptions
from models.volume import volume
from node.cards import card_facts
from node.report.encode import part10
from node.report.kind import Kind
from node.report.objects import objects
from node.report.profile import Profile
from node.report.request import Request
from node.route import route
from node.series import series_of
from node.systems.opening import open_system
from node.systems.protocol import Answered, System
from tests.models import stack_nets
from tests.node import diffusions
from tests.node.report.validators import errors_of
from tests.node.spines import received
from training.phantoms.diffusion import diffusion_patient
from training.phantoms.diffusion_dicom import Dialect, datasets


@pytest.fixture(scope="module")
def diffusion(tmp_path_factory: pytest.TempPathFactory) -> System:
    folder = stack_nets.bundle(tmp_path_factory.mktemp("bundle") / "diffusion", stack_nets.DIFFUSION)
    return open_system(read_bundle(folder), SessionOptions(Device.CPU, threads=1))


def answered(system: System, *series: list, with_maps: bool = False) -> Answered:
    images = received(*series)
    decision = route(series_of(each.facts for each in images.values()), [card_facts(system.card)])
    assert decision.chosen is not None, decision.explanation
    return system.study(decision.chosen, images, with_maps)


@pytest.fixture(scope="module")
def twin(diffusion: System) -> Answered:
    """What is said of single-frame objects."""
    return answered(diffusion, diffusions.single_frames())


@pytest.mark.parametrize("dialect", diffusions.IN_FRAMES)
def test_several_b_values_in_one_object_give_the_mask_of_single_frames(
    dialect: str, diffusion: System, twin: Answered
) -> None:
    said = answered(diffusion, [diffusions.together(dialect, interleaved=dialect != "ge")])
    assert said.findings is not None
    assert twin.findings is not None
    assert said.findings.answer is Answer.TUMOUR
    (found,), (known,) = said.findings.sources, twin.findings.sources
    assert np.array_equal(found.mask, known.mask)
    assert found.mask.any()
    assert [each.measurements for each in found.lesions] == [each.measurements for each in known.lesions]


@pytest.mark.checklist(33)
def test_the_segmentation_of_an_object_of_several_b_values_refers_to_the_frames_that_were_read(
    diffusion: System, tmp_path: Path
) -> None:
    source = diffusions.together()
    said = answered(diffusion, [source])
    assert said.findings is not None
    (found,) = said.findings.sources
    made = objects(said.findings, said.sources, Request(now=datetime(2026, 1, 2, tzinfo=UTC)))
    assert [each.kind for each in made if each.kind in (Kind.SEG, Kind.SR)] == [Kind.SEG, Kind.SR]
    for each in {each.kind: each for each in made}.values():
        path = tmp_path / f"{each.kind}.dcm"
        path.write_bytes(part10(each))
        assert errors_of(path) == [], each.kind
    seg = highdicom.seg.Segmentation.from_dataset(dcmread(DicomBytesIO(part10(made[0]))))
    numbers = [image.frame for image in found.images]
    frames = seg.get_pixels_by_source_frame(source.SOPInstanceUID, numbers, combine_segments=True)
    assert np.array_equal(frames > 0, found.mask > 0)
    b_values = {
        float(source.PerFrameFunctionalGroupsSequence[number - 1].MRDiffusionSequence[0].DiffusionBValue)
        for number in numbers
        if number is not None
    }
    assert len(b_values) == 1


def test_what_of_an_object_is_used_and_what_not_is_said(diffusion: System) -> None:
    images = received([diffusions.together()])
    decision = route(series_of(each.facts for each in images.values()), [card_facts(diffusion.card)])
    assert decision.explanation[1:3] == (
        "series 1: axial DWI b=0, right thigh, 12 slices and axial DWI b=800, right thigh, 12 slices → "
        "diffusion 0.0.1.",
        "series 1: axial DWI b=50, right thigh, 12 slices, not used.",
    )


ADC_ONLY = stack_nets.DIFFUSION.replace('channels = ["low", "high", "adc"]', 'channels = ["adc"]').replace(
    "region_min_mm3 = 50.0", "region_min_mm3 = 5000.0"
)


@pytest.fixture(scope="module")
def of_maps(tmp_path_factory: pytest.TempPathFactory) -> System:
    """A network that takes what diffuses freely for tumour, where it is large."""
    folder = stack_nets.bundle(tmp_path_factory.mktemp("adc") / "diffusion-adc", ADC_ONLY, channel=0, bright=0.55)
    return open_system(read_bundle(folder), SessionOptions(Device.CPU, threads=1))


@pytest.fixture(scope="module")
def ours(of_maps: System) -> Answered:
    """What is said of the map that is computed here."""
    return answered(of_maps, diffusions.single_frames())


@pytest.mark.parametrize(("unit", "scale"), [("10-3.mm2/s", 1.0), ("", 1000.0)])
def test_the_scanner_s_map_is_analysed_in_the_unit_that_it_states_or_must_have(
    unit: str, scale: float, of_maps: System, ours: Answered
) -> None:
    said = answered(of_maps, diffusions.vendor_map(unit, scale))
    assert ours.findings is not None
    assert said.findings is not None
    (known,), (found,) = ours.findings.sources, said.findings.sources
    both = np.count_nonzero((known.mask > 0) & (found.mask > 0))
    assert 2 * both / (np.count_nonzero(known.mask) + np.count_nonzero(found.mask)) > 0.99
    assert any("ADC values are those of the scanner's own map" in note for note in found.notes)
    assert found.images[0].sop_instance_uid in {ds.SOPInstanceUID for ds in diffusions.vendor_map(unit, scale)}
    assert said.sources[0].adc is None, "it is not sent back to where it came from"


def map_of(said: Answered) -> list[Dataset]:
    """The derived series of an answer, as it would be sent."""
    assert said.findings is not None
    alone = Profile(kinds=frozenset({Kind.ADC}))
    made = objects(said.findings, said.sources, Request(now=datetime(2026, 1, 2, tzinfo=UTC), profile=alone))
    return [dcmread(DicomBytesIO(part10(each))) for each in made]


@pytest.mark.parametrize("form", ["single frames", "one object"])
def test_the_map_that_was_computed_goes_back_on_the_grid_of_the_images(form: str, diffusion: System) -> None:
    sent = diffusions.single_frames() if form == "single frames" else [diffusions.together()]
    images = map_of(answered(diffusion, sent))
    made, known = volume(images, is_adc=True), patient_adc()
    assert np.allclose(made.voxels, known, atol=0.51)
    low = volume(diffusions.single_frames()[: len(images)])
    assert made.grid.is_that_of(low.grid)
    assert images[0].FrameOfReferenceUID == sent[0].FrameOfReferenceUID
    named = [item for ds in images for item in ds.SourceImageSequence]
    assert {item.ReferencedSOPInstanceUID for item in named} <= {ds.SOPInstanceUID for ds in sent}
    assert len({(item.ReferencedSOPInstanceUID, item.get("ReferencedFrameNumber")) for item in named}) == len(named)


def test_further_b_values_make_the_map_and_are_named_as_its_sources(tmp_path: Path) -> None:
    more = '[[input.needs]]\nname = "more"\nweightings = ["DWI"]\nb_values = [100.0, 1000.0]\n'
    more += "at_most = 6\nis_optional = true\n\n[preprocess]"
    folder = stack_nets.bundle(tmp_path / "diffusion", stack_nets.DIFFUSION.replace("[preprocess]", more))
    system = open_system(read_bundle(folder), SessionOptions(Device.CPU, threads=1))
    b_values = (0.0, 400.0, 800.0)
    patient = diffusion_patient(3, tumours=1, region="thigh", b_values=b_values, side=64, slices=12)
    images = map_of(answered(system, datasets(patient, Dialect.SIEMENS)))
    known = log_linear([each.astype(np.float32) for each in patient.images], b_values).values * 1000
    assert np.allclose(volume(images, is_adc=True).voxels, known, atol=0.51)
    assert all(len(ds.SourceImageSequence) == 3 for ds in images)
    assert images[0].DerivationDescription == "Mono-exponential, from b = 0, 400, 800 s/mm2"


def patient_adc() -> np.ndarray:
    """In 10-6 mm2/s, from the pixels that were drawn."""
    low, high = (each.astype(np.float32) for each in diffusions.patient().images[:: len(diffusions.B_VALUES) - 1])
    return two_point(low, high, diffusions.B_VALUES[0], diffusions.B_VALUES[-1]).values * 1000


def test_where_the_scanner_sent_a_map_ours_stays_here(diffusion: System) -> None:
    assert map_of(answered(diffusion, diffusions.single_frames(), diffusions.vendor_map("", 1000.0))) == []
