"""Where the CPU stands in for a full GPU, the explanation, the report and the row of the run say so; nowhere else."""

import numpy as np
import onnxruntime
import pytest

from node.analyse import open_desk
from node.job import Setup
from storage.states import Outcome
from tests.models import stack_nets
from tests.models.pretended_gpu import CPU, CUDA, PretendedGpu
from tests.models.stacks import body, single_frames
from tests.node.test_analyse import T1, job, results

SENTENCE = "The GPU was full or failed, so the CPU computed the answer of limb 0.0.1."


class Place:
    room = 1 << 30


@pytest.fixture
def gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(Place, "room", 1 << 30)
    made = PretendedGpu(onnxruntime, lambda: Place.room)
    made.install(monkeypatch.setattr)
    for name in ("models", "journal", "results"):
        (tmp_path / name).mkdir()
    stack_nets.bundle(tmp_path / "models" / "limb")
    return made


def opened(tmp_path, provider="auto"):
    folders = (str(tmp_path / name) for name in ("models", "journal", "results"))
    return open_desk(Setup(*folders, provider, 1, "ERROR", "TEST", gpu_memory_limit_mb=700))


@pytest.fixture
def desk(gpu, tmp_path):
    return opened(tmp_path)


def answered(tmp_path, desk):
    return desk.analyse(job(tmp_path, single_frames(body()[0], **T1)))


def report(tmp_path, analysis):
    """Every text of the report, with those of its equipment."""
    (ds,) = [ds for kind, ds in results(tmp_path, analysis) if kind == "sr"]
    return "\n".join(str(element.value) for element in ds.iterall() if element.VR != "SQ")


def test_an_answer_of_the_gpu_says_nothing_of_the_cpu(tmp_path, desk):
    analysis = answered(tmp_path, desk)
    assert (analysis.outcome, analysis.provider) == (Outcome.OK_FINDINGS, CUDA)
    assert "CPU" not in " ".join(analysis.explanation)
    assert "CPU" not in report(tmp_path, analysis)


def test_an_answer_in_smaller_batches_is_one_of_the_gpu(tmp_path, desk):
    Place.room = 1
    analysis = answered(tmp_path, desk)
    assert (analysis.outcome, analysis.provider) == (Outcome.OK_FINDINGS, CUDA)
    assert "CPU" not in " ".join(analysis.explanation)


def test_an_answer_of_the_cpu_is_called_so(tmp_path, desk):
    before = answered(tmp_path, desk)
    Place.room = 0
    analysis = answered(tmp_path, desk)
    assert (analysis.outcome, analysis.provider) == (Outcome.OK_FINDINGS, CPU)
    assert analysis.probabilities == before.probabilities
    assert any(sentence.startswith(SENTENCE) for sentence in analysis.explanation)
    said = report(tmp_path, analysis)
    assert SENTENCE in said
    assert f"provider={CPU}" in said


def test_an_answer_of_both_names_both(tmp_path, desk, gpu):
    stored = np.concatenate([body()[0]] * 2)  # two batches
    rooms = iter([8, 0, 0, 0])
    gpu.room = lambda: next(rooms)
    gpu.calls.clear()
    analysis = desk.analyse(job(tmp_path, single_frames(stored, **T1)))
    assert gpu.calls == [(CUDA, 8), (CUDA, 4), (CUDA, 2), (CUDA, 1), (CPU, 4)]
    assert analysis.provider == f"{CUDA} + {CPU}"


def test_the_limit_of_the_configuration_is_that_of_the_session(desk, gpu):
    assert [options["gpu_mem_limit"] for _, options in gpu.opened] == [str(700 * 1024 * 1024)]


def test_where_cuda_is_demanded_a_full_gpu_is_a_lack_of_resources(gpu, tmp_path):
    desk = opened(tmp_path, "cuda")
    Place.room = 0
    analysis = answered(tmp_path, desk)
    assert analysis.outcome is Outcome.FAILED_RESOURCE
    assert "work.provider demands cuda" in analysis.explanation[0]
    assert analysis.results == ()
