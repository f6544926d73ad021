"""The summary page: what a reader must see in ten seconds, from top to bottom in the order in which it matters.

Words and pixels in, a PDF file out; no DICOM. An answer that is none (undecided, not assessed) never looks like one:
its box is striped, says in capitals that it is not a normal result, and has no colour that an answer has.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.findings import Answer
from node.report.helvetica import width_of
from node.report.pdffile import A4, Colour, Sheet, shortened, wrapped

MARGIN = 40.0
WIDTH = A4[0] - 2 * MARGIN
MAX_ROWS = 8
"""Lesions in the table; the rest are counted."""
_PICTURE_HEIGHT = 252.0
_GAP = 10.0

_INK: Colour = (26, 30, 36)
_SOFT: Colour = (105, 112, 122)
_RULE: Colour = (205, 210, 216)
_WHITE: Colour = (255, 255, 255)
_LABEL: Colour = (255, 200, 50)
_STRIPE: Colour = (255, 244, 206)
FILLS: dict[Answer, Colour] = {
    Answer.MALIGNANT: (190, 40, 34),
    Answer.BENIGN: (14, 116, 144),
    Answer.TUMOUR: (201, 94, 12),
    Answer.NORMAL: (58, 104, 82),
}
"""Of the box of an answer. An answer that is none has stripes instead."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One probability, 0..1, in words."""

    label: str
    share: float
    told: str
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One lesion of the table."""

    answer: Answer
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Views:
    """One plane twice, `(rows, columns, 3)` RGB."""

    plain: npt.NDArray[np.uint8]
    outlined: npt.NDArray[np.uint8]
    words: str
    """Which plane it is."""
    has_outlines: bool


@dataclass(frozen=True, slots=True)
class Page:
    """What the page says. Every text has only characters of helvetica.ENCODING."""

    label: str
    who: str
    details: tuple[str, ...]
    """Of patient and study, in the order in which they are read."""
    answer: Answer
    said: str
    """The answer in a few words."""
    meaning: tuple[str, ...]
    """What it means, and what it does not."""
    figure: str
    """The number that matters most, or empty."""
    figure_of: str
    """What it is of."""
    bars: tuple[Bar, ...]
    views: Views | None
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    sections: tuple[tuple[str, tuple[str, ...]], ...]
    """Headings with sentences: what was used, what was not, what must be known."""
    footer: tuple[str, ...]


def page_file(page: Page) -> bytes:
    """The page as a PDF file."""
    sheet = Sheet()
    y = _top(sheet, page)
    y = _answer(sheet, page, y)
    y = _bars(sheet, page, y)
    y = _views(sheet, page, y)
    y = _table(sheet, page, y)
    end = _footer(sheet, page)
    _sections(sheet, page, y, end)
    return sheet.file(f"{page.label}: {page.said}")


def _top(sheet: Sheet, page: Page) -> float:
    """The label and who it is about."""
    wide = width_of(page.label, 11, bold=True) + 14
    sheet.box(A4[0] - MARGIN - wide, 30, wide, 19, _LABEL)
    sheet.text(A4[0] - MARGIN - wide + 7, 43.5, page.label, 11, _INK, bold=True)
    room = WIDTH - wide - _GAP
    sheet.text(MARGIN, 44, shortened(page.who, 16, room, bold=True), 16, _INK, bold=True)
    y = 60.0
    for line in page.details:
        sheet.text(MARGIN, y, shortened(line, 9.5, WIDTH), 9.5, _SOFT)
        y += 13
    return y


def _answer(sheet: Sheet, page: Page, y: float) -> float:
    """The box that is read first."""
    fill = FILLS.get(page.answer)
    has_figure = bool(page.figure)
    side = 118.0 if has_figure else 0.0
    room = WIDTH - side - 32
    size = _fitting(page.said, 30, room)
    meaning = [line for sentence in page.meaning for line in wrapped(sentence, 10.5, room)]
    height = 26 + size + 14 * len(meaning)
    if fill:
        sheet.box(MARGIN, y, WIDTH, height, fill)
    else:
        sheet.box(MARGIN, y, WIDTH, height, _WHITE)
        sheet.stripes(MARGIN, y, WIDTH, height, _STRIPE)
        sheet.frame(MARGIN + 1.25, y + 1.25, WIDTH - 2.5, height - 2.5, _INK, 2.5, 8)
    ink = _WHITE if fill else _INK
    base = y + 13 + size * 0.82
    sheet.text(MARGIN + 16, base, page.said, size, ink, bold=True)
    for number, line in enumerate(meaning, start=1):
        sheet.text(MARGIN + 16, base + 4 + 14 * number, line, 10.5, ink)
    if has_figure:
        right, middle = MARGIN + WIDTH - 16, y + height / 2
        sheet.text_right(right, middle + 6, page.figure, 30, ink, bold=True)
        sheet.text_right(right, middle + 20, page.figure_of, 9, ink)
    return float(y + height + 14)


def _bars(sheet: Sheet, page: Page, y: float) -> float:
    """The probabilities side by side with what they are of."""
    if not page.bars:
        return y
    left = MARGIN + 14 + max(width_of(bar.label, 9.5) for bar in page.bars)
    longest = MARGIN + WIDTH - 44 - left
    for bar in page.bars:
        sheet.text(MARGIN, y + 7.5, bar.label, 9.5, _INK)
        sheet.box(left, y, longest, 9, (236, 239, 242))
        colour = FILLS.get(bar.answer, _SOFT) if bar.answer else _SOFT
        sheet.box(left, y, longest * min(1.0, max(0.0, bar.share)), 9, colour)
        sheet.text_right(MARGIN + WIDTH, y + 7.5, bar.told, 9.5, _INK, bold=True)
        y += 14
    return y + 8


def _views(sheet: Sheet, page: Page, y: float) -> float:
    """The picture twice, as large as fits."""
    if page.views is None:
        return y
    rows, columns = page.views.plain.shape[:2]
    half = (WIDTH - _GAP) / 2
    scale: float = min(half / columns, _PICTURE_HEIGHT / rows)
    width, height = float(columns * scale), float(rows * scale)
    if not page.views.has_outlines:
        x = MARGIN + (WIDTH - width) / 2
        sheet.picture(x, y, width, height, page.views.plain)
        line = f"{page.views.words}: nothing is outlined"
        sheet.text(x, y + height + 11, line.removeprefix(": "), 8.5, _SOFT)
        return y + height + 26
    for number, pixels in enumerate((page.views.plain, page.views.outlined)):
        x = MARGIN + number * (half + _GAP)
        sheet.box(x, y, half, height, _INK)
        sheet.picture(x + (half - width) / 2, y, width, height, pixels)
    for number, told in enumerate(("original", "with outlines")):
        line = f"{page.views.words}, {told}" if page.views.words else told
        sheet.text(MARGIN + number * (half + _GAP), y + height + 11, shortened(line, 8.5, half), 8.5, _SOFT)
    return y + height + 26


def _table(sheet: Sheet, page: Page, y: float) -> float:
    """One line for each lesion."""
    if not page.rows:
        return y
    shown = page.rows[:MAX_ROWS]
    places = _columns(page.heads, shown)
    for x, head in zip(places, page.heads, strict=True):
        sheet.text(x, y + 6, head, 8.5, _SOFT)
    y += 11
    for row in shown:
        sheet.box(MARGIN, y, WIDTH, 0.6, _RULE)
        sheet.box(MARGIN, y + 4, 7, 9, FILLS.get(row.answer, _LABEL))
        for number, (x, cell) in enumerate(zip(places, row.cells, strict=True)):
            sheet.text(x, y + 12, cell, 9.5, _INK, bold=number < 2)
        y += 17
    sheet.box(MARGIN, y, WIDTH, 0.6, _RULE)
    if len(page.rows) > MAX_ROWS:
        sheet.text(MARGIN, y + 11, f"and {len(page.rows) - MAX_ROWS} more: see the report", 8.5, _SOFT)
        y += 12
    return y + 12


def _columns(heads: tuple[str, ...], rows: tuple[Row, ...]) -> list[float]:
    """Where the columns begin: each as wide as it must be, the rest shared out."""
    widths = [
        max(
            width_of(head, 8.5),
            *(width_of(row.cells[number], 9.5, bold=number < 2) for row in rows),
        )
        for number, head in enumerate(heads)
    ]
    room = WIDTH - 14 - sum(widths)
    gap = min(34.0, max(5.0, (room - 8) / max(1, len(widths) - 2)))
    starts = [MARGIN + 14, MARGIN + 14 + widths[0] + 8]
    for width in widths[1:-1]:
        starts.append(starts[-1] + width + gap)
    return starts


def _sections(sheet: Sheet, page: Page, y: float, end: float) -> None:
    """What was used and what must be known; what does not fit is counted, never dropped in silence."""
    left_out = 0
    for heading, sentences in page.sections:
        if not sentences:
            continue
        if y + 24 > end:
            left_out += len(sentences)
            continue
        sheet.text(MARGIN, y + 8, heading, 9, _INK, bold=True)
        y += 13
        for sentence in sentences:
            lines = wrapped(sentence, 8.5, WIDTH - 10)
            if y + 11 * len(lines) + 11 > end:
                left_out += 1
                continue
            sheet.text(MARGIN, y + 8, "\u2022", 8.5, _SOFT)
            for line in lines:
                sheet.text(MARGIN + 10, y + 8, shortened(line, 8.5, WIDTH - 10), 8.5, _INK)
                y += 11
        y += 6
    if left_out:
        told = "sentence more is" if left_out == 1 else "sentences more are"
        sheet.text(MARGIN, end - 3, f"{left_out} {told} in the report.", 8.5, _SOFT)


def _footer(sheet: Sheet, page: Page) -> float:
    """Who says so; returns where it begins."""
    top = A4[1] - 30 - 10 * len(page.footer)
    sheet.box(MARGIN, top - 6, WIDTH, 0.6, _RULE)
    for number, line in enumerate(page.footer):
        sheet.text(MARGIN, top + 5 + 10 * number, shortened(line, 7.5, WIDTH), 7.5, _SOFT)
    return top - 10


def _fitting(text: str, size: float, widest: float) -> float:
    while size > 14 and width_of(text, size, bold=True) > widest:
        size -= 1
    return size
