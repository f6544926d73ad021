"""Presentation states by value: outlines, texts, grey scale, references."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from highdicom.pr import GraphicAnnotation
from pydicom.dataset import Dataset

from models.findings import Answer, Spacing, SpacingSource
from node.report import gsps
from node.report.display import carry_shutter
from node.report.kind import Kind
from node.report.profile import Profile
from tests.node.report.made_cases import (
    CR,
    RADIOGRAPHS,
    blob,
    lesion,
    mr_series,
    radiograph,
    stock,
    stock_one,
)
from tests.node.report.sr_reading import tracking_uids

SHUTTERS: dict[str, Any] = {
    "ShutterShape": ["RECTANGULAR", "CIRCULAR", "POLYGONAL"],
    "ShutterLeftVerticalEdge": 11,
    "ShutterRightVerticalEdge": 200,
    "ShutterUpperHorizontalEdge": 5,
    "ShutterLowerHorizontalEdge": 290,
    "CenterOfCircularShutter": [150, 110],
    "RadiusOfCircularShutter": 140,
    "VerticesOfThePolygonalShutter": [1, 1, 1, 215, 298, 215, 298, 1],
}


def modality_table(ds: Dataset) -> None:
    """A modality LUT instead of a slope."""
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [4, 0, 16], "US"
    table.add_new("LUTData", "US", [0, 1000, 2000, 4000])
    ds.ModalityLUTSequence = [table]


def voi_table(ds: Dataset) -> None:
    """A VOI LUT beside the window."""
    table = Dataset()
    table.LUTDescriptor = [4, 0, 16]
    table.add_new("LUTData", "US", [0, 1, 2, 3])
    ds.VOILUTSequence = [table]


@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_the_outlines_are_those_of_the_lesions(name: str) -> None:
    state, found = stock_one(name, Kind.GSPS), stock(name).findings.sources[0]
    (annotation,) = state.GraphicAnnotationSequence
    assert len(annotation.GraphicObjectSequence) == len(found.lesions)
    for drawn, each in zip(annotation.GraphicObjectSequence, found.lesions, strict=True):
        points = np.array(drawn.GraphicData).reshape(-1, 2)
        assert (drawn.GraphicType, drawn.GraphicAnnotationUnits, drawn.NumberOfGraphicPoints) == (
            "POLYLINE",
            "PIXEL",
            len(points),
        )
        assert np.array_equal(points[0], points[-1])
        assert points[:-1] == pytest.approx(each.outlines[0].points, abs=1e-4)


@pytest.mark.checklist(22)
@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_outlines_carry_the_tracking_uids_of_the_report(name: str) -> None:
    (annotation,) = stock_one(name, Kind.GSPS).GraphicAnnotationSequence
    drawn = [str(each.TrackingUID) for each in annotation.GraphicObjectSequence]
    assert drawn == tracking_uids(stock_one(name, Kind.SR))[: len(drawn)]


@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_it_refers_to_the_image_and_belongs_to_one_layer(name: str) -> None:
    state, found = stock_one(name, Kind.GSPS), stock(name).findings.sources[0]
    (series,) = state.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == found.series_instance_uid
    images = {each.sop_instance_uid for each in found.images}
    assert {str(each.ReferencedSOPInstanceUID) for each in series.ReferencedImageSequence} == images
    assert [each.GraphicLayer for each in state.GraphicLayerSequence] == ["AI"]
    assert {each.GraphicLayer for each in state.GraphicAnnotationSequence} == {"AI"}
    assert (state.Modality, state.ContentLabel) == ("PR", "AI_OUTLINES")
    assert "Laterality" in state


def test_texts_say_what_it_is_and_who_says_so() -> None:
    (annotation,) = stock_one("dx", Kind.GSPS).GraphicAnnotationSequence
    heading, label = (str(each.UnformattedTextValue) for each in annotation.TextObjectSequence)
    assert heading.split("\r\n") == [
        "AI - research use",
        "AI: more likely malignant (87 %)",
        "knee-unet 1.2, weights abababababab",
    ]
    assert label == "1: malignant (87 %)"


@pytest.mark.parametrize(("name", "shape"), [("cr", "IDENTITY"), ("monochrome1", "INVERSE")])
def test_the_polarity_of_the_source_is_stated(name: str, shape: str) -> None:
    assert stock_one(name, Kind.GSPS).PresentationLUTShape == shape


def test_the_window_and_slope_of_the_source_are_kept() -> None:
    state = radiograph(CR, RescaleSlope="2", RescaleIntercept="-5", RescaleType="US").one(Kind.GSPS)
    (window,) = state.SoftcopyVOILUTSequence
    assert (float(window.WindowCenter), float(window.WindowWidth)) == (2000.0, 4000.0)
    assert (float(state.RescaleSlope), float(state.RescaleIntercept)) == (2.0, -5.0)


@pytest.mark.parametrize(
    "window",
    [
        {"WindowCenter": None, "WindowWidth": None},
        {"WindowCenter": "2000", "WindowWidth": "0"},
        {"WindowCenter": "", "WindowWidth": ""},
    ],
    ids=["absent", "of no width", "empty"],
)
def test_no_window_is_invented(window: dict[str, str | None]) -> None:
    assert "SoftcopyVOILUTSequence" not in radiograph(CR, **window).one(Kind.GSPS)


def test_a_modality_lut_takes_the_place_of_the_slope() -> None:
    state = radiograph(CR, change=modality_table).one(Kind.GSPS)
    (table,) = state.ModalityLUTSequence
    assert list(table.LUTData) == [0, 1000, 2000, 4000]
    assert "RescaleSlope" not in state


def test_a_voi_lut_takes_the_place_of_the_window() -> None:
    state = radiograph(CR, change=voi_table).one(Kind.GSPS)
    (transformation,) = state.SoftcopyVOILUTSequence
    assert list(transformation.VOILUTSequence[0].LUTData) == [0, 1, 2, 3]
    assert "WindowCenter" not in transformation


@pytest.mark.parametrize("function", ["SIGMOID", "LINEAR_EXACT"])
@pytest.mark.parametrize("width", [4000.0, 0.5])
def test_the_function_of_the_window_is_kept(function: str, width: float) -> None:
    (window,) = radiograph(CR, VOILUTFunction=function, WindowWidth=str(width)).one(Kind.GSPS).SoftcopyVOILUTSequence
    assert (window.VOILUTFunction, float(window.WindowWidth)) == (function, width)


@pytest.mark.parametrize("function", ["LINEAR", "", "SQUARE", None])
def test_a_window_of_no_other_function_is_linear(function: str | None) -> None:
    (window,) = radiograph(CR, VOILUTFunction=function).one(Kind.GSPS).SoftcopyVOILUTSequence
    assert "VOILUTFunction" not in window


@pytest.mark.parametrize("spacing", [(0.1, 0.2), (0.14, 0.14), (0.1 + 0.2 / 3, 1.0 / 7)])
def test_pixels_are_shown_in_their_shape_and_size(spacing: tuple[float, float]) -> None:
    state = radiograph(CR, spacing=Spacing(*spacing, SpacingSource.DETECTOR)).one(Kind.GSPS)
    (area,) = state.DisplayedAreaSelectionSequence
    assert [float(each) for each in area.PresentationPixelSpacing] == pytest.approx(spacing, rel=1e-9)
    assert "PresentationPixelAspectRatio" not in area


@pytest.mark.parametrize(("height", "ratio"), [(1.0, [1, 1]), (2.0, [2, 1]), (4 / 3, [4, 3]), (0.1, [1, 10])])
def test_pixels_of_unknown_size_are_shown_in_their_shape(height: float, ratio: list[int]) -> None:
    state = radiograph(CR, spacing=Spacing(height, 1.0, SpacingSource.UNKNOWN)).one(Kind.GSPS)
    (area,) = state.DisplayedAreaSelectionSequence
    assert list(area.PresentationPixelAspectRatio) == ratio
    assert "PresentationPixelSpacing" not in area


def test_the_shutter_of_the_source_stays_closed() -> None:
    state = radiograph(CR, **SHUTTERS).one(Kind.GSPS)
    assert {keyword: state[keyword].value for keyword in SHUTTERS} == SHUTTERS
    assert state.ShutterPresentationValue == 0
    assert radiograph(CR, ShutterPresentationValue=0x8000, **SHUTTERS).one(Kind.GSPS).ShutterPresentationValue == 0x8000


@pytest.mark.parametrize(
    "changes",
    [
        {"ShutterShape": None},
        {"ShutterShape": "BITMAP"},
        {"ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": None},
        {"ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": "210"},
        {"ShutterShape": "RECTANGULAR", "ShutterRightVerticalEdge": "2147483647"},
        {"ShutterShape": "CIRCULAR", "RadiusOfCircularShutter": "1"},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": ["1", "1", "9", "9"]},
    ],
    ids=["no shape", "unknown", "an edge short", "inside out", "far out", "hides all", "two corners"],
)
def test_a_shutter_that_is_none_is_not_carried(changes: dict[str, Any]) -> None:
    state = radiograph(CR, **SHUTTERS | changes).one(Kind.GSPS)
    assert not any("Shutter" in element.keyword for element in state)


def test_of_several_shapes_the_whole_ones_are_carried() -> None:
    state = radiograph(CR, **SHUTTERS | {"RadiusOfCircularShutter": None}).one(Kind.GSPS)
    assert list(state.ShutterShape) == ["RECTANGULAR", "POLYGONAL"]
    assert "CenterOfCircularShutter" not in state


def shuttered(left: int, right: int, rows: int = 300, columns: int = 220) -> Dataset:
    """What a shutter needs to be judged."""
    ds = Dataset()
    ds.Rows, ds.Columns, ds.ShutterShape = rows, columns, "RECTANGULAR"
    ds.ShutterLeftVerticalEdge, ds.ShutterRightVerticalEdge = left, right
    ds.ShutterUpperHorizontalEdge, ds.ShutterLowerHorizontalEdge = 1, rows
    return ds


def test_images_with_shutters_of_their_own_share_none() -> None:
    state = Dataset()
    carry_shutter(state, [shuttered(10, 200), shuttered(20, 200)])
    assert not state
    carry_shutter(state, [shuttered(10, 200), shuttered(10, 200)])
    assert state.ShutterLeftVerticalEdge == 10


@pytest.mark.parametrize(("left", "right", "is_carried"), [(3, 2998, True), (1501, 1800, True), (1501, 1509, False)])
def test_a_shutter_of_a_large_image_is_carried_to_the_pixel(left: int, right: int, is_carried: bool) -> None:
    state = Dataset()
    carry_shutter(state, [shuttered(left, right, 4000, 3000)])
    assert (state.get("ShutterLeftVerticalEdge"), state.get("ShutterRightVerticalEdge")) == (
        (left, right) if is_carried else (None, None)
    )


@pytest.mark.parametrize("at", [(0.05, 0.05), (0.05, 0.95), (0.95, 0.05), (0.95, 0.95), (0.5, 0.5)])
def test_texts_and_outlines_stay_inside_the_image(at: tuple[float, float]) -> None:
    case = radiograph(CR)
    found = case.findings.sources[0]
    rows, columns = found.mask.shape[1:]
    plane = blob(rows, columns, at, 0.2)
    told = lesion(1, Answer.MALIGNANT, [(found.images[0], plane)], found.spacing)
    source = replace(found, mask=plane[None].astype(np.uint8), lesions=(told,))
    state = replace(case, findings=replace(case.findings, sources=(source,))).one(Kind.GSPS)
    (annotation,) = state.GraphicAnnotationSequence
    points = np.array(annotation.GraphicObjectSequence[0].GraphicData).reshape(-1, 2)
    box = annotation.TextObjectSequence[1]
    corners = np.array([box.BoundingBoxTopLeftHandCorner, box.BoundingBoxBottomRightHandCorner])
    for each in (points, corners):
        assert each.min() >= 0
        assert (each <= [columns, rows]).all()


def test_a_volume_has_outlines_on_each_of_its_slices() -> None:
    case = mr_series().asking(profile=Profile(kinds=frozenset({Kind.GSPS, Kind.SR})))
    found = case.findings.sources[0]
    annotations = case.one(Kind.GSPS).GraphicAnnotationSequence
    drawn = [str(each.ReferencedImageSequence[0].ReferencedSOPInstanceUID) for each in annotations]
    assert drawn == [found.images[plane].sop_instance_uid for plane in (2, 3, 4)]


def test_without_an_outline_there_is_no_presentation_state() -> None:
    case = radiograph(CR)
    found = case.findings.sources[0]
    bare = replace(found, lesions=(replace(found.lesions[0], outlines=()),))
    made = replace(case, findings=replace(case.findings, sources=(bare,))).made()
    assert Kind.GSPS not in {each.kind for each in made}


@pytest.mark.parametrize("name", ["cr", "mr", "enhanced-mr"])
def test_an_annotation_is_what_the_library_would_make_of_it(name, monkeypatch):
    ours = stock(name).asking(profile=Profile(kinds=frozenset({Kind.GSPS}))).one(Kind.GSPS)

    class ByLibrary(GraphicAnnotation):
        def __init__(self, image, frame, outlines, texts):
            super().__init__(
                referenced_images=[image],
                referenced_frame_number=frame,
                graphic_layer=gsps.LAYER,
                graphic_objects=outlines,
                text_objects=texts,
            )

    monkeypatch.setattr(gsps, "_Annotation", ByLibrary)
    theirs = stock(name).asking(profile=Profile(kinds=frozenset({Kind.GSPS}))).one(Kind.GSPS)
    assert ours == theirs
