"""Two processes under torchrun train as one does."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from tests.training import crew_run
from training import cli
from training.crew import Crew, join

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    alone = {kind: crew_run.run(one, kind, join("cpu")) for kind in crew_run.KINDS}
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"]
    done = subprocess.run(
        [sys.executable, *launcher, "--master-port", str(free_port()), "--module", "tests.training.crew_run", str(two)],
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONFAULTHANDLER": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    together = json.loads((two / "losses.json").read_text(encoding="utf-8"))
    assert together["plain"] == pytest.approx(alone["plain"], rel=1e-4)
    assert sum(together["norm"]) == pytest.approx(sum(alone["norm"]), rel=0.3), "batch norm sees half of a batch"
    assert together["norm"][-1] < 0.5 * together["norm"][0]
    weights = [torch.load(folder / "plain.pt", weights_only=True) for folder in (one, two)]
    assert all(torch.allclose(weights[0][key], weights[1][key], atol=1e-5) for key in weights[0])


def test_the_way_that_the_help_names_takes_every_option_of_fit(tmp_path: Path) -> None:
    """torchrun reads options that look like its own, as --start does, unless `--` stands before the module."""
    (line,) = (line for line in str(cli.__doc__).splitlines() if "torchrun" in line)
    asked = line.partition("torchrun ")[2].removesuffix(" ...").replace("4", "1").split()
    options = ["--data", str(tmp_path), "--out", str(tmp_path / "run"), "--start", str(tmp_path / "none")]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--master-port", str(free_port()), *asked, *options],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode != 0
    assert f"{tmp_path / 'none'}" in done.stderr, "what fit says of a bundle that is none"
    assert "ambiguous" not in done.stderr


class Truth(NamedTuple):
    boxes: list[Tensor]


@dataclass(frozen=True)
class Batch:
    images: Tensor
    truth: Truth
    name: str


def test_the_shares_of_a_batch_make_the_batch() -> None:
    batch = Batch(torch.arange(10).reshape(5, 2), Truth([torch.full((k, 4), float(k)) for k in range(5)]), "all")
    shares = [Crew(rank, 2, CPU).share(batch) for rank in range(2)]
    assert [each.images[:, 0].tolist() for each in shares] == [[0, 4, 8], [2, 6]]
    assert [[len(boxes) for boxes in each.truth.boxes] for each in shares] == [[0, 2, 4], [1, 3]]
    assert Crew(0, 1, CPU).share(batch) is batch
