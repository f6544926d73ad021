"""Carries out every attack on the association layer while an honest peer asks, again and again, whether we live."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.faults import pdus_before, pdus_within
from tests.faults.attacks import Attack, Attacker, Limit
from tests.faults.checks import Check, Job, Outcome
from tests.faults.targets import KINDS, STRICT, Memory, Osteon, Target, running

ECHO_S = 5.0
HOLD_S = 40.0
OTHERS_HOLD_S = 10.0
MEMORY_MB = 256.0
_PAUSE_S = 0.25
_NOW_S = 5.0
_SLACK_S = 6.0
_SIDE_BY_SIDE = 6
_ALONE = ("floods", "crowds")
_DEFAULTS = {"request_timeout_s": 10.0, "pdu_timeout_s": 30.0, "idle_timeout_s": 60.0, "object_timeout_s": 600.0}
_KEYS = {Limit.REQUEST: "request", Limit.PDU: "pdu", Limit.IDLE: "idle", Limit.OBJECT: "object"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one attack."""

    attack: Attack
    worst_echo_s: float | None
    """The slowest honest C-ECHO; None when one had no answer in time."""
    closed_s: float | None
    """When the peer had closed every connection of the attacker; None when it had not."""
    held_s: float


def all_attacks(seed: int, *, small: bool = False) -> list[Attack]:
    """Every attack of the suite; `small` floods are for the short form."""
    return [*pdus_before.attacks(seed, small=small), *pdus_within.attacks(seed)]


def carry_out(target: Target, attack: Attack, hold_s: float) -> Seen:
    """Attack, and hold it until the peer has hung up, or for so long; honest peers ask all the while."""
    attacker = Attacker(target.port, target.titles)
    begin = time.monotonic()
    worst: float | None = 0.0
    closed_s = None
    try:
        attack.act(attacker)
        held_since = time.monotonic()
        while True:
            echo = target.echo_s(ECHO_S)
            worst = None if echo is None or worst is None else max(worst, echo)
            if attacker.all_closed():
                closed_s = time.monotonic() - held_since
                break
            if time.monotonic() - held_since > hold_s or worst is None:
                break
            time.sleep(_PAUSE_S)
    finally:
        attacker.close()
    return Seen(attack, worst, closed_s, time.monotonic() - begin)


def run(job: Job) -> Outcome:
    """All attacks against one receiver, each on its own; in the short form several side by side."""
    outcome = Outcome()
    attacks = all_attacks(job.seed, small=job.short)[: job.count or None]
    limits = STRICT if job.short else _DEFAULTS
    kind = KINDS[job.against]
    settings = {"listen": dict(limits)} if job.short and kind is Osteon else None
    target = kind(job.folder / "target", settings=settings)
    hold_s = HOLD_S if kind is Osteon and not job.short else OTHERS_HOLD_S
    with running(target):
        assert target.child is not None
        with Memory(target.child.pid) as memory:
            if job.short:
                with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
                    seen = list(
                        pool.map(lambda attack: carry_out(target, attack, _patience_s(attack, limits)), attacks)
                    )
            else:
                seen = [_one(target, attack, hold_s, outcome) for attack in attacks]
        if not target.is_alive():
            outcome.fail("it died")
        elif target.echo_s() is None:
            outcome.fail("it answers no C-ECHO at the end")
        forged = [line for line in target.log().splitlines() if line.startswith(pdus_before.FORGED)]
        if forged:
            outcome.fail(f"{len(forged)} lines of the log were written by a caller")
    _sum_up(outcome, seen, limits if kind is Osteon else {}, hold_s if not job.short else HOLD_S)
    outcome.figures["memory"] = f"+{memory.grown_mb:.0f} MB"
    if memory.grown_mb > MEMORY_MB:
        outcome.fail(f"memory grew by {memory.grown_mb:.0f} MB; {MEMORY_MB:.0f} MB are allowed")
    if kind is not Osteon:
        outcome.note = (
            f"connections of attackers are held for {HOLD_S:.0f} s at Osteon, for {OTHERS_HOLD_S:.0f} s elsewhere"
        )
    return outcome


def _several_at_once(target: Target, attacks: Sequence[Attack], limits: dict[str, float]) -> list[Seen]:
    """Attacks side by side, but each flood on its own."""

    def one(attack: Attack) -> Seen:
        return carry_out(target, attack, _patience_s(attack, limits))

    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        seen = list(pool.map(one, [attack for attack in attacks if attack.group not in _ALONE]))
    return seen + [one(attack) for attack in attacks if attack.group in _ALONE]


def _one(target: Target, attack: Attack, hold_s: float, outcome: Outcome) -> Seen:
    """One attack; a receiver that died of it, or shut honest peers out, is started anew for the next."""
    seen = carry_out(target, attack, hold_s)
    if not target.is_alive():
        outcome.fail(f"dead: {attack.group}, {attack.name}")
        target.start()
    elif seen.worst_echo_s is None and not isinstance(target, Osteon):
        target.kill()
        target.start()
    return seen


def _patience_s(attack: Attack, limits: dict[str, float]) -> float:
    """For how long an attack of the short form is held."""
    if attack.limit is Limit.NOW:
        return _NOW_S
    key = _KEYS.get(attack.limit)
    return limits[f"{key}_timeout_s"] + _SLACK_S if key else 0.5


def _sum_up(outcome: Outcome, seen: Sequence[Seen], limits: dict[str, float], hold_s: float) -> None:
    """Figures and broken promises: honest peers served, attackers cut off in time."""
    outcome.count = len(seen)
    locked = [one for one in seen if one.worst_echo_s is None]
    for one in locked:
        outcome.fail(f"an honest C-ECHO had no answer within {ECHO_S:.0f} s: {one.attack.group}, {one.attack.name}")
    late = [one for one in seen if one.closed_s is None and _must_close(one.attack, limits, hold_s)]
    for one in late:
        where = f"{one.attack.group}, {one.attack.name}"
        outcome.fail(f"not cut off by {one.attack.limit.value}, {one.held_s:.1f} s: {where}")
    echoes = [one.worst_echo_s for one in seen if one.worst_echo_s is not None]
    outcome.figures |= {
        "honest peers locked out": str(len(locked)),
        "slowest honest echo": f"{max(echoes, default=0):.2f} s",
        "attackers not cut off in time": str(len(late)),
    }


def _must_close(attack: Attack, limits: dict[str, float], hold_s: float) -> bool:
    """Whether the attack had to be over within the time that it was held; of other receivers, within the hold."""
    if attack.limit is Limit.NONE:
        return False
    key = _KEYS.get(attack.limit)
    if not limits or key is None:
        return True
    return limits[f"{key}_timeout_s"] + _SLACK_S <= hold_s


CHECK = Check(
    "hostile-pdus",
    "an honest C-ECHO is always answered within 5 s, and attackers are cut off in time",
    run,
    full_count=0,
    short_count=0,
)
