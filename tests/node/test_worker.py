"""The worker serves the profiles of those who get the results, also of one that is named while a study is analysed."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.config import Config
from node.job import Analysis, Job
from node.report.profile import PROFILES
from node.worker import job_for, one_study
from storage import intake, peers, runs, studies
from storage.engine import Engine, begin, migrate, open_engine, reading
from storage.events import timeline
from storage.outbox import deliveries_of
from storage.peers import Peer
from storage.results import ResultFile, Role
from storage.segment import Place, RecordMeta
from storage.states import Outcome, StudyState

PACS = Peer(0, "pacs", "PACS", "localhost", 104, results="all")


class Analyst:
    """Makes one object per profile that is asked for; something may happen in the first analysis."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.jobs: list[Job] = []
        self._meanwhile = meanwhile

    def warm_up(self, _go_on: object) -> None:
        """It is always ready."""

    def analyse(self, job: Job, _pulse: object) -> Analysis:
        if not self.jobs:
            self._meanwhile()
        self.jobs.append(job)
        made = [
            ResultFile("sr", order, "1.2", f"2.25.{order}", "1.9", "1.2", f"{order}", 1, "ab", (Role(name),))
            for order, name in enumerate(job.profiles)
        ]
        return Analysis(Outcome.OK_NORMAL, ("Nothing.",), results=tuple(made))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'test.sqlite'}"
    migrate(url)
    found = open_engine(url)
    yield found
    found.dispose()


@pytest.fixture
def ready(engine: Engine) -> int:
    """The number of a study that waits to be analysed."""
    meta = RecordMeta("1.2.840.10008.5.1.4.1.1.1.1", "1.2.3", "1.2.840.10008.1.2.1", "1.2", "1.2.1", "k", "XRAY",
                      "OSTEON", "127.0.0.1", "a", 1.0, "DX")  # fmt: skip
    with begin(engine) as conn:
        [indexed] = intake.index(conn, [intake.Taken(meta, Place("s", 0, 1, "0" * 64), 1)], 101.0)
        studies.mark_ready(conn, indexed.study_id, "It is quiet.", 110.0)
    return int(indexed.study_id)


def add(engine: Engine, **changes: Any) -> None:
    with begin(engine) as conn:
        peers.add(conn, replace(PACS, **changes), 1.0)


def state(engine: Engine, study_id: int) -> StudyState:
    with reading(engine) as conn:
        found = studies.study(conn, study_id)
    assert found is not None
    return found.state


def test_storage_and_reports_know_the_same_profiles() -> None:
    assert list(PROFILES) == list(peers.PROFILES)


def test_a_job_names_each_profile_of_its_receivers_once_in_a_fixed_order(engine: Engine, ready: int) -> None:
    for number, profile in enumerate(("weasis", "ohif", "weasis", "default")):
        add(engine, name=f"p{number}", ae_title=f"P{number}", profile=profile)
    add(engine, name="deaf", ae_title="DEAF", results="none", profile="everything")
    with begin(engine) as conn:
        claim = runs.claim_ready(conn, "worker", 60.0, 120.0)
        assert claim is not None
        assert claim.study_id == ready
        assert job_for(conn, claim).profiles == ("default", "ohif", "weasis")


def test_without_receivers_the_default_objects_are_made(engine: Engine, ready: int) -> None:
    with begin(engine) as conn:
        claim = runs.claim_ready(conn, "worker", 60.0, 120.0)
        assert claim is not None
        assert claim.study_id == ready
        assert job_for(conn, claim).profiles == ("default",)


def test_a_study_is_analysed_again_when_a_receiver_of_another_profile_was_named_meanwhile(
    engine: Engine, ready: int
) -> None:
    add(engine)
    analyst = Analyst(lambda: add(engine, name="new", ae_title="NEW", profile="ohif"))
    stop = threading.Event()
    assert one_study(engine, Config(), analyst, "worker", stop)  # type: ignore[arg-type]  # it keeps the same promise
    assert state(engine, ready) is StudyState.READY
    with reading(engine) as conn:
        assert "result profile ohif" in timeline(conn, ready)[-1].text
    assert one_study(engine, Config(), analyst, "worker", stop)  # type: ignore[arg-type]
    assert [job.profiles for job in analyst.jobs] == [("default",), ("default", "ohif")]
    with reading(engine) as conn:
        assert {(each.peer, each.kind) for each in deliveries_of(conn, ready)} == {("pacs", "sr"), ("new", "sr")}
    assert state(engine, ready) is StudyState.SENDING
