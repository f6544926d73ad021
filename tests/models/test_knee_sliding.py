"""A knee card whose patch network slides windows of 416 over the radiograph at its own resolution, as the paper's."""

import numpy as np
import pytest

from models import knee_patch
from models.card import parse_card, read_bundle
from models.errors import CardError, ContractError, InferenceError
from models.findings import Answer, ImageRef, Spacing, SpacingSource
from models.images import Radiograph
from models.knee import Knee, KneeImage, load
from models.session import Device, SessionOptions
from tests.models import nets

UNKNOWN = Spacing(1.0, 1.0, SpacingSource.UNKNOWN)
FINE = Spacing(0.1, 0.1, SpacingSource.DETECTOR)
CARD = (
    nets.CARD.replace("size = [256, 256]", "size = [416, 416]\nwindow_px = 416")
    .replace("min_side_px = 64", "min_side_px = 208")
    .replace("region_min_px = 20", "region_min_px = 0\nregion_min_source_px = 500")
    .replace("region_min_mm2 = 25.0", "region_min_mm2 = 0.0")
)
LESION, MARK = (480, 600, 900, 1056), (96, 114, 120, 138)
"""First row, end row, first column, end column; multiples of the cells, 2 x 3 pixels, that the global network sees.
The mark has 324 pixels."""


def opened(folder, card=CARD, whole=None, patch=None) -> Knee:
    made = {
        "whole": whole or nets.net("global", side=416),
        "patch": patch or nets.net("patch", side=416, window_px="416"),
    }
    return load(read_bundle(nets.bundle(folder / "knee", card=card, **made)), SessionOptions(Device.CPU, threads=1))


@pytest.fixture(scope="module")
def knee(tmp_path_factory) -> Knee:
    return opened(tmp_path_factory.mktemp("bundle"))


def picture(shape=(832, 1248), lesion=LESION, mark=MARK) -> np.ndarray:
    """A grey limb with a lighter bone, a bright lesion and a still brighter mark, in 8-bit values."""
    rows, columns = shape
    made = np.full(shape, 20, np.float32)
    made[:, columns // 8 : -columns // 8] = 60
    made[:, columns // 3 : -columns // 3] = 100
    made += (np.arange(rows) % 7)[:, None]
    for (top, bottom, left, right), grey in ((lesion, 240), (mark, 255)):
        made[top:bottom, left:right] = grey
    return made


def found(knee, pixels, spacing=UNKNOWN):
    image = KneeImage(ImageRef("1.2.3"), "1.2", Radiograph(pixels, pixels.astype(np.uint8), None, ()), spacing)
    return knee.answer([image]).sources[0]


def box(mask) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def test_a_lesion_is_outlined_on_the_pixels_of_the_image(knee):
    source = found(knee, picture())
    (top, bottom, left, right), (mask,) = LESION, source.mask
    assert source.answer is Answer.BENIGN
    assert mask.shape == (832, 1248)
    assert mask[top:bottom, left:right].all()
    assert mask.sum() == (bottom - top) * (right - left), "and nothing beside it"
    points = source.lesions[0].outlines[0].points
    assert (points.min(axis=0) + points.max(axis=0)) / 2 == pytest.approx(
        [(left + right) / 2, (top + bottom) / 2], abs=0.5
    )


@pytest.mark.parametrize("spacing", [UNKNOWN, FINE], ids=["no millimetres", "millimetres"])
def test_a_region_of_fewer_than_500_pixels_of_the_image_is_dropped(tmp_path, knee, spacing):
    assert len(found(knee, picture(), spacing).lesions) == 1
    assert len(found(knee, picture(mark=(96, 120, 120, 141)), spacing).lesions) == 2, "504 pixels"
    lower = opened(tmp_path, CARD.replace("region_min_source_px = 500", "region_min_source_px = 300"))
    assert [box(found(lower, picture(), spacing).mask[0] == number) for number in (1, 2)] == [LESION, MARK]


@pytest.mark.parametrize(
    ("shape", "lesion"),
    [((330, 597), (250, 330, 517, 597)), ((330, 330), (200, 260, 60, 120)), ((1000, 417), (900, 1000, 300, 417))],
    ids=["the paper's smallest", "smaller on both sides", "long"],
)
def test_a_lesion_is_found_at_the_end_of_an_image_that_is_padded(knee, shape, lesion):
    mask = found(knee, picture(shape, lesion, mark=(4, 10, 4, 10))).mask[0] > 0
    wanted = np.zeros(shape, bool)
    wanted[lesion[0] : lesion[1], lesion[2] : lesion[3]] = True
    assert (mask & wanted).sum() / (mask | wanted).sum() > 0.95


def test_the_patch_network_sees_each_window_as_it_lies_in_the_image(knee):
    pixels = picture()
    answer = knee.infer(pixels)
    assert answer.tumour.shape == pixels.shape
    assert answer.windows.shape == (3 * 5, 3)
    bright = [
        (pixels[top : top + 416, left : left + 416] > 200).sum() > 40
        for top in (0, 208, 416)
        for left in (0, 208, 416, 624, 832)
    ]
    assert (answer.windows[:, 1] > 0.5).tolist() == bright


def test_only_windows_with_a_region_s_worth_of_tumour_speak_for_the_classes(tmp_path):
    """The lesion has 18720 pixels: where a region needs more, no window holds one, and the normal windows speak too."""
    normal = {}
    for least in (500, 20000):
        card = CARD.replace("region_min_source_px = 500", f"region_min_source_px = {least}")
        whole = nets.net("global", side=416, logits=[3.0, 0.0, 0.0])
        normal[least] = opened(tmp_path / str(least), card, whole).infer(picture()).raw[0]
    of_whole = np.exp(3.0) / (np.exp(3.0) + 2.0)
    assert normal[500] == pytest.approx(2 / 3 * of_whole, abs=1e-3)
    assert normal[20000] == pytest.approx(2 / 3 * of_whole + 1 / 3 * 0.5, abs=0.02)


def test_an_image_of_too_many_windows_is_not_assessed(knee, monkeypatch):
    monkeypatch.setattr("models.knee.MAX_WINDOWS", 14)
    source = found(knee, picture())
    assert source.answer is Answer.NOT_ASSESSED
    assert "832 x 1248 pixels, which are 15 windows; the model looks at 14 at most" in source.notes[-1]
    assert knee_patch.MAX_WINDOWS >= 320, "the paper's largest image, 3480 x 4240"


def test_a_patch_network_that_says_the_same_everywhere_gives_no_answer(tmp_path):
    stuck = opened(tmp_path, patch=nets.net("patch", side=416, steepness=0.0, window_px="416"))
    with pytest.raises(InferenceError, match="the same number"):
        found(stuck, picture())


def test_a_patch_file_for_other_windows_is_not_opened(tmp_path):
    with pytest.raises(ContractError, match="metadata window_px"):
        opened(tmp_path, patch=nets.net("patch", side=416))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("window_px = 416", "window_px = 8", "preprocess.window_px: 8 is refused: it must be from 16 to 4096"),
        ("window_px = 416", "window_px = 0.5", "window_px: 0.5 is refused: it must be a whole number"),
        ("source_px = 500", "source_px = -1", "region_min_source_px: -1.0 is refused"),
    ],
    ids=["too small", "a share", "below zero"],
)
def test_what_no_window_can_be_is_refused(tmp_path, before, after, words):
    text = CARD.replace(before, after).replace("{global_sha256}", "0" * 64).replace("{patch_sha256}", "1" * 64)
    with pytest.raises(CardError, match=words):
        parse_card(text.encode(), tmp_path / "card.toml")


def test_cards_that_know_no_windows_have_those_of_half_the_sides():
    text = nets.CARD.replace("{global_sha256}", "0" * 64).replace("{patch_sha256}", "1" * 64)
    card = parse_card(text.encode(), nets.__file__)
    assert card.preprocess.window_px is card.thresholds.region_min_source_px is None
    assert "window_px" not in card.contract("patch")
