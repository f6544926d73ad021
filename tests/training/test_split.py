"""The split keeps patients apart as far as ids and pictures tell."""

import numpy as np
import pytest

from training.split import BLOCK, EDGE, HASH_SIDE, NEAR, block_of, difference_hash, folds, split


def collection(images: int = 1200) -> tuple[list[int], list[str], np.ndarray]:
    numbers = list(range(1, images + 1))
    strata = ["malignant" if n <= 200 else "benign" if n <= 600 else "normal" for n in numbers]
    hashes = np.random.default_rng(3).integers(0, 256, (images, HASH_SIDE**2 // 8), dtype=np.uint8)
    return numbers, strata, hashes


def test_the_parts_are_disjoint_and_make_the_whole() -> None:
    division = split(*collection())
    parts = [division.train, division.validation, division.test, division.dropped]
    assert sorted(sum(parts, ())) == list(range(1200))


def test_no_block_lies_in_two_parts() -> None:
    division = split(*collection())
    blocks = [{block_of(index + 1) for index in part} for part in (division.train, division.validation, division.test)]
    assert not blocks[0] & blocks[1] | blocks[0] & blocks[2] | blocks[1] & blocks[2]


def of_patients(images: int = 600) -> tuple[list[str], list[str], np.ndarray]:
    """Neighbours are of different patients: three images of each lie far apart."""
    _, _, hashes = collection(images)
    whose = [f"P{index % (images // 3)}" for index in range(images)]
    strata = [("normal", "benign", "malignant")[int(name[1:]) % 3] for name in whose]
    return whose, strata, hashes


def test_no_named_patient_lies_in_two_parts_and_no_place_leaves_one_out() -> None:
    whose, strata, hashes = of_patients()
    division = split(whose, strata, hashes)
    parts = [{whose[index] for index in part} for part in (division.train, division.validation, division.test)]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert division.dropped == ()
    assert sum(map(len, parts)) == 200
    for part, share in zip(parts, (0.70, 0.12, 0.18), strict=True):
        assert len(part) / 200 == pytest.approx(share, abs=0.01)
    for turn in folds(whose, strata, hashes, 5):
        assert not {whose[index] for index in turn.train} & {whose[index] for index in turn.test}


def test_a_near_duplicate_under_another_name_is_not_trained_on() -> None:
    whose, strata, hashes = of_patients()
    before = split(whose, strata, hashes)
    hashes[before.train[0]] = hashes[before.test[0]]
    assert before.train[0] in split(whose, strata, hashes).dropped


def test_every_class_gives_its_share_of_blocks() -> None:
    numbers, strata, hashes = collection()
    division = split(numbers, strata, hashes)
    for part in (division.test, division.validation):
        assert {strata[index] for index in part} == {"normal", "benign", "malignant"}
    assert 0.12 < len(division.test) / 1200 < 0.22


@pytest.mark.parametrize("count", [2, 5])
def test_every_block_tests_once_in_a_cross_validation_and_never_where_it_trains(count: int) -> None:
    numbers, strata, hashes = collection()
    turns = folds(numbers, strata, hashes, count)
    tested = [index for turn in turns for index in turn.test]
    assert len(tested) == len(set(tested)) == 1200 // BLOCK * (BLOCK - 2 * EDGE)
    for turn in turns:
        assert sorted(turn.train + turn.test + turn.dropped) == list(range(1200))
        assert not {block_of(index + 1) for index in turn.train} & {block_of(index + 1) for index in turn.test}
        assert {strata[index] for index in turn.test} == {"normal", "benign", "malignant"}


def test_what_is_near_to_a_test_image_is_not_trained_on_in_that_fold() -> None:
    numbers, strata, hashes = collection()
    hashes[500] = hashes[10]
    for turn in folds(numbers, strata, hashes, 3):
        assert not (10 in turn.test and 500 in turn.train)
        assert not (500 in turn.test and 10 in turn.train)


def test_the_edges_of_test_blocks_are_left_out() -> None:
    division = split(*collection())
    places = {index % BLOCK for index in division.test}
    assert places == set(range(EDGE, BLOCK - EDGE))


def test_the_draw_is_the_same_each_time_and_in_any_order_of_classes() -> None:
    assert split(*collection()) == split(*collection())


@pytest.mark.parametrize("bits", [0, NEAR])
def test_a_near_duplicate_of_a_test_image_is_not_trained_on(bits: int) -> None:
    numbers, strata, hashes = collection()
    before = split(numbers, strata, hashes)
    twin, original = before.train[0], before.test[0]
    hashes[twin] = np.packbits(np.unpackbits(hashes[original]) ^ (np.arange(HASH_SIDE**2) < bits))
    after = split(numbers, strata, hashes)
    assert twin in after.dropped
    assert original in after.test


def test_another_picture_is_kept() -> None:
    numbers, strata, hashes = collection()
    before = split(numbers, strata, hashes)
    hashes[before.train[0]] = np.packbits(np.unpackbits(hashes[before.test[0]]) ^ (np.arange(HASH_SIDE**2) <= NEAR))
    assert before.train[0] in split(numbers, strata, hashes).train


def test_the_hash_ignores_brightness_and_sees_a_mirror() -> None:
    thumbnail = np.random.default_rng(4).random((HASH_SIDE, HASH_SIDE + 1)).astype(np.float32)
    assert np.array_equal(difference_hash(thumbnail), difference_hash(thumbnail * 40 + 7))
    apart = np.bitwise_count(difference_hash(thumbnail) ^ difference_hash(thumbnail[:, ::-1])).sum()
    assert apart > 100
