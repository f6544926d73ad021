"""The public full-size layout of BTXRD: a workbook or its csv, JPEG of any size, labelme's polygons; and its faults."""

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training import collections
from training.errors import DataFault
from training.knee.dataset import read
from training.knee.layouts import grey, outlined
from training.sheets import table

HEAD = ["image_id", "center", "tumor", "benign", "malignant"]
FLAGS = {"normal": (0, 0, 0), "benign": (1, 1, 0), "malignant": (1, 0, 1)}


def circle(row, column, radius):
    angles = np.linspace(0.0, 2.0 * np.pi, 60, endpoint=False)
    return [[column + radius * float(np.cos(a)), row + radius * float(np.sin(a))] for a in angles]


def annotation(path, shape, shapes):
    drawn = [{"label": "osteochondroma", "shape_type": kind, "points": points} for kind, points in shapes]
    path.write_text(json.dumps({"imageHeight": shape[0], "imageWidth": shape[1], "shapes": drawn}))


def write(folder: Path, images: int = 9) -> Path:
    for name in ("images", "Annotations"):
        (folder / name).mkdir(parents=True)
    lines = []
    for number in range(1, images + 1):
        kind = collections.CLASSES[(number - 1) * 3 // images]
        name, ending = f"IMG{number:06d}", "jpg" if number == 2 else "jpeg"
        pixels, _ = collections.picture(number, "normal", 96)
        Image.fromarray(pixels[:, :72]).save(folder / "images" / f"{name}.{ending}")
        if kind != "normal":
            shapes = [("rectangle", [[20.0, 30.0], [60.0, 70.0]]), ("polygon", circle(50.0, 40.0, 12.0))]
            annotation(folder / "Annotations" / f"{name}.json", (96, 72), shapes)
        lines.append([f"{name}.{ending}", 1, *FLAGS[kind]])
    with (folder / "dataset.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEAD, *lines])
    return folder


def workbook(path: Path, lines) -> None:
    """As spreadsheet programs write it: texts in a list of their own, numbers as they are, empty cells left out."""
    texts = sorted({cell for line in lines for cell in line if isinstance(cell, str)})
    spoken = "".join(f"<si><t>{text}</t></si>" for text in texts)
    rows = ""
    for number, line in enumerate(lines, start=1):
        cells = "".join(
            f'<c r="{chr(65 + place)}{number}" t="s"><v>{texts.index(cell)}</v></c>'
            if isinstance(cell, str)
            else f'<c r="{chr(65 + place)}{number}"><v>{cell}</v></c>'
            for place, cell in enumerate(line)
            if cell != ""
        )
        rows += f'<row r="{number}">{cells}</row>'
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("xl/sharedStrings.xml", f"<sst {main}>{spoken}</sst>")
        file.writestr("xl/worksheets/sheet1.xml", f"<worksheet {main}><sheetData>{rows}</sheetData></worksheet>")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "set")


def test_images_classes_and_outlines_are_read(folder: Path) -> None:
    data = read(folder, side=32)
    assert data.names[:2] == ("IMG000001", "IMG000002")
    assert data.labels.tolist() == [2] * 3 + [1] * 3 + [0] * 3
    assert data.words == "the public collection in full size"
    assert data.masks.max(axis=(1, 2)).tolist() == [1] * 6 + [0] * 3
    assert grey(folder, "IMG000002").shape == grey(folder, "IMG000001").shape == (96, 72)


def test_the_mask_is_the_polygon_squeezed_with_its_image(folder: Path) -> None:
    """A circle of 12 pixels is 452.4 of 96 x 72; on 48 x 48 that is 452.4 / 6912 * 2304 = 150.8 pixels."""
    mask = read(folder, side=48).masks[0]
    assert mask.sum() == pytest.approx(150.8, rel=0.03)
    rows, columns = np.nonzero(mask)
    assert (rows.mean() + 0.5, columns.mean() + 0.5) == pytest.approx((25.0, 26.67), abs=0.1)


def test_an_image_is_read_at_its_own_resolution_when_it_is_asked_for(folder: Path) -> None:
    """The circle of 12 pixels has its 452 pixels there, whatever the size that the collection was squeezed to."""
    data = read(folder, side=16)
    pixels, mask = data.original(0)
    assert np.array_equal(pixels, grey(folder, "IMG000001"))
    assert mask.shape == pixels.shape == (96, 72)
    assert mask.sum() == pytest.approx(452.4, rel=0.02)
    assert not data.original(8)[1].any(), "a normal image"


def test_a_workbook_says_what_its_csv_says(folder: Path) -> None:
    before = read(folder, side=32)
    lines = [[int(cell) if cell.isdigit() else cell for cell in line] for line in _lines(folder / "dataset.csv")]
    lines[1][1] = ""
    workbook(folder / "dataset.xlsx", lines)
    assert table(folder / "dataset.xlsx")[0] == {**table(folder / "dataset.csv")[0], "center": ""}
    (folder / "dataset.csv").unlink()
    after = read(folder, side=32)
    assert after.names == before.names
    assert np.array_equal(after.labels, before.labels)
    assert np.array_equal(after.masks, before.masks)


def test_lesions_that_overlap_cut_no_hole_and_a_box_counts_only_without_a_polygon(tmp_path: Path) -> None:
    two = [("polygon", circle(20.0, 20.0, 8.0)), ("polygon", circle(20.0, 24.0, 8.0))]
    annotation(tmp_path / "a.json", (40, 40), two)
    annotation(tmp_path / "b.json", (40, 40), [("rectangle", [[30.0, 30.0], [10.0, 20.0]])])
    assert outlined(tmp_path, "a")[19, 21] == 1.0
    assert outlined(tmp_path, "b").sum() == 200.0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("IMG000001.jpeg,1,0,0,1", "tumor 0, benign 0, malignant 1, which no image can be"),
        ("IMG000001.jpeg,1,1,1,1", "tumor 1, benign 1, malignant 1, which no image can be"),
        ("IMG000001.jpeg,1,yes,0,1", "has no 0 or 1 in tumor, benign and malignant"),
    ],
    ids=["no tumour but malignant", "both", "a word"],
)
def test_an_impossible_line_is_named(folder: Path, line: str, words: str) -> None:
    (folder / "dataset.csv").write_text("\n".join([",".join(HEAD), line]))
    with pytest.raises(DataFault, match=words):
        read(folder)


def test_a_tumour_without_an_outline_is_named(folder: Path) -> None:
    annotation(folder / "Annotations" / "IMG000003.json", (96, 72), [])
    with pytest.raises(DataFault, match=r"IMG000003\.json outlines nothing"):
        read(folder, side=32)
    (folder / "Annotations" / "IMG000003.json").unlink()
    with pytest.raises(DataFault, match=r"IMG000003\.json is no labelme file"):
        read(folder, side=32)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and nothing"], ids=["empty", "cut off"])
def test_a_damaged_workbook_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dataset.xlsx").write_bytes(content)
    with pytest.raises(DataFault, match=r"dataset\.xlsx cannot be read as a table"):
        read(tmp_path)


def _lines(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))
