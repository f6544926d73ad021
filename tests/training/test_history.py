"""The history of a run: means over stretches, and what a kill leaves of it."""

from dataclasses import replace
from pathlib import Path

from tests.training.test_loop import PLAN, batch_of, loss_of, net
from training.history import EVERY, Line, Teller, read
from training.loop import fit


def test_a_line_is_the_mean_of_its_stretch(tmp_path: Path) -> None:
    teller = Teller(tmp_path, 0)
    for step in range(1, EVERY + 1):
        teller.tell(step, 0.5 * step, 0.5, 0.1, float(step), None, is_last=False)
    teller.tell(EVERY + 1, 30.0, 0.6, 0.05, 4.0, 0.8, is_last=False)
    assert read(tmp_path) == [
        Line(EVERY, 25.0, 0.1, (EVERY + 1) / 2),
        Line(EVERY + 1, 30.0, 0.05, 4.0, 0.8),
    ]


def test_what_a_kill_undid_is_struck(tmp_path: Path) -> None:
    teller = Teller(tmp_path, 0)
    for step in (EVERY, 2 * EVERY, 3 * EVERY):
        teller.tell(step, 1.0, 0.2, 0.1, 1.0, None, is_last=False)
    Teller(tmp_path, 2 * EVERY + 10)
    assert [line.step for line in read(tmp_path)] == [EVERY, 2 * EVERY]


def test_a_training_tells_its_losses_and_scores(tmp_path: Path) -> None:
    fit(net(), batch_of, loss_of, replace(PLAN, steps=9), tmp_path, observe=lambda average, step, share: step / 10)
    assert [(line.step, line.score) for line in read(tmp_path)] == [(4, 0.4), (8, 0.8), (9, None)]
    assert read(tmp_path)[-1].rate < PLAN.rate


def test_no_run_has_no_history(tmp_path: Path) -> None:
    assert read(tmp_path) == []
