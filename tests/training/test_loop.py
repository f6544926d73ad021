"""The loop: rates, the average, and a resumed run that equals an uninterrupted one."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.errors import RunFault
from training.history import HISTORY
from training.loop import CHECKPOINT, Fall, Optimiser, Plan, fit, progress_of, rate_at

PROJECT = Path(__file__).parents[2]
PLAN = Plan(Optimiser.ADAMW, Fall.COSINE, 1e-2, 0.01, steps=12, minutes=None, observe_every=4, ema=0.9)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))


def batch_of(step: int, share: float) -> Tensor:
    return torch.from_numpy(np.random.default_rng((5, step)).normal(size=(16, 3)).astype(np.float32)) * (1 + share)


def loss_of(trained: nn.Module, batch: Tensor) -> Tensor:
    return (trained(batch)[:, 0] - batch.sum(dim=1)).square().mean()


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("optimiser", list(Optimiser))
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, optimiser: Optimiser) -> None:
    plan = replace(PLAN, optimiser=optimiser)
    through = fit(net(), batch_of, loss_of, plan, tmp_path / "through")
    fit(net(), batch_of, loss_of, plan, tmp_path / "cut", stop=lambda step: step == 5)
    assert progress_of(tmp_path / "cut").step == 5
    resumed = fit(net(), batch_of, loss_of, plan, tmp_path / "cut")
    assert progress_of(tmp_path / "cut").step == 12
    assert equal(through, resumed)


RUN = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from tests.training.test_loop import PLAN, batch_of, loss_of, net
from training.loop import fit

def drawn(step, share):
    if step == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return batch_of(step, share)

fit(net(), drawn, loss_of, replace(PLAN, save_every_s=0.0), Path(sys.argv[1]))
"""
NEVER = -1


def trained(folder: Path, killed_at: int) -> int:
    """Train in a process of its own; how it ended."""
    return subprocess.run([sys.executable, "-c", RUN, str(folder), str(killed_at)], cwd=PROJECT, check=False).returncode


def test_a_run_that_was_killed_goes_on_and_equals_one_that_was_not(tmp_path: Path) -> None:
    cut, through = tmp_path / "cut", tmp_path / "through"
    assert trained(cut, 7) == -signal.SIGKILL
    assert progress_of(cut).step == 7
    assert trained(cut, NEVER) == 0
    assert trained(through, NEVER) == 0
    states = [torch.load(folder / CHECKPOINT, weights_only=True) for folder in (cut, through)]
    assert [state["progress"]["step"] for state in states] == [12, 12]
    for name, value in states[0]["average"].items():
        assert torch.equal(value, states[1]["average"][name]), name


@pytest.mark.parametrize("has_it", [True, False], ids=["with bfloat16", "without"])
def test_products_in_half_precision_leave_weights_whole_and_teach_as_much(
    has_it: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.crew.has_bfloat16", lambda: has_it)
    dtypes, drawn_half = set(), set()

    def watched(trained: nn.Module, batch: Tensor) -> Tensor:
        dtypes.add(trained(batch).dtype)
        return loss_of(trained, batch)

    def drawn(step: int, share: float) -> Tensor:
        drawn_half.add(torch.is_autocast_enabled("cpu"))
        return batch_of(step, share)

    plan = replace(PLAN, steps=150)
    half = fit(net(), drawn, watched, replace(plan, bfloat16=True), tmp_path / "half")
    whole = fit(net(), batch_of, loss_of, plan, tmp_path / "whole")
    assert dtypes == {torch.bfloat16 if has_it else torch.float32}
    assert drawn_half == {False}, "views are drawn in single precision: their grids are products too"
    assert {value.dtype for value in half.state_dict().values() if value.is_floating_point()} == {torch.float32}
    with torch.no_grad():
        errors = [float(loss_of(each, batch_of(999, 0))) for each in (half, whole, net().eval())]
    assert errors[0] == pytest.approx(errors[1], rel=0.2)
    assert errors[0] < 0.5 * errors[2]


def test_a_run_from_before_a_field_of_the_plan_was_known_goes_on(tmp_path: Path) -> None:
    fit(net(), batch_of, loss_of, PLAN, tmp_path, stop=lambda step: step == 5)
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert state["plan"].pop("bfloat16") == "False"
    torch.save(state, tmp_path / CHECKPOINT)
    fit(net(), batch_of, loss_of, PLAN, tmp_path)
    assert progress_of(tmp_path).step == PLAN.steps


def test_another_seed_is_another_result(tmp_path: Path) -> None:
    first = fit(net(), batch_of, loss_of, PLAN, tmp_path / "1")
    assert not equal(first, fit(net(), batch_of, loss_of, replace(PLAN, seed=9), tmp_path / "2"))


def test_a_run_that_ended_is_not_trained_further(tmp_path: Path) -> None:
    done = fit(net(), batch_of, loss_of, PLAN, tmp_path)
    assert equal(done, fit(net(), batch_of, loss_of, PLAN, tmp_path))


def test_a_checkpoint_of_another_plan_is_refused(tmp_path: Path) -> None:
    fit(net(), batch_of, loss_of, PLAN, tmp_path)
    with pytest.raises(RunFault, match="of another plan"):
        fit(net(), batch_of, loss_of, replace(PLAN, rate=1e-3), tmp_path)


def test_a_checkpoint_is_never_half_written(tmp_path: Path) -> None:
    fit(net(), batch_of, loss_of, PLAN, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT, HISTORY]


def test_the_loss_falls_and_the_average_is_what_is_returned(tmp_path: Path) -> None:
    trained = net()
    average = fit(trained, batch_of, loss_of, replace(PLAN, steps=150), tmp_path)
    fresh = net().eval()
    with torch.no_grad():
        assert loss_of(average, batch_of(999, 0)) < 0.5 * loss_of(fresh, batch_of(999, 0))
    assert not equal(average, trained)


def test_the_cosine_rises_and_falls_to_nothing() -> None:
    plan = replace(PLAN, warm_up=0.1)
    assert rate_at(0.05, 0, plan) == pytest.approx(5e-3)
    assert rate_at(0.1, 0, plan) == pytest.approx(1e-2)
    assert rate_at(0.55, 0, plan) == pytest.approx(5e-3)
    assert rate_at(1.0, 0, plan) == pytest.approx(0.0)


def test_each_cycle_rises_and_falls_again() -> None:
    plan = replace(PLAN, warm_up=0.1, cycle_ends=(0.6, 1.0))
    assert rate_at(0.03, 0, plan) == pytest.approx(5e-3)
    assert rate_at(0.33, 0, plan) == pytest.approx(5e-3)
    assert rate_at(0.82, 0, plan) == pytest.approx(5e-3)
    assert rate_at(0.5999, 0, plan) == pytest.approx(0.0, abs=1e-6)
    assert rate_at(0.64, 0, plan) == pytest.approx(1e-2)
    assert rate_at(1.0, 0, plan) == pytest.approx(0.0)


def test_a_plateau_lowers_the_rate_and_then_ends_the_run(tmp_path: Path) -> None:
    plan = replace(PLAN, fall=Fall.PLATEAU, steps=400, observe_every=2, patience=3, stop_after=7)
    fit(net(), batch_of, loss_of, plan, tmp_path, observe=lambda average, step, share: 1.0)
    ended = progress_of(tmp_path)
    assert ended.step == 2 * (1 + 7)
    assert ended.falls == 2
    assert rate_at(0.0, ended.falls, plan) == pytest.approx(1e-4)


def test_a_budget_in_minutes_ends_the_run(tmp_path: Path) -> None:
    fit(net(), batch_of, loss_of, replace(PLAN, steps=None, minutes=0.005), tmp_path)
    assert progress_of(tmp_path).seconds >= 0.3


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFault, match="no run has been here"):
        progress_of(tmp_path)
