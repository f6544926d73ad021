"""Objects whose identity is an attack, a contradiction or missing."""

from collections.abc import Iterator

from tests.bench.loads import uid
from tests.faults.cases import ENDED, MISMATCH, WRONG_CLASS, Author, Case, Verdict
from tests.faults.octets import (
    DX_IMAGE,
    ITEM,
    ITEM_END,
    MR_IMAGE,
    PIXEL_DATA,
    SEQUENCE_END,
    SERIES,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY,
    UNDEFINED,
    Elements,
    bare,
    element,
)

ESCAPE = "OSTEON-FAULTS-ESCAPE"
"""A word that no file name outside the storage folder may hold afterwards."""

_NAMES = {SOP_CLASS: "SOP Class UID", SOP_INSTANCE: "SOP Instance UID", STUDY: "Study UID", SERIES: "Series UID"}

_TRAVERSALS = {
    "climbs out": f"../{ESCAPE}",
    "climbs far out": f"../../../../../../tmp/{ESCAPE}",
    "is two dots": "..",
    "is an absolute path": f"/tmp/{ESCAPE}",
    "climbs out the other way": f"..\\..\\{ESCAPE}",
    "climbs out after digits": f"1.2.3/../../{ESCAPE}",
    "climbs out in percent signs": f"%2e%2e%2f{ESCAPE}",
    "is a drive": f"C:\\{ESCAPE}",
    "ends a text at a NUL": f"1.2.3\0../{ESCAPE}",
}
_WORDS = {
    "holds a line feed": "1.2.3\n4",
    "holds a line of log": "1.2\r\nFORGED 2026-01-01 admin logged in",
    "runs a command": f"$(touch {ESCAPE})",
    "runs a command in backticks": f"`touch {ESCAPE}`",
    "pipes": f"|touch {ESCAPE}",
    "ends a statement": "1.2';DROP TABLE studies;--",
    "is an option": "--help",
    "is a wildcard": "*",
    "is a tag": "<script>alert(1)</script>",
    "holds letters": "1.2.abc",
    "holds digits of another script": "1.2.٣",
    "begins with a dot": ".1.2.3",
    "ends with a dot": "1.2.3.",
    "holds an empty component": "1..2.3",
    "has 65 characters": "1." + "2" * 63,
    "has 1000 characters": "1." + "2" * 998,
    "is two UIDs": "1.2.3\\1.2.4",
    "is an escape sequence": "\x1b[2J1.2.3",
    "is negative": "-1.2.3",
    "is a float": "1e9.2",
}
_BLANKS = {"is empty": b"", "is of spaces": b"    ", "is of NULs": b"\0\0\0\0"}


def cases(seed: int) -> Iterator[Case]:
    """All of this file."""
    yield from _attacks(Author("UID attacks", seed))
    yield from _missing(Author("missing UIDs", seed))
    yield from _contradictions(Author("command against data set", seed))
    yield from _misplaced(Author("UIDs out of place", seed))


def _attacks(author: Author) -> Iterator[Case]:
    for words, text in (_TRAVERSALS | _WORDS).items():
        name = f"SOP Instance UID {words}"
        value = text.encode()
        yield author.case(name, Verdict.REFUSE, {SOP_INSTANCE: (b"UI", value)}, refusals=frozenset({"C", "A9"}) | ENDED)
    for tag in (STUDY, SERIES):
        for words, text in _TRAVERSALS.items():
            yield author.case(f"{_NAMES[tag]} {words}", Verdict.REFUSE, {tag: (b"UI", text.encode())})
    for words in ("holds a line of log", "runs a command", "ends a statement", "has 65 characters"):
        yield author.case(f"Study UID {words}", Verdict.REFUSE, {STUDY: (b"UI", _WORDS[words].encode())})
    longest = "1." + "2" * 62
    yield author.case("Study UID has 64 characters", Verdict.STORE, {STUDY: (b"UI", longest.encode())})
    yield author.case("Study UID has a leading zero", Verdict.EITHER, {STUDY: (b"UI", b"1.2.03.4")})
    huge = b"1." + b"2" * 65000
    yield author.case("Study UID has 65 kB", Verdict.REFUSE, {STUDY: (b"UI", huge)})


def _missing(author: Author) -> Iterator[Case]:
    for tag, name in _NAMES.items():
        own = author.base(f"{name} absent")[tag][1]
        request = {"sop_class": own} if tag == SOP_CLASS else {"instance": own} if tag == SOP_INSTANCE else {}
        yield author.case(f"{name} absent", Verdict.REFUSE, {tag: None}, **request)
        for words, blank in _BLANKS.items():
            name_here = f"{name} {words}"
            own = author.base(name_here)[tag][1]
            request = {"sop_class": own} if tag == SOP_CLASS else {"instance": own} if tag == SOP_INSTANCE else {}
            yield author.case(name_here, Verdict.REFUSE, {tag: (b"UI", blank)}, **request)
    everything: dict[int, None] = dict.fromkeys(_NAMES)
    name = "no UID at all"
    own_class, own = MR_IMAGE.encode(), author.base(name)[SOP_INSTANCE][1]
    yield author.case(name, Verdict.REFUSE, everything, sop_class=own_class, instance=own)


def _contradictions(author: Author) -> Iterator[Case]:
    def own(name: str) -> bytes:
        return author.base(name)[SOP_INSTANCE][1]

    other = uid("faults", "another").encode()
    both = frozenset({"A9", "C", "01"}) | ENDED
    case, refuse = author.case, Verdict.REFUSE
    yield case("instance of another object", refuse, instance=other, refusals=MISMATCH)
    name = "instance that begins as the object's"
    yield case(name, refuse, instance=own(name)[:-4], refusals=MISMATCH)
    name = "instance that goes on behind the object's"
    yield case(name, refuse, instance=own(name) + b".1", refusals=MISMATCH)
    name = "instance with a path behind a NUL"
    yield case(name, refuse, instance=own(name) + b"\0../" + ESCAPE.encode(), refusals=both)
    yield case("instance that is a path", refuse, instance=b"../../" + ESCAPE.encode(), refusals=both)
    yield case("instance that is empty", refuse, instance=b"", refusals=both)
    yield case("class of another image", refuse, {SOP_CLASS: (b"UI", DX_IMAGE.encode())}, sop_class=MR_IMAGE.encode(),
               refusals=MISMATCH)  # fmt: skip
    yield case("class that is not the context's", refuse, sop_class=DX_IMAGE.encode(), refusals=WRONG_CLASS)
    yield case("class and data set agree against the context", refuse, {SOP_CLASS: (b"UI", DX_IMAGE.encode())},
               refusals=WRONG_CLASS)  # fmt: skip
    yield case("class that is Verification", refuse, sop_class=b"1.2.840.10008.1.1", refusals=WRONG_CLASS)
    yield case("class that is empty", refuse, sop_class=b"", refusals=both)
    yield case("class that is noise", refuse, sop_class=bytes(range(128, 192)), refusals=both)


def _misplaced(author: Author) -> Iterator[Case]:
    def in_a_sequence(elements: Elements) -> bytes:
        inside = b"".join(element(tag, *elements[tag]) for tag in (SOP_CLASS, SOP_INSTANCE))
        head = element(0x00081140, b"SQ", b"", length=UNDEFINED) + bare(ITEM, UNDEFINED)
        return head + inside + bare(ITEM_END) + bare(SEQUENCE_END)

    name = "UIDs in a nested item only"
    base = author.base(name)
    rest = {tag: value for tag, value in base.items() if tag > 0x00081140}
    from tests.faults.octets import encoded

    whole = in_a_sequence(base) + encoded(rest)
    yield author.case(name, Verdict.REFUSE, spoil=lambda _: whole)
    name = "study UID in a private group only"
    value = author.base(name)[STUDY]
    yield author.case(name, Verdict.REFUSE, {STUDY: None, 0x0021000D: value})
    name = "UIDs behind the pixels"
    late = {tag: author.base(name)[tag] for tag in (STUDY, SERIES)}
    tail = encoded(late)
    yield author.case(name, Verdict.REFUSE, dict.fromkeys(late), spoil=lambda data: data + tail)
    name = "two SOP Instance UIDs, the second a path"
    second = element(SOP_INSTANCE, b"UI", f"../{ESCAPE}".encode())
    place = element(0x00080020, b"DA", b"20260102")
    yield author.case(name, Verdict.REFUSE, spoil=lambda data: data.replace(place, second + place))
    name = "two study UIDs"
    twin = element(STUDY, b"UI", b"1.2.3.45")
    first = element(SERIES, b"UI", b"")[:6]
    yield author.case(name, Verdict.REFUSE, spoil=lambda data: data.replace(first, twin + first, 1))
    text = author.base("SOP Instance UID as text")[SOP_INSTANCE][1]
    yield author.case("SOP Instance UID as text", Verdict.EITHER, {SOP_INSTANCE: (b"LO", text)})
    yield author.case("SOP Instance UID as unknown bytes", Verdict.EITHER, {
        SOP_INSTANCE: (b"UN", author.base("SOP Instance UID as unknown bytes")[SOP_INSTANCE][1])
    })  # fmt: skip
    yield author.case("pixels before their UIDs", Verdict.REFUSE, {PIXEL_DATA: None},
                      spoil=lambda data: element(PIXEL_DATA, b"OW", bytes(512)) + data)  # fmt: skip
