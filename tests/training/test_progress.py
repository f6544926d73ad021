"""Bars on a terminal, and nothing anywhere else."""

import contextlib
import io

import pytest

from training import progress


class Terminal(io.StringIO):
    """A stream that is one."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_bar_tells_how_many_are_done() -> None:
    with contextlib.redirect_stderr(Terminal()) as terminal:
        assert list(progress.over("abcd", "patients", 4)) == list("abcd")
    assert "patients:" in terminal.getvalue()
    assert "0/4" in terminal.getvalue()


def test_in_a_pipe_nothing_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.over(range(3), "patients")) == [0, 1, 2]
    bar = progress.Share("global")
    bar.at(0.5, 10, 1.0, 0.9)
    bar.close()
    assert capsys.readouterr() == ("", "")


def test_a_training_tells_its_share_of_the_budget_step_loss_and_score() -> None:
    with contextlib.redirect_stderr(Terminal()) as terminal:
        bar = progress.Share("global")
        bar.at(0.25, 100, 2.5, 0.912)
        bar.at(1.0, 400, 1.25, None)
        bar.close()
    last = terminal.getvalue().rpartition("\r")[2]
    assert "global (score 0.912) 100 %" in last
    assert "step 400, loss 1.250" in last


def test_without_tqdm_work_goes_on_without_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "tqdm", None)
    with contextlib.redirect_stderr(Terminal()) as terminal, progress.beside_logs():
        assert list(progress.over(range(3), "phantoms")) == [0, 1, 2]
        bar = progress.Share("global")
        bar.at(0.5, 10, 1.0, None)
        bar.close()
    assert terminal.getvalue() == ""
