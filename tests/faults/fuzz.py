"""Mutated data sets and mutated PDUs, each drawn from a seed and its own number, so that one alone can be sent again.

An acknowledged data set must say what the request said: that is checked with pydicom, which knows nothing of our walk.
"""

import io
import random
import struct
import warnings
from collections import Counter
from collections.abc import Callable

import pydicom

from tests.faults.checks import Check, Job, Outcome
from tests.faults.octets import (
    DX_IMAGE,
    IMPLICIT,
    ITEM,
    ITEM_END,
    MR_IMAGE,
    SEQUENCE_END,
    SOP_INSTANCE,
    STUDY,
    UNDEFINED,
    bare,
    element,
    encoded,
    honest,
    nested,
    padded,
)
from tests.faults.pdus_within import ECHO
from tests.faults.scu import EXPLICIT, Association, End, Ended, pdv, request, store_message
from tests.faults.targets import KINDS, STRICT, Memory, Osteon, Target, running

ANSWER_S = 8.0
MEMORY_MB = 256.0
_ECHO_EVERY = 200
_MAGIC = (0, 1, 2, 3, 4, 8, 0x7FFE, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_TEXTS = (b"..", b"/etc/x", b"\0\0", b"\n\r", b"%s%n", b"'--", b"\xff\xfe", b"\\\\", b"1.2.", b"<b>")
_VRS = (b"SQ", b"UN", b"OB", b"OW", b"UT", b"UI", b"US", b"LO", b"  ", b"ZZ", b"\0\0", b"DS")

Mutation = Callable[[random.Random, bytearray], None]


def _flip(chance: random.Random, data: bytearray) -> None:
    for _ in range(chance.randint(1, 8)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _header_flip(chance: random.Random, data: bytearray) -> None:
    for _ in range(chance.randint(1, 4)):
        data[chance.randrange(min(len(data), 600))] = chance.randrange(256)


def _length(chance: random.Random, data: bytearray) -> None:
    value, place = chance.choice(_MAGIC), chance.randrange(max(1, len(data) - 4))
    data[place : place + 4] = struct.pack("<I", value) if value > 0xFFFF else struct.pack("<H", value)


def _short_length(chance: random.Random, data: bytearray) -> None:
    place = chance.randrange(max(1, min(len(data), 600) - 2))
    data[place : place + 2] = struct.pack("<H", chance.choice(_MAGIC[:11]))


def _representation(chance: random.Random, data: bytearray) -> None:
    places = [place for vr in (b"UI", b"LO", b"CS", b"US", b"PN", b"OW") if (place := data.find(vr)) >= 0]
    if places:
        place = chance.choice(places)
        data[place : place + 2] = chance.choice(_VRS)


def _text(chance: random.Random, data: bytearray) -> None:
    word, place = chance.choice(_TEXTS), chance.randrange(len(data))
    data[place : place + len(word)] = word


def _cut(chance: random.Random, data: bytearray) -> None:
    del data[chance.randrange(len(data)) :]


def _drop(chance: random.Random, data: bytearray) -> None:
    place = chance.randrange(len(data))
    del data[place : place + chance.randint(1, 40)]


def _repeat(chance: random.Random, data: bytearray) -> None:
    place, size = chance.randrange(len(data)), chance.randint(1, 64)
    data[place:place] = data[place : place + size] * chance.randint(1, 50)


def _insert(chance: random.Random, data: bytearray) -> None:
    place = chance.randrange(len(data))
    data[place:place] = chance.randbytes(chance.randint(1, 64))


def _swap(chance: random.Random, data: bytearray) -> None:
    one, other = sorted(chance.randrange(len(data)) for _ in range(2))
    size = chance.randint(1, 32)
    data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]


def _nest(chance: random.Random, data: bytearray) -> None:
    place = chance.randrange(min(len(data), 600))
    data[place:place] = nested(chance.choice((1, 2, 50, 300, 3000)), closed=chance.random() < 0.7)


def _delimit(chance: random.Random, data: bytearray) -> None:
    place = chance.randrange(len(data))
    what = chance.choice((ITEM, ITEM_END, SEQUENCE_END))
    data[place:place] = bare(what, chance.choice((0, 8, UNDEFINED)))


MUTATIONS: tuple[Mutation, ...] = (
    _flip, _header_flip, _length, _short_length, _representation, _text, _cut, _drop, _repeat, _insert, _swap, _nest,
    _delimit,
)  # fmt: skip


def mutated(seed: int, number: int) -> tuple[str, str, bytes, bytes]:
    """Class, transfer syntax, instance and data set of input `number`."""
    chance = random.Random(f"{seed} {number}")
    modality = chance.choice(("MR", "DX"))
    syntax = chance.choice((EXPLICIT, EXPLICIT, IMPLICIT))
    elements = honest("fuzz", seed, number, modality=modality)
    data = bytearray(encoded(elements, syntax))
    if chance.random() < 0.3:
        inside = element(0x00081150, b"UI", b"1.2.3\0", syntax=syntax)
        item = bare(ITEM, UNDEFINED) + inside + bare(ITEM_END) + bare(SEQUENCE_END)
        head = struct.pack("<HH", 0x10, 0x10)
        data[:] = data.replace(head, element(0x00081140, b"SQ", b"", length=UNDEFINED, syntax=syntax) + item + head, 1)
    for _ in range(chance.randint(1, 3)):
        if data:
            chance.choice(MUTATIONS)(chance, data)
    return MR_IMAGE if modality == "MR" else DX_IMAGE, syntax, padded(b"UI", elements[SOP_INSTANCE][1]), bytes(data)


def fuzz_data_sets(job: Job) -> Outcome:
    """Send so many mutated data sets."""
    outcome, families, oracle = Outcome(), Counter[str](), Counter[str]()
    contexts = [(cls, syntax) for cls in (MR_IMAGE, DX_IMAGE) for syntax in (EXPLICIT, IMPLICIT)]
    association: Association | None = None
    with running(_target(job, strict=False)) as target:
        assert target.child is not None
        with Memory(target.child.pid) as memory:
            for number in range(job.count):
                outcome.count += 1
                sop_class, syntax, instance, data = mutated(job.seed, number)
                try:
                    association = association or Association(target.port, *target.titles, contexts, timeout_s=ANSWER_S)
                    place = 2 * contexts.index((sop_class, syntax)) + 1
                    answer = association.store(sop_class.encode(), instance, data, place)
                    family = answer.family
                except Ended as ended:
                    answer, family = None, ended.end.name
                families[family] += 1
                if answer is None or answer.status is None:
                    association = _closed(association)
                    _after_an_end(target, family, outcome, f"data set {number} (seed {job.seed})")
                elif answer.acknowledged:
                    oracle[_read_by_another(data, syntax, instance)] += 1
                    if oracle["contradiction"]:
                        outcome.fail(f"wrongly acknowledged: data set {number} (seed {job.seed})")
                        oracle["contradictions"] += oracle.pop("contradiction")
                if number % _ECHO_EVERY == _ECHO_EVERY - 1 and target.echo_s() is None and target.echo_s() is None:
                    outcome.fail(f"no C-ECHO is answered after data set {number} (seed {job.seed})")
        _closed(association)
        _end(target, memory, outcome)
    outcome.figures = {
        "answers": ", ".join(f"{count} × {family}" for family, count in families.most_common()),
        "acknowledged and read by pydicom": f"{oracle['agrees']} agree, {oracle['contradictions']} contradict, "
        f"{oracle['not readable']} not readable",
    } | outcome.figures
    return outcome


def _target(job: Job, *, strict: bool) -> Target:
    if job.against == "osteon":
        settings = {"node": {"log_level": "WARNING"}} | ({"listen": dict(STRICT)} if strict else {})
        return Osteon(job.folder / "target", settings=settings)
    return KINDS[job.against](job.folder / "target")


def _closed(association: Association | None) -> None:
    if association is not None:
        association.close()


def _after_an_end(target: Target, family: str, outcome: Outcome, what: str) -> None:
    """No status came: an abort is an answer, silence is none; the receiver must live."""
    if not target.is_alive():
        outcome.fail(f"dead after {what}")
        target.start()
    elif family == End.SILENT.name:
        outcome.fail(f"no answer within {ANSWER_S:.0f} s: {what}")


def _read_by_another(data: bytes, syntax: str, instance: bytes) -> str:
    """What pydicom makes of an acknowledged data set."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = pydicom.filereader.read_dataset(
                io.BytesIO(data), is_implicit_VR=syntax == IMPLICIT, is_little_endian=True, stop_when=_is_late
            )
            uid, study = (read.get_item(tag) for tag in (SOP_INSTANCE, STUDY))
            values = [bytes(one.value or b"") for one in (uid, study) if one is not None]
    except Exception:  # noqa: BLE001  mutated bytes in a foreign reader, which raises what it likes
        return "not readable"
    same = len(values) == 2 and values[0].rstrip(b"\0 ") == instance.rstrip(b"\0 ") and values[1].strip(b"\0 ")
    return "agrees" if same else "contradiction"


def _is_late(tag: int, _vr: object, _length: object) -> bool:
    return int(tag) > STUDY


def fuzz_pdus(job: Job) -> Outcome:
    """Send so many mutated PDU streams; every tenth time an honest peer asks whether we live."""
    outcome = Outcome()
    slowest = 0.0
    with running(_target(job, strict=True)) as target:
        assert target.child is not None
        with Memory(target.child.pid) as memory:
            for number in range(job.count):
                outcome.count += 1
                _send_stream(target, random.Random(f"{job.seed} {number}"), number)
                if number % 10 == 9:
                    echo = target.echo_s()
                    slowest = max(slowest, echo or 0.0)
                    if echo is None:
                        outcome.fail(f"no honest C-ECHO within 5 s after stream {number} (seed {job.seed})")
                if not target.is_alive():
                    outcome.fail(f"dead after stream {number} (seed {job.seed})")
                    target.start()
        _end(target, memory, outcome)
    outcome.figures = {"slowest honest echo": f"{slowest:.2f} s"} | outcome.figures
    return outcome


def _send_stream(target: Target, chance: random.Random, number: int) -> None:
    """A whole conversation, mutated somewhere, written at once; the connection is then left or closed."""
    from tests.faults.attacks import Attacker

    elements = honest("fuzzed stream", number)
    opening = request(*target.titles, [(MR_IMAGE, EXPLICIT), ("1.2.840.10008.1.1", EXPLICIT)])
    store = store_message(MR_IMAGE.encode(), padded(b"UI", elements[SOP_INSTANCE][1]), encoded(elements))
    whole = bytearray(opening + pdv(3, 3, ECHO) + store + struct.pack(">BxLL", 5, 4, 0))
    if chance.random() < 0.5:  # an honest request, so that what comes behind it is looked at
        rest = whole[len(opening) :]
        chance.choice(MUTATIONS)(chance, rest)
        whole[len(opening) :] = rest
    else:
        chance.choice(MUTATIONS)(chance, whole)
    attacker = Attacker(target.port, target.titles)
    attacker.open(bytes(whole))
    attacker.close()


def _end(target: Target, memory: Memory, outcome: Outcome) -> None:

    if target.is_alive() and target.echo_s() is None:
        outcome.fail("it answers no C-ECHO at the end")
    outcome.figures["memory"] = f"+{memory.grown_mb:.0f} MB"
    if memory.grown_mb > MEMORY_MB:
        outcome.fail(f"memory grew by {memory.grown_mb:.0f} MB; {MEMORY_MB:.0f} MB are allowed")


DATA_SETS = Check(
    "fuzz-data-sets",
    "no mutated data set kills, stalls or swells the receiver; none is acknowledged under a name not its own",
    fuzz_data_sets,
    full_count=100_000,
    short_count=800,
)
PDUS = Check(
    "fuzz-pdus",
    "no mutated stream of PDUs keeps an honest peer from its C-ECHO",
    fuzz_pdus,
    full_count=20_000,
    short_count=300,
)
