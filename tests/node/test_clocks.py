"""A wall clock that is set: nothing waits for an hour that was set back, and an hour set forward ends no patience."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from node.clocks import EVENT, ClockWatch, Leases
from node.timers import clock_was_set, trusting
from storage.engine import begin, reading
from storage.states import DeliveryState
from tests.e2e.processes import free_port, until
from tests.node.made_outbox import Outbox

YEAR_S = 365 * 86400.0


class Hands:
    """Set the clocks of this process; they stand still otherwise."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.wall, self.steady = time.time(), time.monotonic()
        patch.setattr(time, "time", lambda: self.wall)
        patch.setattr(time, "monotonic", lambda: self.steady)

    def pass_on(self, seconds: float, *, set_by: float = 0.0) -> None:
        """Let time pass, and have somebody set the wall clock meanwhile."""
        self.steady += seconds
        self.wall += seconds + set_by


@pytest.fixture
def hands() -> Iterator[Hands]:
    with pytest.MonkeyPatch.context() as patch:
        yield Hands(patch)


@pytest.fixture
def waiting(new_outbox: Callable[..., Outbox]) -> Outbox:
    """An outbox whose peer is not there, after the first attempt."""
    outbox = new_outbox(free_port())
    outbox.send()
    assert outbox.states() == [DeliveryState.PENDING] * 2
    return outbox


def watch(outbox: Outbox, swept: list[bool] | None = None) -> ClockWatch:
    return ClockWatch(outbox.engine, outbox.config, lambda: (swept or []).append(True))


def test_results_are_due_at_once_when_the_clock_was_set_back_while_nobody_looked(waiting: Outbox, hands: Hands) -> None:
    hands.pass_on(0, set_by=-YEAR_S)
    assert waiting.lines()[0].due_at > time.time() + 300 * 86400
    watch(waiting).turn()
    assert waiting.lines()[0].due_at == time.time()


def test_what_waits_for_its_usual_pause_is_left_alone(waiting: Outbox) -> None:
    due_at = waiting.lines()[0].due_at
    looking = watch(waiting)
    for _ in range(2):
        looking.turn()
    assert waiting.lines()[0].due_at == due_at


@pytest.mark.parametrize("set_by", [3600.0, YEAR_S, -3600.0, -YEAR_S])
def test_a_clock_that_is_set_ends_no_patience_and_makes_nothing_wait(
    waiting: Outbox, hands: Hands, set_by: float
) -> None:
    swept = [False]
    looking = watch(waiting, swept)
    looking.turn()
    hands.pass_on(1, set_by=set_by)
    looking.turn()
    assert waiting.lines()[0].due_at <= time.time()
    assert swept == [False, True]
    waiting.send()
    assert waiting.states() == [DeliveryState.PENDING] * 2, "patience ended by the clock alone"
    with reading(waiting.engine) as conn:
        told = conn.exec_driver_sql("SELECT text FROM events WHERE kind = ?", (EVENT,)).scalars().all()
    assert told == [f"The clock was set by {set_by:+.0f} s while the node ran."]


def test_a_time_server_at_work_is_no_jump(waiting: Outbox, hands: Hands) -> None:
    swept = [False]
    looking = watch(waiting, swept)
    looking.turn()
    hands.pass_on(60, set_by=0.5)
    looking.turn()
    assert swept == [False]


def test_a_parcel_in_hand_keeps_a_whole_lease(waiting: Outbox, hands: Hands) -> None:
    with begin(waiting.engine) as conn:
        conn.exec_driver_sql("UPDATE deliveries SET state = 'sending'")
    hands.pass_on(0, set_by=-YEAR_S)
    watch(waiting).turn()
    assert waiting.lines()[0].due_at == time.time() + 900


def test_a_lease_runs_out_by_the_clock_that_nobody_sets(hands: Hands) -> None:
    leases, first, renewed = Leases(60.0), 1060.0, 1090.0
    assert not leases.has_run_out(1, first)
    hands.pass_on(59, set_by=YEAR_S)
    assert not leases.has_run_out(1, first)
    hands.pass_on(1)
    assert leases.has_run_out(1, first)
    assert not leases.has_run_out(1, renewed)
    hands.pass_on(60, set_by=-YEAR_S)
    assert leases.has_run_out(1, renewed)
    leases.forget(but=set())
    assert not leases.has_run_out(1, renewed), "a run that has ended is forgotten"


def test_a_sweep_that_waits_for_an_hour_that_was_set_back_is_taken_at_once() -> None:
    turns: list[bool] = []
    scheduler = BackgroundScheduler(timezone="UTC")
    later = datetime.now(UTC) + timedelta(hours=1)
    scheduler.add_job(lambda: turns.append(True), "interval", seconds=3600, next_run_time=later)
    scheduler.start()
    try:
        assert not turns
        clock_was_set(scheduler)
        until(lambda: turns, 5, "the sweep was not taken")
    finally:
        scheduler.shutdown()


def test_nothing_is_deleted_by_age_for_a_day_after_the_clock_was_set(waiting: Outbox, hands: Hands) -> None:
    deleted: list[float] = []

    def old(_engine: object, _config: object) -> None:
        deleted.append(hands.steady)

    sweep = trusting(old)
    sweep(waiting.engine, waiting.config)
    hands.pass_on(3600, set_by=YEAR_S)
    sweep(waiting.engine, waiting.config)
    hands.pass_on(3600, set_by=-YEAR_S)
    sweep(waiting.engine, waiting.config)
    assert len(deleted) == 1
    hands.pass_on(86400)
    sweep(waiting.engine, waiting.config)
    assert len(deleted) == 2
