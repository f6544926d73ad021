"""What is asked every second must not grow with what has been done: no scan of a table on the paths of the node."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from storage import deliveries, intake, parcels, peers, runs, studies
from storage.engine import begin
from storage.peers import Peer
from storage.results import ResultFile
from storage.runs import Ending
from storage.states import Outcome

GROWING = ("studies", "series", "instances", "runs", "results", "parcels", "deliveries", "events", "arrivals")
_SCAN = re.compile(rf"SCAN ({'|'.join(GROWING)})\b")


@pytest.fixture
def engine(sqlite_template: Path, tmp_path: Path, opened: Callable[[str], Engine]) -> Engine:
    """SQLite alone: PostgreSQL chooses its plans by what it has counted in the tables."""
    shutil.copy(sqlite_template, tmp_path / "osteon.db")
    return opened(f"sqlite:///{tmp_path}/osteon.db")


@pytest.fixture
def plans(engine: Engine) -> Iterator[list[tuple[str, str]]]:
    """(statement, line of its plan) for all that is executed."""
    found: list[tuple[str, str]] = []

    def explain(conn: Connection, cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if statement.split()[0] in ("SELECT", "UPDATE", "DELETE"):
            values = parameters[0] if many else parameters
            rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            found.extend((statement, row[3]) for row in rows)

    event.listen(engine, "before_cursor_execute", explain)
    yield found
    event.remove(engine, "before_cursor_execute", explain)


def test_the_way_of_a_study_scans_no_growing_table(engine: Engine, sender: Any, plans: list[tuple[str, str]]) -> None:
    file = ResultFile("sr", 0, "1.2", "2.25.1", "2.25.9", "1.2", "a.dcm", 10, "ab")
    with begin(engine) as conn:
        peer = peers.add(conn, Peer(0, "pacs", "PACS", "localhost", 104, results="all"), 1.0).id
        intake.open_association(conn, "a1", "L", "XRAY", "OSTEON", "127.0.0.1", 90.0)
        intake.index(conn, [sender.sends(1), sender.sends(2, 2), sender.sends(1, content="other")], 101.0)
        intake.close_association(conn, "a1", 105.0)
        assert len(studies.arriving(conn)) == 2
        studies.mark_ready(conn, 1, "It is quiet.", 110.0)
        assert runs.is_any_due(conn, 120.0)
        claim = runs.claim_ready(conn, "worker", 60.0, 120.0)
        assert claim is not None
        runs.heartbeat(conn, claim, 60.0, 121.0)
        runs.expire_leases(conn, 122.0)
        runs.last_fingerprint(conn, 1)
        runs.former_results(conn, 1)
        studies.instances(conn, 1)
        runs.finish(conn, claim, Ending(Outcome.OK_NORMAL, "Nothing.", results=(file,), destinations=(peer,)), 130.0)
        assert parcels.due_peers(conn, 131.0) == [peer]
        parcel = parcels.claim_next(conn, peer, "sender", 60.0, 131.0)
        assert parcel is not None
        parcels.free_dead(conn, lambda owner: False, 132.0)
        deliveries.later(conn, parcel.items[0][0], 140.0, "nobody answers.", 133.0)
        deliveries.delivered(conn, parcel.items[0][0], 0, 141.0)
        intake.index(
            conn, [sender.sends(5, sop_class="1.2.840.10008.5.1.4.1.1.66.4", sop_instance_uid="2.25.1")], 150.0
        )
    assert len(plans) > 60
    scans = sorted({f"{plan}: {statement}" for statement, plan in plans if _SCAN.search(plan)})
    assert not scans, "\n".join(scans)
