"""CLAHE: mappings by hand, the limit, the borders, and scikit-image's answer."""

import numpy as np
import pytest
from skimage import exposure

from models.clahe import _limited, _mappings, clahe


def histogram(**pixels: int) -> np.ndarray:
    made = np.zeros((1, 1, 256), dtype=np.int64)
    for place, count in pixels.items():
        made[0, 0, int(place[1:])] = count
    return made


def test_a_histogram_within_the_limit_maps_by_its_running_sum() -> None:
    mapped = _mappings(histogram(_0=25, _100=50, _255=25), limit=100)[0, 0]
    assert mapped[[0, 99, 100, 254, 255]] == pytest.approx([0.25, 0.25, 0.75, 0.75, 1.0])


def test_what_exceeds_the_limit_is_spread_over_the_bins_below_it() -> None:
    # 1034 of one grey, limit 10: of the excess of 1024 each of the other 255 bins gets 4; 4 are left, one for every
    # 63rd bin from the first on (255 // 4), which are 0, 63, 126, 189 and, with room as well, 252
    limited = _limited(histogram(_128=1034)[0], limit=10)[0]
    assert limited[128] == 10
    assert np.flatnonzero(limited == 5).tolist() == [0, 63, 126, 189, 252]
    assert (limited == 4).sum() == 250


def test_a_bin_that_the_spreading_fills_passes_the_rest_on() -> None:
    # limit 4: of 516 - 4 = 512 each bin is due 2, bin 10 holds 3 and takes 1; 512 - 2 * 254 - 1 = 3 are left: one for
    # every 84th of the 254 bins below the limit: 0, 84, 168 and 252
    limited = _limited(histogram(_10=3, _200=516)[0], limit=4)[0]
    assert (limited[10], limited[200]) == (4, 4)
    assert np.flatnonzero(limited == 3).tolist() == [0, 84, 168, 252]
    assert (limited == 2).sum() == 250


def test_one_tile_without_a_limit_is_plain_equalisation() -> None:
    image = np.repeat([0.1, 0.2, 0.3, 0.9], 16).reshape(8, 8).astype(np.float32)
    # running shares 1/4, 1/2, 3/4, 1 stretched to 0..1: 0, 1/3, 2/3, 1
    assert np.unique(clahe(image, (8, 8), clip=1.0)) == pytest.approx([0, 1 / 3, 2 / 3, 1], abs=1e-5)


def test_between_the_centres_of_tiles_mappings_are_mixed_linearly() -> None:
    left, right = np.full((8, 8), 0.25), np.full((8, 8), 0.25)
    left[:4], right[:2] = 0.75, 0.75
    image = np.concatenate([left, right], axis=1).astype(np.float32)
    done = clahe(image, (8, 8), clip=1.0)
    dark = done[7]
    # 0.25 maps to 1/2 on the left and to 3/4 on the right; all of 0.75 maps to 1: stretched, 0 and 1/2
    assert dark[4] == pytest.approx(0.0, abs=1e-5)
    assert dark[12] == pytest.approx(0.5, abs=1e-5)
    assert dark[8] == pytest.approx(0.25, abs=1e-5)
    assert np.diff(dark[4:13]) == pytest.approx(np.full(8, 0.0625), abs=1e-5)


def test_an_image_of_one_value_is_black_and_a_ramp_stays_a_ramp() -> None:
    assert not clahe(np.full((9, 7), 0.4, dtype=np.float32), (4, 4)).any()
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    done = clahe(ramp, (64, 64), clip=1.0)
    assert (np.diff(done, axis=1) >= -1e-6).all()


@pytest.mark.parametrize("shape", [(31, 45), (5, 90), (1, 17)], ids=["odd", "flat", "a line"])
def test_every_shape_keeps_its_shape_and_range(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).random(shape).astype(np.float32)
    done = clahe(image, (16, 16))
    assert done.shape == shape
    assert done.dtype == np.float32
    assert (done.min(), done.max()) == (0.0, 1.0)


@pytest.mark.parametrize("shape", [(128, 160), (130, 150)], ids=["whole tiles", "cut tiles"])
def test_it_agrees_with_scikit_image_within_two_grey_levels(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    y, x = np.mgrid[: shape[0], : shape[1]] / 40.0
    image = (np.sin(x) * np.cos(y) * 0.3 + 0.5 + 0.05 * rng.standard_normal(shape)).clip(0, 1).astype(np.float32)
    image[0, 0], image[-1, -1] = 0.0, 1.0  # scikit-image stretches first; this one takes 0..1 as it is
    image = np.rint(image * 255) / np.float32(255)  # and rounds to 16 bit, which moves pixels across bins
    ours = clahe(image, (32, 32)) * 255
    theirs = exposure.equalize_adapthist(image, kernel_size=(32, 32), clip_limit=0.01) * 255
    assert np.abs(ours - theirs).max() <= 2.0
