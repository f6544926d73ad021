"""What holds for all tests: the checklist that they fill, the judges of every object that they write, their order."""

from pathlib import Path

import pytest

pytest_plugins = ("tests.checklist", "tests.written")

TESTS = Path(__file__).parent
SLOW_FIRST = ("e2e", "training", "faults", "deploy")
"""Folders whose files take long, in the order of how long."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first, so that in the end no process waits for another's; within a file nothing is moved."""

    def rank(item: pytest.Item) -> int:
        folder = item.path.relative_to(TESTS).parts[0]
        return SLOW_FIRST.index(folder) if folder in SLOW_FIRST else len(SLOW_FIRST)

    items.sort(key=rank)
