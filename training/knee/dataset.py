"""Reads btxrd256: labelled radiographs with masks, kept as two uint8 arrays in memory.

Legend: `images` `(n, rows, columns)` uint8, 0..255 being 0..1 after `models.pixels.normalise`; `masks` alike, 0 or 1.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.pixels import normalise, resize
from training.errors import DataFault
from training.knee.nets import CLASSES
from training.split import HASH_SIDE, Split, block_of, difference_hash, split

LABELS = "labels.csv"


@dataclass(frozen=True, slots=True, eq=False)
class Radiographs:
    """The whole collection, in the order of its table."""

    names: tuple[str, ...]
    numbers: npt.NDArray[np.int64]
    """The number in an image's name; neighbours are often one patient."""
    labels: npt.NDArray[np.int64]
    """Index into `CLASSES`."""
    images: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.uint8]
    hashes: npt.NDArray[np.uint8]

    @property
    def blocks(self) -> npt.NDArray[np.int64]:
        """The block of each image: what is resampled for an interval, and split by."""
        return np.array([block_of(int(number)) for number in self.numbers], dtype=np.int64)

    def split(self) -> Split:
        """Train, validation and test, by blocks."""
        return split(self.numbers.tolist(), [CLASSES[label] for label in self.labels], self.hashes)


def read(folder: Path, side: int = 256) -> Radiographs:
    """Read the collection; every fault of the table or of a file raises `DataFault` with its place."""
    rows = _table(folder)
    images = np.zeros((len(rows), side, side), dtype=np.uint8)
    masks = np.zeros_like(images)
    hashes = np.zeros((len(rows), HASH_SIDE**2 // 8), dtype=np.uint8)
    for index, (name, label) in enumerate(rows):
        images[index] = np.rint(resize(normalise(grey(folder, name)), (side, side)) * 255.0)
        hashes[index] = difference_hash(resize(images[index].astype(np.float32), (HASH_SIDE, HASH_SIDE + 1)))
        if label:
            mask = resize(_read(folder / "masks" / f"{name}.png"), (side, side))
            masks[index] = mask > 0.5 * mask.max()
    labels = np.array([label for _, label in rows], dtype=np.int64)
    numbers = np.array([int("".join(filter(str.isdigit, name))) for name, _ in rows], dtype=np.int64)
    return Radiographs(tuple(name for name, _ in rows), numbers, labels, images, masks, hashes)


def _table(folder: Path) -> list[tuple[str, int]]:
    path = folder / LABELS
    if not path.is_file():
        raise DataFault(f"{folder} holds no {LABELS}. Give the folder of btxrd256, with {LABELS}, images/ and masks/.")
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    wrong = [row["image_id"] for row in rows if row["cls"] not in CLASSES]
    if wrong:
        raise DataFault(f"{path}: {wrong[0]} has a class that is none of {', '.join(CLASSES)}. Correct the column cls.")
    return [(row["image_id"], CLASSES.index(row["cls"])) for row in rows]


def grey(folder: Path, name: str) -> npt.NDArray[np.float32]:
    """One image as it lies in the collection: `(rows, columns)`, 0..255, of its own size."""
    path = folder / "images" / f"{name}.jpg"
    return _read(path if path.is_file() else path.with_suffix(".png"))


def _read(path: Path) -> npt.NDArray[np.float32]:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L"), dtype=np.float32)
    except OSError as exc:
        raise DataFault(
            f"{path} cannot be read as an image: {exc}. Fetch it again, or strike it from {LABELS}."
        ) from exc
