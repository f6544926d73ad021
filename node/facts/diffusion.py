"""b-values in the dialects of the vendors, ADC maps and traces (DICOM.md §3.1 and §3.2).

Private attributes are found by their Private Creator, never by a fixed block. The b-value of one image says nothing yet
of the kind of series: Philips writes b = 0 into images that are not diffusion-weighted, GE a number that is no b-value.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.tag import BaseTag

from node.facts.csa import csa_header, csa_value
from node.facts.directions import Direction, direction_of, directionality_of
from node.facts.frames import Frames
from node.facts.taken import Taken, how_taken
from node.facts.values import Reader

MAX_B = 20000.0
"""s/mm2; more is no b-value of a person's scan but a damaged or biased number."""
_GE_BIAS = 2**30
_GE_MODULUS = 100_000
_SAME_B = 5.0
_NAMED_B = re.compile(r"(?:^|[^a-z0-9])(?:ep_)?b[ =_]?(\d{1,5})(?![0-9])", re.IGNORECASE)
_ADC_WORDS = re.compile(r"(?:^|[^a-z])adc(?:$|[^a-z])|apparent diff|dadc", re.IGNORECASE)
_DIFFUSION_WORDS = re.compile(
    r"(?:^|[^a-z])(?:dwi?|dti|diff\w*|dwibs|resolve)(?:$|[^a-z])|拡散|弥散|扩散|확산", re.IGNORECASE
)
_TEXTS = ("SequenceName", "SeriesDescription")
"""Looked at last; that they differ from a number is no contradiction, the text may name the whole protocol."""
_ADC_CODE = "113041"
_TRACES = frozenset({"TRACEW", "TRACE"})
"""In *Image Type* (0008,0008) and *Frame Type* (0008,9007): an average of directions that the scanner made."""
_CONVERTED = ("UnassignedPerFrameConvertedAttributesSequence", "UnassignedSharedConvertedAttributesSequence")


@dataclass(frozen=True, slots=True)
class FrameDiffusion:
    """What one frame of a multi-frame object says of diffusion."""

    b_value: float | None = None
    """s/mm2; 0 where the frame says that no direction was weighted and gives none."""
    directionality: str = ""
    """*Diffusion Directionality* (0018,9075)."""
    direction: Direction | None = None
    """In which it is weighted; None of a trace, of b = 0, and where nothing says."""
    is_adc: bool = False
    is_contradictory: bool = False
    taken: Taken = ()
    """How it was taken otherwise; told of b = 0 alone, whose repetitions are averaged."""


@dataclass(frozen=True, slots=True)
class DiffusionFacts:
    """What an image says of diffusion."""

    b_value: float | None = None
    """s/mm2; None when the image, or the frames of an object, have none or several."""
    b_source: str = ""
    frames: tuple[FrameDiffusion, ...] = ()
    """Per frame of a multi-frame object."""
    directionality: str = ""
    """*Diffusion Directionality* (0018,9075): DIRECTIONAL, BMATRIX, ISOTROPIC (a trace), NONE."""
    direction: Direction | None = None
    """In which a single-frame image is weighted; None of a trace, of b = 0, and where nothing says."""
    is_adc: bool = False
    is_trace: bool = False
    is_mosaic: bool = False
    """Several slices in the tiles of one image (Siemens MOSAIC, UIH GRID)."""
    is_contradictory: bool = False
    """Two numbers for one b-value that are too far apart to be rounding."""
    is_weighted: bool = False
    """Diffusion-weighted for certain: b > 0, or an echo-planar image that says so."""
    taken: Taken = ()
    """The same of a single-frame image."""

    @property
    def frame_b_values(self) -> tuple[float | None, ...]:
        """The b-value of each frame of a multi-frame object."""
        return tuple(frame.b_value for frame in self.frames)


def diffusion_facts(frames: Frames, image_type: tuple[str, ...], is_epi: bool) -> DiffusionFacts:
    """Read what an MR image says of diffusion."""
    reader = frames.reader
    per_frame = tuple(_frame(each, frames.shared, is_epi) for each in frames.each)
    weighted = [frame.b_value for frame in per_frame if frame.b_value is not None and not frame.is_adc]
    if per_frame:
        known = set(weighted)
        b_value, source = (known.pop(), "its frames") if len(known) == 1 else (None, "")
        highest, contradictory = max(weighted, default=0.0), any(frame.is_contradictory for frame in per_frame)
    else:
        b_value, source, contradictory = _b_value(reader, is_epi)
        highest = b_value or 0.0
    words = f"{reader.text('SeriesDescription')} {reader.text('SequenceName')}"
    says_so = "DIFFUSION" in image_type or bool(_DIFFUSION_WORDS.search(words))
    is_adc = _is_adc(frames, image_type, per_frame)
    is_trace = not _TRACES.isdisjoint(image_type)
    said = frames.term("DiffusionDirectionality", "MRDiffusionSequence") or directionality_of(reader)
    directionality, direction = _directed("ISOTROPIC" if is_trace else said, direction_of(reader, is_epi))
    return DiffusionFacts(
        b_value=b_value,
        b_source=source,
        frames=per_frame,
        directionality=directionality,
        direction=direction,
        is_adc=is_adc,
        is_trace=is_trace,
        is_mosaic=_is_mosaic(reader, image_type),
        is_contradictory=contradictory,
        is_weighted=not is_adc and (highest > 0 or (says_so and (is_epi or "DIFFUSION" in image_type))),
        taken=how_taken((reader,)) if b_value == 0.0 and not per_frame else (),
    )


def b_value_of(reader: Reader, is_epi: bool) -> tuple[float | None, str]:
    """The b-value of a single-frame image and where it stood; the public attribute wins, a contradiction is noted."""
    value, source, _ = _b_value(reader, is_epi)
    return value, source


def _b_value(reader: Reader, is_epi: bool) -> tuple[float | None, str, bool]:
    """The same, and whether another number contradicts it."""
    found = [(value, source) for value, source in _evidence(reader, is_epi) if value is not None]
    if not found:
        return None, "", False
    value, source = found[0]
    for other, other_source in found[1:]:
        if abs(other - value) > max(_SAME_B, 0.05 * value) and other_source not in _TEXTS:
            reader.notes.add(f"{source} says b = {value:g}, {other_source} says b = {other:g}.")
            return value, source, True
    return value, source, False


def unbiased(value: float) -> float:
    """A b-value as GE stores it, without the bias of 1e9 or 2**30 that marks some series."""
    if value >= _GE_BIAS and value - _GE_BIAS <= MAX_B:
        return value - _GE_BIAS
    return value % _GE_MODULUS if value >= _GE_MODULUS else value


def rounded(value: float) -> float:
    """A b-value of Siemens: what is near 0 belongs to the nearest 50."""
    return round(value / 50.0) * 50.0 if value < 50.0 else value


def _evidence(reader: Reader, is_epi: bool) -> Iterator[tuple[float | None, str]]:
    yield _public(reader), "DiffusionBValue"
    diffusion = reader.item("MRDiffusionSequence")
    if diffusion:
        yield _public(diffusion), "MRDiffusionSequence"
    yield _siemens(reader), "the private value of Siemens"
    if is_epi:  # GE writes the attribute into every image, diffusion or not
        value = _number(reader, reader.private(0x0043, "GEMS_PARM_01", 0x39, "GE "), "IS")
        yield None if value is None else _plausible(reader, unbiased(value)), "the private value of GE"
    philips = reader.private(0x2001, "Philips Imaging DD 001", 0x03, "PHILIPS")
    yield _plausible(reader, _number(reader, philips, "FL")), "the private value of Philips"
    for element in (0x09, 0x0A):
        uih = reader.private(0x0065, "Image Private Header", element)
        yield _plausible(reader, _number(reader, uih, "FD")), "the private value of UIH"
    for name in _TEXTS:
        yield (_named(reader.text(name)) if is_epi else None), name


def _public(reader: Reader) -> float | None:
    value = reader.number("DiffusionBValue")
    return None if value is None else _plausible(reader, unbiased(value))


def _number(reader: Reader, tag: BaseTag | None, vr: str) -> float | None:
    return None if tag is None else reader.number(tag, vr)


def _siemens(reader: Reader) -> float | None:
    value = _plausible(reader, _number(reader, reader.private(0x0019, "SIEMENS MR HEADER", 0x0C, "SIEMENS"), "IS"))
    if value is None:
        value = _plausible(reader, csa_value(csa_header(reader), "B_value"))
    return None if value is None else rounded(value)


def _plausible(reader: Reader, value: float | None) -> float | None:
    if value is None or value < 0.0:
        return None  # Philips writes -1 for "none"
    if value > MAX_B:
        reader.notes.add("A b-value above 20000 s/mm2 is ignored.")
        return None
    return value


def _named(text: str) -> float | None:
    match = _NAMED_B.search(text)
    return float(match[1]) if match and float(match[1]) <= MAX_B else None


def _frame(frame: Reader, shared: Reader | None, is_epi: bool) -> FrameDiffusion:
    """What a frame says in its own functional groups, else in the shared ones."""
    places = (frame, shared) if shared else (frame,)
    kinds = (place.item("MRImageFrameTypeSequence") for place in places)
    frame_type = next((kind.terms("FrameType") for kind in kinds if kind), ())
    said, direction, b_value, contradictory = "", None, None, False
    for holder in (holder for place in places for holder in _holders(place)):
        said = said or holder.term("DiffusionDirectionality") or directionality_of(holder)
        is_planar = is_epi or "EP" in holder.terms("ScanningSequence")
        direction = direction or direction_of(holder, is_planar)
        if b_value is None:
            b_value, _, contradictory = _b_value(holder, is_planar)
    if b_value is None and said == "NONE":
        b_value = 0.0
    said, direction = _directed("ISOTROPIC" if _TRACES.intersection(frame_type) else said, direction)
    taken = how_taken(places) if b_value == 0.0 else ()
    return FrameDiffusion(b_value, said, direction, "ADC" in frame_type, contradictory, taken)


def _directed(said: str, direction: Direction | None) -> tuple[str, Direction | None]:
    """Directionality and direction; who states a direction and says nothing else of it, weights for it."""
    if said in ("ISOTROPIC", "NONE"):
        return said, None
    return ("DIRECTIONAL" if direction else said), direction


def _holders(place: Reader) -> Iterator[Reader]:
    """Where frames state a b-value: the functional group for it, the group's own private attributes, the sequence in
    which Philips keeps those of the single image, and what a converter could not assign (PS3.3 C.7.6.16.2.25)."""
    if diffusion := place.item("MRDiffusionSequence"):
        yield diffusion
    yield place
    philips = place.private(0x2005, "Philips MR Imaging DD 005", 0x0F)
    for name in (philips, *_CONVERTED):
        if name is not None and (item := place.item(name)):
            yield item


def _is_adc(frames: Frames, image_type: tuple[str, ...], per_frame: tuple[FrameDiffusion, ...]) -> bool:
    """An apparent diffusion coefficient map; an exponential one ("eADC") is something else."""
    reader = frames.reader
    if "ADC" in image_type:
        return True
    quantities = [code.value for code in reader.codes("QuantityDefinitionSequence")]
    if _ADC_CODE in quantities or (per_frame and all(frame.is_adc for frame in per_frame)):
        return True
    frame_type = frames.shared.item("MRImageFrameTypeSequence") if frames.shared else None
    if not per_frame and frame_type and "ADC" in frame_type.terms("FrameType"):
        return True
    return image_type[:1] != ("ORIGINAL",) and bool(_ADC_WORDS.search(reader.text("SeriesDescription")))


def _is_mosaic(reader: Reader, image_type: tuple[str, ...]) -> bool:
    if any(part == "MOSAIC" for part in image_type):
        return True
    tag = reader.private(0x0065, "Image Private Header", 0x50)
    tiles = None if tag is None else reader.number(tag, "DS")
    return tiles is not None and tiles > 1
