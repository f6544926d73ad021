"""The audit trail: rows hang together, are never changed, and what was changed or removed nevertheless is named."""

import multiprocessing
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from storage import audit, audit_rows, errors, peers, studies
from storage.audit import Action, By, Entry, Indicator
from storage.audit_chain import Anchor
from storage.engine import begin, open_engine, reading

ADMIN = By("anna", "127.0.0.1", "the PACS moved")
PACS = peers.Peer(0, "pacs", "PACS", "127.0.0.1", 104)


def write(engine: Engine, count: int, now: float = 100.0) -> Anchor:
    for number in range(count):
        with begin(engine) as conn:
            audit.add(conn, Entry(Action.STARTED, about=f"worker {number}", details={"n": number}), now)
    with reading(engine) as conn:
        return audit_rows.head(conn)


def fault(engine: Engine, *anchors: Anchor) -> str:
    with reading(engine) as conn:
        return audit_rows.verify(conn, anchors).fault


def tamper(engine: Engine, statement: str) -> None:
    """As somebody who owns the database file may: without the triggers."""
    with begin(engine) as conn:
        if engine.dialect.name == "sqlite":
            conn.execute(text("DROP TRIGGER IF EXISTS audit_no_update"))
            conn.execute(text("DROP TRIGGER IF EXISTS audit_no_delete"))
        conn.execute(text(statement))


def test_rows_are_numbered_without_a_gap_and_the_trail_is_whole(engine: Engine) -> None:
    head = write(engine, 5)
    with reading(engine) as conn:
        rows = audit_rows.newest(conn, 10)
        verified = audit_rows.verify(conn, [head])
    assert [row.number for row in rows] == [1, 2, 3, 4, 5]
    assert (verified.count, verified.head, verified.fault) == (5, head, "")


def test_a_row_is_there_exactly_when_what_it_tells_of_is(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), begin(engine) as conn:
        peers.add(conn, PACS, 1.0, ADMIN)
        raise ZeroDivisionError
    with begin(engine) as conn:
        peers.add(conn, PACS, 2.0, ADMIN)
    with reading(engine) as conn:
        (row,) = audit_rows.newest(conn, 10)
    assert (row.number, row.action, row.at, row.who, row.details) == (
        1,
        "peer-added",
        2.0,
        "anna",
        {"reason": ADMIN.reason},
    )


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        pytest.param("DELETE FROM audit WHERE number = 3", "row 3 is missing; row 4 follows row 2", id="a row"),
        pytest.param("DELETE FROM audit WHERE number IN (1, 2)", "rows 1 to 2 are missing", id="the beginning"),
        pytest.param("UPDATE audit SET who = 'eve' WHERE number = 2", "row 2 was changed", id="a value"),
        pytest.param("UPDATE audit SET at = at + 1 WHERE number = 5", "row 5 was changed", id="a time"),
        pytest.param("UPDATE audit SET outcome = 8 WHERE number = 1", "row 1 was changed", id="an outcome"),
        pytest.param("UPDATE audit SET number = 9 WHERE number = 3", "row 3 is missing", id="a number"),
    ],
)
def test_the_first_gap_or_changed_row_is_named(engine: Engine, statement: str, says: str) -> None:
    write(engine, 5)
    tamper(engine, statement)
    assert says in fault(engine)


def test_a_row_in_the_place_of_another_is_named(engine: Engine) -> None:
    """Even one whose own hash is right: it does not follow the row before it."""
    write(engine, 3)
    with reading(engine) as conn:
        values = dict(conn.execute(text("SELECT * FROM audit WHERE number = 2")).one()._mapping)
    values |= {"who": "eve"}
    values["hash"] = audit.sealed(values)
    tamper(engine, f"UPDATE audit SET who = 'eve', hash = '{values['hash']}' WHERE number = 2")  # noqa: S608
    assert "row 3 does not follow row 2" in fault(engine)


def test_a_cut_end_is_seen_by_an_anchor_and_by_what_was_sent(engine: Engine) -> None:
    head = write(engine, 5)
    tamper(engine, "DELETE FROM audit WHERE number > 3")
    assert fault(engine) == "", "the rows that are left hang together: only something written elsewhere can tell"
    assert "ends with row 3, but an anchor names row 5: its end was cut" in fault(engine, head)
    tamper(engine, "INSERT INTO audit_export (repository, position, lease_until) VALUES ('r', 4, 0)")
    assert "the repository of audit messages has row 4" in fault(engine)


def test_a_trail_that_was_written_anew_differs_from_its_anchor(engine: Engine) -> None:
    head = write(engine, 3)
    tamper(engine, "DELETE FROM audit")
    write(engine, 4, now=200.0)
    assert fault(engine) == ""
    assert "row 3 is not the one that the anchor names" in fault(engine, head)


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'eve'", "DELETE FROM audit"])
def test_sqlite_refuses_to_change_or_remove_a_row(
    tmp_path: Path, sqlite_template: Path, opened: Callable[..., Engine], statement: str
) -> None:
    (tmp_path / "osteon.db").write_bytes(sqlite_template.read_bytes())
    engine = opened(f"sqlite:///{tmp_path}/osteon.db")
    write(engine, 2)
    with pytest.raises(errors.Broken, match="never changed or removed"), begin(engine) as conn:
        conn.execute(text(statement))
    assert fault(engine) == ""


def _write_many(url: str, who: str, count: int) -> None:
    engine = open_engine(url, busy_s=60)
    for number in range(count):
        with begin(engine) as conn:
            audit.add(conn, Entry(Action.EXPORTED, by=By(who), details={"n": number}), float(number))
    engine.dispose()


def test_several_processes_and_threads_write_one_chain(url: str, engine: Engine) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_many, args=(url, f"process {n}", 40)) for n in range(2)]
    threads = [threading.Thread(target=_write_many, args=(url, f"thread {n}", 40)) for n in range(2)]
    for one in (*processes, *threads):
        one.start()
    for one in (*processes, *threads):
        one.join(60)
    with reading(engine) as conn:
        verified = audit_rows.verify(conn)
        rows = audit_rows.newest(conn, 1000)
    assert (verified.count, verified.fault) == (160, "")
    for who in {row.who for row in rows}:
        assert [row.details["n"] for row in rows if row.who == who] == list(range(40))


def test_twenty_changed_settings_of_peers_are_twenty_rows_with_both_values(engine: Engine) -> None:
    changes: list[dict[str, object]] = [
        {"ae_title": "PACS2"}, {"host": "10.0.0.2"}, {"port": 105}, {"may_send": False},
        {"addresses": ("10.0.0.0/24",)},
        {"results": "own"}, {"results": "all"}, {"may_find": True}, {"profile": "ohif"}, {"confirm": "find"},
        {"confirm": "auto"}, {"confirm": "commitment"}, {"profile": "weasis"}, {"port": 106}, {"host": "pacs.example"},
        {"ae_title": "PACS3"}, {"may_send": True}, {"addresses": ()}, {"may_find": False}, {"results": "none"},
    ]  # fmt: skip
    with begin(engine) as conn:
        peer = peers.add(conn, PACS, 1.0, ADMIN)
    wanted = []
    for change in changes:
        changed = replace(peer, **change)  # type: ignore[arg-type]  # each key has its own type
        with begin(engine) as conn:
            changed = peers.change(conn, changed, 2.0, ADMIN)
        ((key, _),) = change.items()
        wanted.append((key, getattr(peer, key), getattr(changed, key)))
        peer = changed
    with reading(engine) as conn:
        rows = audit_rows.of_actions(conn, [Action.PEER_CHANGED], 100, "peer pacs")
        assert audit_rows.verify(conn).fault == ""
    assert len(rows) == 20
    for row, (key, before, after) in zip(rows, wanted, strict=True):
        assert row.details == {"setting": key, "reason": ADMIN.reason}
        if key != "addresses":
            assert (row.before, row.after) == (before, after)
        assert row.before != row.after
        assert row.who == "anna"


def test_a_removed_peer_leaves_its_values(engine: Engine) -> None:
    with begin(engine) as conn:
        peer = peers.add(conn, PACS, 1.0, ADMIN)
        peers.remove(conn, peer.id, 2.0, ADMIN)
    with reading(engine) as conn:
        (row,) = audit_rows.of_actions(conn, [Action.PEER_REMOVED], 1)
    assert row.before["ae_title"] == "PACS"


def test_what_somebody_else_chose_is_shown_in_one_line_and_not_for_ever(engine: Engine) -> None:
    with begin(engine) as conn:
        entry = Entry(Action.ASSOCIATION_REJECTED, Indicator.MINOR, By("A\nB\x00" + "x" * 1000, "\udcff"))
        audit.add(conn, entry, 1.0)
    with reading(engine) as conn:
        (row,) = audit_rows.newest(conn, 1)
        assert audit_rows.verify(conn).fault == ""
    assert row.who.startswith("A?B?xx")
    assert len(row.who) == 200
    assert row.address == "?"


def test_the_way_of_a_study_is_audited(engine: Engine, sender: object) -> None:
    from storage import intake, runs
    from storage.states import Outcome

    with begin(engine) as conn:
        intake.open_association(conn, "a1", "listener", "XRAY", "OSTEON", "10.1.2.3", 1.0)
        intake.index(conn, [sender.sends(1), sender.sends(2)], 1.0)  # type: ignore[attr-defined]
    with begin(engine) as conn:
        study_id = studies.arriving(conn)[0].id
        studies.mark_ready(conn, study_id, "It is quiet.", 2.0)
        claim = runs.claim_ready(conn, "w", 60, 3.0)
        assert claim is not None
        runs.crashed(conn, claim, "It died.", 4.0, max_crashes=1)
        studies.retry(conn, study_id, 5.0, ADMIN)
        claim = runs.claim_ready(conn, "w", 60, 6.0)
        assert claim is not None
        runs.finish(conn, claim, runs.Ending(Outcome.NOT_APPLICABLE_BODYPART, "No model."), 7.0)
    with reading(engine) as conn:
        rows = audit_rows.newest(conn, 10)
        uid = studies.study_of(conn, study_id).study_instance_uid
    assert [row.action for row in rows] == [
        "study-received", "study-crashed", "quarantine-released", "study-processed",
    ]  # fmt: skip
    assert (rows[0].who, rows[0].address, rows[0].details) == ("XRAY", "10.1.2.3", {"images": 2, "objects": 2})
    assert (rows[1].before, rows[1].after, rows[1].outcome) == ("analysing", "quarantined", Indicator.SERIOUS)
    assert (rows[2].who, rows[2].before, rows[2].after) == ("anna", "quarantined", "ready")
    assert rows[3].details["outcome"] == "NOT_APPLICABLE_BODYPART"
    assert {(row.study_id, row.study_instance_uid) for row in rows} == {(study_id, uid)}
