import numpy as np
import pytest

from models.spine_input import CROP, SLICES, crop, fit_of, fitted, grown, largest, repeated


def test_nine_slices_become_sixteen_by_repetition_in_their_order():
    taken = repeated(range(9))
    assert len(taken) == SLICES == 16
    assert list(taken) == sorted(taken)
    assert set(taken) == set(range(9))
    assert max(taken.count(place) for place in taken) == 2


def test_of_more_than_sixteen_slices_the_middle_ones_are_taken():
    assert repeated(range(20)) == tuple(range(2, 18))
    assert repeated(range(16)) == tuple(range(16))
    assert repeated([7]) == (7,) * 16


def test_no_slice_cannot_be_repeated():
    with pytest.raises(ValueError, match="no slice"):
        repeated([])


def test_the_largest_box_is_the_one_that_covers_most():
    boxes = np.array([[0, 0, 10, 2], [0, 0, 5, 5], [0, 0, 1, 20]])
    assert largest(boxes) == 1


def test_the_same_box_is_cut_out_of_every_slice_and_stretched_to_a_square():
    stack = np.zeros((3, 40, 60), dtype=np.float32)
    stack[1, 10:20, 30:50] = 1.0
    seen = crop(stack, (30.0, 10.0, 50.0, 20.0), (0, 1, 1, 2))
    assert seen.shape == (4, CROP, CROP) == (4, 112, 112)
    assert (seen[[1, 2]] == 1.0).all(), "twice as wide as tall, and stretched"
    assert not seen[[0, 3]].any()


def test_a_box_beyond_the_border_is_cut_there_and_one_without_size_is_widened():
    stack = np.arange(100, dtype=np.float32).reshape(1, 10, 10)
    assert crop(stack, (8.0, 8.0, 30.0, 30.0), (0,))[0].min() == pytest.approx(88.0)
    assert np.isfinite(crop(stack, (-50.0, -50.0, -40.0, -40.0), (0,))).all()
    assert np.isfinite(crop(stack, (5.0, 5.0, 5.0, 5.0), (0,))).all()


def test_a_grown_box_keeps_its_middle():
    assert grown((10.0, 20.0, 20.0, 40.0), 1.5).tolist() == [7.5, 15.0, 22.5, 45.0]


@pytest.mark.parametrize("shape", [(192, 192), (256, 256), (100, 300), (301, 77), (512, 384)], ids=str)
def test_boxes_go_into_the_input_and_back(shape):
    fit = fit_of(shape, (192, 192))
    box = np.array([[0.1 * shape[1], 0.2 * shape[0], 0.6 * shape[1], 0.9 * shape[0]]])
    inside = fit.into(box)
    assert inside.min() >= 0
    assert inside.max() <= 192
    assert fit.back(inside, shape) == pytest.approx(box)


def test_an_image_lies_where_the_fit_says_with_its_proportions_kept():
    image = np.zeros((100, 200), dtype=np.float32)
    image[40:60, 80:120] = 1.0
    seen = fitted(image, (192, 192))
    rows, columns = np.flatnonzero(seen.max(axis=1) > 0.5), np.flatnonzero(seen.max(axis=0) > 0.5)
    found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert found == pytest.approx(fit_of((100, 200), (192, 192)).into(np.array([[80, 40, 120, 60]]))[0], abs=1.0)
    assert not seen[:40].any()


def test_a_box_that_comes_back_is_cut_at_the_border_of_the_image():
    back = fit_of((100, 200), (192, 192)).back(np.array([[0.0, 0.0, 192.0, 192.0]]), (100, 200))
    assert back[0].tolist() == [0, 0, 200, 100]
