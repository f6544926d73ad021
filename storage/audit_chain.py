"""How the rows of the audit trail hang together, and whether they still do. Pure.

The hash of a row is the SHA-256 over its values, its number and the hash of the row before it. Whoever changes,
removes or inserts a row must make every later hash anew; then the last one differs from the anchors that were written
elsewhere: in the log, in the audit messages that went to the repository, or by `osteon audit verify`.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FIRST = "0" * 64
"""The hash before the first row."""

_SEALED = (
    "number", "action", "outcome", "who", "address", "study_id", "study_instance_uid", "object", "value_before",
    "value_after", "details", "previous",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Anchor:
    """A row of the trail as it was once, written down elsewhere; as text `NUMBER:HASH`."""

    number: int
    hash: str

    @classmethod
    def parsed(cls, text: str) -> "Anchor":
        """The anchor of its text.

        Raises
        ------
        ValueError
        """
        number, _, hashed = text.strip().partition(":")
        if not number.isdecimal() or len(hashed) != 64 or set(hashed) - set("0123456789abcdef"):
            raise ValueError(text)
        return cls(int(number), hashed)

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of reading the whole trail."""

    count: int
    """Rows that were read until the end or the first fault."""
    head: Anchor
    fault: str = ""
    """What is wrong with which row; empty when nothing is."""


def sealed(row: Mapping[str, Any]) -> str:
    """The hash of a row (hex); everything but `hash` itself goes in."""
    values = [f"{row['at']:.3f}", *(row[name] for name in _SEALED)]
    return hashlib.sha256(json.dumps(values, separators=(",", ":")).encode("ascii")).hexdigest()


def verified(rows: Iterable[Mapping[str, Any]], anchors: Iterable[Anchor] = (), sent: int = 0) -> Verified:
    """Read the trail from its first row on, up to the first fault.

    Parameters
    ----------
    anchors
        Rows that must be there, as they were once.
    sent
        The last row that the repository of audit messages has: the trail cannot end before it.
    """
    wanted = {anchor.number: anchor.hash for anchor in anchors}
    head, count = Anchor(0, FIRST), 0
    for row in rows:
        number = row["number"]
        if fault := _fault(row, number, head, wanted):
            return Verified(count, head, fault)
        head, count = Anchor(number, str(row["hash"])), count + 1
    last = max([sent, *wanted])
    if last > head.number:
        where = "an anchor names" if last in wanted else "the repository of audit messages has"
        return Verified(count, head, f"the trail ends with row {head.number}, but {where} row {last}: its end was cut.")
    return Verified(count, head)


def _fault(row: Mapping[str, Any], number: int, head: Anchor, wanted: Mapping[int, str]) -> str:
    if number != head.number + 1:
        missing = number - head.number - 1
        rows = f"row {head.number + 1} is" if missing == 1 else f"rows {head.number + 1} to {number - 1} are"
        return f"{rows} missing; row {number} follows row {head.number}."
    if sealed(row) != row["hash"]:
        return f"row {number} was changed: its values are not those of its hash."
    if row["previous"] != head.hash:
        return f"row {number} does not follow row {number - 1}: one of the two was put in the place of another."
    if wanted.get(number, row["hash"]) != row["hash"]:
        return f"row {number} is not the one that the anchor names: the trail was written anew up to there, or before."
    return ""
