"""How the command line prints: a plain table for people, JSON for programs."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime


def show(rows: Sequence[Mapping[str, object]], columns: Sequence[str], *, as_json: bool, empty: str) -> None:
    """Print rows as a table of `columns`, or whole as a JSON list."""
    if as_json:
        print(json.dumps([dict(row) for row in rows], indent=2, ensure_ascii=False, default=str))
        return
    if not rows:
        print(empty)
        return
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(_width(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    for line in [[column.replace("_", " ") for column in columns], ["-" * width for width in widths], *cells]:
        print("  ".join(text + " " * (width - _width(text)) for text, width in zip(line, widths, strict=True)).rstrip())


def show_one(row: Mapping[str, object]) -> None:
    """Print one record, a line for each key."""
    width = max(len(key) for key in row)
    for key, value in row.items():
        print(f"{key.replace('_', ' '):<{width}}  {_cell(value)}")


def local_time(unix_s: float | None) -> str:
    """A moment as local time with its zone, to the second; "" for None."""
    if unix_s is None:
        return ""
    return datetime.fromtimestamp(unix_s).astimezone().strftime("%Y-%m-%d %H:%M:%S%z")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, (list, tuple)):
        return " ".join(_cell(item) for item in value)
    return "".join(char if char.isprintable() else "?" for char in str(value))


def _width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
