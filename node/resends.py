"""The rules for objects that a peer accepted and does not have: when they are sent again, and how often."""

import time
from dataclasses import dataclass
from typing import Self

from node.config import SendSection
from storage.confirmations import Resend


@dataclass(frozen=True, slots=True)
class ResendRules:
    """What becomes of an object that a peer accepted and does not have."""

    after_s: float = 60.0
    limit: int = 3

    @classmethod
    def of(cls, section: SendSection) -> Self:
        """The rules of the section [send]."""
        return cls(section.resend_after_s, int(section.max_resends))

    def from_now(self) -> Resend:
        """The rules with the moment that they mean."""
        return Resend(time.time() + self.after_s, self.limit)
