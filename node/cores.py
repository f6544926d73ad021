"""No memory of this process ever lands on a disk: it holds images and names (promise P7)."""

import ctypes
import resource

_PR_SET_DUMPABLE = 4


def never_dump() -> None:
    """No core file, none for a handler that the kernel pipes to either, and no debugger of another process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)
