"""What `osteon assessments` and `osteon studies N` tell of opinions and of runs that replace each other."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.cli import main
from node.config import read_config
from node.database import open_database
from storage import intake, returned, runs, studies
from storage.engine import begin
from storage.results import ResultFile
from storage.returned import Judgement, Said
from storage.runs import Ending
from storage.states import Outcome
from tests.node.test_cli_studies import came, settings

__all__ = ["settings"]
SR = "1.2.840.10008.5.1.4.1.1.88.34"


def report(version: int) -> ResultFile:
    uid = f"2.25.{version}"
    return ResultFile("sr", 0, SR, uid, uid + ".1", "1.2.840.10008.1.2.1", f"ab/{version}.dcm", 10, "f" * 64)


@pytest.fixture
def judged(settings: str) -> str:
    """A study that was answered twice, and whose second answer somebody rejected."""
    with begin(open_database(read_config(Path(settings)))) as conn:
        for version in (1, 2):
            intake.index(conn, [came(version)], 1000.0)
            studies.mark_ready(conn, 1, "It is quiet.", 1001.0)
            claim = runs.claim_ready(conn, "worker", 60.0, 1002.0)
            assert claim is not None
            runs.finish(conn, claim, Ending(Outcome.OK_FINDINGS, "Found.", results=(report(version),)), 1003.0)
        opinion = came(3)
        meta = replace(opinion.meta, sop_class_uid=SR, series_instance_uid="1.2.3.8", modality="SR")
        intake.index(conn, [replace(opinion, meta=meta)], 1004.0)
        document = returned.next_due(conn)
        assert document is not None
        assert returned.linked(conn, document, [Said(Judgement.REJECTED, "2.25.7", "2.25.2")], "", 1005.0)
    return settings


def printed(capsys: Any, *words: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main([*words])
    out, err = capsys.readouterr()
    return code, out + err


def test_opinions_are_listed_with_the_run_that_they_are_about(judged: str, capsys: Any) -> None:
    for words in (("assessments",), ("assessments", "1"), ("studies", "1")):
        code, text = printed(capsys, *words, "--config", judged)
        assert code == 0
        [line] = [each for each in text.splitlines() if "2.25.7" in each]
        assert line.split()[-6:-2] == ["2", "sr", "rejected", "2.25.7"]


def test_a_study_shows_which_of_its_runs_replaces_which(judged: str, capsys: Any) -> None:
    _, text = printed(capsys, "studies", "1", "--config", judged)
    lines = text[text.index("\nRuns") : text.index("\nResults")].splitlines()[4:6]
    assert [each.split()[0] for each in lines] == ["1", "2"]
    assert lines[0].split()[-2:] == ["1", "2"], "one object, superseded by run 2"
    assert lines[1].split()[-2:] == ["1", "1"], "one object, supersedes run 1"


@pytest.mark.parametrize(
    ("words", "told"),
    [(("nonsense",), "write 'assessments'"), (("1", "2"), "write 'assessments'"), (("7",), "There is no study 7")],
    ids=["a word", "two numbers", "a study that is not there"],
)
def test_what_was_meant_is_asked_back(settings: str, capsys: Any, words: tuple[str, ...], told: str) -> None:
    code, text = printed(capsys, "assessments", *words, "--config", settings)
    assert code == 1
    assert told in text


def test_nothing_said_and_nothing_to_export(settings: str, tmp_path: Path, capsys: Any) -> None:
    assert printed(capsys, "assessments", "--config", settings) == (0, "Nobody has said anything of a result yet.\n")
    code, text = printed(capsys, "assessments", "export", str(tmp_path / "labels"), "--config", settings)
    assert code == 0
    assert text.startswith("0 corrected segmentation(s) of 0 studies with 0 images")
