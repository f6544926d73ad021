"""The reader of the collection: what it gives, and what it says of a fault; the real collection where it lies."""

from pathlib import Path

import numpy as np
import pytest

from tests.training import collections
from training.errors import DataFault
from training.knee.dataset import read
from training.knee.layouts import grey
from training.split import block_of

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "btxrd256"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return collections.write(tmp_path / "set", images=12)


def test_images_masks_and_labels_are_read_in_the_order_of_the_table(folder: Path) -> None:
    data = read(folder, side=32)
    assert data.names[0] == "IMG000001"
    assert data.labels.tolist() == [2] * 4 + [1] * 4 + [0] * 4
    assert data.images.shape == data.masks.shape == (12, 32, 32)
    assert data.masks.max(axis=(1, 2)).tolist() == [1] * 8 + [0] * 4
    assert data.images.min() == 0
    assert data.images.max() == 255


def test_a_picture_may_be_png(folder: Path) -> None:
    from PIL import Image

    path = folder / "images" / "IMG000001.jpg"
    Image.open(path).save(path.with_suffix(".png"))
    before = grey(folder, "IMG000001")
    path.unlink()
    assert np.array_equal(grey(folder, "IMG000001"), before)


def test_a_folder_without_a_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataFault, match=r"Looked for labels\.csv with images/ and masks/; or dataset\.csv or dataset\.xlsx"
    ):
        read(tmp_path)


def test_an_unknown_class_is_named(folder: Path) -> None:
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace("IMG000003,malignant", "IMG000003,cyst"))
    with pytest.raises(DataFault, match="IMG000003 has a class that is none of normal, benign, malignant"):
        read(folder)


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_broken_picture_is_named(folder: Path, damage: str) -> None:
    path = folder / "images" / "IMG000005.jpg"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.unlink()
    with pytest.raises(DataFault, match=r"IMG000005\.(jpg|png) cannot be read"):
        read(folder)


@pytest.mark.skipif(not REAL.is_dir(), reason="btxrd256 is not beside the project")
@pytest.mark.slow
def test_the_real_collection_is_split_by_blocks_with_every_class_everywhere() -> None:
    data = read(REAL)
    assert np.bincount(data.labels).tolist() == [1471, 1209, 286]
    division = data.split()
    blocks = [{block_of(int(data.numbers[index])) for index in part} for part in _parts(division)]
    assert not blocks[0] & blocks[1] | blocks[0] & blocks[2] | blocks[1] & blocks[2]
    for part in _parts(division):
        assert set(data.labels[list(part)]) == {0, 1, 2}
    assert 0.15 < len(division.test) / len(data.names) < 0.20


def _parts(division):
    return division.train, division.validation, division.test


def test_a_set_is_divided_alike_whatever_the_side_it_is_read_at(folder: Path) -> None:
    """Near duplicates hang on hashes of pixels: a bundle is measured at another side than it may be trained at."""
    small, usual, large = (read(folder, side) for side in (64, 256, 512))
    assert np.array_equal(small.hashes, usual.hashes)
    assert np.array_equal(large.hashes, usual.hashes)
    assert len({each.tobytes() for each in usual.hashes}) > 1
