"""The real onnxruntime with a GPU that is none (tests/models/pretended_gpu.py), for a node that runs as a process.

A process finds this one first when the folder above it leads PYTHONPATH. How many images fit says the file that
OSTEON_FAULT_POINT names, read anew at each call: `gpu-room 2`. Without the file, or with another order in it, all fit.
"""

import importlib.util
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from storage.faultpoints import SWITCH
from tests.models.pretended_gpu import PretendedGpu

_HERE = Path(__file__).resolve().parent
_EVERYTHING = 1 << 30


def _room() -> int:
    try:
        name, _, images = Path(os.environ[SWITCH]).read_text().strip().partition(" ")
    except (KeyError, OSError):
        return _EVERYTHING
    return int(images) if name == "gpu-room" else _EVERYTHING


_spec = PathFinder.find_spec(__name__, [path for path in sys.path if Path(path).resolve() != _HERE])
if _spec is None or _spec.loader is None:
    raise ImportError("the real onnxruntime is not installed")
_real = importlib.util.module_from_spec(_spec)
sys.modules[__name__] = _real
_spec.loader.exec_module(_real)
PretendedGpu(_real, _room).install(setattr)
