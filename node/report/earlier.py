"""What an earlier report of ours said: its lesions with their tracking UIDs and outlines, read back from the document.

The stored report is the one record of an earlier run's lesions: it holds, for every kind of model, what was told to
the world, and it lies beside nothing that could disagree with it. Only documents of our own store are read here, whose
bytes are checked against their hash; what others send is read by node/report/returned.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from models.findings import Outline

_GROUP = "125007"  # Measurement Group, TID 1410, 1411 and 1501
_FINDING = "121071"
_TRACKING_UID = "112040"
_ALGORITHM = "111001"
_REGION = "111030"


@dataclass(frozen=True, slots=True)
class EarlierLesion:
    """One lesion of an earlier run."""

    tracking_uid: str
    model: str
    """The name of the model that saw it."""
    outlines: tuple[Outline, ...]


def lesions_of(data: bytes) -> tuple[EarlierLesion, ...]:
    """The lesions of a report of ours, in its order; answers for an image or the study are none.

    Parameters
    ----------
    data
        The data set, Explicit VR Little Endian, without file meta information.
    """
    return tuple(_lesion(group) for group in _groups(_read(data)) if _children(group, _FINDING))


def tracking_of(data: bytes) -> tuple[str, ...]:
    """Every tracking UID of a report of ours: those of its lesions and of its answers."""
    return tuple(str(item.UID) for group in _groups(_read(data)) for item in _children(group, _TRACKING_UID))


def _read(data: bytes) -> Dataset:
    return read_dataset(BytesIO(data), is_implicit_VR=False, is_little_endian=True)


def _groups(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence") or ():
        if _concept(child) == _GROUP:
            yield child
        else:
            yield from _groups(child)


def _lesion(group: Dataset) -> EarlierLesion:
    return EarlierLesion(
        tracking_uid=next((str(item.UID) for item in _children(group, _TRACKING_UID)), ""),
        model=next((str(item.TextValue) for item in _children(group, _ALGORITHM)), ""),
        outlines=tuple(_outline(item) for item in _children(group, _REGION) if item.get("ValueType") == "SCOORD"),
    )


def _outline(region: Dataset) -> Outline:
    """The polygon; a report repeats its first point, an `Outline` does not."""
    image = region.ContentSequence[0].ReferencedSOPSequence[0]
    frame = image.get("ReferencedFrameNumber")
    points = np.array(region.GraphicData, dtype=np.float32).reshape(-1, 2)
    return Outline(str(image.ReferencedSOPInstanceUID), int(frame) if frame is not None else None, points[:-1])


def _children(item: Dataset, concept: str) -> list[Dataset]:
    return [child for child in item.get("ContentSequence") or () if _concept(child) == concept]


def _concept(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].get("CodeValue", "")) if names else ""
