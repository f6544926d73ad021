"""What the patch network of the knee system says of one image, window by window (knee-seg-unet, appendix B.3).

A few windows are cut, run and laid down before the next are cut: an image of 3480 x 4240 has 320 windows of 416, whose
answers would fill a gigabyte.

Legend: `(windows, 1, rows, columns)` for the network, images and maps `(rows, columns)`.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models import patches
from models.nonsense import refuse_constant
from models.pixels import Float

AT_ONCE = 3
"""Windows in one run of the patch network: all nine take 50 MB more, and hardly less time."""
MAX_WINDOWS = 1000
"""Of one image: 44 million pixels in windows of 416; the paper's images have up to 15 million."""

Vector = npt.NDArray[np.float64]
Run = Callable[[Float], Mapping[str, Float]]
"""From windows to the named outputs of the network."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the patch network says of all windows of an image."""

    classes: Vector
    """`(windows, 3)`, in the order of the windows."""
    tumour: Float
    """The highest tumour probability that any window gives a place, on the grid of the tiling."""
    pixels: npt.NDArray[np.intp]
    """`(windows,)`: how many pixels of a window's map are tumour."""


@dataclass(slots=True)
class Stages:
    """The seconds that each stage of an answer took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Add the time until the block ends."""
        started = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started


def look(
    run: Run, grey: Float, tiling: patches.Tiling, size: tuple[int, int], threshold: float, stages: Stages, name: str
) -> Seen:
    """Run the patch network on every window of an image and merge what it says.

    Parameters
    ----------
    run
        Takes `(windows, 1, *size)` and gives `class_logits` and `mask_logits`.
    grey
        The image in 0..1.
    threshold
        From this probability on, a pixel is tumour.
    stages
        Takes the seconds of "preprocess", "inference" and "fusion".
    name
        Of the model, for the message of an error.

    Raises
    ------
    InferenceError
        What the network says does not depend on the place.
    """
    tumour = np.zeros(tiling.grid, dtype=np.float32)
    classes, pixels, given, told = [], [], [], []
    for first in range(0, len(tiling.places), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        with stages.of("preprocess"):
            shown = np.stack([patches.cut(grey, place, size) for place in tiling.places[part]])
        with stages.of("inference"):
            said = run(shown[:, None])
        with stages.of("fusion"):
            maps = sigmoid(said["mask_logits"][:, 0])
            for one, place in zip(maps, tiling.on_grid[part], strict=True):
                patches.lay(tumour, one, place)
            classes.append(said["class_logits"])
            pixels.append(np.count_nonzero(maps >= threshold, axis=(1, 2)))
            given.append(_extremes(shown))
            told.append(_extremes(said["mask_logits"]))
    refuse_constant(np.concatenate(told), np.concatenate(given), name)
    return Seen(softmax(np.concatenate(classes)), tumour, np.concatenate(pixels))


def sigmoid(logits: Float) -> Float:
    """Without overflow at either end."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float32)


def softmax(logits: Float) -> Vector:
    """Over axis 1."""
    grown = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def _extremes(values: Float) -> Float:
    """`(windows, 2)`: the lowest and the highest number of each."""
    flat = values.reshape(len(values), -1)
    return np.stack((flat.min(axis=1), flat.max(axis=1)), axis=1)
