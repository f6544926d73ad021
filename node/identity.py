"""Who we are on the network and in every object: our UID root, our names, and UIDs that repeat.

A UID made here is `2.25.` and the decimal form of a UUID (PS3.5 B.2): no registration is needed and no two nodes can
collide. Result UIDs are a hash of what went in, so that the same images, weights and settings give the same UIDs
however often the node crashes or is asked again: an archive that already holds a result recognises it.
"""

import hashlib
from collections.abc import Iterable

UID_ROOT = "2.25"

VERSION = "0.1.0"
"""Of the distribution; the same as in pyproject.toml."""

MANUFACTURER = "Osteon"
MODEL_NAME = "Osteon node"

IMPLEMENTATION_CLASS_UID = "2.25.180251081037008964759014071203432846498"
"""Ours for file meta (0002,0012) and association negotiation: `uid_of("implementation class")`, fixed for ever."""

IMPLEMENTATION_VERSION_NAME = "OSTEON_" + VERSION.replace(".", "_")
"""At most 16 characters (PS3.7 D.3.3.2.3)."""


def uid_of(*parts: str) -> str:
    """A UID that is always the same for the same parts.

    The first 128 bits of a SHA-256 over the parts, stamped as a version 8 UUID (RFC 9562 5.8), at most 44 characters.
    Each part is preceded by its length, so that ("ab", "c") and ("a", "bc") differ.
    """
    digest = hashlib.sha256()
    for part in ("osteon", *parts):
        encoded = part.encode("utf-8")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    number = int.from_bytes(digest.digest()[:16], "big")
    number = number & ~(0xF << 76) | (0x8 << 76)  # version 8
    number = number & ~(0x3 << 62) | (0x2 << 62)  # variant 10
    return f"{UID_ROOT}.{number}"


def serial_number(installation: str = "") -> str:
    """*Device Serial Number* (0018,1000) of one installation: the same for ever."""
    return uid_of("device", installation)


def device_uid(installation: str, weights_sha256: str) -> str:
    """The Device Observer UID (121012, DCM) of one installation with one set of weights.

    The same after every restart and another after every training, as IHE AIR wants it: a model that was trained again
    is another observer.
    """
    return uid_of("device", installation, weights_sha256)


def fingerprint(study_instance_uid: str, inputs: Iterable[str], weights_sha256: str, config: str = "") -> str:
    """SHA-256 (hex) over everything that decides what a run says.

    Parameters
    ----------
    inputs
        SOP Instance UIDs of the images used, in any order.
    config
        The settings that change the result, as one string.
    """
    digest = hashlib.sha256()
    for part in (study_instance_uid, *sorted(set(inputs)), "|", weights_sha256, config):
        encoded = part.encode("utf-8")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()
