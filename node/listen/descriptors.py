"""How many connections the process can hold: what it may open at once (RLIMIT_NOFILE), shared out.

Whoever runs out of descriptors can accept nobody, not even to say no. So the limits that the configuration asks for are
lowered to what the machine gives, and who comes in beyond them is rejected for now, as the standard has it (2/3/2).
"""

import logging
import resource
from dataclasses import dataclass, replace
from typing import Protocol

log = logging.getLogger(__name__)

_OWN = 32
"""Logs, database connections, the listening socket, libraries: what is open without any caller."""
_PER_ASSOCIATION = 2  # its socket, and the segment of the journal
_LEAST_WAITING = 4


@dataclass(frozen=True, slots=True)
class Capacity:
    """Associations, and connections that are none yet."""

    associations: int
    waiting: int

    @property
    def descriptors(self) -> int:
        """What it takes."""
        return _OWN + _PER_ASSOCIATION * self.associations + self.waiting


class Limits(Protocol):
    """What of the listener's settings asks for descriptors."""

    @property
    def max_associations(self) -> int: ...
    @property
    def max_waiting(self) -> int: ...


def within(limit: int, wanted: Capacity) -> Capacity:
    """What of `wanted` can be had with so many descriptors; at least one association, whatever comes of it."""
    if wanted.descriptors <= limit:
        return wanted
    spare = max(0, limit - _OWN)
    waiting = min(wanted.waiting, max(_LEAST_WAITING, spare // 4))
    associations = max(1, (spare - waiting) // _PER_ASSOCIATION)
    return replace(wanted, associations=min(wanted.associations, associations), waiting=waiting)


def capacity(settings: Limits) -> Capacity:
    """What of the settings can be had here; says so where it is less than was asked for.

    The limit of this process is raised as far as its user may raise it.
    """
    wanted = Capacity(settings.max_associations, settings.max_waiting)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted.descriptors and hard != soft:
        soft = wanted.descriptors if hard == resource.RLIM_INFINITY else min(wanted.descriptors, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    found = within(soft, wanted)
    if found != wanted:
        log.warning(
            "listen.max_associations is %d, which takes %d open files; this user may open %d. %d association(s) at "
            "once are let in. Raise LimitNOFILE in the service's file (or ulimit -n), or lower the setting.",
            wanted.associations, wanted.descriptors, soft, found.associations,
        )  # fmt: skip
    return found
