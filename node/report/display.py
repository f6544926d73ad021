"""How a viewer shows a source, said again in a presentation state, which takes the place of all of it (PS3.3 C.11).

The shape of its pixels, its display shutter, and the function of its window. The library that builds presentation
states shows pixels as square and knows neither of the others.
"""

from collections.abc import Callable
from fractions import Fraction

from pydicom.dataset import Dataset

from models.findings import Spacing, SpacingSource
from models.shutters import open_area
from node.report.header import decimal, numbers
from node.report.patient import text_of

WINDOW_FUNCTIONS = frozenset({"SIGMOID", "LINEAR_EXACT"})
"""Besides LINEAR, which is what a window without a function means (PS3.3 C.11.2.1.2)."""
_RECTANGLE = (
    "ShutterLeftVerticalEdge",
    "ShutterRightVerticalEdge",
    "ShutterUpperHorizontalEdge",
    "ShutterLowerHorizontalEdge",
)
_CIRCLE = ("CenterOfCircularShutter", "RadiusOfCircularShutter")
_POLYGON = ("VerticesOfThePolygonalShutter",)
_FITS: dict[str, tuple[tuple[str, ...], Callable[[list[int]], bool]]] = {
    "RECTANGULAR": (_RECTANGLE, lambda counts: counts == [1, 1, 1, 1]),
    "CIRCULAR": (_CIRCLE, lambda counts: counts == [2, 1]),
    "POLYGONAL": (_POLYGON, lambda counts: counts[0] >= 6 and counts[0] % 2 == 0),
}
"""Of each shape its elements, and whether they have as many values as they must."""
_WHITE = 0xFFFF
_FARTHEST = 0xFFFF
"""No edge lies farther out than an image can have rows (PS3.3 C.7.6.3)."""
_LARGEST_TERM = 1000
"""Of a ratio of two whole numbers."""
_COARSE = 256
"""Pixels along the longer side, at least, of the grid on which a shutter is judged."""


def window_function(source: Dataset) -> str | None:
    """*VOI LUT Function* (0028,1056) of the source where it is not the usual one."""
    function = text_of(source, "VOILUTFunction")
    return function if function in WINDOW_FUNCTIONS else None


def shape_pixels(state: Dataset, spacing: Spacing) -> None:
    """*Presentation Pixel Spacing* (0070,0101) where millimetres are known, else the ratio alone (PS3.3 C.10.4)."""
    for area in state.DisplayedAreaSelectionSequence:
        area.pop("PresentationPixelAspectRatio", None)
        if spacing.source is SpacingSource.UNKNOWN:
            ratio = Fraction(spacing.row_mm / spacing.column_mm).limit_denominator(_LARGEST_TERM)
            area.PresentationPixelAspectRatio = [ratio.numerator, ratio.denominator]
        else:
            area.PresentationPixelSpacing = [decimal(spacing.row_mm), decimal(spacing.column_mm)]


def carry_shutter(state: Dataset, sources: list[Dataset]) -> None:
    """The display shutter (PS3.3 C.7.6.11) of the sources, if it is the same for all of them and can be believed.

    The value to show in its place is demanded of a presentation state (C.11.12) and black unless a source names it.
    """
    found = [_shutter(source) for source in sources]
    shutter = found[0]
    if "ShutterShape" not in shutter or any(each != shutter for each in found[1:]):
        return
    if _hides_all(shutter, int(sources[0].Rows), int(sources[0].Columns)):
        return
    value = numbers(sources[0], "ShutterPresentationValue")
    is_value = len(value) == 1 and 0 <= value[0] <= _WHITE
    shutter.ShutterPresentationValue = int(value[0]) if is_value else 0
    state.update(shutter)


def _hides_all(shutter: Dataset, rows: int, columns: int) -> bool:
    """Whether a shutter is not believed because next to nothing stays open, judged on a coarse grid: for 12 megapixels
    a full one takes most of a second."""
    step = max(1, max(rows, columns) // _COARSE)
    coarse, complaints = Dataset(), list[str]()
    coarse.ShutterShape = shutter.ShutterShape
    for keywords, _ in _FITS.values():
        for keyword in keywords:
            if keyword in shutter:
                values = [-(-int(each) // step) for each in numbers(shutter, keyword)]
                setattr(coarse, keyword, values if len(values) > 1 else values[0])
    open_area(coarse, rows // step, columns // step, complaints)
    return bool(complaints)


def _shutter(source: Dataset) -> Dataset:
    """The shapes of the source's shutter whose elements are there and whole; no shape where there is none."""
    made = Dataset()
    kept = []
    for shape in dict.fromkeys(text_of(source, "ShutterShape").upper().split("\\")):
        if shape.strip() not in _FITS:
            continue
        keywords, fits = _FITS[shape.strip()]
        values = [[int(each) for each in numbers(source, keyword)] for keyword in keywords]
        is_near = all(abs(each) <= _FARTHEST for value in values for each in value)
        if not (is_near and fits([len(each) for each in values])):
            continue
        kept.append(shape.strip())
        for keyword, value in zip(keywords, values, strict=True):
            setattr(made, keyword, value if len(value) > 1 else value[0])
    if kept:
        made.ShutterShape = kept
    return made
