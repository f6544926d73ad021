"""An archive and an outbox for the tests of sending and of confirming."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.commitment_scp import CommittingArchive
from tests.node.made_outbox import USUAL, Outbox, Stand, made_outbox


@pytest.fixture
def archive() -> Iterator[Callable[..., CommittingArchive]]:
    """Starts archives that commit as told; each is ended with the test."""
    started = []

    def start(**behaviour: Any) -> CommittingArchive:
        started.append(CommittingArchive(**behaviour).start())
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def new_outbox(tmp_path: Path) -> Iterator[Callable[..., Outbox]]:
    """Makes outboxes; each is closed with the test."""
    made: list[Outbox] = []

    def make(port: int, objects: Sequence[tuple[str, str] | Stand] = USUAL, **more: Any) -> Outbox:
        folder = tmp_path / f"outbox{len(made)}"
        folder.mkdir()
        made.append(made_outbox(folder, port, objects, **more))
        return made[-1]

    yield make
    for outbox in made:
        outbox.engine.dispose()
