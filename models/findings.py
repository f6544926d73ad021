"""What a model says of a study: the contract between `models` (who finds) and `node` (who reports).

Values only: no file, no network, no DICOM dataset. Arrays: masks are `(slices, rows, columns)` uint8, outlines are
`(points, 2)` float32 with `(column, row)` in source pixels, where (0.5, 0.5) is the centre of the first pixel
(PS3.3 C.18.6.1.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt


class Answer(StrEnum):
    """The qualitative answer for a study, an image or a lesion."""

    NORMAL = "normal"
    """The model looked and found nothing."""
    BENIGN = "benign"
    """A tumour, more likely benign."""
    MALIGNANT = "malignant"
    """A tumour, more likely malignant."""
    TUMOUR = "tumour"
    """A tumour; the model does not tell benign from malignant."""
    UNDECIDED = "undecided"
    """A tumour is likelier than not, or no answer reaches the confidence that the card demands."""
    NOT_ASSESSED = "not_assessed"
    """The image is unlike what the model was trained on; nothing is said of it."""


DISTANCE_LEVELS = ("background", "tumour", "near", "middle", "far")
"""How far from a tumour a pixel lies (knee-seg-unet, A2): in it, below a quarter, a half, three quarters of the unit of
distance; background is what lies beyond."""


class MeasurementKind(StrEnum):
    """What was measured; coded in node/report/codes.py."""

    AREA = "area"
    DIAMETER = "diameter"
    """The largest distance of two points of a volume, in any direction."""
    LONG_AXIS = "long_axis"
    SHORT_AXIS = "short_axis"
    VOLUME = "volume"
    MEAN_ADC = "mean_adc"


class Unit(StrEnum):
    """UCUM units used in results."""

    MM = "mm"
    MM2 = "mm2"
    CM3 = "cm3"
    PIXELS = "{pixels}"
    ADC = "10-6.mm2/s"


class SpacingSource(StrEnum):
    """Where millimetres come from (PS3.3 10.7.1.3), best first."""

    CALIBRATED = "calibrated"
    """PixelSpacing, calibrated in the patient, or of a cross-sectional image."""
    DETECTOR = "detector"
    """ImagerPixelSpacing: the detector plane, which magnifies the patient."""
    FILM = "film"
    """NominalScannedPixelSpacing of a digitised film."""
    UNKNOWN = "unknown"
    """No spacing at all: lengths are in widths of a pixel, areas in pixels."""


@dataclass(frozen=True, slots=True)
class Spacing:
    """Millimetres between rows and between columns.

    When the source is unknown, widths of a pixel instead: `column_mm` is 1.0 and `row_mm` how many times as high as
    wide a pixel is, 1.0 unless *Pixel Aspect Ratio* (0028,0034) says otherwise.
    """

    row_mm: float
    column_mm: float
    source: SpacingSource


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number with its unit."""

    kind: MeasurementKind
    value: float
    unit: Unit


@dataclass(frozen=True, slots=True)
class Outline:
    """A closed polygon on one frame of one image; the first point is not repeated."""

    sop_instance_uid: str
    frame: int | None
    """1-based frame of a multi-frame image, None for a single-frame image."""
    points: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lesion:
    """One connected region. `number` is its value in the mask of its series, from 1."""

    number: int
    answer: Answer
    probability: float
    """That this region is a tumour, 0..1."""
    malignant_probability: float | None
    """That it is malignant, 0..1, where the model says so."""
    measurements: tuple[Measurement, ...]
    outlines: tuple[Outline, ...]
    kinds: Mapping[str, float] = field(default_factory=dict)
    """What kind of tumour it is, by the names of the card's classes, the likeliest first; sums to 1. Empty where the
    model tells no kinds apart."""
    kind: str = ""
    """The likeliest of them, where the card calls it sure enough to be named."""
    levels: tuple[float, ...] = ()
    """How near a tumour its pixels lie, by a second opinion of the same network: the mean probability of each of
    `DISTANCE_LEVELS` over the region. Empty where the model has no such opinion."""


@dataclass(frozen=True, slots=True)
class ImageRef:
    """One source plane: an instance, and its frame (1-based) when it has several."""

    sop_instance_uid: str
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """One voice of a weighted sum, for example the detector's, the classifier's or the patient's age."""

    name: str
    weight: float
    malignant_probability: float | None
    """None where the voice was missing, and the others carried its weight."""


@dataclass(frozen=True, slots=True)
class Maps:
    """What a model says of every pixel of a source, on its grid: large, so made for those who ask only."""

    probability: npt.NDArray[np.float32]
    """`(slices, rows, columns)`, 0..1: that a pixel belongs to a tumour, as the mask was cut from it."""
    levels: npt.NDArray[np.uint8] | None = None
    """`(slices, rows, columns)`: the likeliest of `DISTANCE_LEVELS`, by its place; None where the model has none."""


@dataclass(frozen=True, slots=True)
class SourceFindings:
    """What was found on one source: one radiograph, or one MR series."""

    series_instance_uid: str
    images: tuple[ImageRef, ...]
    """In the order of the mask's first axis."""
    answer: Answer
    probabilities: Mapping[Answer, float]
    """Calibrated, sums to 1."""
    mask: npt.NDArray[np.uint8]
    """`(slices, rows, columns)` on the source grid: 0 background, else the lesion's number."""
    spacing: Spacing
    lesions: tuple[Lesion, ...]
    notes: tuple[str, ...] = ()
    """Sentences a reader must see, for example "sizes are measured in the detector plane"."""
    terms: tuple[Term, ...] = ()
    """What was weighed for this source, where a model weighs voices."""
    maps: Maps | None = None
    """Only where they were asked for, and where the model has any."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which weights spoke, and on what."""

    system: str
    name: str
    version: str
    weights_sha256: str
    """SHA-256 over the hashes of all files of the bundle, in the order of their names."""
    provider: str
    """The execution provider that really ran, e.g. "CPUExecutionProvider"."""
    training_data: str
    """"real" or "phantom": what the weights were trained on."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What one model says of one study."""

    model: ModelIdentity
    answer: Answer
    probabilities: Mapping[Answer, float]
    sources: tuple[SourceFindings, ...]
    timings_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds per stage: read, decode, inference, ..."""
    notes: tuple[str, ...] = ()
    """Sentences about the study as a whole."""
    terms: tuple[Term, ...] = ()
    """What was weighed for the study, where a model weighs voices."""
    kinds: Mapping[str, float] = field(default_factory=dict)
    """What kind of tumour the study shows, as of a lesion; calibrated."""
    kind: str = ""
    """The likeliest of them, where the card calls it sure enough to be named."""
