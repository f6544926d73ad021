"""Images of one b-value that were taken several times at each place, direction by direction or again: their average.

The node asks which directions an image states, and refuses a set that tells nothing of the whole space
(node/directions.py). Here somebody chose the images to train on, and what is asked is only that images of one series
are of one kind, and that all places were taken equally often: the geometric mean over all times is then that over the
directions (models/averages.py).
"""

from collections.abc import Mapping, Sequence

from pydicom.dataset import Dataset

from models.averages import averaged
from models.encoded import from_dataset, pixel_header
from models.planes import Plane, planes_of
from models.repetition import by_repetition
from models.volume import VOLUME_LIMITS, Volume, volume
from training.errors import DataFault

Frames = dict[str, list[int]]
"""Frames, from 1, by the SOP Instance UID of their object."""


def stack_of(objects: Sequence[Dataset], frames: Mapping[str, Sequence[int]]) -> Volume:
    """The volume of the images of one b-value; where each place was taken several times, the average of the volumes.

    Of several series, or kinds of images, the one that took each place least often is meant: a trace beside its
    directions.

    Parameters
    ----------
    frames
        Of each object the frames to take, from 1, by SOP Instance UID.

    Raises
    ------
    DataFault
        Some places were taken more often than others, or several series are equally good.
    DecodeError, GeometryError, ImageTooLargeError
    """
    kinds: dict[tuple[str, ...], list[Dataset]] = {}
    for ds in objects:
        kinds.setdefault(_kind(ds), []).append(ds)
    found = sorted(((_times(mine, frames), mine) for mine in kinds.values()), key=lambda each: len(each[0]))
    if len(found) > 1 and len(found[0][0]) == len(found[1][0]):
        raise DataFault(
            f"{len(found)} series or kinds of images have this b-value "
            f"({'; '.join(' '.join(kind[2:]) for kind in kinds)}). Leave the one that the label was drawn on."
        )
    times, mine = found[0]
    volumes = (volume([ds for ds in mine if str(ds.SOPInstanceUID) in time], time) for time in times)
    return next(volumes) if len(times) == 1 else averaged(volumes)


def _kind(ds: Dataset) -> tuple[str, ...]:
    """What images of one average have in common; the last two are words for a fault."""
    kind = "\\".join(str(part) for part in ds.get("ImageType") or ())
    return (
        str(ds.get("SeriesInstanceUID", "")),
        str(ds.get("FrameOfReferenceUID", "")),
        f"series {ds.get('SeriesNumber') or '?'} {kind}",
        f"TE {ds.get('EchoTime') or '?'}",
    )


def _times(objects: Sequence[Dataset], frames: Mapping[str, Sequence[int]]) -> list[Frames]:
    """The first image of every place, then the second of every place, and so on."""
    planes = [plane for ds in objects for plane in _planes(ds, frames[str(ds.SOPInstanceUID)])]
    normal = planes[0].normal
    times = by_repetition(planes, lambda plane: float(plane.position @ normal))
    counts = [len(each) for each in times]
    if len(set(counts)) > 1:
        raise DataFault(
            f"Of {counts[0]} places {counts[-1]} were taken {len(times)} times, the others less often: their images "
            "have no average. Leave as many of each place, or the trace alone."
        )
    return [_frames(each) for each in times]


def _frames(planes: Sequence[Plane]) -> Frames:
    frames: Frames = {}
    for plane in planes:
        frames.setdefault(plane.ref.sop_instance_uid, []).append(plane.index + 1)
    return frames


def _planes(ds: Dataset, wanted: Sequence[int]) -> list[Plane]:
    encoded = from_dataset(ds)
    return planes_of(encoded.header, pixel_header(encoded, VOLUME_LIMITS).frames, wanted, [])
