"""Whether there is room for one more object: free disk space, and rows that keep up with bytes."""

from collections.abc import Callable
from pathlib import Path

from node.listen.scan import Refusal
from node.statuses import OUT_OF_RESOURCES
from storage.disk import free_bytes
from storage.errors import StorageError


class Room:
    """Asked before every object; a look at the disk takes microseconds, and half a second is many objects."""

    def __init__(self, folder: Path, reserve_bytes: int, max_backlog: int, backlog: Callable[[], int]) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._max_backlog = max_backlog
        self._backlog = backlog

    def refusal(self) -> Refusal | None:
        """Why no object can be taken now, or None."""
        full = self._look()
        if full is not None:
            return full
        waiting = self._backlog()
        if waiting >= self._max_backlog:
            return Refusal(
                OUT_OF_RESOURCES, f"The database is behind: {waiting} objects wait for their rows. Try again."
            )
        return None

    def _look(self) -> Refusal | None:
        try:
            free = free_bytes(self._folder)
        except StorageError as exc:
            return Refusal(OUT_OF_RESOURCES, f"The disk cannot be examined: {exc}")
        if free >= self._reserve_bytes:
            return None
        return Refusal(
            OUT_OF_RESOURCES,
            f"The disk is nearly full: {free >> 20} MB are free, {self._reserve_bytes >> 20} MB stay in reserve.",
        )
