"""What the networks of the spine system train on: pastes, crops, draws, splits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.errors import DataFault
from training.phantoms.spine import Kind, spine_patient
from training.spine import classifier_batches, detector_batches
from training.spine.classifier import Classifier
from training.spine.cutmix import Band, Pasted, self_cutmix
from training.spine.dataset import KINDS, case_of, folds, read, split, write
from training.spine.detection import (
    OVERLAPS,
    Classified,
    Detected,
    average_precision,
    by_class,
    false_boxes,
    mean_average_precision,
)
from training.spine.recipe import PAPER, SMALL

SIZE = (96, 96)
SPEC = detector_batches.DetectorBatchSpec(
    images=6, empty=0.34, cutmix=0.5, scale=0.2, rotation_deg=6.0, shift=0.05, grey=0.6
)


@pytest.fixture(scope="module")
def cases():
    kinds = (Kind.BENIGN, Kind.MALIGNANT, Kind.NORMAL)
    return [case_of(spine_patient(seed, kind=kinds[seed % 3], side=96)) for seed in range(12)]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(
        st.tuples(st.integers(8, 70), st.integers(8, 70), st.integers(6, 24), st.integers(6, 24)),
        min_size=1,
        max_size=3,
    ),
)
def test_a_paste_adds_one_box_within_its_scales_on_the_spine_over_no_other(seed, drawn):
    rng = np.random.default_rng(seed)
    image = rng.random((100, 100), dtype=np.float32)
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in drawn], dtype=np.float32)
    classes = np.arange(len(boxes)) % 2 + 1
    band = Band(np.linspace(40, 60, 100, dtype=np.float32), 12.0)
    made = self_cutmix(image, boxes, classes, band, np.random.default_rng(seed))
    if made.image is image:
        assert len(made.boxes) == len(boxes), "no free place was found, or the paste was too small"
        return
    assert len(made.boxes) == len(boxes) + 1 == len(made.classes)
    assert np.array_equal(made.boxes[:-1], boxes)
    left, top, right, bottom = made.boxes[-1]
    sources = [
        box
        for box, kind in zip(boxes, classes, strict=True)
        if kind == made.classes[-1]
        and 0.5 * (box[2] - box[0]) - 0.51 <= right - left <= box[2] - box[0] + 0.51
        and 0.5 * (box[3] - box[1]) - 0.51 <= bottom - top <= box[3] - box[1] + 0.51
    ]
    assert sources, "half to all of the width and height of a lesion of its class"
    assert abs((left + right) / 2 - band.middle[int((top + bottom) / 2)]) <= band.reach + 1.0
    assert left >= 0
    assert top >= 0
    assert right <= 100
    assert bottom <= 100
    changed = np.argwhere(made.image != image)
    assert changed.min(axis=0).tolist() >= [top, left]
    for box in boxes:
        region = (slice(int(box[1]), int(box[3])), slice(int(box[0]), int(box[2])))
        assert np.array_equal(made.image[region], image[region]), "no lesion is hidden"


def test_an_image_without_a_lesion_is_left_as_it_is():
    image = np.zeros((20, 20), dtype=np.float32)
    none = np.zeros((0, 4), dtype=np.float32)
    made = self_cutmix(
        image, none, np.zeros(0, dtype=np.int64), Band(np.zeros(20, dtype=np.float32), 5.0), np.random.default_rng(0)
    )
    assert made.image is image


def test_a_batch_depends_on_its_step_alone_and_has_its_share_of_empty_images(cases):
    draw = detector_batches.Drawer(cases, SIZE, SPEC, seed=3)
    one, again, other = draw(5, 0.1), draw(5, 0.9), draw(6, 0.1)
    assert torch.equal(one.image, again.image)
    assert not torch.equal(one.image, other.image)
    assert sum(len(boxes) == 0 for boxes in one.truth.boxes) >= 2
    for _ in range(3):
        for boxes, classes in zip(one.truth.boxes, one.truth.classes, strict=True):
            assert len(boxes) == len(classes)
            assert set(classes.tolist()) <= {1, 2}


def test_boxes_go_with_the_image_when_it_is_turned_scaled_and_shifted():
    image = np.zeros(SIZE, dtype=np.float32)
    image[30:50, 40:70] = 1.0
    seen = detector_batches.Pasted(image, np.array([[40, 30, 70, 50]], dtype=np.float32), np.array([1]))
    spec = detector_batches.DetectorBatchSpec(1, 0.0, 0.0, 0.3, 0.0, 0.1, 0.0)
    for seed in range(8):
        batch = detector_batches.augmented([seen], spec, np.random.default_rng(seed))
        shown = batch.image[0, 0].numpy() > 0.5
        rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
        found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert batch.truth.boxes[0][0].tolist() == pytest.approx(found, abs=1.6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_a_window_shows_what_is_there_with_its_boxes(seed, is_astray):
    image = np.zeros((100, 90), dtype=np.float32)
    image[40:60, 30:46] = 1.0
    whole = Pasted(image, np.array([[30, 40, 46, 60]], dtype=np.float32), np.array([2]))
    cut = detector_batches.window(whole, (100, 40), None if is_astray else (50.0, 38.0), np.random.default_rng(seed))
    assert cut.image.shape == (100, 40)
    assert len(cut.boxes) == (cut.image.sum() >= 0.5 * image.sum())
    if not is_astray:
        assert cut.image.any(), "the middle is never further away than half a window"
    for left, top, right, bottom in cut.boxes.astype(int):
        assert cut.image[top:bottom, left:right].min() == 1.0
        assert cut.image.sum() == (bottom - top) * (right - left)


def test_crops_are_half_of_labelled_slices_and_half_by_index(cases):
    scan = next(scan for case in cases for scan in case.scans if len(set(scan.slices.tolist())) >= 2)
    labelled, by_index = (classifier_batches.chosen(scan, by_index=flag) for flag in (False, True))
    assert set(labelled) == set(scan.slices.tolist())
    assert set(by_index) == set(range(len(scan.stack)))
    spec = classifier_batches.ClassifierBatchSpec(8, 0.5, 1.2, 0.1, 0.5)
    draw = classifier_batches.Drawer(cases, spec, seed=1)
    batch = draw(0, 0.0)
    assert batch.image.shape == (8, 16, 112, 112)
    assert batch.classes.tolist() == [0, 1] * 4, "both classes come equally often"
    assert torch.equal(batch.image, draw(0, 0.5).image)
    chances = np.random.default_rng((1, 7, 0))
    assert PAPER.classifier_batches.labelled == 0.5
    assert 0.4 < np.mean(chances.random(1000) >= 0.5) < 0.6


def test_training_without_one_of_the_classes_is_refused(cases):
    benign = [case for case in cases if case.kind == 1]
    with pytest.raises(DataFault, match="malignant"):
        detector_batches.Drawer(benign, SIZE, SPEC, seed=1)
    with pytest.raises(DataFault, match="malignant"):
        classifier_batches.Drawer(benign, SMALL.classifier_batches, seed=1)


def test_a_patient_is_read_as_it_was_written(cases, tmp_path):
    for case in cases[:3]:
        write(case, tmp_path)
    for one, other in zip(sorted(cases[:3], key=lambda case: case.name), read(tmp_path), strict=True):
        assert (one.name, one.kind, one.age, one.detail) == (other.name, other.kind, other.age, other.detail)
        for left, right in zip(one.scans, other.scans, strict=True):
            assert np.array_equal(left.stack, right.stack)
            assert np.array_equal(left.boxes, right.boxes)
            assert left.weighting == right.weighting


def test_a_folder_without_patients_and_a_broken_file_are_told(tmp_path):
    with pytest.raises(DataFault, match="no patients"):
        read(tmp_path)
    (tmp_path / "x.npz").write_bytes(b"no zip")
    with pytest.raises(DataFault, match=r"x\.npz"):
        read(tmp_path)


def test_no_patient_is_in_two_parts_or_two_folds_and_all_are_in_one(cases):
    parts = split(cases)
    names = [case.name for part in (parts.train, parts.validation, parts.test) for case in part]
    assert sorted(names) == sorted(case.name for case in cases)
    made = folds(cases, 4)
    assert len(made) == 4
    assert sorted(case.name for fold in made for case in fold) == sorted(case.name for case in cases)
    assert all({KINDS[case.kind] for case in fold} == set(KINDS) for fold in made)


def test_two_and_three_dimensions_take_and_give_the_same():
    image = torch.rand(2, 16, 112, 112)
    with torch.no_grad():
        flat = Classifier(SMALL.classifier).eval()(image)
    assert flat.class_logits.shape == (2, 2)
    with torch.device("meta"):
        deep = Classifier(PAPER.classifier)
        said = deep(torch.rand(2, 16, 112, 112))
    assert said.class_logits.shape == (2, 2)
    assert sum(value.numel() for value in deep.parameters()) == pytest.approx(47.5e6, rel=0.01)
    assert sum(value.numel() for value in Classifier(SMALL.classifier).parameters()) < 1.5e6


def test_average_precision_counts_a_box_once():
    truth = np.array([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    found = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]])
    images = [Detected(found, np.array([0.9, 0.8, 0.7]), truth)]
    assert average_precision(images) == pytest.approx(0.5 * (1 + 2 / 3))
    assert average_precision([Detected(np.zeros((0, 4)), np.zeros(0), truth)]) == 0.0
    assert false_boxes([*images, Detected(np.zeros((0, 4)), np.zeros(0), truth[:0])], 1.0) == pytest.approx(0.5)


def test_mean_average_precision_asks_each_class_at_each_overlap():
    """A box of 100 x 100 whose lowest rows are missing overlaps by the share of rows that it has: 0.72 meets at five
    limits of ten (0.5 to 0.7), 1 at all."""
    benign = Classified(
        np.array([[0.0, 0, 100, 100]]), np.array([[0.1, 0.8, 0.1]]), np.array([[0.0, 0, 100, 72]]), np.array([1])
    )
    malignant = Classified(
        np.array([[0.0, 0, 100, 100], [200, 0, 300, 100]]),
        np.array([[0.2, 0.2, 0.6], [0.1, 0.0, 0.9]]),
        np.array([[0.0, 0, 100, 100]]),
        np.array([2]),
    )
    assert OVERLAPS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    parts = [by_class([benign]), by_class([malignant])]
    # benign: its best box is the one that meets; malignant: a false box is better than the one that meets
    assert mean_average_precision(parts, 1) == pytest.approx((1.0 + 0.5) / 2)
    assert mean_average_precision(parts) == pytest.approx((5 / 10 * 1.0 + 0.5) / 2)
    assert mean_average_precision([by_class([benign, malignant])]) == mean_average_precision(parts)
    assert mean_average_precision(parts[:1], 1) == 1.0, "no malignant one is there, so that class has no say"


def test_a_box_on_a_tumour_of_the_other_class_is_no_hit():
    box = np.array([[0.0, 0, 10, 10]])
    said = Classified(box, np.array([[0.1, 0.0, 0.9]]), box, np.array([1]))
    assert average_precision([Detected(box, np.array([0.9]), box)]) == 1.0
    benign, malignant = by_class([said, said._replace(classes=np.array([2]))], (0.5,))
    assert (benign.scores.size, benign.objects) == (0, 1)
    assert (malignant.scores.tolist(), malignant.is_hit.tolist()) == ([0.9, 0.9], [[False, True]])
    assert mean_average_precision([(benign, malignant)], 1) == pytest.approx((0.0 + 0.5) / 2)
    assert mean_average_precision([by_class([said], (0.5,))], 1) == 0.0
