"""Grey values and grids."""

import time

import numpy as np
import pytest

from models.pixels import normalise, resize


def radiograph(rows: int = 300, columns: int = 240) -> np.ndarray:
    """A bright bone on a grey limb, 12-bit values."""
    image = np.full((rows, columns), 600.0, dtype=np.float32)
    image[:, columns // 4 : 3 * columns // 4] = 1400.0
    image[:, 2 * columns // 5 : 3 * columns // 5] = 2500.0
    return image + np.random.default_rng(1).normal(0, 40, image.shape).astype(np.float32)


def test_content_is_stretched_to_zero_and_one() -> None:
    stretched = normalise(radiograph())
    assert stretched.dtype == np.float32
    assert stretched.min() == 0.0
    assert stretched.max() == 1.0
    assert 0.3 < stretched[:, 80].mean() < 0.5


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (600, 400)])
def test_a_constant_image_is_all_zeros(shape: tuple[int, int]) -> None:
    assert not normalise(np.full(shape, 1234.0, dtype=np.float32)).any()


@pytest.mark.parametrize("border", [0.0, -5000.0, 4095.0, 65535.0], ids=["black", "padding", "white", "white-16-bit"])
def test_collimation_borders_do_not_spoil_the_stretch(border: float) -> None:
    image = radiograph()
    framed = np.full((420, 400), border, dtype=np.float32)
    framed[60:360, 80:320] = image
    inside = normalise(framed)[60:360, 80:320]
    assert np.abs(inside - normalise(image)).mean() < 0.06


def test_a_burned_in_mark_does_not_spoil_the_stretch() -> None:
    image = radiograph()
    marked = image.copy()
    marked[5:25, 5:20] = 30000.0
    rest = np.ones(image.shape, dtype=bool)
    rest[5:25, 5:20] = False
    assert np.abs(normalise(marked) - normalise(image))[rest].mean() < 0.06


def test_gain_and_offset_of_the_detector_do_not_matter() -> None:
    image = radiograph()
    assert np.allclose(normalise(image), normalise(image * 7.5 - 300.0), atol=1e-4)


def test_shrinking_averages_areas() -> None:
    image = np.arange(24, dtype=np.float32).reshape(4, 6)
    expected = image.reshape(2, 2, 3, 2).mean(axis=(1, 3))
    assert np.allclose(resize(image, (2, 3)), expected)


def test_shrinking_by_a_fraction_weighs_by_overlap() -> None:
    row = np.array([[1.0, 4.0, 7.0]], dtype=np.float32)
    assert np.allclose(resize(row, (1, 2)), [[(1.0 + 0.5 * 4.0) / 1.5, (0.5 * 4.0 + 7.0) / 1.5]])


def test_enlarging_is_bilinear_with_pixel_centres_at_halves() -> None:
    row = np.array([[0.0, 1.0]], dtype=np.float32)
    assert np.allclose(resize(row, (1, 4)), [[0.0, 0.25, 0.75, 1.0]])


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (33, 512), (512, 33), (64, 48)])
def test_a_constant_stays_constant_at_any_size(shape: tuple[int, int]) -> None:
    assert np.allclose(resize(np.full((64, 48), 0.3, dtype=np.float32), shape), 0.3, atol=1e-6)


def test_the_mean_survives_shrinking() -> None:
    image = radiograph(301, 257)
    assert resize(image, (100, 64)).mean() == pytest.approx(image.mean(), rel=1e-4)


def test_the_same_size_is_a_copy() -> None:
    image = radiograph()
    copy = resize(image, image.shape)
    assert np.array_equal(copy, image)
    assert not np.shares_memory(copy, image)


def test_a_full_size_radiograph_takes_a_tenth_of_a_second() -> None:
    image = np.random.default_rng(2).random((4000, 3000), dtype=np.float32) * 4095
    resize(normalise(image), (256, 256))
    spent = []
    for _ in range(5):
        start = time.process_time()
        resize(normalise(image), (256, 256))
        spent.append(time.process_time() - start)
    assert min(spent) < 0.1
