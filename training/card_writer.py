"""Writes a card: `models.card.Card` as TOML, read back by the node's reader before it counts as written."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from models.card import CARD, Card, parse_card
from training.errors import RunFault


def write(card: Card, folder: Path) -> Path:
    """Write `card.toml` into a bundle's folder, by a temporary name first."""
    text = toml(card)
    path = folder / CARD
    if parse_card(text.encode("utf-8"), path) != card:
        raise RunFault(
            f"{path}: the card would not read back as it was meant. Keep to text, numbers, and lists of these."
        )
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
    return path


def toml(card: Card) -> str:
    """The card as TOML: plain values first, then a table for each part."""
    lines: list[str] = []
    _table(_items(card), "", lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def _items(value: Any) -> dict[str, Any]:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return dict(value)


def _is_table(value: Any) -> bool:
    return is_dataclass(value) or isinstance(value, Mapping)


def _table(items: dict[str, Any], name: str, lines: list[str]) -> None:
    plain = {key: value for key, value in items.items() if value is not None and not _is_table(value)}
    if name and (plain or not items):
        lines += ["", f"[{name}]"]
    lines += [f"{key} = {toml_value(value)}" for key, value in plain.items()]
    for key, value in items.items():
        if _is_table(value):
            _table(_items(value), f"{name}.{key}" if name else key, lines)


def toml_value(value: Any) -> str:
    """One value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, StrEnum | str):
        return json.dumps(str(value), ensure_ascii=False)
    if is_dataclass(value):
        told = {key: each for key, each in _items(value).items() if each is not None}
        return "{" + ", ".join(f"{key} = {toml_value(each)}" for key, each in told.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(each) for each in value) + "]"
    return repr(value)
