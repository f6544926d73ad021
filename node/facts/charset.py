"""Bytes of a text value to characters, where the character set is declared, missing, or wrong (PS3.3 C.12.1.1.2).

Many senders write Chinese, Japanese, Korean or UTF-8 without declaring it, or declare Latin-1. So a value has one or
more readings, best first; who looks for a word takes the first reading that holds it.
"""

from collections.abc import Sequence

from pydicom.charset import convert_encodings, decode_bytes

_UNDECLARED = ("utf-8", "shift_jis", "gb18030", "euc_kr", "big5", "euc_jp")
"""Tried in this order (DICOM.md §3.1, then two more), before Latin-1, in which every byte means something."""
_DELIMITERS = {0x09, 0x0A, 0x0C, 0x0D, 0x5C}  # after which an ISO 2022 escape must be repeated (PS3.5 6.1.2.5.3)
_ESCAPE = 0x1B


def readings(raw: bytes, declared: Sequence[str]) -> tuple[str, ...]:
    """What the bytes may say, best guess first; never empty, never raises.

    Parameters
    ----------
    raw
        The value field.
    declared
        The values of *Specific Character Set* (0008,0005) that hold here; empty when there is none.
    """
    if raw.isascii() and _ESCAPE not in raw:
        return (raw.decode("ascii"),)
    found = [_declared(raw, declared)] if any(declared) else []
    if not found or found[0] is None or _is_single_byte(declared):
        found += [_strict(raw, codec) for codec in _UNDECLARED]
    texts = [text for text in found if text is not None]
    texts.append(raw.decode("latin-1"))
    return tuple(dict.fromkeys(texts))


def again(text: str, declared: Sequence[str]) -> tuple[str, ...]:
    """The readings of a value that somebody else has already decoded.

    Where the set was missing or Latin-1, that decoding kept every byte, so the bytes can be had back.
    """
    if text.isascii() or not _is_single_byte(declared):
        return (text,)
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        return (text,)
    return tuple(dict.fromkeys((text, *readings(raw, declared)))) if any(declared) else readings(raw, declared)


def _is_single_byte(declared: Sequence[str]) -> bool:
    """Whether the declaration is none, or one that the bytes of any other set would fit into as well."""
    return all(name in ("", "ISO_IR 6") or (name.startswith("ISO_IR 1") and name != "ISO_IR 192") for name in declared)


def _declared(raw: bytes, declared: Sequence[str]) -> str | None:
    try:
        text = decode_bytes(raw, convert_encodings(list(declared)), _DELIMITERS)
    except (LookupError, ValueError, TypeError, AttributeError):
        return None
    return None if "\ufffd" in text else text


def _strict(raw: bytes, codec: str) -> str | None:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return None
