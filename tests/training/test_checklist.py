"""Hand-computed numbers of MODELS.md §5 for which no single file has its test: the papers' own slips, mostly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.metrics import average_precision, mean_accuracy
from training.knee.ablate import row
from training.knee.dataset import Radiographs
from training.knee.losses import distance_map
from training.spine.ablate import PAPER


def test_the_folds_of_hand_deep_ht_s_script_overlap() -> None:
    """§5.2: 496 + 123 images; its script draws the 20 % of each fold apart, so an image is in several or in none."""
    images = 496 + 123
    assert images == 619
    assert int(images * 0.2) == 123
    rng = np.random.default_rng(1)
    drawn = [set(rng.choice(images, 123, replace=False).tolist()) for _ in range(5)]
    union = set().union(*drawn)
    assert sum(map(len, drawn)) - len(union) > 100, "in two folds or more"
    assert images - len(union) > 150, "in none: 0.8 to the fifth of 619 is 203"


def test_a2_by_the_side_of_the_image() -> None:
    """§5.3, A2: divided by the side, 8, the levels hold 1, 3, 11, 18 and 31 pixels; three readings, three counts."""
    mask = np.zeros((8, 8), dtype=np.bool_)
    mask[0, 0] = True
    ratio = distance_map(mask) / 8.0
    steps = [(0.0, 1e-9), (1e-9, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, np.inf)]
    assert [int(((ratio >= low) & (ratio < high)).sum()) for low, high in steps] == [1, 3, 11, 18, 31]


def test_a9_as_printed_is_a_loss_and_as_reported_a_dice_averaged_with_the_background() -> None:
    """§5.3, A9: 2 x 2 and 2 x 3 in 4 x 4. As printed 100 - 80 = 20; what 84.84 is compared with is 85.45 here."""
    truth, answer = np.zeros((2, 4, 4), dtype=np.uint8)
    truth[1:3, 1:3], answer[1:3, 1:4] = 1, 1
    images = np.zeros((1, 4, 4), dtype=np.uint8)
    one = np.ones(1, dtype=np.int64)
    data = Radiographs(("a",), one, one, images, truth[None], np.zeros((1, 32), dtype=np.uint8), "")
    told = row("5", lambda image: answer.astype(np.float32), data, [0])
    assert (told.dice, told.iou) == pytest.approx((0.8, 2 / 3))
    assert told.dice_with_background == pytest.approx((0.8 + 0.9091) / 2, abs=5e-5)
    assert 100.0 - 100.0 * told.dice == pytest.approx(20.0)


def test_the_figures_of_knee_seg_unet_are_those_of_its_matrix() -> None:
    """§5.3, decisions 5 and 6: 312 of 315 right, all three errors malignant; 96.30 is the mean, 99.05 the accuracy."""
    matrix = np.array([[76, 0, 0], [0, 212, 0], [0, 3, 24]])
    assert matrix.sum() == 315
    assert 100.0 * np.trace(matrix) / matrix.sum() == pytest.approx(99.05, abs=5e-3)
    assert mean_accuracy(matrix).mean == pytest.approx(96.30, abs=5e-3)
    assert mean_accuracy(matrix).sample == pytest.approx(6.41, abs=6e-3)
    assert pytest.approx(48.1, abs=0.05) == 100.0 * 13 / 27
    assert pytest.approx(74.1, abs=0.05) == 100.0 * 20 / 27


def test_spine_wff_trains_on_more_malignant_patients_than_it_tests_on() -> None:
    """§5.4: 59.6 % against 35.7 %, so its probabilities are shifted where it is tested: calibration is fitted anew."""
    assert pytest.approx(59.6, abs=0.05) == 100.0 * 265 / 445
    assert pytest.approx(35.7, abs=0.05) == 100.0 * 50 / 140


@pytest.mark.parametrize("name", list(PAPER))
def test_each_row_of_spine_wff_s_table_3_agrees_with_itself(name: str) -> None:
    """§5.4: 50 malignant and 90 benign patients; (50 x .72 + 90 x .878) / 140 = .822, printed as .821."""
    accuracy, _, sensitivity, specificity = PAPER[name]
    assert (50 * sensitivity + 90 * specificity) / 140 == pytest.approx(accuracy, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1000), st.booleans()), min_size=1, max_size=30, unique_by=lambda x: x[0]))
def test_average_precision_is_the_area_that_its_definition_gives(found: list[tuple[int, bool]]) -> None:
    """§5.5: for every object the best precision among thresholds that recall it, or zero; MONAI is not installed here,
    so the cross-check is this definition, counted threshold by threshold."""
    scores, hits = np.array([float(score) for score, _ in found]), np.array([hit for _, hit in found])
    objects = int(hits.sum()) + 2
    points = [
        (int(hits[scores >= cut].sum()), float(hits[scores >= cut].mean())) for cut in sorted(scores, reverse=True)
    ]
    area = sum(max((p for met, p in points if met >= number), default=0.0) for number in range(1, objects + 1))
    assert average_precision(scores, hits, objects) == pytest.approx(area / objects)
