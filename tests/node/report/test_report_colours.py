"""Colours that segments recommend can be told apart, by readers who are blind to some colours too.

What such a reader sees is simulated by the matrices of Machado, Oliveira and Fernandes 2009 (IEEE TVCG 15(6), table of
severity 1.0), which hold for linear RGB. Distances are CIE76 in CIELab, where 2 is the least that is seen at all.
"""

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from highdicom.color import CIELabColor
from pydicom.dataset import Dataset

from node.conformance import statement
from node.report.colours import COLOURS, LEVEL_COLOURS, OTHER_COLOUR
from node.report.kind import Kind
from tests.node.report.made_cases import RADIOGRAPHS, read, stock_one
from tests.node.report.test_report_map import levels_of

LEAST_APART, LEAST_FROM_GREY = 30.0, 25.0
"""Half of what is filled is the image beneath: OHIF fills at half strength."""
SIGHTS = {
    "all colours": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no blue": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = TO_XYZ.sum(axis=1)


def recommended(ds: Dataset) -> dict[str, CIELabColor]:
    """By label, the colour of each segment."""
    return {
        str(segment.SegmentLabel): CIELabColor.from_dicom_value(list(segment.RecommendedDisplayCIELabValue))
        for segment in ds.SegmentSequence
    }


def seen(colour: CIELabColor, sight: str) -> npt.NDArray[np.float64]:
    """CIELab of a colour to a reader of that sight; ValueError where a screen cannot show it."""
    stored = np.array(colour.to_rgb()) / 255.0
    linear = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    x, y, z = (
        np.cbrt(share) if share > 216 / 24389 else (24389 / 27 * share + 16) / 116
        for share in TO_XYZ @ np.clip(SIGHTS[sight] @ linear, 0.0, 1.0) / WHITE
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHTS)
def test_distance_levels_can_be_told_apart_and_from_the_image_by_every_reader(sight: str) -> None:
    colours = recommended(read(levels_of("cr")[0]))
    assert len(colours) == 4
    shades = {label: seen(colour, sight) for label, colour in colours.items()}
    for (one, first), (other, second) in combinations(shades.items(), 2):
        assert np.linalg.norm(first - second) > LEAST_APART, f"{one} looks like {other}"
    assert {label: np.hypot(*shade[1:]) > LEAST_FROM_GREY for label, shade in shades.items()} == dict.fromkeys(
        shades, True
    )


@pytest.mark.parametrize("sight", SIGHTS)
def test_malignant_and_benign_can_be_told_apart_by_every_reader(sight: str) -> None:
    malignant, benign = (recommended(read_one(name)) for name in ("dx", "mr"))
    (red,), (blue,) = malignant.values(), benign.values()
    assert np.linalg.norm(seen(red, sight) - seen(blue, sight)) > LEAST_APART


def read_one(name: str) -> Dataset:
    return stock_one(name, Kind.SEG)


@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_a_segment_has_the_colour_of_the_picture(name: str) -> None:
    wanted = [OTHER_COLOUR.rgb if name == "undecided" else COLOURS[answer].rgb for answer in COLOURS]
    for colour in recommended(read_one(name)).values():
        assert min(np.abs(np.subtract(colour.to_rgb(), each)).max() for each in wanted) <= 1


def test_the_statement_names_every_colour() -> None:
    text = statement()
    for colour in (*COLOURS.values(), OTHER_COLOUR, *LEVEL_COLOURS.values()):
        assert f"| {colour.name} | {', '.join(map(str, colour.rgb))} |" in text
