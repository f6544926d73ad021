"""What came back, for people: a table, and the overlays as PNG."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from pydicom import dcmread

from deploy.demonstration.archives import Returned
from deploy.demonstration.samples import Sample

KINDS: dict[str, str] = {
    "1.2.840.10008.5.1.4.1.1.66.4": "SEG",
    "1.2.840.10008.5.1.4.1.1.88.33": "SR",
    "1.2.840.10008.5.1.4.1.1.88.34": "SR",
    "1.2.840.10008.5.1.4.1.1.11.1": "GSPS",
    "1.2.840.10008.5.1.4.1.1.7": "SC",
    "1.2.840.10008.5.1.4.1.1.7.4": "SC",
}
"""SOP classes of results by the word the table uses."""
LARGEST_PX = 1800


@dataclass(frozen=True, slots=True)
class Row:
    """One study with what the node said and what the PACS got."""

    sample: Sample
    study: dict[str, Any]
    returned: tuple[Returned, ...]


def table(rows: Sequence[Row]) -> str:
    """The studies, one line each, columns aligned."""
    lines: list[tuple[str, ...]] = [("study", "known to be", "answer", "probability", "seconds", "model", "came back")]
    lines += [_line(row) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([text[0], "  ".join("-" * width for width in widths), *text[1:]])


def _line(row: Row) -> tuple[str, ...]:
    study = row.study
    answer = study.get("answer") or study.get("outcome") or study["state"]
    probability, seconds = study.get("probability"), study.get("seconds")
    return (
        row.sample.name,
        row.sample.truth,
        str(answer),
        "" if probability is None else f"{probability:.2f}",
        "" if seconds is None else f"{seconds:.2f}",
        str(study.get("model") or ""),
        objects(row.returned) or "nothing",
    )


def objects(returned: Sequence[Returned]) -> str:
    """How many of each kind, for example "2 SEG, SR"."""
    counted = Counter(KINDS.get(r.sop_class_uid, r.modality) for r in returned)
    return ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in sorted(counted.items()))


def save_overlays(rows: Sequence[Row], folder: Path) -> list[Path]:
    """The Secondary Captures that came back, as PNG files named for their study."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = []
    for number, row in enumerate(rows, start=1):
        captures = [r for r in row.returned if KINDS.get(r.sop_class_uid) == "SC"]
        for index, capture in enumerate(captures, start=1):
            word = "-".join(re.findall(r"[a-z0-9]+", row.sample.name.lower()))
            path = folder / f"{number:02d}-{word}-{index}.png"
            with Image.fromarray(dcmread(capture.path).pixel_array) as picture:
                picture.thumbnail((LARGEST_PX, LARGEST_PX))
                picture.save(path)
            saved.append(path)
    return saved
