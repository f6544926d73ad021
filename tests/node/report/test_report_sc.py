"""Secondary Captures by value: the picture, and what its header claims and does not claim."""

from dataclasses import replace

import numpy as np
import pytest

from models.findings import Answer, Spacing, SpacingSource
from node.report.colours import colour_of
from node.report.kind import Kind
from node.report.picture import MAX_SIDE, MIN_PANEL_WIDTH, Caption, Mark, panel_size, picture
from tests.node.report.made_cases import CR, DX, RADIOGRAPHS, bone, radiograph, stock, stock_one

SQUARE = np.array([[40, 40], [80, 40], [80, 90], [40, 90]], np.float32)
CAPTION = Caption("AI - research use", ("AI: more likely malignant (87 %)",), ("A note.",))


@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_it_is_a_derived_picture_of_no_modality_and_names_its_image(name: str) -> None:
    capture, found = stock_one(name, Kind.SC), stock(name).findings.sources[0]
    assert (capture.SOPClassUID, capture.Modality, capture.ConversionType) == (
        "1.2.840.10008.5.1.4.1.1.7",
        "OT",
        "WSD",
    )
    assert list(capture.ImageType) == ["DERIVED", "SECONDARY"]
    assert not capture.PatientOrientation
    (reference,) = capture.SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == found.images[0].sop_instance_uid
    assert "research use" in capture.DerivationDescription
    assert "PixelSpacing" not in capture
    assert "Laterality" in capture


@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_its_pixels_are_rgb_two_panels_wide(name: str) -> None:
    capture, found = stock_one(name, Kind.SC), stock(name).findings.sources[0]
    rows, columns = found.mask.shape[1:]
    width, height = panel_size(columns, rows, found.spacing.row_mm / found.spacing.column_mm)
    assert capture.PhotometricInterpretation == "RGB"
    pixels = capture.pixel_array
    assert pixels.shape == (capture.Rows, capture.Columns, 3)
    assert pixels.shape[1] >= 2 * width
    assert pixels.shape[0] > height


def test_only_the_right_panel_has_outlines_and_both_show_the_same_image() -> None:
    display = bone(200, 160)
    drawn = picture(display, [Mark(SQUARE, "1 malignant", Answer.MALIGNANT)], CAPTION)
    plain = picture(display, [], CAPTION)
    width, _ = panel_size(160, 200)
    changed = np.argwhere((drawn != plain).any(axis=2))
    assert changed[:, 1].min() > width
    scale = width / 160
    gap = drawn.shape[1] - 2 * width
    assert changed[:, 1].max() <= width + gap + 84 * scale + 60
    edge = drawn[changed[:, 0], changed[:, 1]]
    assert (np.abs(edge.astype(int) - colour_of(Answer.MALIGNANT)).sum(axis=1) < 30).sum() > 100


def test_the_outline_lies_where_the_lesion_is() -> None:
    display = bone(200, 160)
    drawn = picture(display, [Mark(SQUARE, "1", Answer.MALIGNANT)], Caption("", ()))
    width, height = panel_size(160, 200)
    red = np.abs(drawn.astype(int) - colour_of(Answer.MALIGNANT)).sum(axis=2) < 30
    above, left = drawn.shape[0] - height, drawn.shape[1] - width
    lower = np.argwhere(red[above + height * 60 // 200 :, left:])
    columns = lower[:, 1] * 160 / width
    assert columns.min() == pytest.approx(40, abs=1.5)
    assert columns.max() == pytest.approx(80, abs=1.5)
    assert (lower[:, 0].max() * 200 / height + 60) == pytest.approx(90, abs=1.5)


@pytest.mark.parametrize("answer", list(Answer))
def test_the_colour_tells_the_answer(answer: Answer) -> None:
    drawn = picture(bone(100, 100), [Mark(SQUARE, "1", answer)], CAPTION)
    colour = colour_of(answer)
    assert (drawn == np.array(colour)).all(axis=2).any()


@pytest.mark.parametrize(
    ("columns", "rows", "aspect"),
    [(169, 211, 1.0), (3000, 4000, 1.0), (4000, 1000, 1.0), (50, 5000, 1.0), (1000, 1000, 2.0), (8, 8, 1.0)],
)
def test_every_size_of_image_becomes_a_picture_of_a_bearable_size(columns: int, rows: int, aspect: float) -> None:
    width, height = panel_size(columns, rows, aspect)
    assert 1 <= 2 * width <= MAX_SIDE
    assert 1 <= height <= MAX_SIDE
    assert width >= MIN_PANEL_WIDTH or height > MAX_SIDE * 0.8
    assert height / width == pytest.approx(rows * aspect / columns, rel=0.06)


def test_bone_is_bright_in_the_picture_whatever_the_values_are() -> None:
    width, height = panel_size(160, 200)
    for display in (bone(200, 160), bone(200, 160) * 1e-4 - 7, np.zeros((200, 160), np.int16)):
        drawn = picture(display, [], CAPTION)
        assert drawn.dtype == np.uint8
    panel = picture(bone(200, 160), [], Caption("", ()))[-height:, :width]
    assert panel[height // 2, width // 2].min() > 200
    assert panel[height // 2, 5].max() < 60


def test_a_label_too_long_for_the_picture_is_made_smaller() -> None:
    drawn = picture(bone(200, 160), [], Caption("AI " * 60, ("word " * 40,), ("note " * 60,)))
    assert drawn.shape[1] <= MAX_SIDE


@pytest.mark.parametrize(
    "spacing", [Spacing(0.30, 0.15, SpacingSource.DETECTOR), Spacing(2.0, 1.0, SpacingSource.UNKNOWN)]
)
def test_pixels_that_are_not_square_are_shown_in_their_true_shape(spacing: Spacing) -> None:
    capture = radiograph(CR, shape=(200, 200), spacing=spacing).one(Kind.SC)
    assert capture.Rows > capture.Columns * 0.95


@pytest.mark.parametrize(("stated", "claimed"), [("YES", "YES"), ("NO", "NO"), (None, "NO")])
def test_burned_in_annotation_is_passed_on(stated: str | None, claimed: str) -> None:
    assert radiograph(CR, BurnedInAnnotation=stated).one(Kind.SC).BurnedInAnnotation == claimed


def test_a_lossy_source_makes_a_lossy_picture_that_says_how() -> None:
    lossy = {"LossyImageCompression": "01", "LossyImageCompressionRatio": "12.5"}
    capture = radiograph(DX, **lossy).one(Kind.SC)
    assert (capture.LossyImageCompression, float(capture.LossyImageCompressionRatio)) == ("01", 12.5)
    assert capture.LossyImageCompressionMethod == "ISO_10918_1"


def test_without_a_picture_to_draw_on_there_is_no_capture() -> None:
    case = radiograph(CR)
    blind = replace(case, sources=(replace(case.sources[0], display=None),))
    assert Kind.SC not in {each.kind for each in blind.made()}


def test_a_picture_of_another_size_is_refused() -> None:
    case = radiograph(CR)
    with pytest.raises(ValueError, match="the display is"):
        replace(case, sources=(replace(case.sources[0], display=bone(10, 10)),)).made()
