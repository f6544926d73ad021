"""Who trains, who calibrates, who tests: a split by blocks of neighbouring ids, without near duplicates across it.

Neighbouring ids are often two views of one patient, so whole blocks go to one side and images at the edges of the test
blocks are left out. Deterministic: the draw is a hash, so no state and no library version changes it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BLOCK = 40
EDGE = 2
"""Ids at each end of a test block that nobody trains on or tests with."""
HASH_SIDE = 16
NEAR = 16
"""Two images whose 256-bit difference hashes differ in at most this many bits are taken for the same picture.
On btxrd256 this finds the 16 pairs that are the same picture (correlation above 0.99) and none that is not; the
usual 64-bit hash called thousands of different limbs equal."""


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into the data set; disjoint. `dropped` are in none of the three."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    dropped: tuple[int, ...]


def block_of(number: int) -> int:
    """The block of an image number that counts from 1."""
    return (number - 1) // BLOCK


def split(
    numbers: Sequence[int],
    strata: Sequence[str],
    hashes: npt.NDArray[np.uint8],
    shares: tuple[float, float] = (0.18, 0.12),
) -> Split:
    """Divide images by blocks.

    Parameters
    ----------
    numbers
        The image number of each image, from 1.
    strata
        The class of each image; a block counts for its most frequent class, and every class gives its share of blocks.
    hashes
        `(n, 32)`: the `difference_hash` of each image.
    shares
        The shares of the blocks that test and that validate.
    """
    roles = _roles(numbers, strata, shares)
    sides: dict[str, list[int]] = {"train": [], "validation": [], "test": [], "dropped": []}
    for index, number in enumerate(numbers):
        role = roles[block_of(number)]
        sides["dropped" if role == "test" and _at_edge(number) else role].append(index)
    _drop_duplicates(sides, "test", ("validation", "train"), hashes)
    _drop_duplicates(sides, "validation", ("train",), hashes)
    return Split(*(tuple(sorted(sides[name])) for name in ("train", "validation", "test", "dropped")))


def folds(
    numbers: Sequence[int], strata: Sequence[str], hashes: npt.NDArray[np.uint8], count: int
) -> tuple[Split, ...]:
    """The turns of a cross-validation: every block tests once, and trains in the others; nobody validates.

    Edges of blocks and near duplicates are left out as in `split`: those at the edge of a block are never tested with,
    and what is near to an image of a test block is not trained on in that turn.
    """
    homes: dict[int, int] = {}
    for blocks in _ordered(numbers, strata).values():
        for block in blocks:
            homes[block] = len(homes) % count
    made = []
    for fold in range(count):
        sides: dict[str, list[int]] = {"train": [], "test": [], "dropped": []}
        for index, number in enumerate(numbers):
            tests = homes[block_of(number)] == fold
            sides["dropped" if tests and _at_edge(number) else "test" if tests else "train"].append(index)
        _drop_duplicates(sides, "test", ("train",), hashes)
        made.append(Split(tuple(sides["train"]), (), tuple(sides["test"]), tuple(sorted(sides["dropped"]))))
    return tuple(made)


def difference_hash(thumbnail: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The 256 signs of horizontal differences on a `(16, 17)` thumbnail, packed into 32 bytes."""
    return np.packbits((thumbnail[:, 1:] > thumbnail[:, :-1]).ravel())


def _at_edge(number: int) -> bool:
    place = (number - 1) % BLOCK
    return place < EDGE or place >= BLOCK - EDGE


def _ordered(numbers: Sequence[int], strata: Sequence[str]) -> Mapping[str, list[int]]:
    """The blocks of each class, in the order of a hash."""
    members: dict[int, list[str]] = {}
    for number, stratum in zip(numbers, strata, strict=True):
        members.setdefault(block_of(number), []).append(stratum)
    by_stratum: dict[str, list[int]] = {}
    for block, kinds in members.items():
        by_stratum.setdefault(max(sorted(set(kinds)), key=kinds.count), []).append(block)
    return {
        stratum: sorted(blocks, key=lambda block: hashlib.sha256(f"block {block}".encode()).digest())
        for stratum, blocks in by_stratum.items()
    }


def _roles(numbers: Sequence[int], strata: Sequence[str], shares: tuple[float, float]) -> Mapping[int, str]:
    roles: dict[int, str] = {}
    for ordered in _ordered(numbers, strata).values():
        tests = round(shares[0] * len(ordered))
        validations = round(shares[1] * len(ordered))
        for place, block in enumerate(ordered):
            roles[block] = "test" if place < tests else "validation" if place < tests + validations else "train"
    return roles


def _drop_duplicates(
    sides: dict[str, list[int]], keeper: str, others: tuple[str, ...], hashes: npt.NDArray[np.uint8]
) -> None:
    kept = hashes[sides[keeper]]
    for name in others:
        near = {index for index in sides[name] if (np.bitwise_count(kept ^ hashes[index]).sum(axis=1) <= NEAR).any()}
        sides[name] = [index for index in sides[name] if index not in near]
        sides["dropped"] += sorted(near)
