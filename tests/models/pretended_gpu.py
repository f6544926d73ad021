"""A GPU that is none: onnxruntime's real sessions on the CPU, which call themselves CUDA and run out of memory.

The messages of the arena, of cudaMalloc, of streams and of cuBLAS are those that onnxruntime's CUDA execution provider
gave in public reports of its users (microsoft/onnxruntime issues 16307, 20038 and 22702, infiniflow/ragflow 10295,
QwenAudio/CosyVoice 833, hacksider/Deep-Live-Cam 383 and 584), shortened, names of hosts left out. Those of cuDNN, of an
older CUDA and of a newer cuBLAS are put together from the same form and the names of their states.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_CALL = (
    "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:121 std::conditional_t<THRW, void, "
    "onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, ERRTYPE, const char*, "
    "const char*, int) [with ERRTYPE = cudaError; bool THRW = true] "
)
_ARENA = (
    "/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal("
    "size_t, bool, onnxruntime::Stream*, bool, onnxruntime::WaitNotificationFn) "
)
_NODE = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. "
    "Name:'/patch_embed/Conv' Status Message: "
)
FULL = {
    "the arena finds no memory": _NODE + _ARENA + "Failed to allocate memory for requested buffer of size 939524096",
    "the limit of the arena is reached": (
        _NODE + _ARENA + "Available memory of 34699008 is smaller than requested bytes of 945041920"
    ),
    "cudaMalloc": (
        _NODE + _CALL + "CUDA failure 2: out of memory ; GPU=0 ; hostname=gpu ; file=/onnxruntime_src/onnxruntime/core/"
        "providers/cuda/cuda_allocator.cc ; line=47 ; expr=cudaMalloc((void**)&p, size);"
    ),
    "an older cudaMalloc": _NODE
    + "CUDA error 2: cudaErrorMemoryAllocation ; GPU=0 ; expr=cudaMalloc((void**)&p, size);",
    "a stream": (
        "[ONNXRuntimeError] : 1 : FAIL : " + _CALL + "CUDA failure 2: out of memory ; GPU=0 ; hostname=gpu ; "
        "expr=cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);"
    ),
    "cuBLAS": (
        _NODE + _CALL + "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=gpu ; "
        "expr=cublasCreate(&cublas_handle_);"
    ),
    "a newer cuBLAS": _NODE + _CALL + "CUBLAS failure 3: the resource allocation failed ; GPU=0 ; hostname=gpu",
    "cuDNN": _NODE + _CALL + "CUDNN failure 2: CUDNN_STATUS_ALLOC_FAILED ; GPU=0 ; expr=cudnnCreate(&cudnn_handle_);",
    "cuDNN 9": _NODE + "CUDNN failure 4002: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ; GPU=0",
}
OTHER = {
    "a kernel of another GPU": _NODE
    + _CALL
    + "CUDA failure 209: no kernel image is available for execution on the device",
    "an illegal access": _NODE + _CALL + "CUDA failure 700: an illegal memory access was encountered ; GPU=0",
    "another number that begins with 2": _NODE + _CALL + "CUDA failure 217: peer access is not supported",
    "cuDNN cannot": _NODE + "CUDNN failure 3: CUDNN_STATUS_BAD_PARAM ; GPU=0 ; expr=cudnnSetTensorNdDescriptor(",
    "a wrong shape": (
        "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: image for the following indices"
    ),
}
GIVES_UP = (
    "[ONNXRuntimeError] : 11 : EP_FAIL : Non-zero status code returned while running Conv node. Name:'Conv_0' Status "
    "Message: Failed to initialize CUDNN Frontend"
)
"""microsoft/onnxruntime issue 23301."""


class PretendedGpu:
    """Stands in for the GPU of a machine; `install` puts it into onnxruntime."""

    def __init__(self, runtime: ModuleType, room: Callable[[], int]) -> None:
        self._runtime = runtime
        self._session = runtime.InferenceSession
        self.room = room
        self.message = FULL["the arena finds no memory"]
        self.kind: type[Exception] = runtime.capi.onnxruntime_pybind11_state.RuntimeException
        self.may_open = True
        """Whether the weights of a network fit."""
        self.calls: list[tuple[str, int]] = []
        """Provider and batch of every call."""
        self.opened: list[tuple[str, dict[str, str]]] = []
        """Provider, and its options, of every session."""

    def install(self, put: Callable[[object, str, object], None]) -> None:
        """Put it into onnxruntime with `put` (setattr, or pytest's)."""
        put(self._runtime, "InferenceSession", self._open)
        put(self._runtime, "get_available_providers", lambda: [CUDA, CPU])
        put(self._runtime, "preload_dlls", lambda: None)

    def _open(self, model: bytes, sess_options: Any, providers: list[Any], **options: Any) -> Any:
        first = providers[0]
        provider, settings = first if isinstance(first, tuple) else (first, {})
        if provider == CUDA and not self.may_open:
            raise self.kind(self.message.replace("while running Conv node", "during initialization"))
        self.opened.append((provider, dict(settings)))
        return _Pretended(self, self._session(model, sess_options, providers=[CPU], **options), provider)

    def ran(self, provider: str, batch: int) -> None:
        """Count a call; raise where it has no room."""
        self.calls.append((provider, batch))
        if provider == CUDA and batch > self.room():
            raise self.kind(self.message)


class _Pretended:
    def __init__(self, gpu: PretendedGpu, real: Any, provider: str) -> None:
        self._gpu = gpu
        self._real = real
        self._provider = provider

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def get_providers(self) -> list[str]:
        """CUDA before the CPU, as a real one has them."""
        return list(dict.fromkeys((self._provider, CPU)))

    def run(self, names: list[str], feed: dict[str, Any]) -> Any:
        """As the real session, where there is room."""
        (images,) = feed.values()
        self._gpu.ran(self._provider, len(images))
        return self._real.run(names, feed)
