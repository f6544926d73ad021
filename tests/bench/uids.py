"""UIDs for made objects; apart from loads.py, whose toolkits take a second to import."""

import hashlib


def uid(*parts: object) -> str:
    """A UID of the root that needs no registration (PS3.5 B.2), the same for the same parts."""
    return f"2.25.{int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:15], 'big')}"
