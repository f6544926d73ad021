"""Logging, configured in one place: one line per record on standard error, no patient data at any level.

What must not be logged is not filtered here but never handed to a logger; what can be done here is to keep a hostile
text from forging a line.
"""

import logging
import sys
from typing import TextIO

_FORMAT = "%(asctime)s %(levelname)-7s %(processName)s %(name)s: %(message)s"


class _OneLine(logging.Formatter):
    """Shows control characters as escapes, so that no value can begin a line of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the name is logging's
        """The record's line with control characters escaped."""
        text = super().formatMessage(record)
        return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send every record of `level` and above to `stream`, by default standard error."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_OneLine(_FORMAT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("pynetdicom", "pydicom", "highdicom", "sqlalchemy", "alembic", "apscheduler", "PIL"):
        logging.getLogger(name).setLevel(logging.ERROR)  # they know patients' names; we do not let them speak
