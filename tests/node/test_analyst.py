"""The analysing child: whatever happens to it, the parent says what and goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.analyst import Analyst, Limits
from node.errors import AnalystDied
from node.job import Analysis, Job, Setup
from storage.states import Outcome

DESK = """
import os, signal, time
from node.job import Analysis
from storage.states import Outcome

class Desk:
    loaded = ("a desk for tests",)
    models = ()
    is_on_gpu = False
    def analyse(self, job):
        what = job.study_instance_uid
        if what == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == "leave":
            os._exit(7)
        if what == "slow":
            time.sleep(0.3)
        if what == "hang":
            time.sleep(600)
        if what == "eat":
            self.eaten = bytearray(os.urandom(1)) * (700 << 20)
            time.sleep(600)
        if what == "nonsense":
            return "nonsense"
        return Analysis(Outcome.OK_NORMAL, (f"pid {os.getpid()}",), answer=what)

def open_desk(setup):
    return Desk()
"""


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    (tmp_path / "desk_for_tests.py").write_text(DESK)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Setup("", "", "", "cpu", 1, "ERROR", "TEST", desk="desk_for_tests")


@pytest.fixture
def analyst(setup: Setup) -> Iterator[Analyst]:
    found = Analyst(setup, Limits(time_s=1.0, memory_mb=400))
    yield found
    found.stop()


def job(what: str) -> Job:
    return Job(1, what, 0.0, 1, False, False, (), None, ())


def test_a_study_is_analysed_in_a_child_that_stays_warm(analyst: Analyst) -> None:
    first = analyst.analyse(job("fine"), lambda: True)
    second = analyst.analyse(job("fine"), lambda: True)
    assert first.outcome is Outcome.OK_NORMAL
    assert first.explanation == second.explanation == (f"pid {analyst.pid}",)


def test_the_child_says_what_it_has_loaded(analyst: Analyst) -> None:
    assert analyst.warm_up(lambda: True) == ("a desk for tests",)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        pytest.param("crash", "SIGSEGV", id="a decoder that crashes"),
        pytest.param("leave", "exit status 7", id="a child that leaves"),
        pytest.param("hang", r"longer than 1 s \(work\.time_limit_s\)", id="an endless analysis"),
        pytest.param("nonsense", "not an analysis", id="an answer that is none"),
    ],
)
def test_what_ends_the_child_is_named_and_the_next_study_is_analysed(analyst: Analyst, what: str, says: str) -> None:
    with pytest.raises(AnalystDied, match=says):
        analyst.analyse(job(what), lambda: True)
    assert isinstance(analyst.analyse(job("fine"), lambda: True), Analysis)


def test_an_analysis_that_eats_memory_is_stopped_and_the_next_study_is_analysed(setup: Setup) -> None:
    patient = Analyst(setup, Limits(60.0, 400))  # time enough on a busy machine, so that memory ends it
    try:
        with pytest.raises(AnalystDied, match="the limit is 400 MB"):
            patient.analyse(job("eat"), lambda: True)
        assert isinstance(patient.analyse(job("fine"), lambda: True), Analysis)
    finally:
        patient.stop()


def test_a_lost_lease_stops_the_child(analyst: Analyst) -> None:
    with pytest.raises(AnalystDied, match="lease was lost"):
        analyst.analyse(job("hang"), lambda: False)
    assert analyst.pid is None


def test_a_desk_that_does_not_open_is_reported(setup: Setup) -> None:
    broken = Analyst(
        Setup(**{**{f: getattr(setup, f) for f in setup.__slots__}, "desk": "no_such_desk"}), Limits(1.0, 400)
    )
    with pytest.raises(AnalystDied, match="did not start"):
        broken.warm_up(lambda: True)


def test_the_answer_of_a_study_that_was_given_up_is_never_that_of_the_next(analyst: Analyst) -> None:
    def lost() -> bool:
        raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError, match="the database is away"):
        analyst.analyse(job("slow"), lost)
    assert analyst.pid is None
    assert analyst.analyse(job("fine"), lambda: True).answer == "fine"
