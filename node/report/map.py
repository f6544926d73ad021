"""What a model says of every pixel: how likely it is a tumour, and on a radiograph how near one it lies.

On MR a Parametric Map (PS3.3 A.75) in hundredths of a percent, or a FRACTIONAL Segmentation where the receiver shows
those only. On a radiograph always the latter: a Parametric Map must have a Frame of Reference, which no radiograph has.
Levels of distance are BINARY segments beside it. A model that finds boxes says nothing of pixels, so it has no map.
"""

import numpy as np
import numpy.typing as npt
from highdicom import VOILUTTransformation
from highdicom.color import CIELabColor
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset

from models.findings import DISTANCE_LEVELS, Maps, ModelIdentity
from node.report.codes import ABNORMAL, LESION, PERCENT, PROBABILITY_OF_CLASS, TISSUE
from node.report.colours import LEVEL_COLOURS, OTHER_COLOUR
from node.report.encode import ascii_text
from node.report.envelope import Envelope, finish, place
from node.report.frames import name_frames, place_projection, read_frames, repeat_dimension_uids, stand_in
from node.report.seg import algorithm_of, put_pixels
from node.report.subject import Subject

STEPS_PER_PERCENT = 100
TOP = 100 * STEPS_PER_PERCENT
"""The cell that says 100 %: two decimals are more than any calibration knows, and the numbers stay readable."""
MOST = 255
"""*Maximum Fractional Value* (0062,000E)."""
LABEL = "AI tumour probability"


def probability_map(
    subject: Subject, model: ModelIdentity, is_fractional: bool, nominal_plane: bool, cover: Envelope
) -> Dataset | None:
    """The probability of tumour of every pixel of one source; None where its findings hold no map.

    Parameters
    ----------
    is_fractional
        A FRACTIONAL Segmentation for an MR series too.
    nominal_plane
        Of a radiograph, see node/report/frames.py.
    """
    maps = subject.findings.maps
    if maps is None:
        return None
    if is_fractional or subject.is_projection:
        ds = _fractional(subject, maps, model, nominal_plane, cover)
    else:
        ds = _parametric(subject, maps, model, cover)
    if ds is not None:
        name_frames(ds, subject)
        repeat_dimension_uids(ds, cover)
        finish(ds, cover, subject.first, subject.anatomy)
    return ds


def level_parts(subject: Subject) -> tuple[tuple[int, ...], ...]:
    """Which distance levels share a Segmentation: those that any pixel has, as a rule in one; see seg.parts."""
    maps = subject.findings.maps
    if maps is None or maps.levels is None or not subject.is_projection:
        return ()
    counts = np.bincount(maps.levels.ravel(), minlength=len(DISTANCE_LEVELS))
    found = tuple(level for level in range(1, len(DISTANCE_LEVELS)) if counts[level])
    if not found:
        return ()
    return tuple((level,) for level in found) if maps.levels[0].size % 8 else (found,)


def level_map(
    subject: Subject, levels: tuple[int, ...], model: ModelIdentity, nominal_plane: bool, cover: Envelope
) -> Dataset:
    """Some distance levels of a radiograph as segments; background is what no segment holds.

    Raises
    ------
    ValueError
        The findings hold none.
    """
    maps = subject.findings.maps
    if maps is None or maps.levels is None:
        raise ValueError("there are no distance levels")
    images, pixels = stand_in(subject, len(levels))
    ds = Segmentation(
        source_images=images,
        pixel_array=pixels,
        segmentation_type="BINARY",
        segment_descriptions=[_level(level, number, model) for number, level in enumerate(levels, start=1)],
        content_label="AI_DISTANCE",
        content_description=ascii_text(f"{model.name} {model.version}", 64),
        **place(cover),
    )
    table = np.zeros(256, dtype=np.uint8)
    table[list(levels)] = range(1, len(levels) + 1)
    put_pixels(ds, table[maps.levels[0]], len(levels))
    place_projection(ds, subject, nominal_plane)
    repeat_dimension_uids(ds, cover)
    finish(ds, cover, subject.first, subject.anatomy)
    return ds


def _parametric(subject: Subject, maps: Maps, model: ModelIdentity, cover: Envelope) -> Dataset:
    return ParametricMap(
        source_images=read_frames(subject),
        pixel_array=np.rint(np.clip(maps.probability, 0.0, 1.0) * TOP).astype(np.uint16),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            RealWorldValueMapping(
                lut_label="PROBABILITY",
                lut_explanation="Probability of tumour in percent",
                unit=PERCENT,
                value_range=(0, TOP),
                slope=1.0 / STEPS_PER_PERCENT,
                intercept=0.0,
                quantity_definition=PROBABILITY_OF_CLASS,
            )
        ],
        voi_lut_transformations=[VOILUTTransformation(window_center=TOP / 2, window_width=float(TOP))],
        content_label="AI_PROBABILITY",
        content_description=ascii_text(f"{model.name} {model.version}", 64),
        content_qualification=cover.content_qualification,
        **place(cover),
    )


def _fractional(
    subject: Subject, maps: Maps, model: ModelIdentity, nominal_plane: bool, cover: Envelope
) -> Dataset | None:
    """None where every pixel is nothing after rounding: a Segmentation has at least one frame."""
    values = np.rint(np.clip(maps.probability, 0.0, 1.0) * MOST).astype(np.uint8)
    if not values.any():
        return None
    images, pixels = stand_in(subject, 1) if subject.is_projection else (read_frames(subject), values)
    ds = Segmentation(
        source_images=images,
        pixel_array=_shares(pixels, subject.is_projection),
        segmentation_type="FRACTIONAL",
        fractional_type="PROBABILITY",
        max_fractional_value=MOST,
        segment_descriptions=[
            SegmentDescription(
                segment_number=1,
                segment_label=LABEL,
                segmented_property_category=ABNORMAL,
                segmented_property_type=LESION,
                algorithm_type="AUTOMATIC",
                algorithm_identification=algorithm_of(model),
                anatomic_regions=[subject.anatomy.region] if subject.anatomy.region else None,
                display_color=CIELabColor.from_rgb(*OTHER_COLOUR.rgb),
            )
        ],
        content_label="AI_PROBABILITY",
        content_description=ascii_text(f"{model.name} {model.version}", 64),
        omit_empty_frames=True,
        **place(cover),
    )
    if subject.is_projection:
        ds.Rows, ds.Columns = values.shape[1:]
        ds.PixelData = values.tobytes() + b"\0" * (values.size % 2)
        place_projection(ds, subject, nominal_plane)
    return ds


def _shares(values: npt.NDArray[np.uint8], is_stand_in: bool) -> npt.NDArray[np.float32]:
    """As the library wants them, 0..1; it comes back to the same whole numbers."""
    return values.astype(np.float32) / np.float32(1 if is_stand_in else MOST)


def _level(level: int, number: int, model: ModelIdentity) -> SegmentDescription:
    is_tumour = DISTANCE_LEVELS[level] == "tumour"
    return SegmentDescription(
        segment_number=number,
        segment_label=f"AI distance level {level}: {DISTANCE_LEVELS[level]}",
        segmented_property_category=ABNORMAL if is_tumour else TISSUE,
        segmented_property_type=LESION if is_tumour else TISSUE,
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm_of(model),
        display_color=CIELabColor.from_rgb(*LEVEL_COLOURS[DISTANCE_LEVELS[level]].rgb),
    )
