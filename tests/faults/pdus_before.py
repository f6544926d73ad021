"""Attacks of whoever has no association yet: first bytes, association requests, floods of connections."""

import random
import struct
from collections.abc import Callable, Iterator

from tests.faults.attacks import Attack, Attacker, Limit, reset
from tests.faults.octets import EXPLICIT, MR_IMAGE
from tests.faults.scu import VERIFICATION, part

NOW, REQUEST, IDLE, NONE = Limit.NOW, Limit.REQUEST, Limit.IDLE, Limit.NONE
FORGED = "FORGED"

_APPLICATION = part(0x10, b"1.2.840.10008.3.1.1.1")
_MAXIMUM = part(0x51, struct.pack(">L", 16384))
_CLASS = part(0x52, b"2.25.4711")


def attacks(seed: int, *, small: bool = False) -> Iterator[Attack]:
    """All of this file; `small` floods have a fifth of the connections."""
    yield from _first_bytes(random.Random(seed))
    yield from _requests()
    yield from _user_information()
    yield from _floods(5 if small else 1)


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    """A PDU with its true length, or a claimed one."""
    return struct.pack(">BxL", kind, len(body) if length is None else length) + body


def context(identifier: int, abstract: str = VERIFICATION, *syntaxes: str) -> bytes:
    """A proposed presentation context."""
    transfer = b"".join(part(0x40, syntax.encode()) for syntax in syntaxes or (EXPLICIT,))
    return part(0x20, bytes((identifier, 0, 0, 0)) + part(0x30, abstract.encode()) + transfer)


def asking(
    titles: tuple[str, str],
    *items: bytes,
    version: int = 1,
    application: bytes = _APPLICATION,
    user: bytes | None = None,
) -> bytes:
    """An association request of these items."""
    head = struct.pack(">HH16s16s32x", version, 0, titles[1].ljust(16).encode(), titles[0].ljust(16).encode())
    information = part(0x50, _MAXIMUM + _CLASS) if user is None else user
    return pdu(1, head + application + b"".join(items) + information)


def _first_bytes(chance: random.Random) -> Iterator[Attack]:
    hello = bytes.fromhex("16030100c8010000c40303") + chance.randbytes(194)
    noise = chance.randbytes(4000)
    texts: dict[str, tuple[bytes, Limit]] = {
        "nothing": (b"", REQUEST),
        "one byte": (b"\1", REQUEST),
        "five bytes of a header": (b"\1\0\0\0\0", REQUEST),
        "a request said to have 4 GB": (b"\1\0\xff\xff\xff\xff" + bytes(2000), NOW),
        "a request said to have 2 GB": (b"\1\0\x7f\xff\xff\xff" + bytes(2000), NOW),
        "a request of no length": (pdu(1, b"") + bytes(4), NOW),
        "a request of one byte": (pdu(1, b"\0") + bytes(4), NOW),
        "a request of 300 kB of zeros": (pdu(1, bytes(300_000)), NOW),
        "type 0": (pdu(0, bytes(8)), NOW),
        "type 255": (pdu(255, bytes(8)), NOW),
        "data": (pdu(4, struct.pack(">LBB", 6, 1, 3) + bytes(4)), NOW),
        "a release": (pdu(5, bytes(4)), NOW),
        "an answer to a release": (pdu(6, bytes(4)), NOW),
        "an abort": (pdu(7, bytes(4)), NOW),
        "an acceptance": (pdu(2, bytes(68)), NOW),
        "a rejection": (pdu(3, bytes(4)), NOW),
        "a browser": (b"GET / HTTP/1.1\r\nHost: osteon\r\n\r\n", NOW),
        "the beginning of TLS": (hello, NOW),
        "a shell": (b"SSH-2.0-OpenSSH_9.2\r\n", NOW),
        "four kB of zeros": (bytes(4096), NOW),
        "four kB of noise": (b"\x93" + noise, NOW),
        "an empty request": (pdu(1, bytes(68)), NOW),
    }
    for words, (first, limit) in texts.items():
        yield Attack("first bytes", words, lambda by, first=first: _opened(by, first), limit)
    for words, keep in {
        "the header of a request": 6,
        "half a request": 60,
        "a fixed part": 74,
        "all but a byte": -1,
    }.items():
        yield Attack("first bytes", words, lambda by, keep=keep: _opened(by, by.request[:keep]), REQUEST)
    yield Attack("first bytes", "a request that drips", _dripping, REQUEST)
    yield Attack(
        "first bytes", "a request one byte shorter than it is", lambda by: _opened(by, _relength(by.request, -1)), NOW
    )
    yield Attack(
        "first bytes", "a request one byte longer than it is", lambda by: _opened(by, _relength(by.request, 1)), REQUEST
    )
    yield Attack("first bytes", "writing ended after half a request", _half_closed, NOW)


def _opened(by: Attacker, first: bytes) -> None:
    by.open(first)


def _relength(request: bytes, more: int) -> bytes:
    return pdu(1, request[6:], len(request) - 6 + more)


def _dripping(by: Attacker) -> None:
    by.forever(by.open(), (bytes([byte]) for byte in by.request[:-1]), 0.1)


def _half_closed(by: Attacker) -> None:
    sock = by.open(by.request[:60])
    if sock is not None:
        sock.shutdown(1)


def _requests() -> Iterator[Attack]:
    good = context(1)
    many = b"".join(
        context(2 * n + 1, MR_IMAGE, *[f"1.2.840.10008.1.2.4.{50 + k}" for k in range(40)]) for n in range(128)
    )
    thousands = b"".join(context(n % 256 | 1) for n in range(4000))
    made: dict[str, tuple[Callable[[tuple[str, str]], bytes], Limit]] = {
        "no items": (lambda t: asking(t, application=b"", user=b""), NOW),
        "no application context": (lambda t: asking(t, good, application=b""), NOW),
        "another application context": (lambda t: asking(t, good, application=part(0x10, b"1.2.3")), NOW),
        "protocol version 0": (lambda t: asking(t, good, version=0), NOW),
        "no presentation context": (lambda t: asking(t), NOW),
        "128 contexts of 40 syntaxes": (lambda t: asking(t, many), IDLE),
        "4000 contexts": (lambda t: asking(t, thousands), NOW),
        "an even context": (lambda t: asking(t, context(2)), NOW),
        "a context twice": (lambda t: asking(t, good, good), NOW),
        "a context of two bytes": (lambda t: asking(t, part(0x20, b"\1\0")), NOW),
        "a context without a class": (
            lambda t: asking(t, part(0x20, b"\1\0\0\0" + part(0x40, EXPLICIT.encode()))),
            NONE,
        ),
        "a context without a syntax": (lambda t: asking(t, part(0x20, b"\1\0\0\0" + part(0x30, b"1.2.3"))), NONE),
        "a class of 60 kB": (lambda t: asking(t, context(1, "1." * 30_000)), NONE),
        "an item longer than the request": (
            lambda t: asking(t, struct.pack(">BxH", 0x20, 5000) + bytes(8), user=b""),
            NOW,
        ),
        "a sub-item longer than its item": (
            lambda t: asking(t, part(0x20, b"\1\0\0\0" + struct.pack(">BxH", 0x30, 999))),
            NOW,
        ),
        "items of unknown kinds": (
            lambda t: asking(t, good, *[part(kind, b"x" * 50) for kind in range(0x60, 0xF0)]),
            NONE,
        ),
        "half an item": (lambda t: asking(t, good, b"\x20\0"), NOW),
        "60000 empty items": (lambda t: asking(t, good, part(0x99, b"") * 60_000), NONE),
        "an unknown caller": (lambda t: asking(("STRANGER", t[1]), good), NONE),
        "a caller of no name": (lambda t: asking(("", t[1]), good), NONE),
        "a caller of two lines": (lambda t: asking((f"A\n{FORGED} LINE", t[1]), good), NONE),
        "a caller of escape codes": (lambda t: asking(("\x1b[2J\x1b[31mX", t[1]), good), NONE),
        "a wrong called title": (lambda t: asking((t[0], "SOMEBODY"), good), NONE),
    }
    for words, (make, limit) in made.items():
        yield Attack("association requests", words, lambda by, make=make: _opened(by, make(by.titles)), limit)


def _user_information() -> Iterator[Attack]:
    identity = part(0x58, b"\2\0" + struct.pack(">H", 60_000) + b"u" * 60_000 + struct.pack(">H", 5) + b"p")
    made = {
        "none": b"",
        "an empty one": part(0x50, b""),
        "two": part(0x50, _MAXIMUM) * 2,
        "a maximum length of one byte": part(0x51, struct.pack(">L", 1)),
        "a maximum length of seven bytes": part(0x51, struct.pack(">L", 7)),
        "a maximum length of 4 GB": part(0x51, b"\xff\xff\xff\xff"),
        "a maximum length of three bytes' width": part(0x51, b"\0\0\1"),
        "a window of 65535 operations": _MAXIMUM + part(0x53, b"\xff\xff\xff\xff"),
        "a window of two bytes": _MAXIMUM + part(0x53, b"\0\1"),
        "roles that lie": _MAXIMUM + part(0x54, struct.pack(">H", 500) + b"1.2.3" + b"\1\1"),
        "10000 roles": _MAXIMUM + part(0x54, struct.pack(">H", 3) + b"1.2\1\1") * 5_000,
        "a name of 60000 bytes that lies": _MAXIMUM + identity,
        "extended negotiation of noise": _MAXIMUM + part(0x56, bytes(range(256))) + part(0x57, bytes(300)),
        "a version name of control characters": _MAXIMUM + part(0x55, b"\n" * 16),
    }
    from tests.faults.scu import command, pdv

    echo = pdv(1, 3, command((2, VERIFICATION.encode()), (0x100, 0x30), (0x110, 1), (0x800, 0x101)))
    for words, content in made.items():
        user = content if words in ("none", "an empty one", "two") else part(0x50, content)

        def act(by: Attacker, user: bytes = user) -> None:
            sock = by.open(asking(by.titles, context(1), user=user))
            if sock is not None:
                by.forever(sock, iter([echo]))

        yield Attack("user information", words, act, NONE)


def _floods(part: int) -> Iterator[Attack]:
    def many(count: int, first: Callable[[Attacker], bytes]) -> Callable[[Attacker], None]:
        def act(by: Attacker) -> None:
            for _ in range(count // part):
                by.open(first(by))

        return act

    def storm(count: int, first: Callable[[Attacker], bytes], *, hard: bool) -> Callable[[Attacker], None]:
        def act(by: Attacker) -> None:
            for _ in range(count // part):
                sock = by.open(first(by))
                if hard:
                    reset(sock)
                elif sock is not None:
                    sock.close()

        return act

    yield Attack("floods", "10 half requests", many(10, lambda by: by.request[:60]), REQUEST)
    yield Attack("floods", "40 silent connections", many(40, lambda _: b""), REQUEST)
    yield Attack("floods", "300 silent connections", many(300, lambda _: b""), REQUEST)
    yield Attack("floods", "200 half requests", many(200, lambda by: by.request[:60]), REQUEST)
    yield Attack("floods", "200 requests said to have 4 GB", many(200, lambda _: b"\1\0\xff\xff\xff\xff"), NOW)
    yield Attack(
        "floods", "200 unknown callers", many(200, lambda by: asking(("STRANGER", by.titles[1]), context(1))), NONE
    )
    yield Attack("floods", "300 connections that close at once", storm(300, lambda _: b"", hard=False), NOW)
    yield Attack("floods", "300 connections that are reset", storm(300, lambda by: by.request[:100], hard=True), NOW)
    yield Attack("floods", "100 requests that are reset", storm(100, lambda by: by.request, hard=True), NOW)
    yield Attack(
        "floods", "100 aborts after the request", storm(100, lambda by: by.request + pdu(7, bytes(4)), hard=False), NOW
    )
