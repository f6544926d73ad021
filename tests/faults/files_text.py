"""Objects whose texts attack whoever shows them: logs, web pages, spreadsheets, shells, databases, character sets."""

from collections.abc import Iterator

from tests.faults.cases import Author, Case, Verdict
from tests.faults.files_identity import ESCAPE
from tests.faults.octets import Elements

STORE, EITHER = Verdict.STORE, Verdict.EITHER
FORGED = "FORGED-LINE"
"""A line of log that begins with this word was written by a sender."""

_INJECTIONS = {
    "line of log": f"\r\n{FORGED} 2026-01-02 03:04:05 INFO admin logged in",
    "script": "<script>alert('CANARY')</script>",
    "broken tag": '"><img src=x onerror=alert(1)>',
    "formula": "=cmd|' /C calc'!A0",
    "formula with plus": '+HYPERLINK("http://127.0.0.1/CANARY")',
    "statement": "'; DROP TABLE studies; --",
    "union": "x' UNION SELECT * FROM peers --",
    "shell": f"$(touch {ESCAPE}); `touch {ESCAPE}`",
    "look-up": "${jndi:ldap://127.0.0.1/CANARY}",
    "template": "{{7*7}}${7*7}<%= 7*7 %>",
    "format": "%s%s%s%n%x {0.__class__.__mro__} %(message)s",
    "entity": '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "escape codes": "\x1b]0;CANARY\x07\x1b[2J\x1b[31m",
    "right to left": "\u202egnp.elif",
    "path": f"../../{ESCAPE}",
}
_CHARACTER_SETS = {
    "unknown": b"ISO_IR 4711",
    "empty parts": b"\\\\\\",
    "all of them": b"\\".join([b"ISO 2022 IR 87"] * 200),
    "noise": bytes(range(128, 160)),
    "a path": f"../{ESCAPE}".encode(),
    "a codec with effects": b"base64 ",
    "UTF-7": b"utf-7 ",
    "a number": b"1 ",
}


def cases(seed: int) -> Iterator[Case]:
    """All of this file."""
    yield from _injections(Author("injection", seed))
    yield from _character_sets(Author("character sets", seed))


def _injections(author: Author) -> Iterator[Case]:
    for words, text in _INJECTIONS.items():
        value = text.encode("utf-8")[:64]
        changes: Elements = {
            0x00080005: (b"CS", b"ISO_IR 192"),
            0x00080050: (b"SH", value[:16]),
            0x00081030: (b"LO", value),
            0x00100010: (b"PN", value),
            0x00104000: (b"LT", text.encode()),
        }
        control = any(ord(letter) < 32 for letter in text)
        yield author.case(f"{words} in the texts", EITHER if control else STORE, changes)
        for tag, keyword in ((0x00100020, "patient's ID"), (0x00080060, "modality"), (0x00180015, "body part")):
            yield author.case(
                f"{words} in the {keyword}", EITHER, {tag: (b"LO" if tag == 0x00100020 else b"CS", value)}
            )


def _character_sets(author: Author) -> Iterator[Case]:
    for words, name in _CHARACTER_SETS.items():
        yield author.case(f"character set {words}", EITHER, {0x00080005: (b"CS", name)})
    contents = {
        "invalid UTF-8": (b"ISO_IR 192", b"\xff\xfe\xc0\x80\xed\xa0\x80^\xf8\x88\x80\x80\x80"),
        "an escape that never comes back": (b"\\ISO 2022 IR 87", b"\x1b$B" + b"\x7f" * 61),
        "escapes alone": (b"\\ISO 2022 IR 149", b"\x1b" * 64),
        "half a character": (b"GB18030 ", b"\x81\x30\x81"),
        "NULs": (b"ISO_IR 100", b"CANARY\0\0\0SINGING"),
        "a name of 60000 bytes": (b"ISO_IR 100", b"A^" * 30_000),
        "a name of 5000 parts": (b"ISO_IR 100", b"^=" * 5_000),
    }
    for words, (charset, value) in contents.items():
        yield author.case(words, EITHER, {0x00080005: (b"CS", charset), 0x00100010: (b"PN", value)})
