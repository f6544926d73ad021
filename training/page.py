"""`report.html`: one file that says how a bundle did, with the figures of its card and pictures, and opens anywhere."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.card import Card

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } td { padding: .15rem .8rem .15rem 0; border-bottom: 1px solid #ddd; }
td:last-child { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.warning { border-left: 4px solid #b2182b; padding: .3rem .8rem; background: #faf3f3; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; } img { max-width: 100%; }
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with pictures below it."""

    title: str
    words: str
    drawings: Sequence[str] = ()
    """SVG."""
    picture: bytes | None = None
    """PNG."""


def write(path: Path, card: Card, figures: Mapping[str, object], sections: Sequence[Section]) -> None:
    """Write the report of a bundle."""
    facts = {
        "system": card.system,
        "version": card.version,
        "trained on": card.training_kind,
        "preset": card.training.get("preset", ""),
        "data": card.training.get("data", ""),
        "split": card.training.get("split", ""),
    }
    parts = [
        f"<h1>{html.escape(card.name)} {html.escape(card.version)}</h1>",
        f'<p class="warning">Research only, not for clinical use. {html.escape(card.limitations)}</p>',
        _table(facts),
        "<h2>Figures</h2>",
        _table(figures),
        *(_section(section) for section in sections),
    ]
    title = html.escape(f"{card.name} {card.version}")
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    body = "\n".join(parts)
    path.write_text(f"{head}<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n", encoding="utf-8")


def _table(rows: Mapping[str, object]) -> str:
    cells = (
        f"<tr><td>{html.escape(key.replace('_', ' '))}</td><td>{html.escape(_told(value))}</td></tr>"
        for key, value in rows.items()
    )
    return f"<table>{''.join(cells)}</table>"


def _told(value: object) -> str:
    """A figure with its interval as `0.85 (0.80 to 0.89)`, anything else as it stands."""
    if isinstance(value, list | tuple):
        if len(value) == 3 and all(isinstance(each, float) for each in value):
            return f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})"
        return ", ".join(map(_told, value))
    return str(value)


def _section(section: Section) -> str:
    drawings = f'<div class="pictures">{"".join(section.drawings)}</div>' if section.drawings else ""
    picture = ""
    if section.picture is not None:
        coded = base64.b64encode(section.picture).decode("ascii")
        picture = f'<p><img alt="{html.escape(section.title)}" src="data:image/png;base64,{coded}"></p>'
    return f"<h2>{html.escape(section.title)}</h2><p>{html.escape(section.words)}</p>{drawings}{picture}"
