"""A card of an MR system has parameters of its own, and says what it needs of a study."""

import tomllib

import pytest

from models.card import StackCard, parse_card
from models.errors import CardError
from node.cards import card_facts
from tests.models import stack_nets
from training import card_writer


def read(text):
    return parse_card(text.encode(), stack_nets.PATH)


def test_a_card_of_a_limb_model_says_what_it_needs_and_how_it_decides():
    card = read(stack_nets.LIMB)
    assert isinstance(card, StackCard)
    assert card.preprocess.spacing_mm == 1.0
    assert card.thresholds.region_min_mm3 == 50.0
    assert card.calibration.bias == 0.0
    assert card.channels == ("t1",)
    assert card.input_channels == 3
    assert card.contract("net")["channels"] == "t1"
    need = card_facts(card).needs[0]
    assert (need.name, need.weightings, need.planes, need.min_slices) == ("t1", {"T1"}, {"axial"}, 3)
    assert card_facts(card).takes_derived


def test_an_adc_map_stands_in_for_a_pair_of_b_values():
    card = read(stack_nets.DIFFUSION)
    assert card.channels == ("low", "high", "adc")
    assert card.input_channels == 3
    low, high, adc = card_facts(card).needs
    assert (low.b_values, high.b_best, adc.instead_of) == ((0.0, 50.0), 800.0, ("low", "high"))


@pytest.mark.parametrize("text", [stack_nets.LIMB, stack_nets.DIFFUSION], ids=["limb", "diffusion"])
def test_a_card_is_read_as_it_was_written(text):
    card = read(text)
    written = card_writer.toml(card)
    assert read(written) == card
    assert tomllib.loads(written)["system"] == card.system


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('system = "limb-unet"', 'system = "arm"', "system.*this version has knee-seg-unet"),
        ("volume-percentiles", "content-percentiles", "preprocess.normalisation.*volume-percentiles"),
        ("neighbours = 1", "neighbours = 9", "preprocess.neighbours.*from 0 to 8"),
        ("spacing_mm = 1.0", "spacing_mm = 0.0", "preprocess.spacing_mm"),
        ('planes = ["axial"]', 'planes = ["oblique"]', "number 1, planes.*one of axial"),
        ("min_slices = 3", "min_slice = 3", "input.needs.*knows no such key"),
        ("region_min_mm3 = 50.0", "region_min_px = 50.0", "thresholds.*knows no such key"),
        ("bias = 0.0", "bias = [0.0, 0.0, 0.0]", "calibration.bias"),
        ('"normal", "tumour"', '"tumour"', "classes.*normal, tumour"),
    ],
)
def test_a_card_that_cannot_be_kept_is_refused_with_place_and_rule(old, new, words):
    assert old in stack_nets.LIMB
    with pytest.raises(CardError, match=words):
        read(stack_nets.LIMB.replace(old, new))


def test_a_channel_is_a_need_or_made_of_needs():
    with pytest.raises(CardError, match=r"preprocess.channels.*name of a need"):
        read(stack_nets.LIMB.replace("neighbours = 1", 'neighbours = 1\nchannels = ["t2"]'))


def test_a_card_may_ask_for_one_of_some_needs_that_it_can_each_go_without():
    text = stack_nets.LIMB.replace("takes_derived = true", 'takes_derived = true\nany_of = ["t1"]')
    with pytest.raises(CardError, match=r"input.any_of.*is_optional = true"):
        read(text)
    card = read(text.replace("min_slices = 3", "min_slices = 3, is_optional = true") + 'channels = ["t1"]\n')
    assert card_facts(card).any_of == {"t1"}
    assert card_facts(read(stack_nets.LIMB)).any_of == frozenset()
