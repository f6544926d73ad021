"""A GPU without memory for a batch gets smaller ones, then the CPU answers; nothing else is tried twice."""

import logging
import re

import numpy as np
import onnxruntime
import pytest

from models.errors import GpuMemoryError, InferenceError
from models.session import Device, SessionOptions, open_session
from models.shortage import HOLD_S, OnGpu, Room, Spare, Tally, is_out_of_memory
from tests.models import nets
from tests.models.pretended_gpu import CPU, CUDA, FULL, GIVES_UP, OTHER, PretendedGpu
from tests.models.test_session import ONE_THREAD, contract

IMAGES = np.random.default_rng(7).random((8, 1, 256, 256), dtype=np.float32)
EP_FAIL = onnxruntime.capi.onnxruntime_pybind11_state.EPFail


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Place:
    """How many images the GPU takes; changed by the test."""

    room = 8


@pytest.fixture
def gpu(monkeypatch):
    made = PretendedGpu(onnxruntime, lambda: Place.room)
    made.install(monkeypatch.setattr)
    monkeypatch.setattr(Place, "room", 8)
    return made


@pytest.fixture
def expected():
    return open_session(nets.net("global"), "knee global", contract(), ONE_THREAD).run(IMAGES)


def opened(device=Device.AUTO, **options):
    return open_session(
        nets.net("global"), "bundles/knee/global.onnx", contract(), SessionOptions(device, 1, **options)
    )


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def same(answers, expected):
    return all(np.abs(answers[name] - expected[name]).max() < 1e-5 for name in expected)


@pytest.mark.parametrize("message", FULL.values(), ids=FULL.keys())
def test_what_onnxruntime_says_of_a_full_gpu_is_known(message):
    assert is_out_of_memory(message)


@pytest.mark.parametrize("message", [*OTHER.values(), GIVES_UP], ids=[*OTHER, "cuDNN gives up"])
def test_what_it_says_of_other_faults_is_not_taken_for_it(message):
    assert not is_out_of_memory(message)


@pytest.mark.parametrize("message", FULL.values(), ids=FULL.keys())
@pytest.mark.parametrize(
    ("room", "calls"),
    [
        (8, [(CUDA, 8)]),
        (4, [(CUDA, 8), (CUDA, 4), (CUDA, 4)]),
        (3, [(CUDA, 8), (CUDA, 4), (CUDA, 2), (CUDA, 2), (CUDA, 2), (CUDA, 2)]),
        (1, [(CUDA, 8), (CUDA, 4), (CUDA, 2), *[(CUDA, 1)] * 8]),
        (0, [(CUDA, 8), (CUDA, 4), (CUDA, 2), (CUDA, 1), (CPU, 8)]),
    ],
)
def test_a_batch_is_halved_until_it_fits_and_then_the_cpu_computes_it(gpu, expected, message, room, calls):
    session = opened()
    gpu.calls.clear()
    gpu.message, Place.room = message, room
    answers = session.run(IMAGES)
    assert gpu.calls == calls
    assert same(answers, expected)


def test_a_gpu_that_fills_up_within_a_study_leaves_the_rest_to_the_cpu(gpu, expected):
    session = opened(tally=(tally := Tally()))
    gpu.calls.clear()
    tally.on_gpu = 0
    rooms = iter([7, 4, 4, 0, 0, 0])
    gpu.room = lambda: next(rooms)
    assert same(session.run(IMAGES), expected)
    assert gpu.calls == [(CUDA, 8), (CUDA, 4), (CUDA, 4)]
    assert same(session.run(IMAGES), expected)
    assert gpu.calls[3:] == [(CUDA, 4), (CUDA, 2), (CUDA, 1), (CPU, 8)]
    assert (tally.on_gpu, tally.on_cpu, tally.refused) == (2, 1, 4)


def test_one_warning_names_bundle_batch_limit_and_next_step(gpu, caplog):
    session = opened(cuda_memory_mb=2048)
    Place.room = 2
    session.run(IMAGES)
    (said,) = warnings(caplog)
    for words in (
        "bundles/knee/global.onnx",
        "batch of 8",
        "gpu_memory_limit_mb is 2048",
        "batches of 2",
        "nvidia-smi",
    ):
        assert words in said
    caplog.clear()
    session.run(IMAGES)
    assert not warnings(caplog), "the smaller batch is kept to, and has been said"
    Place.room = 0
    session.run(IMAGES)
    (said,) = warnings(caplog)
    assert re.search(r"batch of 2 .*goes on with the CPU for 10 min", said)


def made_with(clock, on_cpu=True):
    """A session as open_session makes it, with a clock of ours."""
    options = SessionOptions(Device.AUTO, 1)
    real = opened()._session
    assert isinstance(real, OnGpu), "open_session guards every session on the GPU"
    spare = Spare(real._spare.on_gpu, real._spare.on_cpu if on_cpu else None, 0)
    return OnGpu(real._gpu, "knee", real._faults, EP_FAIL, spare, options.tally, Room(clock))


def test_the_whole_batch_is_tried_again_after_a_while(gpu):
    clock = Clock()
    session = made_with(clock)
    Place.room = 2
    session.run(["mask_logits"], {"image": IMAGES})
    gpu.calls.clear()
    Place.room = 8
    clock.now = HOLD_S - 1
    session.run(["mask_logits"], {"image": IMAGES})
    assert gpu.calls == [(CUDA, 2)] * 4
    clock.now = HOLD_S
    session.run(["mask_logits"], {"image": IMAGES})
    assert gpu.calls[4:] == [(CUDA, 8)]


def test_the_cpu_is_kept_to_for_a_while_and_the_gpu_is_given_back_and_opened_anew(gpu):
    clock = Clock()
    session = made_with(clock)
    gpu.opened.clear()
    Place.room = 0
    session.run(["mask_logits"], {"image": IMAGES})
    assert session._gpu is None, "its memory is free for others"
    gpu.calls.clear()
    Place.room = 8
    session.run(["mask_logits"], {"image": IMAGES})
    assert gpu.calls == [(CPU, 8)]
    clock.now = HOLD_S
    session.run(["mask_logits"], {"image": IMAGES})
    assert gpu.calls[1:] == [(CUDA, 8)]
    assert [provider for provider, _ in gpu.opened] == [CPU, CUDA], "the session on the CPU is made once, when needed"


@pytest.mark.parametrize("kind", ["the weights do not fit", "the driver is gone"])
def test_a_gpu_on_which_it_cannot_be_opened_anew_is_left_alone_for_another_while(gpu, expected, kind):
    clock = Clock()
    session = made_with(clock)
    Place.room = 0
    session.run(["mask_logits"], {"image": IMAGES})
    clock.now, gpu.may_open = HOLD_S, False
    if kind == "the driver is gone":
        gpu.message = "CUDA failure 100: no CUDA-capable device is detected"
    gpu.calls.clear()
    answer, *_ = session.run(["mask_logits"], {"image": IMAGES})
    assert gpu.calls == [(CPU, 8)]
    assert np.abs(answer - expected["mask_logits"]).max() < 1e-5


@pytest.mark.parametrize("message", OTHER.values(), ids=OTHER.keys())
def test_another_error_is_not_tried_again(gpu, message):
    session = opened()
    gpu.calls.clear()
    gpu.message, Place.room = message, 0
    with pytest.raises(InferenceError, match=re.escape(message.splitlines()[0])):
        session.run(IMAGES)
    assert gpu.calls == [(CUDA, 8)]


def test_a_provider_that_gives_up_is_answered_by_the_cpu_and_that_is_said(gpu, expected, caplog, capfd):
    session = opened(tally=(tally := Tally()))
    gpu.calls.clear()
    gpu.kind, gpu.message, Place.room = EP_FAIL, GIVES_UP, 0
    assert same(session.run(IMAGES), expected)
    assert gpu.calls == [(CUDA, 8), (CPU, 8)]
    assert tally.on_cpu == 1
    (said,) = warnings(caplog)
    assert "Failed to initialize CUDNN Frontend" in said
    assert capfd.readouterr().out == ""


def test_where_cuda_is_demanded_the_cpu_does_not_stand_in(gpu):
    session = opened(Device.CUDA)
    gpu.calls.clear()
    Place.room = 0
    with pytest.raises(GpuMemoryError, match=r"work\.provider demands cuda.*osteon retry") as caught:
        session.run(IMAGES)
    assert caught.value.outcome == "FAILED_RESOURCE"
    assert gpu.calls == [(CUDA, 8), (CUDA, 4), (CUDA, 2), (CUDA, 1)]


def test_weights_that_do_not_fit_are_opened_on_the_cpu_and_that_is_said(gpu, caplog, expected):
    gpu.may_open = False
    session = opened()
    assert session.provider == CPU
    assert same(session.run(IMAGES), expected)
    (said,) = warnings(caplog)
    assert "out of memory on the GPU" in said
    assert "stays there until the node is started again" in said
    with pytest.raises(GpuMemoryError):
        opened(Device.CUDA)


def test_the_arena_takes_what_is_asked_for_and_keeps_to_the_limit(gpu):
    opened(cuda_memory_mb=1500)
    ((_, options),) = gpu.opened
    assert options["arena_extend_strategy"] == "kSameAsRequested"
    assert options["gpu_mem_limit"] == str(1500 * 1024 * 1024)
    gpu.opened.clear()
    opened()
    ((_, options),) = gpu.opened
    assert "gpu_mem_limit" not in options, "all of the GPU"
