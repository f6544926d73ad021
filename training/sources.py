"""Which reader takes a folder: the one place that looks at what it holds, and says so when it holds nothing known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from training.errors import DataFault

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source(Generic[T]):
    """One layout of data, and its reader."""

    what: str
    """What is looked for, in words."""
    holds: Callable[[Path], bool]
    """Whether a folder is of this layout; looks at names, and at no more of the files than it must."""
    read: Callable[[Path], T]


def read(folder: Path, sources: Sequence[Source[T]]) -> T:
    """What the first layout that the folder is of makes of it.

    Raises
    ------
    DataFault
        The folder is missing, or of none of the layouts; and whatever the reader finds wrong.
    """
    if not folder.is_dir():
        raise DataFault(f"{folder} is no folder. Name the one that holds the data.")
    for source in sources:
        if source.holds(folder):
            return source.read(folder)
    looked = "; or ".join(source.what for source in sources)
    raise DataFault(f"{folder} holds nothing that is read here. Looked for {looked}.")
