"""Notices what must be audited and announces itself by nothing: the disk fills up. Asked by a timer of each worker."""

import socket

from storage.audit import Action, By, Entry, Indicator

_MB = 1024 * 1024


class Disk:
    """Compares free space with the reserve; tells of each change of state once."""

    def __init__(self, reserve_bytes: int) -> None:
        self._reserve = reserve_bytes
        self._state = "enough"

    def look(self, free: int) -> Entry | None:
        """What to audit when free space crosses the reserve, or twice of it."""
        state = "enough" if free >= 2 * self._reserve else "low" if free >= self._reserve else "refusing images"
        before, self._state = self._state, state
        if state == before:
            return None
        outcome = {"enough": Indicator.SUCCESS, "low": Indicator.MINOR}.get(state, Indicator.SERIOUS)
        return Entry(
            Action.DISK_WATERMARK,
            outcome,
            By("osteon", socket.gethostname()),
            about="disk of the data folder",
            before=before,
            after=state,
            details={"free_mb": free // _MB, "reserve_mb": self._reserve // _MB},
        )
