"""A wall clock that a test sets; the monotonic clock goes on as it is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """What time.time() says while the block of `simulated` lasts."""

    def __init__(self, now: float):
        self.now = now


@contextmanager
def simulated(now: float) -> Iterator[Clock]:
    """Replace the wall clock of this process by one that stands still until it is set."""
    clock, truly = Clock(now), time.time
    time.time = lambda: clock.now
    try:
        yield clock
    finally:
        time.time = truly
