"""Logging: no value can forge a line, and libraries that know names stay silent."""

import io
import logging
from collections.abc import Iterator

import pytest

from node import logs


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the configured logging writes."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("INFO", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def test_a_newline_in_a_value_does_not_begin_a_line(written: io.StringIO) -> None:
    logging.getLogger("node.test").info("from %s", "EVIL\n2026-01-01 ERROR forged\x1b[31m")
    lines = written.getvalue().splitlines()
    assert len(lines) == 1
    assert "EVIL\\n2026-01-01 ERROR forged\\x1b[31m" in lines[0]


def test_libraries_that_print_data_sets_are_silent(written: io.StringIO) -> None:
    logging.getLogger("pynetdicom.acse").warning("CANARY")
    logging.getLogger("pydicom").warning("CANARY")
    assert "CANARY" not in written.getvalue()
