"""The picture of a Secondary Capture: the original beside the same with outlines, and the answer in words.

Numbers in, pixels out; no DICOM. `(rows, columns)` in, `(rows, columns, 3)` uint8 RGB out. The text is drawn with the
scalable font that Pillow carries inside itself, so the picture does not depend on what a machine has installed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from models.findings import Answer
from node.report.colours import OTHER_COLOUR, Rgb, colour_of

MAX_SIDE = 1440
"""Pixels of the whole picture's longer side, about: enough to read, small enough to load at once."""
MIN_PANEL_WIDTH = 480
"""A panel narrower than this cannot hold its words: small images are enlarged."""

_BACKGROUND: Rgb = (18, 20, 24)
_WHITE: Rgb = (240, 240, 240)
_GREY: Rgb = (176, 180, 186)
_LABEL = OTHER_COLOUR.rgb


@dataclass(frozen=True, slots=True)
class Mark:
    """One outline, `(points, 2)` of (column, row) in source pixels, with its label."""

    points: npt.NDArray[np.float32]
    label: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Caption:
    """The words around the panels."""

    label: str
    lines: tuple[str, ...]
    notes: tuple[str, ...] = ()
    shown: str = ""
    """Which image it is."""


def picture(
    display: npt.NDArray[np.generic], marks: Sequence[Mark], caption: Caption, aspect: float = 1.0
) -> npt.NDArray[np.uint8]:
    """Two panels side by side under the caption.

    Parameters
    ----------
    display
        `(rows, columns)`, any real type and range, bright bone.
    aspect
        Height over width of one pixel.
    """
    rows, columns = display.shape
    width, height = panel_size(columns, rows, aspect)
    size = max(13, round(width / 40))
    plain, overlay = _panels(display, marks, aspect, size)
    line = round(size * 1.35)
    above, below = line * (len(caption.lines) + 2), line * len(caption.notes) + (size // 2 if caption.notes else 0)
    gap = max(4, width // 100)
    canvas = Image.new("RGB", (2 * width + gap, above + height + below), _BACKGROUND)
    canvas.paste(plain, (0, above))
    canvas.paste(overlay, (width + gap, above))
    _write(canvas, caption, size, line, (0, width + gap), above, above + height)
    return np.asarray(canvas, dtype=np.uint8)


def panels(
    display: npt.NDArray[np.generic], marks: Sequence[Mark], aspect: float, text_share: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The two panels by themselves: the original, and the same with outlines.

    Parameters
    ----------
    text_share
        How many times the height of the words goes into the longer side of a panel.
    """
    width, height = panel_size(display.shape[1], display.shape[0], aspect)
    plain, overlay = _panels(display, marks, aspect, max(width, height) // text_share)
    return np.asarray(plain, dtype=np.uint8), np.asarray(overlay, dtype=np.uint8)


def _panels(
    display: npt.NDArray[np.generic], marks: Sequence[Mark], aspect: float, size: int
) -> tuple[Image.Image, Image.Image]:
    rows, columns = display.shape
    width, height = panel_size(columns, rows, aspect)
    plain = _grey(display, width, height).convert("RGB")
    overlay = plain.copy()
    _draw_marks(overlay, marks, (width / columns, height / rows), size)
    return plain, overlay


def panel_size(columns: int, rows: int, aspect: float = 1.0) -> tuple[int, int]:
    """Width and height of one panel: two beside each other within `MAX_SIDE`, small images enlarged."""
    tall = rows * aspect
    scale = min(1.0, MAX_SIDE / max(2.0 * columns, tall * 1.15))
    if columns * scale < MIN_PANEL_WIDTH:
        scale = min(MIN_PANEL_WIDTH / columns, MAX_SIDE / max(2.0 * columns, tall * 1.15))
    return max(1, round(columns * scale)), max(1, round(tall * scale))


def _grey(display: npt.NDArray[np.generic], width: int, height: int) -> Image.Image:
    """Resized and windowed between the 0.5th and the 99.5th percentile."""
    thinned = _thinned(display, max(1, min(display.shape[0] // height, display.shape[1] // width)))
    small = np.asarray(Image.fromarray(thinned).resize((width, height), Image.Resampling.BICUBIC))
    low, high = np.percentile(small[::4, ::4], (0.5, 99.5))
    scaled = (small - low) * (255.0 / max(float(high - low), 1e-6))
    return Image.fromarray(np.clip(scaled, 0.0, 255.0).astype(np.uint8))


def _thinned(display: npt.NDArray[np.generic], step: int) -> npt.NDArray[np.float32]:
    """One value per block of `step` pixels square: the mean of four in it, which is quicker than all and as quiet."""
    if step == 1:
        return np.ascontiguousarray(display, dtype=np.float32)
    rows, columns = display.shape[0] // step * step, display.shape[1] // step * step
    total = np.zeros((rows // step, columns // step), dtype=np.float32)
    for row in (0, step // 2):
        for column in (0, step // 2):
            total += display[row:rows:step, column:columns:step]
    total /= 4.0
    return total


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _draw_marks(image: Image.Image, marks: Sequence[Mark], scale: tuple[float, float], size: int) -> None:
    draw = ImageDraw.Draw(image)
    stroke = max(2, size // 8)
    for mark in marks:
        colour = colour_of(mark.answer)
        points = [(float(x) * scale[0], float(y) * scale[1]) for x, y in mark.points]
        draw.line([*points, *points[:2]], fill=colour, width=stroke, joint="curve")
    for mark in marks:
        _draw_label(draw, image.size, mark, scale, size)


def _draw_label(
    draw: ImageDraw.ImageDraw, bounds: tuple[int, int], mark: Mark, scale: tuple[float, float], size: int
) -> None:
    """The label above the outline, below it where the picture ends, on a dark plate."""
    font = _font(size)
    left, top, right, bottom = draw.textbbox((0, 0), mark.label, font=font)
    width, height, pad = right - left, bottom - top, size // 4
    x = min(float(mark.points[:, 0].min()) * scale[0], bounds[0] - width - 2 * pad)
    y = float(mark.points[:, 1].min()) * scale[1] - height - 4 * pad
    if y < 0:
        y = min(float(mark.points[:, 1].max()) * scale[1] + 2 * pad, bounds[1] - height - 2 * pad)
    x, y = max(x, 0.0), max(y, 0.0)
    draw.rectangle((x, y, x + width + 2 * pad, y + height + 2 * pad), fill=_BACKGROUND)
    draw.text((x + pad - left, y + pad - top), mark.label, font=font, fill=colour_of(mark.answer))


def _write(
    canvas: Image.Image, caption: Caption, size: int, line: int, panels: tuple[int, int], above: int, end: int
) -> None:
    draw = ImageDraw.Draw(canvas)
    indent, widest = size // 2, canvas.width - size
    texts = [(caption.label, _LABEL), *((text, _WHITE) for text in caption.lines)]
    for number, (text, colour) in enumerate(texts):
        draw.text((indent, number * line + size // 5), text, font=_fitting(draw, text, size, widest), fill=colour)
    original = f"original: {caption.shown}" if caption.shown else "original"
    for x, text in zip(panels, (original, "with outlines"), strict=True):
        draw.text((x + indent, above - line + size // 6), text, font=_font(size), fill=_GREY)
    for number, text in enumerate(caption.notes):
        draw.text((indent, end + number * line + size // 4), text, font=_fitting(draw, text, size, widest), fill=_GREY)


def _fitting(
    draw: ImageDraw.ImageDraw, text: str, size: int, widest: int
) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The largest font up to `size` in which the text fits."""
    while size > 9 and draw.textlength(text, font=_font(size)) > widest:
        size -= 1
    return _font(size)
