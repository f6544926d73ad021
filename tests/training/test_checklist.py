"""Hand-computed numbers of MODELS.md §5 for which no single file has its test: the papers' own slips, mostly."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.metrics import average_precision, macro_f1, mean_accuracy, weighted_f1
from training.knee.ablate import Said, row
from training.knee.dataset import Radiographs
from training.knee.layouts import Layout
from training.knee.losses import distance_map
from training.spine.ablate import PAPER
from training.spine.detection import Classified, by_class, mean_average_precision

NONE = Layout("", (), lambda name: np.zeros((1, 1), dtype=np.float32))


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
    data = Radiographs(("a",), one, one, images, truth[None], np.zeros((1, 32), dtype=np.uint8), Path(), NONE)
    told = row("5", lambda index: Said(answer.astype(np.float32), None), data, [0])
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


def test_the_f1_of_knee_seg_unet_is_weighted_by_the_cases_of_each_class() -> None:
    """§5.3, A7: the formula is of one class; table 4 prints 99.03 for three. However the three errors fall, the mean of
    the classes stays below 98, and the weighted mean is 99.02 or 99.03."""
    ways = [np.array([[76, 0, 0], [0, 212, 0], [3 - benign, benign, 24]]) for benign in range(4)]
    assert all(macro_f1(matrix) < 0.98 for matrix in ways)
    assert {round(100.0 * weighted_f1(matrix), 2) for matrix in ways} == {99.02, 99.03}


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
    """§5.5: for every object the best precision among thresholds that recall it, or zero, counted threshold by
    threshold."""
    scores, hits = np.array([float(score) for score, _ in found]), np.array([hit for _, hit in found])
    objects = int(hits.sum()) + 2
    points = [
        (int(hits[scores >= cut].sum()), float(hits[scores >= cut].mean())) for cut in sorted(scores, reverse=True)
    ]
    area = sum(max((p for met, p in points if met >= number), default=0.0) for number in range(1, objects + 1))
    assert average_precision(scores, hits, objects) == pytest.approx(area / objects)


Found = tuple[float, int, list[int]]
"""Of a box: its score, its class, and its edges: left, top, right, bottom."""


def test_map_is_what_its_definition_gives_in_plain_loops() -> None:
    """§5.5 asks for MONAI's COCOMetric beside ours. MONAI is no dependency of this project and no such test runs: the
    cross-check is the definition, written a second time without arrays and without anything that ours is made of."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        images, truths, founds = [], [], []
        for _ in range(6):
            truth = [(int(rng.integers(1, 3)), _box(rng)) for _ in range(rng.integers(0, 3))]
            near = [[edge + int(rng.integers(-2, 3)) for edge in box] for _, box in truth]
            boxes = [box for box in (*near, *(_box(rng) for _ in range(2))) if box[2] > box[0] and box[3] > box[1]]
            said = rng.dirichlet((1.0, 1.0, 1.0), len(boxes))
            images.append(
                Classified(
                    np.array(boxes, dtype=float).reshape(-1, 4),
                    said.reshape(-1, 3),
                    np.array([box for _, box in truth], dtype=float).reshape(-1, 4),
                    np.array([number for number, _ in truth], dtype=int),
                )
            )
            truths.append(truth)
            likelier = [1 if one[1] >= one[2] else 2 for one in said]
            founds.append([(float(one[k]), k, box) for one, k, box in zip(said, likelier, boxes, strict=True)])
        for limits, told in ((1, [0.5]), (10, [k / 20 for k in range(10, 20)])):
            wanted = _plain_map(founds, truths, told)
            assert mean_average_precision([by_class(images)], limits) == pytest.approx(wanted, nan_ok=True)


def _box(rng: np.random.Generator) -> list[int]:
    left, top = (int(edge) for edge in rng.integers(0, 20, 2))
    return [left, top, left + int(rng.integers(5, 15)), top + int(rng.integers(5, 15))]


def _plain_map(founds: list[list[Found]], truths: list[list[tuple[int, list[int]]]], limits: list[float]) -> float:
    """The mean over classes that are there of the mean over limits of the area under the best precision by recall."""
    classes = []
    for number in (1, 2):
        objects = sum(kind == number for truth in truths for kind, _ in truth)
        if not objects:
            continue
        areas = []
        for limit in limits:
            boxes = sorted(
                ((score, place, box) for place, found in enumerate(founds) for score, k, box in found if k == number),
                key=lambda one: -one[0],
            )
            free = {(i, j) for i, truth in enumerate(truths) for j, (kind, _) in enumerate(truth) if kind == number}
            met, curve = 0, []
            for rank, (_, place, box) in enumerate(boxes, start=1):
                near = [(_shared(box, truths[i][j][1]), i, j) for i, j in free if i == place]
                share, i, j = max(near, default=(0.0, 0, 0))
                if share >= limit:
                    free.remove((i, j))
                    met += 1
                curve.append((met, met / rank))
            best = [max((p for m, p in curve if m >= recalled), default=0.0) for recalled in range(1, objects + 1)]
            areas.append(sum(best) / objects)
        classes.append(sum(areas) / len(areas))
    return sum(classes) / len(classes) if classes else float("nan")


def _shared(one: list[int], other: list[int]) -> float:
    """Pixels in both boxes over pixels in either, counted one by one."""
    mine, theirs = (
        {(row, column) for column in range(box[0], box[2]) for row in range(box[1], box[3])} for box in (one, other)
    )
    return len(mine & theirs) / len(mine | theirs)
