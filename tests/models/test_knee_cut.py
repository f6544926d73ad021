"""A radiograph that reads as tumour is outlined where the highest Dice may be expected, whatever the map's height."""

import numpy as np
import pytest

from models.card import parse_card
from models.errors import CardError
from tests.models import nets
from tests.models.test_knee import NETWORKS, N, U, image, limb, opened

TUMOUR, NORMAL = [0.0, 3.0, 0.0], [3.0, 0.0, 0.0]
BIASED = nets.CARD.replace("mask = 0.5", "mask = 0.8\npixel_bias = 0.0").replace("mask_alone = 0.5", "mask_alone = 0.9")
FAINT = {"bright": 1.02, "steepness": 10.0}
"""Networks that give the brightest pixels 0.45."""


def seen(folder, card, logits=TUMOUR, picture=None, valid=None, **net):
    made = {role: nets.net(name, logits=logits, **net) for role, name in NETWORKS}
    return opened(folder, card=card, **made).answer([image(limb() if picture is None else picture, valid=valid)])


def test_a_faint_tumour_is_outlined_where_it_is(tmp_path):
    plain = BIASED.replace("pixel_bias = 0.0\n", "")
    assert not seen(tmp_path / "plain", plain, **FAINT).sources[0].lesions, "no pixel reaches 0.8"
    (source,) = seen(tmp_path / "biased", BIASED, **FAINT).sources
    expected = np.zeros((900, 600), bool)
    expected[300:420, 200:330] = True
    found = source.mask[0] == 1
    assert len(source.lesions) == 1
    assert (found & expected).sum() / (found | expected).sum() > 0.9


def test_a_map_that_must_be_taken_for_less_is_not_outlined_and_said(tmp_path):
    (source,) = seen(tmp_path, BIASED.replace("pixel_bias = 0.0", "pixel_bias = -9.0"), **FAINT).sources
    assert source.answer is U
    assert "no region could be outlined" in source.notes[-1]


def test_an_image_that_reads_as_normal_is_cut_where_its_card_says(tmp_path):
    assert not seen(tmp_path / "faint", BIASED, logits=NORMAL, **FAINT).sources[0].lesions
    assert seen(tmp_path / "sure", BIASED, logits=NORMAL).sources[0].lesions


@pytest.mark.parametrize(("alone", "is_outlined"), [(0.9, False), (0.4, True)])
def test_or_where_enough_may_be_expected_of_its_outline_if_its_card_says_so(tmp_path, alone, is_outlined):
    """Pixels of 0.45 are no sure thing, but all that there is: of their outline a Dice of about 0.6 may be expected."""
    card = BIASED.replace("pixel_bias = 0.0", f"pixel_bias = 0.0\nalone = {alone}")
    (source,) = seen(tmp_path, card, logits=NORMAL, **FAINT).sources
    assert bool(source.lesions) is is_outlined
    assert source.answer is (U if is_outlined else N)


def test_what_a_shutter_hides_has_no_voice_in_where_the_rest_is_cut(tmp_path):
    """Beside a large bright body a faint spot is left out; where that is hidden, the spot is all there is."""
    picture = limb(tumours=((100, 800, 320, 520),))
    picture[300:380, 100:180] = 230
    valid = np.ones(picture.shape, bool)
    valid[:, 300:] = False
    spot = {"bright": 0.93, "steepness": 60.0}
    (both,) = seen(tmp_path / "both", BIASED, picture=picture, **spot).sources
    (hidden,) = seen(tmp_path / "hidden", BIASED, picture=picture, valid=valid, **spot).sources
    assert not both.mask[0, 340, 140]
    assert both.mask[0, 400, 400]
    assert hidden.mask[0, 340, 140]
    assert not hidden.mask[0][:, 300:].any()


def test_of_a_rough_outline_the_reader_is_told_what_became_of_such(tmp_path):
    card = BIASED.replace("pixel_bias = 0.0", "pixel_bias = 0.0\nrough = [0.7, 0.31]")
    (rough,) = seen(tmp_path / "rough", card, **FAINT).sources
    (sure,) = seen(tmp_path / "sure", card).sources
    assert rough.lesions
    assert sure.lesions
    assert "overlapped those of a reader by 0.31 on average" in rough.notes[-1]
    assert not sure.notes
    (untold,) = seen(tmp_path / "untold", BIASED, **FAINT).sources
    assert not untold.notes


@pytest.mark.parametrize(
    ("key", "lines"),
    [
        *(("pixel_bias", f"pixel_bias = {each}") for each in ("-20.5", "21", "nan", "true")),
        *(("alone: .* must be from 0 to 1", f"pixel_bias = 0.0\nalone = {each}") for each in ("-0.1", "1.1")),
        ("alone: 0.5 is refused: it needs thresholds.pixel_bias", "alone = 0.5"),
    ],
)
def test_a_bias_or_an_expectation_that_is_none_is_refused(tmp_path, key, lines):
    text = BIASED.replace("pixel_bias = 0.0", lines)
    text = text.replace("{global_sha256}", "0" * 64).replace("{patch_sha256}", "1" * 64)
    with pytest.raises(CardError, match=rf"thresholds\.{key}"):
        parse_card(text.encode(), tmp_path / "card.toml")
