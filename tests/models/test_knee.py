"""The knee system on radiographs whose tumour is a bright patch, with networks that see bright patches."""

import resource
import time
import tracemalloc

import numpy as np
import pytest

from models import images, patches
from models.card import contract_of, read_bundle
from models.errors import CardError, ContractError, InferenceError
from models.findings import DISTANCE_LEVELS, Answer, ImageRef, MeasurementKind, Spacing, SpacingSource, Unit
from models.images import Radiograph
from models.knee import Knee, KneeImage, load
from models.pixels import normalise, resize
from models.session import Contract, Device, SessionOptions, open_session
from tests.models import nets
from tests.models.films import film

ONE_THREAD = SessionOptions(Device.CPU, threads=1)
UNKNOWN = Spacing(1.0, 1.0, SpacingSource.UNKNOWN)
NETWORKS = (("whole", "global"), ("patch", "patch"))
N, B, M, U, X = Answer.NORMAL, Answer.BENIGN, Answer.MALIGNANT, Answer.UNDECIDED, Answer.NOT_ASSESSED


def opened(tmp_path, card=nets.CARD, **bundle) -> Knee:
    return load(read_bundle(nets.bundle(tmp_path / "knee", card=card, **bundle)), ONE_THREAD)


@pytest.fixture(scope="module")
def knee(tmp_path_factory):
    return opened(tmp_path_factory.mktemp("bundle"))


def limb(rows=900, columns=600, tumours=((300, 420, 200, 330),)):
    """A dark film with a grey limb, a lighter bone and bright rectangles, in 8-bit values.

    Bright lines one pixel thin span the grey scale, as cortex does: averaged into a network's grid they are not bright.
    """
    picture = np.full((rows, columns), 20, np.int32)
    picture[:, columns // 8 : -columns // 8] = 60
    picture[:, columns // 3 : -columns // 3] = 100
    picture += (np.arange(rows) % 7)[:, None]
    if rows >= 900:
        picture[::40] = 244
        picture[::200] = 255
    for top, bottom, left, right in tumours:
        picture[top:bottom, left:right] = 246
    return picture


def radiograph(picture, valid=None):
    return Radiograph(picture.astype(np.float32), np.zeros(picture.shape, np.uint8), valid, ())


def image(picture, spacing=UNKNOWN, uid="1.2.3", notes=(), valid=None):
    return KneeImage(ImageRef(uid), "1.2", radiograph(picture, valid), spacing, notes)


def area(lesion):
    return next(each.value for each in lesion.measurements if each.kind is MeasurementKind.AREA)


def test_a_bright_patch_is_found_where_it_is(knee):
    findings = knee.answer([image(limb())])
    assert findings.answer is B
    (source,) = findings.sources
    assert source.answer is B
    assert source.mask.shape == (1, 900, 600)
    assert source.mask.dtype == np.uint8
    expected = np.zeros((900, 600), bool)
    expected[300:420, 200:330] = True
    found = source.mask[0] == 1
    assert (found & expected).sum() / (found | expected).sum() > 0.95
    (lesion,) = source.lesions
    assert (lesion.number, lesion.answer) == (1, B)
    assert sum(source.probabilities.values()) == pytest.approx(1.0)
    assert lesion.probability == pytest.approx(source.probabilities[B] + source.probabilities[M])
    assert lesion.outlines[0].sop_instance_uid == "1.2.3"
    points = lesion.outlines[0].points
    assert (points.min(axis=0) + points.max(axis=0)) / 2 == pytest.approx([265, 360], abs=2)
    assert area(lesion) == np.count_nonzero(found)


def test_nothing_bright_is_normal_and_has_neither_mask_nor_lesion(knee):
    findings = knee.answer([image(limb(tumours=()))])
    assert findings.answer is N
    assert findings.sources[0].lesions == ()
    assert not findings.sources[0].mask.any()
    assert findings.sources[0].notes == ()
    assert findings.probabilities[N] > 0.7


def test_the_identity_says_which_weights_ran_where(knee, tmp_path):
    bundle = read_bundle(nets.bundle(tmp_path / "knee"))
    assert knee.identity.weights_sha256 == bundle.weights_sha256
    assert (knee.identity.provider, knee.identity.training_data) == ("CPUExecutionProvider", "phantom")
    assert (knee.identity.system, knee.identity.name, knee.identity.version) == ("knee-seg-unet", "knee", "0.0.1")


@pytest.mark.checklist(30)
def test_monochrome1_and_monochrome2_copies_give_the_same_mask(knee):
    picture = limb()
    found = [
        knee.answer([KneeImage(ImageRef("1"), "2", images.radiograph(ds), UNKNOWN)]).sources[0].mask
        for ds in (film(picture, 8), film(255 - picture, 8, photometric="MONOCHROME1"))
    ]
    assert found[0].any()
    assert np.array_equal(*found)


@pytest.mark.parametrize("bits", [10, 12, 15, 16])
def test_the_bits_of_an_image_do_not_change_its_mask(knee, bits):
    picture = limb()
    masks = [
        knee.answer([KneeImage(ImageRef("1"), "2", images.radiograph(film(values, depth)), UNKNOWN)]).sources[0].mask
        for values, depth in ((picture, 8), (picture << (bits - 8), bits))
    ]
    assert masks[0].any()
    assert np.array_equal(*masks)


def test_lesions_are_numbered_by_their_size(knee):
    picture = limb(tumours=((100, 150, 220, 280), (500, 700, 210, 390)))
    (source,) = knee.answer([image(picture)]).sources
    assert [lesion.number for lesion in source.lesions] == [1, 2]
    assert area(source.lesions[0]) > area(source.lesions[1])
    assert (source.mask[0, 600, 300], source.mask[0, 125, 250]) == (1, 2)
    assert sorted(np.unique(source.mask)) == [0, 1, 2]


def test_sizes_are_in_millimetres_where_the_spacing_is_known(knee):
    spacing = Spacing(0.2, 0.1, SpacingSource.DETECTOR)
    (lesion,) = knee.answer([image(limb(), spacing)]).sources[0].lesions
    assert {each.unit for each in lesion.measurements} == {Unit.MM, Unit.MM2}
    assert area(lesion) == pytest.approx(120 * 0.2 * 130 * 0.1, rel=0.06)


def test_the_smallest_region_is_a_surface_where_millimetres_are_known_and_a_share_where_not(knee):
    small = limb(tumours=((300, 360, 200, 260), (500, 520, 300, 320)))
    assert len(knee.answer([image(small)]).sources[0].lesions) == 2
    fine = Spacing(0.05, 0.05, SpacingSource.CALIBRATED)
    assert len(knee.answer([image(limb(), fine)]).sources[0].lesions) == 1
    assert knee.answer([image(small, fine)]).sources[0].lesions == ()


def test_a_tumour_without_a_region_is_undecided_and_said(tmp_path):
    knee = opened(tmp_path, whole=nets.net("global", logits=[0.0, 3.0, 1.0]), patch=nets.net("patch", logits=[0, 3, 1]))
    findings = knee.answer([image(limb(tumours=()))])
    assert findings.answer is U
    assert "no region could be outlined" in findings.sources[0].notes[-1]


def test_a_region_on_a_normal_image_is_undecided_and_shown(tmp_path):
    knee = opened(tmp_path, whole=nets.net("global", logits=[3.0, 0, 0]), patch=nets.net("patch", logits=[3.0, 0, 0]))
    (source,) = knee.answer([image(limb())]).sources
    assert source.answer is U
    assert source.mask.any()
    assert [lesion.answer for lesion in source.lesions] == [U]
    assert "look at the region" in source.notes[-1]


def test_an_image_that_reads_as_normal_needs_a_surer_region(tmp_path):
    faint = {"whole": {"bright": 0.94, "steepness": 4.0}, "patch": {"bright": 0.94, "steepness": 4.0}}

    def source(folder, logits, alone):
        made = {role: nets.net(name, logits=logits, **faint[role]) for role, name in NETWORKS}
        card = nets.CARD.replace("mask_alone = 0.5", f"mask_alone = {alone}")
        return opened(tmp_path / folder, card=card, **made).answer([image(limb())]).sources[0]

    normal, tumour = [3.0, 0, 0], [0.0, 3, 0]
    assert source("a", normal, 0.5).answer is U
    assert source("b", normal, 0.9).answer is N
    assert source("c", tumour, 0.9).lesions


def test_a_malignant_image_says_malignant_for_its_lesion(tmp_path):
    knee = opened(tmp_path, whole=nets.net("global", logits=[0.0, 1, 3]), patch=nets.net("patch", logits=[0.0, 1, 3]))
    (source,) = knee.answer([image(limb())]).sources
    (lesion,) = source.lesions
    assert source.answer is lesion.answer is M
    assert lesion.malignant_probability == pytest.approx(source.probabilities[M])


def test_the_card_calibrates_what_the_networks_say(tmp_path):
    made = {"whole": nets.net("global", logits=[1.0, 0, 0]), "patch": nets.net("patch", logits=[1.0, 0, 0])}
    plain = opened(tmp_path / "a", **made).infer(limb().astype(np.float32))
    card = nets.CARD.replace("temperature = 1.0", "temperature = 2.0")
    cooled = opened(tmp_path / "b", card=card, **made).infer(limb().astype(np.float32))
    assert np.allclose(plain.raw, plain.probabilities)
    assert np.allclose(cooled.raw, plain.raw)
    wanted = np.sqrt(plain.raw) / np.sqrt(plain.raw).sum()
    assert np.allclose(cooled.probabilities, wanted)


def test_a_study_is_its_most_suspicious_image(knee):
    findings = knee.answer([image(limb(tumours=()), uid="1"), image(limb(), uid="2")])
    assert findings.answer is B
    assert [source.answer for source in findings.sources] == [N, B]
    assert findings.probabilities == findings.sources[1].probabilities
    assert [source.images[0].sop_instance_uid for source in findings.sources] == ["1", "2"]


def test_a_small_image_is_not_assessed_and_makes_no_study_normal(knee):
    tiny = image(limb(63, 200, tumours=()))
    findings = knee.answer([tiny])
    assert findings.answer is X
    assert findings.probabilities == {}
    assert "Not assessed" in findings.sources[0].notes[-1]
    assert findings.sources[0].mask.shape == (1, 63, 200)
    assert knee.answer([tiny, image(limb(tumours=()))]).answer is U


def test_an_image_unlike_the_training_is_not_assessed_and_makes_no_study_normal(tmp_path, knee):
    strange = opened(tmp_path, whole=nets.net("global", strangeness=100.5))
    findings = strange.answer([image(limb())])
    assert findings.answer is X
    assert findings.probabilities == {}
    assert findings.sources[0].lesions == ()
    assert not findings.sources[0].mask.any()
    assert "strangeness 100.5, the limit is 100.0" in findings.sources[0].notes[-1]
    assert knee.answer([image(limb())]).answer is not X


def test_notes_of_image_and_spacing_reach_the_reader(knee):
    (source,) = knee.answer([image(limb(), notes=("Sizes are measured in the detector plane.",))]).sources
    assert source.notes == ("Sizes are measured in the detector plane.",)


def test_plain_tuples_are_images_too(knee):
    findings = knee.answer([(ImageRef("1"), "2", radiograph(limb()), UNKNOWN)])
    assert findings.answer is B


def test_nothing_is_found_behind_a_shutter(knee):
    valid = np.ones((900, 600), bool)
    valid[:, :260] = False
    (source,) = knee.answer([image(limb(), valid=valid)]).sources
    assert source.mask.any()
    assert not source.mask[0][~valid].any()


def test_numbers_that_are_no_numbers_end_in_an_error_and_not_in_an_answer(knee):
    with pytest.raises(InferenceError):
        knee.answer([image(np.where(limb() > 245, np.nan, limb()))])


def test_a_study_without_images_has_no_answer(knee):
    with pytest.raises(ValueError, match="without images"):
        knee.answer([])


def test_windows_in_one_batch_answer_what_they_answer_alone(tmp_path):
    pixels = np.random.default_rng(4).random((700, 500), dtype=np.float32)
    bundle = read_bundle(nets.bundle(tmp_path / "knee", patch=nets.net("patch", bright=1.15)))
    contract = Contract(contract_of(bundle.card, "patch"), "image", (1, 256, 256), {"class_logits": (3,)})
    alone = open_session(bundle.files["patch"], "knee patch", contract, ONE_THREAD)
    together = load(bundle, ONE_THREAD).infer(pixels).windows
    assert together.min(axis=0).max() < 0.99
    grey = normalise(pixels)
    places = patches.windows(700, 500)
    assert len(together) == len(places) == 9
    for answer, (top, bottom, left, right) in zip(together, places, strict=True):
        window = resize(grey[top:bottom, left:right], (256, 256))
        logits = alone.run(window[None, None])["class_logits"][0]
        assert np.abs(answer - np.exp(logits) / np.exp(logits).sum()).max() < 1e-5


def test_the_maps_behind_an_answer_are_kept(knee):
    examination = knee.examine(image(limb()))
    assert examination.answer.tumour.shape == (512, 512)
    assert examination.answer.distance.shape == (5, 256, 256)
    assert examination.answer.distance.sum(axis=0) == pytest.approx(1.0, abs=1e-5)
    assert 0.0 <= examination.answer.tumour.min() <= examination.answer.tumour.max() <= 1.0


def test_each_stage_is_timed(knee):
    timings = knee.answer([image(limb()), image(limb(), uid="2")]).timings_s
    assert set(timings) == {"preprocess", "inference", "fusion", "postprocess"}
    assert all(seconds > 0 for seconds in timings.values())


def test_the_same_image_gets_the_same_answer(knee):
    first, second = (knee.answer([image(limb())]) for _ in range(2))
    assert first.probabilities == second.probabilities
    assert np.array_equal(first.sources[0].mask, second.sources[0].mask)
    assert first.sources[0].lesions[0].measurements == second.sources[0].lesions[0].measurements
    outlines = [each.sources[0].lesions[0].outlines[0].points for each in (first, second)]
    assert np.array_equal(*outlines)


@pytest.mark.parametrize("shape", [(330, 597), (64, 64), (1001, 333), (257, 2000)], ids=str)
def test_any_proportions_and_sizes_come_back_on_their_own_grid(knee, shape):
    rows, columns = shape
    box = (rows // 4, rows // 2, int(columns * 0.4), int(columns * 0.6))
    (source,) = knee.answer([image(limb(rows, columns, tumours=(box,)))]).sources
    assert source.mask.shape == (1, rows, columns)
    assert source.mask[0, (box[0] + box[1]) // 2, (box[2] + box[3]) // 2] == 1


def test_a_full_size_radiograph_takes_less_than_a_second_beside_the_networks(knee):
    picture = limb(4000, 3000, tumours=((1000, 2500, 900, 1900),)).astype(np.float32)
    picture += np.random.default_rng(0).normal(0, 3, picture.shape).astype(np.float32)
    made = image(picture, Spacing(0.1, 0.1, SpacingSource.DETECTOR))
    knee.answer([made])
    started = time.process_time()
    findings = knee.answer([made])
    spent = time.process_time() - started - findings.timings_s["inference"]
    assert spent < 1.0
    tracemalloc.start()
    knee.answer([made])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 << 20


def test_a_bundle_of_another_system_is_not_opened(tmp_path):
    card = nets.CARD.replace('system = "knee-seg-unet"', 'system = "hand"')
    with pytest.raises(CardError, match="system: 'hand' is refused"):
        opened(tmp_path, card=card)


def test_a_file_made_for_another_role_is_not_opened(tmp_path):
    with pytest.raises(ContractError, match="metadata role"):
        opened(tmp_path, whole=nets.net("patch"))


def test_what_is_said_of_every_pixel_comes_only_when_it_is_asked_for(knee):
    (plain,), (mapped,) = (knee.answer([image(limb())], asked).sources for asked in (False, True))
    assert plain.maps is None
    assert mapped.maps is not None
    assert mapped.maps.probability.shape == mapped.maps.levels.shape == mapped.mask.shape == (1, 900, 600)
    assert (mapped.maps.probability.dtype, mapped.maps.levels.dtype) == (np.float32, np.uint8)
    assert mapped.maps.probability[mapped.mask > 0].min() >= 0.3
    assert mapped.maps.levels.max() < len(DISTANCE_LEVELS)


def test_nothing_is_said_of_a_pixel_that_a_shutter_hides(knee):
    valid = np.ones((900, 600), bool)
    valid[:, 260:] = False
    (source,) = knee.answer([image(limb(), valid=valid)], with_maps=True).sources
    assert source.maps.probability[0][valid].max() > 0.5
    assert not source.maps.probability[0][~valid].any()
    assert not source.maps.levels[0][~valid].any()


def test_a_lesion_says_in_which_levels_of_distance_its_pixels_lie(knee):
    (source,) = knee.answer([image(limb())]).sources
    (lesion,) = source.lesions
    assert len(lesion.levels) == len(DISTANCE_LEVELS)
    assert sum(lesion.levels) == pytest.approx(1.0, abs=1e-4)
