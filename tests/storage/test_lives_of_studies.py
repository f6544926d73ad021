"""Whatever arrives, crashes, expires, fails or is delivered in any order: no study is stuck, no object is lost.

A machine plays listener, settler, workers, senders and a person against the storage. After every step the rows must
agree with each other; at the end everything that can go on does, and every study must have come to an end.
OSTEON_TEST_LIVES=20 plays twenty times as many.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine, text

from storage import deliveries, intake, parcels, peers, runs, studies, tables
from storage.engine import begin, open_engine, reading
from storage.errors import NotNow
from storage.outbox import deliveries_of
from storage.parcels import Parcel
from storage.peers import Peer
from storage.runs import Claim, Ending, ResultFile
from storage.states import FINAL_STUDY_STATES, DeliveryState, Outcome, StudyState

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
STUDIES = st.integers(1, 3)
ENDINGS = st.sampled_from([Outcome.OK_FINDINGS, Outcome.OK_NORMAL, Outcome.NOT_APPLICABLE_VIEW, Outcome.FAILED_MODEL])
ORDER = ("seg", "sr")


class Lives(RuleBasedStateMachine):
    """One listener, two workers, two senders, two peers, one person."""

    engine: ClassVar[Engine]
    sender: ClassVar[Any]

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.acknowledged: dict[str, str] = {}
        self.claims: list[Claim] = []
        self.parcels: list[Parcel] = []
        self.made: list[ResultFile] = []

    @initialize()
    def empty_database(self) -> None:
        with begin(self.engine) as conn:
            for table in reversed(tables.metadata.sorted_tables):
                if table.name != "audit":  # which lets nothing be removed
                    conn.execute(table.delete())
            self.peers = [
                peers.add(conn, Peer(0, name, name.upper(), "localhost", 104, results="all"), self.now).id
                for name in ("pacs", "archive")
            ]

    @rule(seconds=st.sampled_from([1.0, 30.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(study=STUDIES, number=st.integers(1, 4), content=st.sampled_from(["", "", "other"]), report=st.booleans())
    def an_object_arrives(self, study: int, number: int, content: str, report: bool) -> None:
        classes = {"sop_class": "1.2.840.10008.5.1.4.1.1.88.34", "series": 9} if report else {}
        taken = self.sender.sends(number, study, content=content, at=self.now, **classes)
        self.acknowledged.setdefault(taken.meta.sop_instance_uid, taken.place.sha256)
        with begin(self.engine) as conn:
            intake.index(conn, [taken], self.now)

    @rule(pick=st.integers(0, 50))
    def a_result_comes_back(self, pick: int) -> None:
        if self.made:
            uid = self.made[pick % len(self.made)].sop_instance_uid
            taken = self.sender.sends(1, 1, sop_class=SEG, at=self.now, sop_instance_uid=uid)
            self.acknowledged.setdefault(uid, taken.place.sha256)
            before = self.states()
            with begin(self.engine) as conn:
                intake.index(conn, [taken], self.now)
            assert self.states() == before, "our own result moved a study"

    @rule()
    def quiet_studies_settle(self) -> None:
        with begin(self.engine) as conn:
            for arrival in studies.arriving(conn):
                studies.mark_ready(conn, arrival.id, "It is quiet.", self.now, seen=arrival.last_arrival)

    @rule(owner=st.sampled_from(["one", "two"]))
    def a_worker_claims(self, owner: str) -> None:
        with begin(self.engine) as conn:
            claim = runs.claim_ready(conn, owner, 60.0, self.now)
        if claim is not None:
            self.claims.append(claim)

    @rule(pick=st.integers(0, 50), outcome=ENDINGS, to=st.integers(0, 2))
    def a_worker_finishes(self, pick: int, outcome: Outcome, to: int) -> None:
        if self.claims:
            claim = self.claims[pick % len(self.claims)]  # also one that was lost, or has ended
            ending = self.ending(claim, outcome, tuple(self.peers[:to]))
            with begin(self.engine) as conn:
                if runs.finish(conn, claim, ending, self.now):
                    self.made += ending.results

    @rule(pick=st.integers(0, 50), how=st.sampled_from(["release", "crash", "heartbeat", "unchanged"]))
    def something_happens_to_a_worker(self, pick: int, how: str) -> None:
        if not self.claims:
            return
        claim = self.claims[pick % len(self.claims)]
        with begin(self.engine) as conn:
            if how == "release":
                runs.release(conn, claim, "The worker was stopped.", self.now, not_before=self.now + 20)
            elif how == "crash":
                runs.crashed(conn, claim, "It died.", self.now)
            elif how == "heartbeat":
                runs.heartbeat(conn, claim, 60.0, self.now)
            elif runs.last_fingerprint(conn, claim.study_id) is not None:
                runs.unchanged(conn, claim, self.now)

    @rule()
    def leases_are_swept(self) -> None:
        with begin(self.engine) as conn:
            runs.expire_leases(conn, self.now)

    @rule(peer=st.integers(0, 1), owner=st.sampled_from(["one", "two"]))
    def a_sender_claims(self, peer: int, owner: str) -> None:
        with begin(self.engine) as conn:
            parcel = parcels.claim_next(conn, self.peers[peer], owner, 60.0, self.now)
        if parcel is not None:
            assert [file.kind for _, file in parcel.items] == [
                kind for kind in ORDER if kind in {file.kind for _, file in parcel.items}
            ]
            self.parcels.append(parcel)

    @rule(pick=st.integers(0, 50), item=st.integers(0, 1), how=st.sampled_from(["took", "took", "later", "park"]))
    def a_peer_answers(self, pick: int, item: int, how: str) -> None:
        if self.parcels:
            parcel = self.parcels[pick % len(self.parcels)]  # also one that another sender has by now
            delivery_id, _ = parcel.items[item % len(parcel.items)]
            with begin(self.engine) as conn:
                if how == "took":
                    deliveries.delivered(conn, delivery_id, 0, self.now)
                elif how == "later":
                    deliveries.later(conn, delivery_id, self.now + 50, "nobody answers.", self.now)
                else:
                    deliveries.park(conn, delivery_id, "it refused.", self.now)

    @rule(study=STUDIES)
    def a_person_retries(self, study: int) -> None:
        with begin(self.engine) as conn:
            found = studies.study_by_uid(conn, f"1.2.{study}")
            if found is not None and found.state in FINAL_STUDY_STATES | {StudyState.SENDING}:
                studies.retry(conn, found.id, self.now)

    @rule(study=STUDIES)
    def a_person_retries_too_early(self, study: int) -> None:
        with begin(self.engine) as conn:
            found = studies.study_by_uid(conn, f"1.2.{study}")
            if found is not None and found.state not in FINAL_STUDY_STATES | {StudyState.SENDING}:
                with pytest.raises(NotNow):
                    studies.retry(conn, found.id, self.now)

    @invariant()
    def what_was_acknowledged_is_held(self) -> None:
        with reading(self.engine) as conn:
            assert dict(studies.held(conn)) == self.acknowledged

    @invariant()
    def rows_agree_with_each_other(self) -> None:
        with reading(self.engine) as conn:
            wrong = conn.execute(ALL_CONTRADICTIONS).all()
        assert not wrong

    def teardown(self) -> None:
        """Let everything that can go on go on: every study must come to an end within a few rounds."""
        if not hasattr(self, "peers"):
            return
        for _ in range(6):
            self.now += 1000.0
            self.leases_are_swept()
            self.quiet_studies_settle()
            with begin(self.engine) as conn:
                while (claim := runs.claim_ready(conn, "last", 60.0, self.now)) is not None:
                    ending = self.ending(claim, Outcome.OK_FINDINGS, tuple(self.peers))
                    assert runs.finish(conn, claim, ending, self.now)
                for peer in self.peers:
                    while (parcel := parcels.claim_next(conn, peer, "last", 60.0, self.now)) is not None:
                        for delivery_id, _ in parcel.items:
                            deliveries.delivered(conn, delivery_id, 0, self.now)
        assert set(self.states().values()) <= FINAL_STUDY_STATES
        with reading(self.engine) as conn:
            for study in studies.studies(conn):
                if study.state is StudyState.DELIVERED:
                    newest = max((item.run_id for item in deliveries_of(conn, study.id)), default=None)
                    left = [item for item in deliveries_of(conn, study.id) if item.run_id == newest]
                    assert all(item.state is DeliveryState.DELIVERED for item in left)

    def states(self) -> dict[int, StudyState]:
        with reading(self.engine) as conn:
            return {study.id: study.state for study in studies.studies(conn)}

    def ending(self, claim: Claim, outcome: Outcome, to: tuple[int, ...]) -> Ending:
        made: tuple[ResultFile, ...] = ()
        if outcome in (Outcome.OK_FINDINGS, Outcome.OK_NORMAL):
            uids = [f"2.25.{claim.study_id}.{claim.version}.{kind}" for kind in ORDER]
            made = tuple(
                ResultFile(kind, order, SEG, uid, uid + ".9", "1.2", f"{uid}/{claim.run_id}", 10, "ab")
                for order, (kind, uid) in enumerate(zip(ORDER, uids, strict=True))
            )
        return Ending(outcome, "So it is.", fingerprint="f", results=made, destinations=to)


CONTRADICTIONS = {
    "analysing without a running run": (
        "SELECT id FROM studies WHERE state = 'analysing' AND NOT EXISTS"
        " (SELECT 1 FROM runs WHERE runs.study_id = studies.id AND runs.state = 'running')"
    ),
    "a run without its study": (
        "SELECT runs.id AS id FROM runs JOIN studies ON studies.id = runs.study_id"
        " WHERE runs.state = 'running' AND studies.state <> 'analysing'"
    ),
    "sending with nothing to send": (
        "SELECT id FROM studies WHERE state = 'sending' AND NOT EXISTS"
        " (SELECT 1 FROM parcels WHERE parcels.study_id = studies.id AND is_open)"
    ),
    "a closed parcel with something on its way": (
        "SELECT parcels.id AS id FROM parcels JOIN deliveries ON deliveries.parcel_id = parcels.id"
        " WHERE NOT is_open AND deliveries.state IN ('pending', 'sending')"
    ),
    "an open parcel with nothing on its way": (
        "SELECT id FROM parcels WHERE is_open AND NOT EXISTS (SELECT 1 FROM deliveries"
        " WHERE deliveries.parcel_id = parcels.id AND deliveries.state IN ('pending', 'sending'))"
    ),
    "counts that are not those of the rows": (
        "SELECT id FROM studies WHERE image_count <> (SELECT count(*) FROM instances"
        " WHERE study_id = studies.id AND is_image) OR instance_count <> (SELECT count(*) FROM instances"
        " WHERE study_id = studies.id AND NOT is_own)"
    ),
    "ready without a time": "SELECT id FROM studies WHERE state = 'ready' AND ready_at IS NULL",
    "ended without an outcome": (
        "SELECT id FROM studies WHERE state NOT IN ('receiving', 'ready', 'analysing') AND outcome IS NULL"
    ),
    "more crashes than attempts": "SELECT id FROM studies WHERE crashes > attempts AND crashes > 0",
    "ended runs without an end": "SELECT id FROM runs WHERE (state = 'running') <> (ended_at IS NULL)",
}
ALL_CONTRADICTIONS = text(
    " UNION ALL ".join(f"SELECT '{name}', id FROM ({query}) AS found" for name, query in CONTRADICTIONS.items())  # noqa: S608  # our own queries
)


@pytest.fixture
def relaxed(request: pytest.FixtureRequest, sqlite_template: Path) -> Iterator[Engine]:
    """A database in memory's reach, without syncs: hundreds of lives in seconds."""
    if request.param == "postgresql":
        engine = open_engine(request.getfixturevalue("postgresql_template"))
        yield engine
        engine.dispose()
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        shutil.copy(sqlite_template, f"{folder}/osteon.db")
        engine = open_engine(f"sqlite:///{folder}/osteon.db")
        yield engine
        engine.dispose()


@pytest.mark.parametrize(
    ("relaxed", "examples"), [("sqlite", 20), ("postgresql", 5)], ids=["sqlite", "postgresql"], indirect=["relaxed"]
)
def test_no_study_is_ever_stuck_and_no_object_lost(relaxed: Engine, sender: Any, examples: int) -> None:
    machine = type("Machine", (Lives,), {"engine": relaxed, "sender": sender})
    options = settings(
        max_examples=examples * int(os.environ.get("OSTEON_TEST_LIVES", "1")),
        stateful_step_count=30,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=options)
