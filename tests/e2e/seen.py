"""What was seen of one study in OHIF, and how pixels of the screen are held against those of an image."""

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import highdicom
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset

from tests.e2e.chromium import Picture
from tests.e2e.ohif import Box, Fit, Mask, Ohif, colourful

FRAME_PX = 4
"""Of the viewport that is active; it is coloured."""

Places = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Study:
    """What was sent, and what came back."""

    uid: str
    images: dict[str, Dataset]
    """The sources by SOP Instance UID."""
    truth: dict[str, Mask]
    """Where the lesion is, by SOP Instance UID of the images that show it."""
    results: dict[str, list[Dataset]]
    """Modality → objects, in the order of their series numbers."""

    def like(self, sop_instance_uid: str, has_lesion: bool) -> str | None:
        """The first image of the same series that shows a lesion, or none; None where there is no such image."""
        series = self.images[sop_instance_uid].SeriesInstanceUID
        others = (uid for uid, ds in self.images.items() if ds.SeriesInstanceUID == series)
        return next((uid for uid in others if (uid in self.truth) == has_lesion), None)


@dataclass(frozen=True)
class Sight:
    """One look at the screen."""

    picture: Picture
    image: str
    """SOP Instance UID of the image that is shown."""
    fit: Fit
    own_words: Mask
    """Where OHIF writes its own words."""
    texts: list[str]
    """What is written beside annotations."""
    places: list[Box]
    """Where."""

    @property
    def within(self) -> Mask:
        """The part of the image that the viewport shows."""
        shape = self.picture.shape
        return self.fit.viewport.grown(-FRAME_PX).of(shape) & self.fit.image.of(shape)

    @property
    def overlay(self) -> Mask:
        """What is coloured within the image and none of OHIF's own words."""
        return np.asarray(colourful(self.picture) & self.within & ~self.own_words)

    def projected(self, mask: Mask) -> Mask:
        """A mask of the image as the viewport would show it."""
        return np.asarray(self.fit.projected(mask, self.picture.shape) & self.within)

    def likeness(self, ds: Dataset) -> float:
        """Correlation of the grey of the screen with the pixels of an image, where both are."""
        within = self.within & ~colourful(self.picture)
        expected = self.fit.projected(ds.pixel_array.astype(np.float32), self.picture.shape)[within]
        low, high = np.percentile(expected, (1, 99))
        return float(np.corrcoef(self.picture[within].mean(axis=1), expected.clip(low, high))[0, 1])

    def lines_with(self, words: str) -> list[str]:
        """The text beside an annotation that these words are in."""
        return next(text for text in self.texts if words in text).splitlines()


@dataclass
class Seen:
    """A study looked at: as it opens, its report, each of its segmentations and pictures."""

    study: Study
    plain: Sight
    report: Sight | None = None
    segmentations: list[tuple[Dataset, Sight, Sight | None]] = field(default_factory=list)
    """Each with the image that it opens at, and one of the same series that shows no lesion."""
    capture: tuple[Dataset, Sight] | None = None


def look(study: Study, ohif: Ohif, path: Path, shown: Dataset | None = None) -> Sight:
    """The screen once it is at rest, kept as a file.

    Parameters
    ----------
    shown
        The image, where it is none of those that were sent.
    """
    picture = ohif.still()
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(picture).save(path)
    uid = ohif.image()
    ds = study.images[uid] if shown is None else shown
    row_mm, column_mm = map(float, ds.get("PixelSpacing") or ds.get("ImagerPixelSpacing") or (1, 1))
    fit = Fit(ohif.viewport(), int(ds.Rows), int(ds.Columns), row_mm, column_mm)
    words = ohif.own_words(picture.shape)
    return Sight(picture, uid, fit, words, ohif.texts(), ohif.boxes("svg.svg-layer text"))


def masked(seg: Dataset, sop_instance_uid: str) -> Mask:
    """What a Segmentation says of one image."""
    found = highdicom.seg.Segmentation.from_dataset(seg).get_pixels_by_source_instance(
        [sop_instance_uid], combine_segments=True, skip_overlap_checks=True, assert_missing_frames_are_empty=True
    )
    return np.asarray(found[0] > 0)


def colour_of(picture: Picture, drawn: Mask) -> list[float]:
    """Of the border of an overlay, which hides the image beneath."""
    edge = np.zeros(drawn.shape, dtype=bool)
    edge[1:-1, 1:-1] = drawn[1:-1, 1:-1] & ~(drawn[:-2, 1:-1] & drawn[2:, 1:-1] & drawn[1:-1, :-2] & drawn[1:-1, 2:])
    return [float(each) for each in np.median(picture[edge], axis=0)]


def wanted_colour(seg: Dataset) -> list[float]:
    """That a Segmentation recommends, as RGB."""
    segment = seg.SegmentSequence[0]
    colour = highdicom.color.CIELabColor.from_dicom_value(list(segment.RecommendedDisplayCIELabValue))
    return [float(each) for each in colour.to_rgb()]


def as_ohif_writes(group: Dataset) -> list[str]:
    """The first numbers of a group."""
    found = []
    for item in group.ContentSequence:
        if item.ValueType == "NUM":
            value = item.MeasuredValueSequence[0]
            unit = value.MeasurementUnitsCodeSequence[0].CodeValue
            found.append(f"{item.ConceptNameCodeSequence[0].CodeMeaning}: {float(value.NumericValue):.2f} {unit}")
    return found[:4]


def along(points: Places) -> Places:
    """The border of a closed polygon on the screen, a place each pixel."""
    parts = []
    for first, second in pairwise(points):
        steps = max(2, int(np.hypot(*(second - first))))
        parts.append(first + (second - first) * np.linspace(0, 1, steps)[:, None])
    return np.concatenate(parts)
