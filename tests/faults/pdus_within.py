"""Attacks of whoever has an association: PDUs out of place, fragments and commands that lie, objects without end."""

import itertools
import random
import socket
import struct
from collections.abc import Iterator

from tests.faults.attacks import Attack, Attacker, Limit, reset, send
from tests.faults.octets import MR_IMAGE
from tests.faults.pdus_before import pdu
from tests.faults.scu import VERIFICATION, command, pdv

NOW, PDU, IDLE, OBJECT, NONE = Limit.NOW, Limit.PDU, Limit.IDLE, Limit.OBJECT, Limit.NONE
ECHO = command((2, VERIFICATION.encode()), (0x100, 0x30), (0x110, 1), (0x800, 0x101))
STORE = command((2, MR_IMAGE.encode()), (0x100, 1), (0x110, 1), (0x700, 0), (0x800, 1), (0x1000, b"2.25.47111"))


def attacks(seed: int) -> Iterator[Attack]:
    """All of this file."""
    yield from _out_of_place()
    yield from _fragments()
    yield from _commands(random.Random(seed))
    yield from _objects()
    yield from _crowds()


def _said(group: str, texts: dict[str, tuple[bytes, Limit]]) -> Iterator[Attack]:
    def act(by: Attacker, then: bytes) -> None:
        by.associated(then)

    for words, (then, limit) in texts.items():
        yield Attack(group, words, lambda by, then=then: act(by, then), limit)


def _out_of_place() -> Iterator[Attack]:
    group = "PDUs out of place"
    yield Attack(group, "a second request", lambda by: _second(by), NOW)
    yield from _said(group, {
        "an acceptance": (pdu(2, bytes(68)), NOW),
        "a rejection": (pdu(3, bytes(4)), NOW),
        "an answer to a release": (pdu(6, bytes(4)), NOW),
        "an unknown type": (pdu(9, bytes(4)), NOW),
        "a release of 4 GB": (pdu(5, bytes(4), 0xFFFFFFFF), NOW),
        "an abort of 4 GB": (pdu(7, bytes(4), 0xFFFFFFFF), NOW),
        "data after the release": (pdu(5, bytes(4)) + pdv(3, 3, ECHO), NOW),
        "a release in the middle of an object": (pdv(1, 3, STORE) + pdv(1, 0, bytes(50)) + pdu(5, bytes(4)), NOW),
        "a release in the middle of a command": (pdv(1, 1, STORE[:20]) + pdu(5, bytes(4)), NOW),
        "a browser": (b"GET / HTTP/1.1\r\n\r\n", NOW),
        "half a header, then silence": (b"\4\0\0", PDU),
        "half a fragment, then silence": (pdv(1, 3, STORE)[:40], PDU),
        "silence": (b"", IDLE),
    })  # fmt: skip
    yield Attack(group, "a PDU that drips", _dripping, PDU)


def _second(by: Attacker) -> None:
    by.associated(by.request)


def _dripping(by: Attacker) -> None:
    by.forever(by.associated(), (bytes([byte]) for byte in pdv(1, 3, STORE)[:-1]), 0.3)


def _fragments() -> Iterator[Attack]:
    def data(length: int, rest: bytes, claimed: int | None = None) -> bytes:
        return pdu(4, struct.pack(">L", length) + rest, claimed)

    yield from _said("fragments that lie", {
        "a PDU of 4 GB": (pdu(4, bytes(1000), 0xFFFFFFFF), NOW),
        "a PDU over the negotiated length": (pdu(4, bytes(1000), 300_000), NOW),
        "a PDU of no length": (pdu(4, b"") + bytes(4), NOW),
        "a PDU of five bytes": (pdu(4, bytes(5)), NOW),
        "a fragment of no length": (data(0, b"\1\3" + ECHO), NOW),
        "a fragment of one byte": (data(1, b"\1\3" + ECHO), NOW),
        "a fragment longer than its PDU": (data(5000, b"\1\3" + ECHO), NOW),
        "a fragment of 4 GB": (data(0xFFFFFFFF, b"\1\3" + ECHO), NOW),
        "a fragment of minus one": (data(0x80000000, b"\1\3" + ECHO), NOW),
        "a second fragment that is cut off": (data(len(ECHO) + 2, b"\3\3" + ECHO + b"\0\0"), NOW),
        "context 0": (pdv(0, 3, ECHO), NOW),
        "context 2": (pdv(2, 3, ECHO), NOW),
        "context 99": (pdv(99, 3, ECHO), NOW),
        "a command that changes its context": (pdv(1, 1, STORE[:20]) + pdv(3, 3, STORE[20:]), NOW),
        "flags that do not exist": (pdv(3, 0xFC, ECHO), NOW),
        "a data set without a command": (pdv(1, 2, bytes(100)), NOW),
        "a data set in another context": (pdv(1, 3, STORE) + pdv(3, 2, bytes(100)), NOW),
        "a command in the middle of a data set": (pdv(1, 3, STORE) + pdv(1, 0, bytes(50)) + pdv(1, 3, ECHO), NOW),
        "empty fragments of a command": (pdv(1, 1, b"") * 500 + pdv(3, 3, ECHO), NOW),
    })  # fmt: skip


def _commands(chance: random.Random) -> Iterator[Attack]:
    def asks(field: int, *more: tuple[int, bytes | int]) -> bytes:
        return pdv(1, 3, command((2, MR_IMAGE.encode()), (0x100, field), (0x110, 1), *more))

    lies = struct.pack("<HHL", 0, 2, 0xFFFFFFF0) + ECHO[12:]
    yield from _said("commands", {
        "noise": (pdv(1, 3, chance.randbytes(200)), NOW),
        "nothing": (pdv(1, 3, b""), NOW),
        "100 kB of a command": (b"".join(pdv(1, 1, bytes(10_000)) for _ in range(10)), NOW),
        "an element of 4 GB": (pdv(1, 3, lies), NOW),
        "another group": (pdv(1, 3, ECHO[:12] + struct.pack("<HHL", 8, 0x18, 0)), NOW),
        "no command field": (pdv(1, 3, command((2, VERIFICATION.encode()), (0x110, 1), (0x800, 0x101))), NOW),
        "no message number": (pdv(1, 3, command((2, VERIFICATION.encode()), (0x100, 0x30), (0x800, 0x101))), NOW),
        "a field of four bytes": (pdv(1, 3, command((0x100, b"\x30\0\0\0"), (0x110, 1), (0x800, 0x101))), NOW),
        "a field twice": (pdv(1, 3, command((0x100, 0x30), (0x100, 1), (0x110, 1), (0x800, 0x101))), NOW),
        "an unknown field": (asks(0x4711, (0x800, 0x101)), NONE),
        "a query": (asks(0x20, (0x700, 0), (0x800, 1)) + pdv(1, 2, bytes(40)), NONE),
        "a move": (asks(0x21, (0x600, b"ATTACKER"), (0x700, 0), (0x800, 1)) + pdv(1, 2, bytes(40)), NONE),
        "a get": (asks(0x10, (0x700, 0), (0x800, 1)) + pdv(1, 2, bytes(40)), NONE),
        "a deletion": (asks(0x150, (0x800, 0x101)), NONE),
        "an action": (asks(0x130, (0x800, 1)) + pdv(1, 2, bytes(40)), NONE),
        "answers to nothing": (pdv(1, 3, command((0x100, 0x8001), (0x120, 7), (0x800, 0x101), (0x900, 0))) * 50, NONE),
        "300 cancellations": (pdv(1, 3, command((0x100, 0xFFF), (0x120, 7), (0x800, 0x101))) * 300, NONE),
        "300 echoes at once": (pdv(3, 3, ECHO) * 300, NONE),
    })  # fmt: skip
    # That it is cut off cannot be seen from here: our end is told behind the answers that it does not read.
    yield Attack("commands", "echoes whose answers nobody reads", _deaf, NONE)


def _deaf(by: Attacker) -> None:
    sock = by.associated()
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        by.forever(sock, itertools.repeat(pdv(3, 3, ECHO) * 100, 500), 0.0)


def _objects() -> Iterator[Attack]:
    group = "objects without end"
    yield from _said(group, {
        "a request without its data set": (pdv(1, 3, STORE), IDLE),
        "half a data set": (pdv(1, 3, STORE) + pdv(1, 0, bytes(3000)), IDLE),
        "a data set that never begins to make sense": (pdv(1, 3, STORE) + pdv(1, 0, bytes(10_000)) * 300, IDLE),
    })  # fmt: skip
    for words, piece, pause_s in (
        ("a data set that drips", pdv(1, 0, b"x"), 0.2),
        ("empty fragments without end", pdv(1, 0, b"") * 50, 0.02),
        ("a data set without end", pdv(1, 0, bytes(10_000)), 0.02),
    ):

        def act(by: Attacker, piece: bytes = piece, pause_s: float = pause_s) -> None:
            by.forever(by.associated(pdv(1, 3, STORE)), itertools.repeat(piece), pause_s)

        yield Attack(group, words, act, OBJECT)
    yield Attack(group, "a reset in the middle of an object", _reset_within, NOW)
    yield Attack(group, "urgent data", _urgent, NONE)


def _reset_within(by: Attacker) -> None:
    reset(by.associated(pdv(1, 3, STORE) + pdv(1, 0, bytes(5000))))


def _urgent(by: Attacker) -> None:
    sock = by.associated()
    if sock is not None and send(sock, pdv(3, 3, ECHO)[:20]):
        sock.send(b"!", socket.MSG_OOB)


def _crowds() -> Iterator[Attack]:
    def crowd(count: int, then: bytes) -> Attack:
        def act(by: Attacker) -> None:
            for _ in range(count):
                by.associated(then)

        return Attack("crowds", f"{count} associations that {'are silent' if not then else 'break off'}", act, IDLE)

    yield crowd(60, b"")
    yield crowd(60, pdv(1, 3, STORE)[:50])
    yield crowd(120, b"")
