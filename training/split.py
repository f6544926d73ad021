"""Who trains, who calibrates, who tests: a split by patient, or by blocks of neighbouring ids where none is named.

Neighbouring ids are often two views of one patient, so whole blocks go to one side and images at the edges of the test
blocks are left out. Images that name their patient go where the patient goes, and none is left out for its place. Near
duplicates never lie on two sides. Deterministic: the draw is a hash, so no state and no library version changes it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.errors import DataFault

BLOCK = 40
EDGE = 2
"""Ids at each end of a test block that nobody trains on or tests with."""
HASH_SIDE = 16
NEAR = 16
"""Two images whose 256-bit difference hashes differ in at most this many bits are taken for the same picture.
On btxrd256 this finds the 16 pairs that are the same picture (correlation above 0.99) and none that is not; the
usual 64-bit hash called thousands of different limbs equal."""


Whose = int | str
"""Of an image its number, from 1, where nobody knows more; else the patient it is of."""


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
    whose: Sequence[Whose],
    strata: Sequence[str],
    hashes: npt.NDArray[np.uint8],
    shares: tuple[float, float] = (0.18, 0.12),
) -> Split:
    """Divide images by blocks of numbers, or by patients.

    Parameters
    ----------
    whose
        The number of each image, from 1, or its patient.
    strata
        The class of each image; a block counts for its most frequent class, and every class gives its share of blocks.
        So does a patient.
    hashes
        `(n, 32)`: the `difference_hash` of each image.
    shares
        The shares of the blocks that test and that validate.
    """
    roles = _roles(whose, strata, shares)
    sides: dict[str, list[int]] = {"train": [], "validation": [], "test": [], "dropped": []}
    for index, one in enumerate(whose):
        role = roles[_group(one)]
        sides["dropped" if role == "test" and _at_edge(one) else role].append(index)
    _drop_duplicates(sides, "test", ("validation", "train"), hashes)
    _drop_duplicates(sides, "validation", ("train",), hashes)
    return Split(*(tuple(sorted(sides[name])) for name in ("train", "validation", "test", "dropped")))


@dataclass(frozen=True, slots=True)
class Turn:
    """Of the validation part, divided in `count`, the one that still validates; what is left of it teaches too."""

    number: int
    """From 1."""
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def turn_of(words: str) -> Turn:
    """What `str(turn)` said.

    Raises
    ------
    DataFault
        It is no turn.
    """
    number, _, count = words.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) and int(count) > 1):
        raise DataFault(f"{words!r} is no turn. Give one of two as 1/2, the other as 2/2.")
    return Turn(int(number), int(count))


def taking_turns(
    parts: Split, turn: Turn, whose: Sequence[Whose], strata: Sequence[str], hashes: npt.NDArray[np.uint8]
) -> Split:
    """A split of which all of the validation part but that of one turn trains; nothing of the test part does.

    Networks of all turns together have learned from every image that is not to test them, and still each validation
    image is one that some of them have not seen.

    Raises
    ------
    DataFault
        The turn holds images of no class or one: there are too few blocks, or patients, to validate in so many turns.
    """
    groups = {_group(whose[index]) for index in parts.validation}
    classes = [[group for group in each if group in groups] for _, each in sorted(_ordered(whose, strata).items())]
    ordered = [group for each in sorted(classes, key=len) for group in each]
    mine = set(ordered[turn.number - 1 :: turn.count])
    if len({strata[index] for index in parts.validation if _group(whose[index]) in mine}) < 2:
        raise DataFault(
            f"Of {len(ordered)} blocks or patients that validate, turn {turn} holds images of less than two classes, "
            "by which no network can be judged. Give fewer turns, or none."
        )
    sides: dict[str, list[int]] = {"train": list(parts.train), "validation": [], "dropped": list(parts.dropped)}
    for index in parts.validation:
        sides["validation" if _group(whose[index]) in mine else "train"].append(index)
    _drop_duplicates(sides, "validation", ("train",), hashes)
    return Split(*(tuple(sorted(side)) for side in (sides["train"], sides["validation"], parts.test, sides["dropped"])))


def folds(
    whose: Sequence[Whose], strata: Sequence[str], hashes: npt.NDArray[np.uint8], count: int
) -> tuple[Split, ...]:
    """The turns of a cross-validation: every block or patient tests once, and trains in the others; nobody validates.

    Edges of blocks and near duplicates are left out as in `split`: those at the edge of a block are never tested with,
    and what is near to an image of a test block is not trained on in that turn.
    """
    homes: dict[str, int] = {}
    for groups in _ordered(whose, strata).values():
        for group in groups:
            homes[group] = len(homes) % count
    made = []
    for fold in range(count):
        sides: dict[str, list[int]] = {"train": [], "test": [], "dropped": []}
        for index, one in enumerate(whose):
            tests = homes[_group(one)] == fold
            sides["dropped" if tests and _at_edge(one) else "test" if tests else "train"].append(index)
        _drop_duplicates(sides, "test", ("train",), hashes)
        made.append(Split(tuple(sides["train"]), (), tuple(sides["test"]), tuple(sorted(sides["dropped"]))))
    return tuple(made)


def difference_hash(thumbnail: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The 256 signs of horizontal differences on a `(16, 17)` thumbnail, packed into 32 bytes."""
    return np.packbits((thumbnail[:, 1:] > thumbnail[:, :-1]).ravel())


def _group(one: Whose) -> str:
    """What goes to one side as a whole; the words that its place in the draw is a hash of."""
    return f"patient {one}" if isinstance(one, str) else f"block {block_of(one)}"


def _at_edge(one: Whose) -> bool:
    if isinstance(one, str):
        return False
    place = (one - 1) % BLOCK
    return place < EDGE or place >= BLOCK - EDGE


def _ordered(whose: Sequence[Whose], strata: Sequence[str]) -> Mapping[str, list[str]]:
    """The groups of each class, in the order of a hash."""
    members: dict[str, list[str]] = {}
    for one, stratum in zip(whose, strata, strict=True):
        members.setdefault(_group(one), []).append(stratum)
    by_stratum: dict[str, list[str]] = {}
    for group, kinds in members.items():
        by_stratum.setdefault(max(sorted(set(kinds)), key=kinds.count), []).append(group)
    return {
        stratum: sorted(groups, key=lambda group: hashlib.sha256(group.encode()).digest())
        for stratum, groups in by_stratum.items()
    }


def _roles(whose: Sequence[Whose], strata: Sequence[str], shares: tuple[float, float]) -> Mapping[str, str]:
    roles: dict[str, str] = {}
    for ordered in _ordered(whose, strata).values():
        tests = round(shares[0] * len(ordered))
        validations = round(shares[1] * len(ordered))
        for place, group in enumerate(ordered):
            roles[group] = "test" if place < tests else "validation" if place < tests + validations else "train"
    return roles


def _drop_duplicates(
    sides: dict[str, list[int]], keeper: str, others: tuple[str, ...], hashes: npt.NDArray[np.uint8]
) -> None:
    kept = hashes[sides[keeper]]
    for name in others:
        near = {index for index in sides[name] if (np.bitwise_count(kept ^ hashes[index]).sum(axis=1) <= NEAR).any()}
        sides[name] = [index for index in sides[name] if index not in near]
        sides["dropped"] += sorted(near)
