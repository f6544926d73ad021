"""What a caller asks of the report: which objects, when, under which names, and the images that were read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models.findings import ImageRef
from node.report.kind import Kind
from node.report.profile import Profile


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """An SR of an earlier run that the new one replaces."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class AdcSeries:
    """An ADC map that was computed here, on the grid of its source."""

    values: npt.NDArray[np.float32]
    """`(slices, rows, columns)` in 10-6 mm2/s, in the order of the images of the findings."""
    made_from: tuple[tuple[ImageRef, ...], ...]
    """By slice, the images that it was computed from."""
    b_values: tuple[float, ...]
    """Of those, s/mm2."""
    headers: Mapping[str, Dataset]
    """Their data sets by SOP Instance UID."""


@dataclass(frozen=True, slots=True)
class Source:
    """What was read for one `SourceFindings`, in the same place of the sequence."""

    datasets: tuple[Dataset, ...]
    """The headers of its instances, with or without pixels, in any order. Never changed."""
    display: npt.NDArray[np.generic] | None = None
    """`(rows, columns)` of one plane, any real type and range, bright bone; or `(slices, rows, columns)` of a volume,
    in the values that its window is stated in. None: no Secondary Capture."""
    display_slice: int = 0
    """Which plane of the mask a `display` of one plane shows; `key_slice` says which one to show."""
    body_part: str = ""
    """A defined term of Body Part Examined as the route decided it, e.g. KNEE; empty: as the header says."""
    laterality: str = ""
    """R, L or B as the route decided it; empty: as the header says, never guessed."""
    adc: AdcSeries | None = None
    """What a receiver may want of it as a series of its own."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request for result objects. The same request, findings and sources give the same bytes."""

    now: datetime
    """Aware: written in the time zone that the source declares; naive: written as it is."""
    run: int = 1
    """1 for the first result of a study, one more for each that replaces it: result series are numbered by it."""
    installation: str = ""
    """Which node of several speaks, e.g. its AE title; serial number and device UID follow from it."""
    config: str = ""
    """The settings that change a result, as one string: part of every UID."""
    profile: Profile = field(default_factory=Profile)
    left_out: frozenset[Kind] = frozenset()
    """Kinds that this node is set not to make, whatever a profile asks for."""
    first_order: int = 0
    """How many results of the same run come before: another model's."""
    previous: tuple[DocumentRef, ...] = ()
    """Reports replaced by this one (Predecessor Documents Sequence)."""
    tracking_uids: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """Tracking UIDs to keep for lesions matched with an earlier run, by first image of the source and number."""
    routing: tuple[str, ...] = ()
    """What became of each series of the study, in the sentences of node/route.py: what was used and what was not."""
    last_image_at: datetime | None = None
    """When the last image of the study arrived, aware or naive as `now` is; None when it is not known."""
