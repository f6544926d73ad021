"""The hand system with a network whose answer is known: regions, kinds, several series, and what it must not say."""

from dataclasses import replace

import numpy as np
import pytest

from models import hand
from models.card import parse_card, read_bundle
from models.errors import CardError, ContractError, InferenceError
from models.findings import Answer, MeasurementKind, ModelIdentity
from models.hand import Classes, classes, examine
from models.hand_card import CHANNELS, CLASSES
from models.hand_findings import FIVE_KINDS, Body, SeriesAnswer, conclude, study_notes
from models.hand_input import Stack, plan_of, prepared
from models.masses import masses
from models.session import Device, Session, SessionOptions
from models.slices import plan
from models.volume import volume
from tests.models import hand_nets, stack_nets
from tests.models.stacks import SPACING, body, enhanced, single_frames

OPTIONS = SessionOptions(device=Device.CPU, threads=1)
STORED, BALL = body()
CARD = parse_card(hand_nets.TEXT.encode(), hand_nets.PATH)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return hand.load(read_bundle(hand_nets.bundle(tmp_path_factory.mktemp("hand"))), OPTIONS)


def series(stored, number=1):
    return hand.Series(volume(single_frames(stored, series=number)))


def with_lipoma():
    """A paler ball beside the brightest one."""
    _, y, x = np.mgrid[: STORED.shape[0], : STORED.shape[1], : STORED.shape[2]]
    pale = ((y - 46) ** 2 + (x - 30) ** 2 < 36) & BALL.any(axis=(1, 2))[:, None, None]
    return np.where(pale & ~BALL, 800, STORED).astype(np.int16), pale & ~BALL


def test_a_tumour_is_outlined_where_it_is_with_its_kind(model):
    found = model.answer([series(STORED)])
    (source,) = found.sources
    (lesion,) = source.lesions
    both = 2 * np.count_nonzero((source.mask == 1) & BALL)
    assert both / (np.count_nonzero(source.mask) + np.count_nonzero(BALL)) > 0.95
    assert next(iter(lesion.kinds)) == "ganglion"
    assert set(lesion.kinds) == set(CLASSES[1:])
    assert sum(lesion.kinds.values()) == pytest.approx(1.0)
    told = {each.kind: each.value for each in lesion.measurements}
    assert told[MeasurementKind.VOLUME] == pytest.approx(np.count_nonzero(source.mask) * np.prod(SPACING) / 1000)
    assert [each.sop_instance_uid for each in lesion.outlines] == [ref.sop_instance_uid for ref in source.images[2:5]]


def test_it_says_tumour_and_which_kinds_it_knows_but_never_benign(model):
    found = model.answer([series(STORED)])
    assert found.answer is Answer.TUMOUR
    assert {lesion.answer for source in found.sources for lesion in source.lesions} == {Answer.TUMOUR}
    assert Answer.BENIGN not in found.probabilities
    assert found.notes[0].startswith("Of the five kinds it resembles ganglion most")
    assert "benign kinds of tumour only" in found.notes[1]


def test_two_tumours_of_one_series_have_kinds_of_their_own(model):
    stored, pale = with_lipoma()
    (source,) = model.answer([series(stored)]).sources
    assert [next(iter(lesion.kinds)) for lesion in source.lesions] == ["ganglion", "lipoma"]
    assert np.count_nonzero((source.mask == 2) & pale) > 0.8 * np.count_nonzero(pale)


class Says(Session):
    """A network that finds in each run what it was told: a disc of one kind, specks of it, or nothing."""

    def __init__(self, *told):
        self._told = list(told)
        self.provider = "CPUExecutionProvider"

    def run(self, images):
        kind, where = self._told.pop(0)
        logits = np.zeros((len(images), 6, *images.shape[2:]), dtype=np.float32)
        logits[:, 0] = 6.0 + 0.01 * images[:, 0]
        y, x = np.mgrid[: images.shape[2], : images.shape[3]]
        seen = (y - 32) ** 2 + (x - 32) ** 2 < 36 if where == "disc" else (y % 9 < 3) & (x % 9 < 3)
        shown = slice(0, 1) if where == "specks" else slice(None)
        logits[shown, kind, seen & (where != "nowhere")] = 12.0
        return {"mask_logits": logits}


def of(*told):
    """What is said of as many series as were told."""
    model = hand.HandModel(CARD, ModelIdentity("hand-deep-ht", "hand", "1", "", "", "phantom"), Says(*told))
    return model.answer([series(STORED[:1].repeat(4, 0), number) for number in range(1, len(told) + 1)])


def test_a_hand_without_a_tumour_is_normal():
    found = of((1, "nowhere"), (1, "nowhere"))
    assert found.answer is Answer.NORMAL
    assert found.probabilities[Answer.NORMAL] > 0.9
    assert [source.lesions for source in found.sources] == [(), ()]
    assert found.notes == (FIVE_KINDS,)


def test_specks_too_small_to_be_a_tumour_leave_it_undecided():
    found = of((1, "specks"))
    assert found.answer is Answer.UNDECIDED
    assert found.sources[0].answer is Answer.UNDECIDED
    assert "look at the whole series" in found.sources[0].notes[-1]


def test_a_tumour_that_three_of_four_series_do_not_show_is_undecided():
    found = of((5, "disc"), (1, "nowhere"), (1, "nowhere"), (1, "nowhere"))
    assert found.answer is Answer.UNDECIDED
    assert [source.answer for source in found.sources] == [Answer.TUMOUR, *[Answer.NORMAL] * 3]


def test_series_that_agree_on_the_place_may_differ_in_the_kind():
    found = of((5, "disc"), (5, "disc"), (2, "disc"))
    assert found.answer is Answer.TUMOUR
    assert [next(iter(source.lesions[0].kinds)) for source in found.sources] == [
        "schwannoma",
        "schwannoma",
        "giant-cell",
    ]
    assert found.notes[0].startswith("Of the five kinds it resembles schwannoma most")


def strict(tmp_path, limit):
    text = hand_nets.TEXT.replace("kind = 0.5", f"kind = 0.5\nunlike = {limit}")
    return hand.load(read_bundle(hand_nets.bundle(tmp_path, text)), OPTIONS)


def test_a_hand_unlike_the_training_is_not_assessed_and_says_so(tmp_path):
    found = strict(tmp_path, 0.001).answer([series(STORED)])
    assert found.answer is found.sources[0].answer is Answer.NOT_ASSESSED
    assert not found.probabilities
    assert not found.sources[0].lesions
    assert not found.sources[0].mask.any()
    assert "unlike those that the model was trained on" in found.sources[0].notes[-1]


def test_a_hand_like_those_of_the_training_is_answered_as_without_a_limit(model, tmp_path):
    found, plain = strict(tmp_path, 1.0).answer([series(STORED)]), model.answer([series(STORED)])
    assert found.answer is Answer.TUMOUR
    assert found.probabilities == plain.probabilities
    assert np.array_equal(found.sources[0].mask, plain.sources[0].mask)


def test_a_series_that_is_too_strange_has_no_say_and_makes_no_study_normal(tmp_path):
    """Half of the voxels are bright in the second series: a mean of the plane of about 0.5 against 0.25."""
    noise = np.random.default_rng(1).integers(400, 1000, STORED.shape).astype(np.int16)
    known, strange = strict(tmp_path, 1.0), series(noise, 2)
    plain = series(STORED)
    limits = [said.strangeness for said in known.look([plain.stack, strange.stack])]
    assert limits[0] < limits[1]
    found = strict(tmp_path / "between", round(sum(limits) / 2, 4)).answer([plain, strange])
    assert [each.answer for each in found.sources] == [Answer.TUMOUR, Answer.NOT_ASSESSED]
    assert found.probabilities == known.answer([plain]).probabilities


def test_a_region_that_is_less_likely_a_tumour_is_outlined_and_left_undecided():
    doubtful = replace(CARD, thresholds=replace(CARD.thresholds, mask=0.3, region=0.3))
    logits = {"disc": 5.4}

    class Doubts(Says):
        def run(self, images):
            said = Says.run(self, images)["mask_logits"]
            said[said == 12.0] = logits["disc"]  # e**5.4 / (e**5.4 + e**6 + 4) = 0.35
            return {"mask_logits": said}

    for card, lesions in ((doubtful, 1), (CARD, 0)):
        model = hand.HandModel(card, ModelIdentity("hand-deep-ht", "hand", "1", "", "", "phantom"), Doubts((1, "disc")))
        found = model.answer([series(STORED[:1].repeat(4, 0))])
        (source,) = found.sources
        assert len(source.lesions) == lesions
        if lesions:
            assert found.answer is source.answer is source.lesions[0].answer is Answer.UNDECIDED
            assert 0.3 <= source.lesions[0].probability < 0.5


class Stuck(Session):
    """A network whose weights are zero: it says the same of every place."""

    def __init__(self):
        pass

    def run(self, images):
        return {"mask_logits": np.full((len(images), 6, *images.shape[2:]), 0.25, dtype=np.float32)}


def test_a_network_that_says_the_same_of_every_place_gives_no_answer():
    model = hand.HandModel(CARD, ModelIdentity("hand-deep-ht", "hand", "1", "", "", "phantom"), Stuck())
    with pytest.raises(InferenceError, match="the same number, 0.25, for every place"):
        model.answer([series(STORED)])
    with pytest.raises(InferenceError, match="the same mask_logits for a black image and for noise"):
        model.warm_up()


class Strange(Session):
    """A network that finds nothing, and calls the slices as strange as it was told, one after the other."""

    def __init__(self, *told):
        self._told = np.array(told, dtype=np.float32)[:, None]

    def run(self, images):
        logits = 0.01 * images[:, :1].repeat(6, axis=1)
        return {"mask_logits": logits, "strangeness": self._told[: len(images)]}


@pytest.mark.parametrize(
    ("told", "wanted"),
    [((9, 1, 9), 1.0), ((9, 1, 2, 9), 1.5), ((9, 3), 6.0)],
    ids=["three slices", "four slices", "none in the middle"],
)
def test_the_outermost_slices_of_a_stack_lack_a_neighbour_and_do_not_say_how_strange_it_is(told, wanted):
    card = replace(CARD, thresholds=replace(CARD.thresholds, unlike=50.0))
    model = hand.HandModel(card, ModelIdentity("hand-deep-ht", "hand", "1", "", "", "phantom"), Strange(*told))
    stack = np.random.default_rng(1).random((len(told), 64, 64)).astype(np.float32) + 1
    (said,) = model.look([Stack(stack, (CARD.preprocess.spacing_mm,) * 2)])
    assert said.strangeness == wanted


def test_an_enhanced_object_gets_the_answer_of_its_twin(model):
    single = single_frames(STORED)
    twin = volume([enhanced(single, (5, 2, 0, 4, 1, 3))])
    one, other = (model.answer([hand.Series(each)]) for each in (volume(single), twin))
    assert np.array_equal(one.sources[0].mask, other.sources[0].mask)
    assert one.sources[0].lesions[0].kinds == other.sources[0].lesions[0].kinds


def test_a_plane_larger_than_the_input_is_tiled_and_never_cut(model):
    wide = np.pad(STORED, ((0, 0), (0, 60), (70, 0)))
    source = model.answer([series(wide)]).sources[0]
    way = plan_of(CARD.preprocess, wide.shape[1:], SPACING[1:])
    assert len(way.tiles) > 1
    assert source.mask.shape == wide.shape
    assert np.count_nonzero(source.mask[:, :60, 70:] & BALL) > 0.95 * np.count_nonzero(BALL)


def test_padding_keeps_the_spacing_and_stays_black():
    grey = np.random.default_rng(1).random((3, 30, 20)).astype(np.float32) + 1
    ((way, seen),) = prepared(CARD.preprocess, [Stack(grey, (0.8, 0.8))])
    assert way == plan_of(CARD.preprocess, (30, 20), (0.8, 0.8))
    assert seen.shape == (2, 3, 64, 64)
    assert not seen[:, :, :17].any()
    assert not seen[:, :, :, :22].any()
    assert seen[0, :, 17:47, 22:42].max() == pytest.approx(1.0)


def test_a_temperature_flattens_the_softmax():
    logits = np.zeros((6, 1, 1, 1), dtype=np.float32)
    logits[2] = 2.0
    way = plan((1, 1), (1.0, 1.0), 1.0, (1, 1))
    said = classes(way, logits, replace(CARD.calibration, temperature=2.0)).values[:, 0, 0, 0]
    assert said[2] == pytest.approx(np.e / (np.e + 5))
    assert said[0] == pytest.approx(1 / (np.e + 5))


def test_a_bias_of_the_background_makes_every_kind_rarer():
    logits = np.zeros((6, 1, 1, 1), dtype=np.float32)
    way = plan((1, 1), (1.0, 1.0), 1.0, (1, 1))
    said = classes(way, logits, replace(CARD.calibration, background_bias=float(np.log(5.0)))).values[:, 0, 0, 0]
    assert said.tolist() == pytest.approx([0.5, *[0.1] * 5])
    assert not logits.any(), "what the network said stays as it was"


def test_a_region_has_the_mean_of_what_its_voxels_say():
    values = np.zeros((6, 1, 4, 4), dtype=np.float32)
    values[0] = 1.0
    values[:, 0, 1, 1] = 0.1, 0.9, 0.0, 0.0, 0.0, 0.0
    values[:, 0, 1, 2] = 0.3, 0.1, 0.0, 0.6, 0.0, 0.0
    said = examine(Classes(plan((4, 4), (1.0, 1.0), 1.0, (4, 4)), values), 25.0, CARD)
    (found,) = said.bodies
    assert (found.mass.voxels, found.chance) == (2, pytest.approx(0.8))
    # ganglion (0.9 + 0.1) / 2 = 0.5 and lipoma 0.6 / 2 = 0.3, of the 0.8 that are a tumour
    assert found.kinds[0] == pytest.approx(0.625, abs=1e-4)
    assert found.kinds[2] == pytest.approx(0.375, abs=1e-4)
    assert examine(Classes(plan((4, 4), (1.0, 1.0), 1.0, (4, 4)), values), 20.0, CARD).bodies == ()


def answered(chance, *kinds):
    mass = masses(np.ones((1, 2, 2), dtype=bool), 1.0)[0]
    return SeriesAnswer(tuple(Body(mass, chance, np.array(each)) for each in kinds), chance)


def test_series_meet_in_the_mean_of_their_logits_and_logarithms():
    one = answered(0.9, (0.8, 0.05, 0.05, 0.05, 0.05))
    other = answered(0.6, (0.2, 0.05, 0.65, 0.05, 0.05))
    said = conclude([one, other], CARD)
    # logits 2.1972 and 0.4055, mean 1.3014; geometric means 0.4, 0.05, sqrt(0.0325) = 0.1803, 0.05, 0.05: 0.7303
    assert said.chance == pytest.approx(0.7861, abs=1e-4)
    assert said.kinds == pytest.approx([0.5477, 0.0685, 0.2469, 0.0685, 0.0685], abs=1e-4)
    asked = replace(CARD.calibration, study_temperature=2.0, study_bias=-0.5, kind_temperature=0.5)
    again = conclude([one, other], replace(CARD, calibration=asked))
    assert again.chance == pytest.approx(1 / (1 + np.exp(-(1.3014 / 2 - 0.5))), abs=1e-4)
    # squared and divided by their sum, 0.16 + 0.0325 + 3 x 0.0025
    assert again.kinds[[0, 2]] == pytest.approx([0.8, 0.1625], abs=1e-4)


def test_an_open_kind_is_called_open():
    said = conclude([answered(0.9, (0.3, 0.25, 0.2, 0.15, 0.1))], CARD)
    assert study_notes(said, CARD)[0] == "Which of the five kinds it is stays open: at most 30% for ganglion."


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('["clahe", "plain"]', '["plain"]', "preprocess.channels"),
        ('["clahe", "plain"]', str(list(CHANNELS[3])).replace("'", '"'), "needs names no such series"),
        ("spacing_mm = 0.8", "spacing_mm = 0.0", "preprocess.spacing_mm"),
        ('"lipoma", ', "", "classes"),
        ("volume-percentiles, clahe", "z-score", "preprocess.normalisation"),
        ("kind_temperature = 1.0", "kind_temperature = 0.0", "calibration.kind_temperature"),
    ],
    ids=["channels", "companions", "spacing", "classes", "normalisation", "temperature"],
)
def test_a_card_that_this_version_does_not_know_is_refused(old, new, named):
    with pytest.raises(CardError, match=named):
        parse_card(hand_nets.TEXT.replace(old, new).encode(), hand_nets.PATH)


def test_a_network_of_another_preparation_is_refused(tmp_path):
    folder = hand_nets.bundle(tmp_path)
    text = (folder / "card.toml").read_text().replace("tile_px = 16", "tile_px = 8")
    (folder / "card.toml").write_text(text)
    with pytest.raises(ContractError, match="clahe"):
        hand.load(read_bundle(folder), OPTIONS)


def test_a_bundle_of_another_system_is_refused(tmp_path):
    with pytest.raises(ContractError, match="hand-deep-ht"):
        hand.load(read_bundle(stack_nets.bundle(tmp_path)), OPTIONS)


def test_what_is_said_of_every_voxel_comes_only_when_it_is_asked_for(model):
    (plain,), (mapped,) = (model.answer([series(STORED)], asked).sources for asked in (False, True))
    assert plain.maps is None
    assert mapped.maps is not None
    assert (mapped.maps.probability.shape, mapped.maps.probability.dtype) == (STORED.shape, np.float32)
    assert mapped.maps.probability[BALL].mean() > 0.8
    assert mapped.maps.probability[mapped.mask == 0].mean() < 0.2
    assert np.array_equal(mapped.mask, plain.mask)
