"""Reads a table with a head line from .csv or .xlsx, every cell as text.

An .xlsx file is a zip of XML (ECMA-376 part 1, 18.3): cells by column letters, texts in a list of their own. Only what
a plain table needs is read, its first sheet: no formulas beyond their last value, no dates, no formats.
"""

import csv
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from training.errors import DataFault

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_TEXTS, _SHEET = "xl/sharedStrings.xml", "xl/worksheets/sheet1.xml"
_COLUMN = re.compile(r"[A-Z]+")


def table(path: Path) -> list[dict[str, str]]:
    """The lines below the head, by its names; what is empty is "".

    Raises
    ------
    DataFault
        The file cannot be read as a table.
    """
    try:
        if path.suffix.lower() == ".xlsx":
            lines = _workbook(path)
        else:
            with path.open(newline="", encoding="utf-8-sig") as file:
                lines = list(csv.reader(file))
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile, ElementTree.ParseError, csv.Error) as exc:
        raise DataFault(f"{path} cannot be read as a table: {exc}. Save it as .csv.") from exc
    if not lines:
        raise DataFault(f"{path} is an empty table.")
    head, *rows = lines
    return [dict(zip(head, [*row, *[""] * (len(head) - len(row))], strict=False)) for row in rows if any(row)]


def _workbook(path: Path) -> list[list[str]]:
    with zipfile.ZipFile(path) as file:
        texts: list[str] = []
        if _TEXTS in file.namelist():
            root = ElementTree.fromstring(file.read(_TEXTS))
            texts = ["".join(part.text or "" for part in item.iter(f"{_MAIN}t")) for item in root]
        sheet = ElementTree.fromstring(file.read(_SHEET))
    return [list(_cells(row, texts)) for row in sheet.iter(f"{_MAIN}row")]


def _cells(row: ElementTree.Element, texts: list[str]) -> Iterator[str]:
    """A line's cells; those that are left out in the file are empty."""
    given = 0
    for cell in row.iter(f"{_MAIN}c"):
        place = _place(cell.get("r", ""), given)
        yield from [""] * (place - given)
        given = place + 1
        yield _text(cell, texts)


def _place(name: str, following: int) -> int:
    """The column of "AB12" from 0; a cell without a name follows the one before."""
    letters = _COLUMN.match(name)
    if letters is None:
        return following
    number = 0
    for letter in letters[0]:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def _text(cell: ElementTree.Element, texts: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return "".join(part.text or "" for part in cell.iter(f"{_MAIN}t"))
    value = cell.findtext(f"{_MAIN}v") or ""
    return texts[int(value)] if cell.get("t") == "s" and value else value
