"""Two readers' polygons made one: what they agree on counts, what they do not is left out and said."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.errors import DataFault
from training.hand.labelme import MILLIMETRES, drawn, read_annotation, read_patients, unified

SQUARE = [[2, 3], [8, 3], [8, 9], [2, 9]]


def annotate(path: Path, *shapes: tuple[str, list[list[float]]], side: int = 16, kind: str = "polygon") -> Path:
    told = [{"label": label, "points": points, "shape_type": kind} for label, points in shapes]
    path.write_text(json.dumps({"imageHeight": side, "imageWidth": side, "shapes": told}))
    return path


def test_a_polygon_on_pixel_edges_fills_just_these_pixels(tmp_path: Path) -> None:
    mask = drawn(read_annotation(annotate(tmp_path / "a.one.json", ("Ganglion", SQUARE))))
    wanted = np.zeros((16, 16), dtype=np.uint8)
    wanted[3:9, 2:8] = 1
    assert np.array_equal(mask, wanted)


def test_half_a_pixel_is_the_border_of_a_triangle(tmp_path: Path) -> None:
    mask = drawn(read_annotation(annotate(tmp_path / "a.one.json", ("GCTTS", [[0, 0], [12, 0], [0, 12]]))))
    assert set(np.unique(mask)) == {0, 2}
    assert int((mask > 0).sum()) == pytest.approx(72, abs=7)


def test_of_two_readers_the_overlap_counts(tmp_path: Path) -> None:
    moved = [[x + 2, y] for x, y in SQUARE]
    readers = [
        read_annotation(annotate(tmp_path / "a.one.json", ("lipoma", SQUARE))),
        read_annotation(annotate(tmp_path / "a.two.json", ("Lipoma", moved))),
    ]
    both = unified(readers)
    assert both.dispute == ""
    assert int((both.mask == 3).sum()) == 4 * 6
    assert [reader.reader for reader in readers] == ["one", "two"]


def test_of_three_readers_a_majority_counts(tmp_path: Path) -> None:
    readers = [
        read_annotation(annotate(tmp_path / f"a.{number}.json", ("schwannoma", [[x + number, y] for x, y in SQUARE])))
        for number in range(3)
    ]
    # columns 2-7, 3-8, 4-9: two of three hold 3-8
    assert np.flatnonzero(unified(readers).mask[5]).tolist() == [3, 4, 5, 6, 7, 8]


def test_another_kind_a_missed_tumour_and_another_place_are_disputes(tmp_path: Path) -> None:
    one = read_annotation(annotate(tmp_path / "a.one.json", ("ganglion", SQUARE)))
    other_kind = read_annotation(annotate(tmp_path / "a.two.json", ("hemangioma", SQUARE)))
    nothing = read_annotation(annotate(tmp_path / "a.three.json"))
    away = read_annotation(annotate(tmp_path / "a.four.json", ("ganglion", [[x + 4, y + 3] for x, y in SQUARE])))
    assert unified([one, other_kind]).dispute == "the readers name ganglion and haemangioma"
    assert unified([one, nothing]).dispute == "their outlines overlap with a Dice of 0.00"
    assert "Dice of 0.17" in unified([one, away]).dispute  # 2 x 3 of 36 and 36 pixels
    assert unified([nothing, nothing]).dispute == ""


@pytest.mark.parametrize(
    ("label", "points", "kind", "words"),
    [
        ("chondroma", SQUARE, "polygon", "none of ganglion"),
        ("lipoma", SQUARE[:2], "polygon", "no polygon"),
        ("lipoma", SQUARE[:2], "rectangle", "no polygon"),
    ],
    ids=["a sixth kind", "a line", "a rectangle"],
)
def test_what_is_no_outline_of_the_five_kinds_is_refused(tmp_path, label, points, kind, words) -> None:
    with pytest.raises(DataFault, match=words):
        read_annotation(annotate(tmp_path / "a.one.json", (label, points), kind=kind))


def patient(home: Path, name: str, *readers: tuple[str, list[list[float]]]) -> None:
    home.mkdir(exist_ok=True)
    grey = np.random.default_rng(len(name)).integers(0, 255, (16, 16)).astype(np.uint8)
    Image.fromarray(grey).save(home / f"{name}.png")
    for number, shape in enumerate(readers):
        annotate(home / f"{name}.reader{number}.json", shape)


def test_a_folder_becomes_patients_and_a_list_of_disputes(tmp_path: Path) -> None:
    (tmp_path / MILLIMETRES).write_text('{"spacing_mm": 0.4, "slice_mm": 3.3}')
    for number in range(2):
        patient(tmp_path / "p1", f"t1-axial-00{number}", ("ganglion", SQUARE), ("ganglion", SQUARE))
    patient(tmp_path / "p1", "t2-axial-000", ("ganglion", SQUARE), ("lipoma", SQUARE))
    patient(tmp_path / "p2", "fs-coronal-000", ("lipoma", SQUARE), ("lipoma", SQUARE))
    cases, disputes = read_patients(tmp_path)
    assert [(case.name, case.kind, len(case.scans)) for case in cases] == [("p1", 1, 1), ("p2", 3, 1)]
    assert cases[0].scans[0].stack.shape == (2, 16, 16)
    assert (cases[0].scans[0].spacing_mm, cases[1].scans[0].plane) == (0.4, "coronal")
    assert disputes == ("p1/t2-axial-000.png: the readers name ganglion and lipoma",)


def test_a_patient_with_two_kinds_is_refused(tmp_path: Path) -> None:
    (tmp_path / MILLIMETRES).write_text('{"spacing_mm": 0.4, "slice_mm": 3.3}')
    patient(tmp_path / "p1", "t1-axial-000", ("ganglion", SQUARE))
    patient(tmp_path / "p1", "t1-axial-001", ("lipoma", SQUARE))
    with pytest.raises(DataFault, match="ganglion and lipoma"):
        read_patients(tmp_path)
