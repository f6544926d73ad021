"""Several directions of diffusion as one volume: their geometric mean, which is what a scanner calls the trace.

S(b, g) = S(0) exp(-b D(g)): the mean of the exponents is the geometric mean of the signals, and over directions that
lie evenly the mean of D(g) is a third of the trace of the tensor. Where a direction has no signal above zero there is
no exponent to tell, as everywhere in this package (models/diffusion.py): the average is 0 there, its ADC not valid.

Legend: volumes `(slices, rows, columns)` float32.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models.encoded import Limits, from_bytes
from models.errors import GeometryError
from models.findings import ImageRef
from models.volume import VOLUME_LIMITS, Volume, volume_of_encoded

Double = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Part:
    """Which images are one direction."""

    objects: tuple[str, ...]
    """By SOP Instance UID."""
    frames: Mapping[str, Sequence[int]]
    """Of a multi-frame object the frames to take, from 1; all of an object that is not named."""


def average_from_bytes(
    objects: Mapping[str, tuple[bytes, str]], parts: Sequence[Part], limits: Limits = VOLUME_LIMITS
) -> Volume:
    """Decode the directions one after the other, and average them.

    Parameters
    ----------
    objects
        By SOP Instance UID, each a data set without file meta information, and its transfer syntax.
    parts
        The directions, each as often as it was taken; results refer to the images of the first.

    Raises
    ------
    DecodeError, GeometryError, ImageTooLargeError
        Of any direction: an average of the others would be none of the space.
    """
    encoded = {uid: from_bytes(data, syntax, limits) for uid, (data, syntax) in objects.items()}
    each = (
        volume_of_encoded([encoded[uid] for uid in part.objects], part.frames, limits, is_adc=False) for part in parts
    )
    return averaged(each)


def averaged(volumes: Iterable[Volume]) -> Volume:
    """The geometric mean of volumes on one grid; 0 where any of them is zero or negative.

    Raises
    ------
    GeometryError
        None came, or they lie on different voxels.
    """
    first: Volume | None = None
    total: Double = np.zeros(0)
    sound: npt.NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
    refs: list[tuple[ImageRef, ...]] = []
    notes: list[str] = []
    for number, each in enumerate(volumes, start=1):
        if first is None:
            first, total, sound = each, np.zeros(each.grid.shape), np.ones(each.grid.shape, dtype=np.bool_)
        elif not each.grid.is_that_of(first.grid):
            raise GeometryError(
                f"Of the volumes to average, number {number} lies on other voxels than the first, "
                f"{each.grid.shape} against {first.grid.shape}: they have no average. "
                "Send the series again as the scanner made it."
            )
        positive = each.voxels > 0
        sound &= positive
        total += np.log(each.voxels, where=positive, out=np.zeros(each.grid.shape))
        refs.append(each.images)
        notes += each.notes
    if first is None:
        raise GeometryError("No direction of diffusion came, so that there is nothing to average.")
    mean = np.where(sound, np.exp(total / len(refs)), 0.0).astype(np.float32)
    return replace(
        first,
        voxels=mean,
        notes=tuple(dict.fromkeys(notes)),
        made_from=tuple(zip(*refs, strict=True)),
    )
