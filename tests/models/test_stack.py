"""A network over the slices of a stack, with weights whose answer is known, on the grid of the source."""

from dataclasses import replace

import numpy as np
import pytest

from models import stack
from models.card import read_bundle
from models.diffusion import log_linear
from models.errors import ContractError, GeometryError
from models.findings import Answer, MeasurementKind
from models.session import Device, SessionOptions
from models.slices import Z_SCORE, normalise, scaled_adc, standardised
from models.volume import volume
from tests.models import nets, stack_nets
from tests.models.stacks import SPACING, body, enhanced, single_frames
from tests.models.test_volume import real

OPTIONS = SessionOptions(device=Device.CPU, threads=1)
STORED, BALL = body()


def opened(folder, text=stack_nets.LIMB, **options):
    return stack.load(read_bundle(stack_nets.bundle(folder, text, **options)), OPTIONS)


@pytest.fixture(scope="module")
def limb(tmp_path_factory):
    return opened(tmp_path_factory.mktemp("limb"))


def answer(model, volumes, b_values=None):
    (found,) = model.answer(stack.prepared(model.card, volumes, b_values)).sources
    return found


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def test_a_tumour_is_found_where_it_is(limb):
    found = answer(limb, {"t1": volume(single_frames(STORED))})
    assert found.answer is Answer.TUMOUR
    assert found.probabilities[Answer.TUMOUR] + found.probabilities[Answer.NORMAL] == pytest.approx(1.0)
    assert dice(found.mask == 1, BALL) > 0.95
    assert not (found.mask > 0)[~BALL.any(axis=(1, 2))].any()
    (lesion,) = found.lesions
    told = {each.kind: each.value for each in lesion.measurements}
    assert told[MeasurementKind.VOLUME] == pytest.approx(np.count_nonzero(found.mask) * np.prod(SPACING) / 1000)
    assert MeasurementKind.MEAN_ADC not in told
    assert lesion.malignant_probability is None
    assert [each.sop_instance_uid for each in lesion.outlines] == [ref.sop_instance_uid for ref in found.images[2:5]]


def test_an_enhanced_object_gets_the_answer_of_its_twin(limb):
    single = single_frames(STORED, slope=np.linspace(1.0, 1.01, 6))
    one = answer(limb, {"t1": volume(single)})
    other = answer(limb, {"t1": volume([enhanced(single, (5, 2, 0, 4, 1, 3))])})
    assert np.array_equal(one.mask, other.mask)
    assert one.probabilities == other.probabilities
    assert one.lesions[0].measurements == other.lesions[0].measurements
    assert [each.frame for each in other.lesions[0].outlines] == [2, 6, 4]


@pytest.mark.parametrize("side", [16, 40, 96])
def test_the_size_of_the_input_moves_nothing(tmp_path, side, limb):
    text = stack_nets.LIMB.replace("size = [64, 64]", f"size = [{side}, {side}]")
    found = answer(opened(tmp_path / "limb", text), {"t1": volume(single_frames(STORED))})
    assert np.array_equal(found.mask, answer(limb, {"t1": volume(single_frames(STORED))}).mask)


def test_a_stack_unlike_the_training_is_not_assessed_and_says_so(tmp_path):
    text = stack_nets.LIMB.replace("tumour = 0.5", "tumour = 0.5\nunlike = 0.01")
    found = answer(opened(tmp_path, text), {"t1": volume(single_frames(STORED))})
    assert found.answer is Answer.NOT_ASSESSED
    assert not found.probabilities
    assert not found.lesions
    assert not found.mask.any()
    assert "unlike those that the model was trained on" in found.notes[-1]


def test_a_stack_like_those_of_the_training_is_answered_as_without_a_limit(limb, tmp_path):
    text = stack_nets.LIMB.replace("tumour = 0.5", "tumour = 0.5\nunlike = 1.0")
    volumes = {"t1": volume(single_frames(STORED))}
    found, plain = answer(opened(tmp_path, text), volumes), answer(limb, volumes)
    assert found.answer is Answer.TUMOUR
    assert np.array_equal(found.mask, plain.mask)


def test_a_card_with_a_limit_needs_a_file_that_says_how_strange(tmp_path):
    folder = stack_nets.bundle(tmp_path, stack_nets.LIMB)
    card = folder / "card.toml"
    card.write_text(card.read_text().replace("tumour = 0.5", "tumour = 0.5\nunlike = 1.0"))
    with pytest.raises(ContractError, match="'strangeness' is missing"):
        stack.load(read_bundle(folder), OPTIONS)


def test_a_coarser_grid_keeps_the_place(tmp_path):
    model = opened(tmp_path / "limb", stack_nets.LIMB.replace("spacing_mm = 1.0", "spacing_mm = 1.6"))
    found = answer(model, {"t1": volume(single_frames(STORED))})
    assert dice(found.mask == 1, BALL) > 0.85
    place = [np.argwhere(each).mean(axis=0) for each in (found.mask == 1, BALL)]
    assert place[0] == pytest.approx(place[1], abs=0.5)


def test_grey_values_are_scaled_as_the_card_says_and_an_adc_keeps_its_scale(tmp_path):
    low, high = (volume(each) for each in diffusion_series())
    asked = stack_nets.DIFFUSION.replace("volume-percentiles", Z_SCORE)
    for text, scale in ((stack_nets.DIFFUSION, normalise), (asked, standardised)):
        card = read_bundle(stack_nets.bundle(tmp_path / scale.__name__, text)).card
        made = stack.prepared(card, {"low": low, "high": high}, {"low": 0.0, "high": 800.0})
        assert np.array_equal(made.channels[0], scale(low.voxels))
        assert np.array_equal(made.channels[1], scale(high.voxels))
        assert np.array_equal(made.channels[2], scaled_adc(made.adc.values))


def test_a_model_of_z_scores_finds_the_tumour_and_its_file_must_say_so(tmp_path):
    text = stack_nets.LIMB.replace("volume-percentiles", Z_SCORE)
    found = answer(opened(tmp_path / "limb", text, bright=0.75), {"t1": volume(single_frames(STORED))})
    assert dice(found.mask == 1, BALL) > 0.9
    other = (stack_nets.bundle(tmp_path / "other") / "net.onnx").read_bytes()
    with pytest.raises(ContractError, match="normalisation"):
        opened(tmp_path / "mixed", text, data=other)


def test_calibration_and_thresholds_are_those_of_the_card(tmp_path):
    shy = stack_nets.LIMB.replace("bias = 0.0", "bias = -30.0")
    found = answer(opened(tmp_path / "shy", shy), {"t1": volume(single_frames(STORED))})
    assert (found.answer, found.lesions) == (Answer.NORMAL, ())
    large = stack_nets.LIMB.replace("region_min_mm3 = 50.0", "region_min_mm3 = 50000.0")
    found = answer(opened(tmp_path / "large", large), {"t1": volume(single_frames(STORED))})
    assert found.lesions == ()
    sure = stack_nets.LIMB.replace("tumour = 0.5\n", "tumour = 0.9999\n")
    found = answer(opened(tmp_path / "sure", sure), {"t1": volume(single_frames(STORED))})
    assert found.lesions == ()


def test_voxels_too_few_for_a_region_leave_the_answer_undecided(tmp_path):
    stored = STORED.copy()
    stored[BALL] = 320
    stored[::2, 20:40:3, 15:35:3] = 1000
    text = stack_nets.LIMB.replace("region_min_mm3 = 50.0", "region_min_mm3 = 30.0").replace(
        "spacing_mm = 1.0", "spacing_mm = 0.2"
    )
    found = answer(opened(tmp_path / "limb", text, bright=0.3), {"t1": volume(single_frames(stored))})
    assert (found.answer, found.lesions) == (Answer.UNDECIDED, ())
    assert "no region of them is as large, and on the whole as sure" in found.notes[-1]


def diffusion_series(adc=1.5, inside=0.8):
    """Low and high b-value of a limb in which the tumour has another ADC than the rest."""
    coefficient = np.where(BALL, inside, adc)
    low = np.where(STORED > 0, 4000, 0).astype(np.int16)
    high = (low * np.exp(-0.8 * coefficient)).astype(np.int16)
    return single_frames(low, series=2), single_frames(high, series=3)


def test_both_b_values_and_their_adc_are_the_channels_and_the_mean_adc_is_told(tmp_path):
    model = opened(tmp_path / "diffusion", stack_nets.DIFFUSION, channel=1, bright=0.7)
    low, high = (volume(each) for each in diffusion_series())
    made = stack.prepared(model.card, {"low": low, "high": high}, {"low": 0.0, "high": 800.0})
    assert made.source is high
    assert made.channels.shape == (3, *STORED.shape)
    assert made.channels[2][BALL] == pytest.approx(0.8 / 3, abs=0.002)
    found = answer(model, {"low": low, "high": high}, {"low": 0.0, "high": 800.0})
    told = {each.kind: each.value for each in found.lesions[0].measurements}
    assert told[MeasurementKind.MEAN_ADC] == pytest.approx(800.0, rel=0.1)
    assert "computed from the b-values 0, 800" in found.notes[-1]


def test_further_b_values_are_fitted_by_a_line(tmp_path):
    model = opened(tmp_path / "diffusion", stack_nets.DIFFUSION, channel=1, bright=0.7)
    low, high = (volume(each) for each in diffusion_series())
    middle = replace(low, voxels=low.voxels * np.float32(0.5))
    volumes, b_values = {"low": low, "high": high, "more": middle}, {"low": 0.0, "high": 800.0, "more": 400.0}
    made = stack.prepared(model.card, volumes, b_values)
    expected = log_linear([low.voxels, middle.voxels, high.voxels], [0.0, 400.0, 800.0])
    assert np.array_equal(made.adc.values, expected.values)
    assert made.channels[2][BALL] == pytest.approx(0.8 / 3, abs=0.01)
    assert "computed from the b-values 0, 400, 800" in made.notes[-1]


def test_the_map_of_the_scanner_serves_where_there_is_no_pair(tmp_path):
    text = stack_nets.DIFFUSION.replace('channels = ["low", "high", "adc"]', 'channels = ["adc"]')
    model = opened(tmp_path / "diffusion", text, channel=0, bright=0.35, is_darker=True)
    stored = np.where(BALL, 800, np.where(STORED > 0, 1500, 2000)).astype(np.int16)
    found = answer(model, {"adc": volume(single_frames(stored))})
    assert found.answer is Answer.TUMOUR
    assert dice(found.mask == 1, BALL) > 0.9
    told = {each.kind: each.value for each in found.lesions[0].measurements}
    assert told[MeasurementKind.MEAN_ADC] == pytest.approx(800.0, rel=0.1)
    assert "scanner's own map" in found.notes[-1]


def test_series_on_other_voxels_are_not_mixed(tmp_path):
    model = opened(tmp_path / "diffusion", stack_nets.DIFFUSION)
    low, high = diffusion_series()
    moved = single_frames(np.roll(STORED, 1, axis=1), series=3, turn=14.0)
    with pytest.raises(GeometryError, match="lies on other voxels"):
        stack.prepared(model.card, {"low": volume(low), "high": volume(moved)}, {"low": 0.0, "high": 800.0})
    with pytest.raises(GeometryError, match="needs adc, which did not come"):
        stack.prepared(model.card, {"low": volume(low), "high": volume(high)})


def test_a_bundle_of_another_system_is_refused(tmp_path):
    with pytest.raises(ContractError, match="one of limb-unet or diffusion-unet is needed"):
        stack.load(read_bundle(nets.bundle(tmp_path / "knee")), OPTIONS)
    folder = stack_nets.bundle(tmp_path / "limb")
    card = folder / "card.toml"
    card.write_text(card.read_text().replace("neighbours = 1", "neighbours = 0"))
    with pytest.raises(ContractError, match="neighbours is '1', the card needs '0'"):
        stack.load(read_bundle(folder), OPTIONS)


def test_a_real_series_is_answered_on_its_own_grid(limb):
    found = answer(limb, {"t1": volume(real("sts-mr", "dicom", "STS_032", "image"))})
    assert found.mask.shape == (47, 114, 85)
    assert found.answer is Answer.TUMOUR
    assert sum(np.count_nonzero(found.mask == each.number) for each in found.lesions) == np.count_nonzero(found.mask)


def test_what_is_said_of_every_voxel_comes_only_when_it_is_asked_for(limb):
    prepared = stack.prepared(limb.card, {"t1": volume(single_frames(STORED))})
    (plain,), (mapped,) = limb.answer(prepared).sources, limb.answer(prepared, with_maps=True).sources
    assert plain.maps is None
    assert mapped.maps is not None
    assert (mapped.maps.probability.shape, mapped.maps.probability.dtype) == (STORED.shape, np.float32)
    assert (mapped.maps.probability[mapped.mask > 0] >= limb.card.thresholds.mask).mean() > 0.99
    assert mapped.maps.levels is None
    assert replace(mapped, maps=None, mask=plain.mask, lesions=plain.lesions) == plain
    assert np.array_equal(mapped.mask, plain.mask)
