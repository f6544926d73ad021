"""Runs an ONNX network. The only file that knows onnxruntime, which it loads when the first session is opened.

A session is opened from bytes that were verified (models/card.py), never from a path: between a check and a second
read a file can change. What the file says of itself, what goes in and what comes out are checked once, on opening;
that an answer holds numbers is checked on every run.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import ContractError, GpuMemoryError, InferenceError, ProviderError, RuntimeMissingError
from models.shortage import ADVICE, OnGpu, Spare, Tally, first_line, is_out_of_memory

log = logging.getLogger(__name__)

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_SILENT = 4
"""onnxruntime's severity "fatal": it logs a missing CUDA as an error, which we answer ourselves."""

Array = npt.NDArray[np.float32]


class Device(StrEnum):
    """Where networks run."""

    AUTO = "auto"
    """CUDA where it works and has the memory, else the CPU."""
    CPU = "cpu"
    """The CPU, even where there is a GPU."""
    CUDA = "cuda"
    """CUDA, or not at all."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How networks run on this machine."""

    device: Device = Device.AUTO
    threads: int = 0
    """Threads of one network on the CPU; 0 leaves it to onnxruntime, which takes every core."""
    cuda_memory_mb: int = 0
    """Largest GPU memory of one network; 0 for no limit."""
    tally: Tally = field(default_factory=Tally, compare=False)
    """Counts what the networks opened with these options do."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What a network must say, take and give. Shapes leave out the first axis, which is the batch."""

    metadata: Mapping[str, str]
    input_name: str
    input_shape: tuple[int, ...]
    outputs: Mapping[str, tuple[int, ...]]


class Session:
    """An open network; see `open_session`."""

    def __init__(self, session: Any, contract: Contract, where: str, faults: tuple[type[Exception], ...]) -> None:
        self._session = session
        self._contract = contract
        self._where = where
        self._faults = faults
        self.provider: str = session.get_providers()[0]
        """The execution provider that really runs."""

    def run(self, images: Array) -> dict[str, Array]:
        """One batch.

        Parameters
        ----------
        images
            `(batch, *input_shape)` float32.

        Raises
        ------
        InferenceError
            The network broke, or an output is not of the contract's shape or not finite.
        GpuMemoryError
            The GPU has no memory for one image, and the configuration demands CUDA; otherwise smaller batches or the
            CPU answer (models/shortage.py).
        """
        names = list(self._contract.outputs)
        try:
            answers = self._session.run(names, {self._contract.input_name: np.ascontiguousarray(images, np.float32)})
        except self._faults as exc:
            raise InferenceError(f"{self._where} failed: {first_line(exc)}") from exc
        return {name: self._sound(name, answer, len(images)) for name, answer in zip(names, answers, strict=True)}

    def _sound(self, name: str, answer: Array, batch: int) -> Array:
        wanted = (batch, *self._contract.outputs[name])
        if answer.shape != wanted or answer.dtype != np.float32:
            raise InferenceError(
                f"{self._where} gave {name} as {answer.dtype} {answer.shape} instead of float32 {wanted}."
            )
        if not np.isfinite(answer).all():
            raise InferenceError(
                f"{self._where} gave numbers in {name} that are no numbers (NaN or infinite), so it gives no answer. "
                "Look at the image by hand, and at the model if it happens again."
            )
        return answer


def open_session(model: bytes, where: str, contract: Contract, options: SessionOptions | None = None) -> Session:
    """Open a network from verified bytes, check its contract, and run it once so that the first image is not slow.

    Parameters
    ----------
    where
        Which file this is, for messages.

    Raises
    ------
    RuntimeMissingError, ProviderError, ContractError, InferenceError, GpuMemoryError
    """
    options = options or SessionOptions()
    runtime = _runtime()
    faults = _faults(runtime)
    session = _opened_where_it_fits(runtime, model, where, options, faults)
    _check_provider(session, where, options)
    _check_contract(session, where, contract)
    if session.get_providers()[0] == CUDA:
        gives_up = runtime.capi.onnxruntime_pybind11_state.EPFail
        spare = _spare(runtime, model, where, options, faults)
        session = OnGpu(session, where, faults, gives_up, spare, options.tally)
    opened = Session(session, contract, where, faults)
    opened.run(np.zeros((1, *contract.input_shape), dtype=np.float32))
    log.info("opened %s on %s", where, opened.provider)
    return opened


def _runtime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError as exc:
        raise RuntimeMissingError(
            "onnxruntime is not installed, so no model can run. Install one of the two: pip install 'osteon[cpu]', or "
            "pip install 'osteon[gpu]' where there is an NVIDIA GPU. Never both: they share one name."
        ) from exc
    module: ModuleType = onnxruntime
    return module


def _faults(runtime: ModuleType) -> tuple[type[Exception], ...]:
    """Every exception that onnxruntime's binding defines; they share no base class of their own."""
    state = runtime.capi.onnxruntime_pybind11_state
    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError)


_preloaded = threading.Event()


def _providers(runtime: ModuleType, options: SessionOptions) -> list[Any]:
    if options.device is Device.CPU or CUDA not in runtime.get_available_providers():
        return [CPU]
    if not _preloaded.is_set():
        _preloaded.set()
        runtime.preload_dlls()
    settings = {
        "use_tf32": "0",
        "cudnn_conv_algo_search": "HEURISTIC",
        # the default takes the next power of two, which is up to twice what is needed, and never gives it back
        "arena_extend_strategy": "kSameAsRequested",
    }
    if options.cuda_memory_mb:
        settings["gpu_mem_limit"] = str(options.cuda_memory_mb * 1024 * 1024)
    return [(CUDA, settings), CPU]


def _opened(
    runtime: ModuleType, model: bytes, where: str, options: SessionOptions, faults: tuple[type[Exception], ...]
) -> Any:
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = _SILENT
    # a spinning thread on a shared host takes the core from the one that has work (SPEED.md §5)
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    runtime.set_default_logger_severity(_SILENT)
    providers = _providers(runtime, options)
    if providers == [CPU]:
        # onnxruntime would keep what its largest run took, of every network, for ever: a third of the worker's memory,
        # for which a run is faster by a few to twenty of a hundred
        settings.enable_cpu_mem_arena = settings.enable_mem_pattern = False
    try:
        # its own fallback would go to the CPU without a word, and for ever (models/shortage.py does it instead)
        return runtime.InferenceSession(model, sess_options=settings, providers=providers, enable_fallback=0)
    except faults as exc:
        if providers != [CPU] and is_out_of_memory(str(exc)):
            raise GpuMemoryError(f"{where} cannot be opened: out of memory on the GPU. {ADVICE}") from exc
        raise ContractError(f"{where} cannot be opened: {first_line(exc)} Export the model again.") from exc


def _opened_where_it_fits(
    runtime: ModuleType, model: bytes, where: str, options: SessionOptions, faults: tuple[type[Exception], ...]
) -> Any:
    """On the GPU, or on the CPU for good where the GPU has no memory for the weights and CUDA is not demanded."""
    try:
        return _opened(runtime, model, where, options, faults)
    except GpuMemoryError as exc:
        if options.device is Device.CUDA:
            raise
        log.warning("%s It is opened on the CPU and stays there until the node is started again.", exc)
        return _opened(runtime, model, where, replace(options, device=Device.CPU), faults)


def _spare(
    runtime: ModuleType, model: bytes, where: str, options: SessionOptions, faults: tuple[type[Exception], ...]
) -> Spare:
    """How to open it again. The bytes are those that were verified: whatever lies on the disk by then is not read."""

    def on_gpu() -> Any:
        session = _opened(runtime, model, where, options, faults)
        _check_provider(session, where, replace(options, device=Device.CUDA))
        return session

    def on_cpu() -> Any:
        return _opened(runtime, model, where, replace(options, device=Device.CPU), faults)

    return Spare(on_gpu, None if options.device is Device.CUDA else on_cpu, options.cuda_memory_mb)


def _check_provider(session: Any, where: str, options: SessionOptions) -> None:
    """The list that onnxruntime offers says nothing; what the session got does."""
    got = session.get_providers()[0]
    if options.device is Device.CUDA and got != CUDA:
        raise ProviderError(
            f"{where} runs on {got}, and the configuration demands cuda. Install osteon[gpu] and NVIDIA's driver for "
            'CUDA 13, or set the device to "auto" or "cpu".'
        )


def _check_contract(session: Any, where: str, contract: Contract) -> None:
    stated = session.get_modelmeta().custom_metadata_map
    for key, wanted in contract.metadata.items():
        if stated.get(key) != wanted:
            raise ContractError(
                f"{where}: metadata {key} is {stated.get(key)!r}, the card needs {wanted!r}. The file was made for "
                "another card. Export the model again, or restore the bundle."
            )
    inputs = {each.name: each for each in session.get_inputs()}
    if list(inputs) != [contract.input_name]:
        raise ContractError(
            f"{where} takes {', '.join(inputs) or 'nothing'}; one input {contract.input_name!r} is given."
        )
    _check_shape(inputs[contract.input_name], contract.input_shape, where)
    outputs = {each.name: each for each in session.get_outputs()}
    for name, shape in contract.outputs.items():
        if name not in outputs:
            raise ContractError(f"{where} gives {', '.join(outputs)}; {name!r} is missing.")
        _check_shape(outputs[name], shape, where)


def _check_shape(value: Any, shape: tuple[int, ...], where: str) -> None:
    """The batch must be free, every other axis fixed; an axis without a number is checked by the first run."""
    stated = value.shape
    fits = len(stated) == len(shape) + 1 and not isinstance(stated[0], int)
    fits = fits and all(
        not isinstance(have, int) or have == want for have, want in zip(stated[1:], shape, strict=False)
    )
    if not fits or value.type != "tensor(float)":
        wanted = ", ".join(["batch", *map(str, shape)])
        raise ContractError(f"{where}: {value.name} is {value.type} {stated}; tensor(float) [{wanted}] is needed.")
