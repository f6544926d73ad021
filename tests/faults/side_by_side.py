"""Peers side by side, served by the product's own dispatcher: those that hang, crawl or are away delay no other."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from node.dispatch import Dispatcher
from storage.engine import begin
from storage.states import DeliveryState
from tests.e2e.processes import free_port, until
from tests.faults import waiting
from tests.faults.checks import Check, Job, Outcome
from tests.faults.desk import HEALTHY, study_uid
from tests.faults.pacs import HANG, Pacs, listening
from tests.faults.waiting import Waiting

ALLOWED_S = 5.0
_LIMIT_S = 120.0
_ROUND_S = 0.1
_OBJECTS = 2


def run(job: Job) -> Outcome:
    """So many studies to two peers alone, then as many to the same two beside four that are ill."""
    outcome = Outcome(count=job.count)
    patience_s = 20.0 if job.short else 60.0
    ill: dict[str, Pacs | None] = {
        "deaf": Pacs(associations=[HANG] * 1000),
        "silent": Pacs([HANG] * 1000),
        "slow": Pacs(delay_s=1.0 if job.short else 5.0),
        "away": None,
    }
    alone_s, _ = _served(job.folder / "alone", job.count, {}, patience_s)
    beside_s, others = _served(job.folder / "beside", job.count, ill, patience_s)
    late_s = beside_s - alone_s
    outcome.figures = {
        "alone": f"{alone_s:.1f} s",
        "beside four that are ill": f"{beside_s:.1f} s",
        "objects that the slow one got meanwhile": str(others),
    }
    allowed_s = max(ALLOWED_S, alone_s) if job.short else ALLOWED_S  # a machine that busy says nothing about seconds
    if late_s > allowed_s:
        outcome.fail(f"the healthy peers had everything {late_s:.1f} s later; {allowed_s:.0f} s are allowed")
    return outcome


def _served(folder: Path, studies: int, ill: Mapping[str, Pacs | None], patience_s: float) -> tuple[float, int]:
    """Seconds until the healthy peers have every result, and how many the slow one got in that time."""
    folder.mkdir()
    section = replace(waiting.QUICK, response_timeout_s=patience_s, first_retry_s=10.0, max_retry_s=900.0)
    stood = waiting.opened(folder, section)
    with ExitStack() as stack:
        healthy = {name: stack.enter_context(listening(Pacs())) for name in ("one", "two")}
        for pacs in ill.values():
            if pacs is not None:
                stack.enter_context(listening(pacs))
        ports = {name: pacs.port if pacs else free_port() for name, pacs in (ill | healthy).items()}
        with begin(stood.engine) as conn:
            peers = waiting.add_peers(conn, ports)
            numbers = tuple(peer.id for peer in peers.values())
            for number in range(studies):
                waiting.make_due(stood, conn, study_uid(HEALTHY, number), numbers, time.time())
        begun = time.monotonic()
        with dispatched(stood):
            until(lambda: all(len(p.kept()) == studies * _OBJECTS for p in healthy.values()), _LIMIT_S, "not served")
            took_s = time.monotonic() - begun
            until(lambda: _delivered(stood, studies, healthy), _LIMIT_S, "what the healthy peers have is not recorded")
            slow = ill.get("slow")
            got = len(slow.came) if slow else 0
            for pacs in ill.values():
                if pacs is not None:
                    pacs.stop()  # so that nobody waits for them any more
    stood.engine.dispose()
    return took_s, got


@contextmanager
def dispatched(stood: Waiting) -> Iterator[None]:
    """The product's dispatcher at work until the block ends."""
    dispatcher, ending = Dispatcher(stood.engine, stood.config, "test"), threading.Event()

    def turns() -> None:
        while not ending.wait(_ROUND_S):
            dispatcher.turn()

    thread = threading.Thread(target=turns)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
        dispatcher.close()


def _delivered(stood: Waiting, studies: int, peers: Mapping[str, Pacs]) -> bool:
    lines = [line for number in range(1, studies + 1) for line in stood.deliveries(number) if line.peer in peers]
    return all(line.state is DeliveryState.DELIVERED for line in lines)


SIDE_BY_SIDE = Check(
    "peers-side-by-side",
    "a peer that says nothing, takes seconds for each object or is away delays the others by no more than 5 s",
    run,
    full_count=20,
    short_count=3,
    peers=("osteon",),
)
