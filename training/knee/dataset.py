"""Reads labelled radiographs with masks, of whichever layout (layouts.py), as two uint8 arrays in memory.

All images at their own resolution would take some ten gigabytes: `Radiographs.original` reads one when it is asked for.

Legend: `images` `(n, rows, columns)` uint8, 0..255 being 0..1 after `models.pixels.normalise`; `masks` alike, 0 or 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.pixels import normalise, resize
from training.errors import DataFault
from training.knee.layouts import Grey, Layout, grey, layout_of
from training.knee.nets import CLASSES
from training.split import HASH_SIDE, Split, Turn, Whose, block_of, difference_hash, folds, split, taking_turns

HASHED_AT = 256
"""The side at which near duplicates are looked for: whoever reads the set, at whatever side, divides it alike."""


@dataclass(frozen=True, slots=True, eq=False)
class Radiographs:
    """The whole collection, in the order of its table."""

    names: tuple[str, ...]
    numbers: npt.NDArray[np.int64]
    """The number in an image's name; neighbours are often one patient. Where patients are told: its place, from 1."""
    labels: npt.NDArray[np.int64]
    """Index into `CLASSES`."""
    images: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.uint8]
    hashes: npt.NDArray[np.uint8]
    folder: Path
    layout: Layout
    _splits: dict[Turn | None, Split] = field(default_factory=dict, init=False, repr=False)
    """Those that were asked for: near duplicates among thousands of images take a while to find."""

    @property
    def words(self) -> str:
        """Which copy of the collection it is."""
        return self.layout.words

    @property
    def patients(self) -> tuple[str, ...]:
        """Whose each image is, where that is told."""
        return self.layout.patients

    @property
    def groups(self) -> str:
        """What `blocks` tells apart, in a word."""
        return "patients" if self.patients else "blocks"

    @property
    def blocks(self) -> npt.NDArray[np.int64]:
        """The block or the patient of each image: what is resampled for an interval, and split by."""
        if self.patients:
            return np.unique(np.array(self.patients), return_inverse=True)[1].astype(np.int64)
        return np.array([block_of(int(number)) for number in self.numbers], dtype=np.int64)

    def original(self, index: int) -> tuple[Grey, npt.NDArray[np.bool_]]:
        """An image of its own size as it lies in the collection, 0..255, and its mask of the same size.

        Raises
        ------
        DataFault
            One of the two cannot be read.
        """
        name = self.names[index]
        pixels = grey(self.folder, name)
        if not self.labels[index]:
            return pixels, np.zeros(pixels.shape, dtype=np.bool_)
        return pixels, _cut(self.layout.mask(name), pixels.shape)

    def split(self, turn: Turn | None = None) -> Split:
        """Train, validation and test, by patients where they are told, else by blocks.

        Parameters
        ----------
        turn
            Which part of those that validate still does (`training.split.taking_turns`); None: all of them.

        Raises
        ------
        DataFault
            Patients are told, and too few for one in each part, or in each turn.
        """
        if turn not in self._splits:
            self._splits[turn] = self._divided(turn)
        return self._splits[turn]

    def kept_out(self, turn: Turn | None = None) -> tuple[str, ...]:
        """The names of those that validate in a turn, or of all that do."""
        return self.named(self.split(turn).validation)

    def named(self, indices: Sequence[int]) -> tuple[str, ...]:
        """The names of some images."""
        return tuple(self.names[index] for index in indices)

    def folds(self, count: int) -> tuple[Split, ...]:
        """Of each fold of a cross-validation, by patients or blocks, who trains and who tests."""
        return folds(self._whose, [CLASSES[label] for label in self.labels], self.hashes, count)

    def _divided(self, turn: Turn | None) -> Split:
        strata = [CLASSES[label] for label in self.labels]
        if turn is not None:
            return taking_turns(self.split(), turn, self._whose, strata, self.hashes)
        made = split(self._whose, strata, self.hashes)
        if self.patients and not (made.train and made.validation and made.test):
            raise DataFault(
                f"{len(set(self.patients))} patients are too few to train, validate and test: some class needs five "
                "or more. Add patients, or measure on all of them with --part all."
            )
        return made

    @property
    def _whose(self) -> Sequence[Whose]:
        return self.patients or self.numbers.tolist()


def read(folder: Path, side: int = 256) -> Radiographs:
    """Read the collection; every fault of the table or of a file raises `DataFault` with its place."""
    layout = layout_of(folder)
    rows = layout.rows
    images = np.zeros((len(rows), side, side), dtype=np.uint8)
    masks = np.zeros_like(images)
    hashes = np.zeros((len(rows), HASH_SIDE**2 // 8), dtype=np.uint8)
    for index, (name, label) in enumerate(rows):
        whole = normalise(grey(folder, name))
        images[index] = _shrunk(whole, side)
        seen = images[index] if side == HASHED_AT else _shrunk(whole, HASHED_AT)
        hashes[index] = difference_hash(resize(seen.astype(np.float32), (HASH_SIDE, HASH_SIDE + 1)))
        if label:
            masks[index] = _cut(layout.mask(name), (side, side))
    labels = np.array([label for _, label in rows], dtype=np.int64)
    names = tuple(name for name, _ in rows)
    told = range(1, len(names) + 1) if layout.patients else [int("".join(filter(str.isdigit, name))) for name in names]
    numbers = np.array(told, dtype=np.int64)
    return Radiographs(names, numbers, labels, images, masks, hashes, folder, layout)


def _shrunk(image: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.uint8]:
    return np.asarray(np.rint(resize(image, (side, side)) * 255.0), dtype=np.uint8)


def _cut(mask: Grey, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """A mask brought to a shape: above half of its highest value."""
    spread = resize(mask, shape)
    return np.asarray(spread > 0.5 * spread.max())
