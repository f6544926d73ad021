"""What an MR image is weighted by: header numbers, cross-checked with words (DICOM.md §3.1, §3.3)."""

import re
from dataclasses import dataclass
from enum import StrEnum

from node.facts.diffusion import DiffusionFacts, diffusion_facts
from node.facts.frames import Frames
from node.lexicon import fold


class Weighting(StrEnum):
    """What makes the contrast of an image."""

    T1 = "T1"
    T2 = "T2"
    T2_STAR = "T2*"
    PD = "PD"
    STIR = "STIR"
    FLAIR = "FLAIR"
    DWI = "DWI"
    ADC = "ADC"
    OTHER = "other"
    """A map, a perfusion or flow image, a mixed contrast: none of the above for certain."""
    AMBIGUOUS = "ambiguous"
    """Header and description contradict each other where neither may win."""
    UNKNOWN = "unknown"
    """Neither header nor description say."""


class FatSuppression(StrEnum):
    """How the signal of fat was taken away."""

    NONE = "none"
    FAT_SAT = "fat saturation"
    WATER = "water image"
    """Dixon water image or water excitation."""
    STIR = "STIR"


@dataclass(frozen=True, slots=True)
class WeightingRules:
    """Typical numbers (DICOM.md §3.3), in ms and degrees."""

    t1_max_tr: float = 1000.0
    t1_max_te: float = 30.0
    long_tr: float = 1500.0
    pd_max_te: float = 45.0
    t2_min_te: float = 50.0
    stir_ti: tuple[float, float] = (80.0, 300.0)
    stir_min_tr: float = 2000.0
    flair_min_ti: float = 1500.0
    gradient_t1_max_te: float = 10.0
    gradient_t1_min_flip: float = 15.0
    gradient_t2_star_min_te: float = 12.0


@dataclass(frozen=True, slots=True)
class MrFacts:
    """One MR image, or one multi-frame object."""

    weighting: Weighting
    weighting_source: str
    fat_suppression: FatSuppression
    has_contrast: bool
    contrast_source: str
    """Empty when nothing says anything: native is then assumed."""
    diffusion: DiffusionFacts
    dixon: str = ""
    """water, fat, in phase, opposed phase, or nothing."""
    repetition_ms: float | None = None
    echo_ms: float | None = None
    inversion_ms: float | None = None
    flip_deg: float | None = None
    echo_number: int | None = None
    temporal_position: int | None = None
    dimensions: str = ""
    """2D or 3D."""


_ACQUISITION_CONTRAST = {  # Acquisition Contrast (0008,9209), PS3.3 C.8.13.3.1.1
    "T1": Weighting.T1, "T2": Weighting.T2, "T2_STAR": Weighting.T2_STAR, "PROTON_DENSITY": Weighting.PD,
    "STIR": Weighting.STIR, "FLUID_ATTENUATED": Weighting.FLAIR, "DIFFUSION": Weighting.DWI,
    "PERFUSION": Weighting.OTHER, "FLOW_ENCODED": Weighting.OTHER, "TAGGING": Weighting.OTHER,
    "TOF": Weighting.OTHER, "MIXED": Weighting.OTHER,
    "TEMPERATURE": Weighting.OTHER, "MT": Weighting.OTHER,
}  # fmt: skip
_WORDS = (
    (Weighting.FLAIR, r"flair|dark[ -]?fluid"),
    (Weighting.STIR, r"(?<![a-z])(?:tu?rbo ?)?stir(?![a-z])|(?<![a-z])tirm(?![a-z])"),
    (Weighting.T2_STAR, r"(?<![a-z0-9])t2 ?(?:\*|star|st(?![a-z]))|(?<![a-z])(?:medic|merge|swi|hemo)(?![a-z])"),
    (Weighting.T2, r"(?<![a-z0-9])t2(?![0-9*])(?! ?(?:\*|star))"),
    (Weighting.T1, r"(?<![a-z0-9])t1(?![0-9])"),
    (Weighting.PD, r"(?<![a-z0-9])(?:pd|dp|pdw)(?![a-z0-9])|(?<![a-z0-9])pd(?=fs|w)|proton|densite"),
    (Weighting.OTHER, r"(?<![a-z])(?:dess|ciss|trufi|fiesta|b ?ffe|tof|mra|perf\w*)(?![a-z])|(?:t1|t2|t2\*) ?map"),
)
_FAT_WORDS = re.compile(
    r"(?<![a-z0-9])(?:fs|fatsat|fat sat|spair|spir|sat ?fat|fett?sat\w*|chess)(?![a-z])|(?<=t1|t2|pd)fs(?![a-z])|"
    r"(?<=pdw)fs|fat sup\w*|脂肪抑制|抑脂|压脂|壓脂|지방억제"
)
_WATER_WORDS = re.compile(
    r"(?<![a-z])(?:we|water exc\w*|proset)(?![a-z])|(?:dixon|ideal|lava|flex)\b.*(?<![a-z])(?:w|water)(?![a-z])"
)
_CONTRAST_WORDS = re.compile(
    r"\+ ?(?:c|gd|km|k|ce)(?![a-z])|(?<![a-z0-9])(?:c\+|gd|ce|km|gado\w*|contraste?|kontrast\w*|dotarem)"
    r"(?![a-z])|(?<![a-z])post(?! ?(?:op|ot|trau|erior|processed|contrast less))(?![a-z])|(?<![a-z])inject\w*|"
    r"增强|增強|造影|조영"
)
_NATIVE_WORDS = re.compile(
    r"(?<![a-z])(?:w ?/ ?o|wo|without|ohne|sans|sin|senza|sem|non|no|pre|prae|vor)[ _.-]?(?:iv )?"
    r"(?:c|gd|km|gado\w*|contrast\w*|kontrast\w*|inject\w*|ce)(?![a-z])|(?<![a-z])nativ[eo]?(?![a-z])|平扫|平掃|造影なし|単純|비조영"
)
_NO_AGENT = frozenset({"", "NONE", "NO", "N", "0", "NIL", "-"})


def mr_facts(frames: Frames, image_type: tuple[str, ...], rules: WeightingRules) -> MrFacts:
    """Read what only MR images have."""
    reader = frames.reader
    numbers = _numbers(frames)
    words = _description(frames)
    diffusion = diffusion_facts(frames, image_type, numbers.is_epi)
    weighting, source = _weighting(frames, image_type, numbers, words, diffusion, rules)
    dixon = _dixon(image_type, words)
    contrast, contrast_source = _contrast(frames, words)
    return MrFacts(
        weighting=weighting,
        weighting_source=source,
        fat_suppression=_fat_suppression(frames, words, weighting, dixon),
        has_contrast=contrast,
        contrast_source=contrast_source,
        diffusion=diffusion,
        dixon=dixon,
        repetition_ms=numbers.tr,
        echo_ms=numbers.te,
        inversion_ms=numbers.ti,
        flip_deg=numbers.flip,
        echo_number=reader.integer("EchoNumbers"),
        temporal_position=reader.integer("TemporalPositionIdentifier"),
        dimensions=reader.term("MRAcquisitionType"),
    )


@dataclass(frozen=True, slots=True)
class _Numbers:
    tr: float | None
    te: float | None
    ti: float | None
    flip: float | None
    is_gradient: bool
    is_inversion: bool
    is_epi: bool


def _numbers(frames: Frames) -> _Numbers:
    reader = frames.reader
    sequence = reader.terms("ScanningSequence")
    options = reader.terms("ScanOptions")
    timing, echo = "MRTimingAndRelatedParametersSequence", "MREchoSequence"
    te = frames.number("EchoTime")
    pulse = reader.term("EchoPulseSequence")
    inversion = frames.number("InversionTime")
    if inversion is None:
        inversion = frames.number("InversionTimes", "MRModifierSequence")
    name = reader.text("SequenceName").lower()
    return _Numbers(
        tr=_positive(frames.number("RepetitionTime", timing)),
        te=_positive(te if te is not None else frames.number("EffectiveEchoTime", echo)),
        ti=_positive(inversion),
        flip=_positive(frames.number("FlipAngle", timing)),
        is_gradient="GR" in sequence or pulse == "GRADIENT",
        is_inversion="IR" in sequence or frames.term("InversionRecovery", "MRModifierSequence") == "YES",
        is_epi="EP" in sequence or "EPI_GEMS" in options or reader.term("EchoPlanarPulseSequence") == "YES"
        or name.lstrip("*").startswith("ep"),
    )  # fmt: skip


def _positive(number: float | None) -> float | None:
    return number if number is not None and number > 0 else None


def _description(frames: Frames) -> str:
    """The words about the sequence, folded; blanks for underscores, so that "t1_tse_fs" is three words."""
    reader = frames.reader
    texts = [text for name in ("SeriesDescription", "ProtocolName") for text in reader.readings(name)[:2]]
    return re.sub(r"[_\s]+", " ", fold(" | ".join(texts)[:512]))


def _weighting(
    frames: Frames,
    image_type: tuple[str, ...],
    numbers: _Numbers,
    words: str,
    diffusion: DiffusionFacts,
    rules: WeightingRules,
) -> tuple[Weighting, str]:
    if diffusion.is_adc:
        return Weighting.ADC, "ImageType or description"
    if any(part in ("FA", "T1 MAP", "T2 MAP", "T2_STAR MAP", "T2STAR MAP", "EADC", "PERFUSION") for part in image_type):
        return Weighting.OTHER, "ImageType"
    if diffusion.is_weighted:
        return Weighting.DWI, diffusion.b_source or "ImageType or description"
    named = _ACQUISITION_CONTRAST.get(frames.term("AcquisitionContrast", "MRImageFrameTypeSequence"))
    if named is None and image_type[2:3] and len(frames.each):
        named = _ACQUISITION_CONTRAST.get(image_type[2])
    if named is not None:
        return named, "AcquisitionContrast"
    return _cross_checked(frames, weighting_by_numbers(numbers, rules), weighting_in(words))


def _cross_checked(frames: Frames, header: Weighting, said: Weighting) -> tuple[Weighting, str]:
    """The header wins for T1 and T2; any other contradiction leaves the question open (DICOM.md §3.3)."""
    if header is Weighting.UNKNOWN or said is Weighting.UNKNOWN or header is said:
        source = "TR, TE, TI" if header is not Weighting.UNKNOWN else "the description"
        known = header if header is not Weighting.UNKNOWN else said
        return known, source if known is not Weighting.UNKNOWN else ""
    frames.reader.notes.add(f"TR, TE and TI say {header}, the description says {said}.")
    if said in (Weighting.STIR, Weighting.OTHER):
        return said, "the description"  # fat suppression, and names of sequences that no number tells
    if {header, said} == {Weighting.T2, Weighting.T2_STAR}:
        return Weighting.T2_STAR, "TR, TE and the description"
    if header in (Weighting.T1, Weighting.T2) and said in (Weighting.T1, Weighting.T2):
        return header, "TR, TE, TI"
    return Weighting.AMBIGUOUS, "TR, TE, TI against the description"


def weighting_by_numbers(numbers: _Numbers, rules: WeightingRules) -> Weighting:
    """What TR, TE, TI and flip angle say; UNKNOWN between the ranges."""
    if numbers.te is None:
        return Weighting.UNKNOWN
    if numbers.is_gradient and not numbers.is_epi:
        return _gradient_echo(numbers, rules)
    if numbers.is_inversion and numbers.ti is not None:
        low, high = rules.stir_ti
        if low <= numbers.ti <= high and (numbers.tr or 0) >= rules.stir_min_tr:
            return Weighting.STIR
        if numbers.ti >= rules.flair_min_ti:
            return Weighting.FLAIR
        if high < numbers.ti and numbers.te <= rules.t1_max_te:
            return Weighting.T1
    if numbers.tr is None or numbers.is_epi:
        return Weighting.UNKNOWN
    if numbers.tr <= rules.t1_max_tr and numbers.te <= rules.t1_max_te:
        return Weighting.T1
    if numbers.tr >= rules.long_tr and numbers.te <= rules.pd_max_te:
        return Weighting.PD
    if numbers.tr >= rules.long_tr and numbers.te >= rules.t2_min_te:
        return Weighting.T2
    return Weighting.UNKNOWN


def _gradient_echo(numbers: _Numbers, rules: WeightingRules) -> Weighting:
    if numbers.te is not None and numbers.te >= rules.gradient_t2_star_min_te:
        return Weighting.T2_STAR
    if numbers.te is not None and numbers.te <= rules.gradient_t1_max_te:
        prepared = numbers.is_inversion or (numbers.ti or 0) > rules.stir_ti[1]
        if prepared or (numbers.flip or 0) >= rules.gradient_t1_min_flip:
            return Weighting.T1
    return Weighting.UNKNOWN


def weighting_in(words: str) -> Weighting:
    """What a description names; UNKNOWN when it names nothing, or both T1 and T2."""
    named = [weighting for weighting, pattern in _WORDS if re.search(pattern, words)]
    for strong in (Weighting.OTHER, Weighting.FLAIR, Weighting.STIR):
        if strong in named:
            return strong
    return named[0] if len(named) == 1 else Weighting.UNKNOWN


def _fat_suppression(frames: Frames, words: str, weighting: Weighting, dixon: str) -> FatSuppression:
    suppressed = frames.term("SpectrallySelectedSuppression", "MRModifierSequence", "MRFOVGeometrySequence")
    options = frames.reader.terms("ScanOptions")
    if weighting is Weighting.STIR:
        return FatSuppression.STIR
    if dixon == "water" or _WATER_WORDS.search(words) or (suppressed == "FAT" and "WE" in options):
        return FatSuppression.WATER
    if suppressed in ("FAT", "FAT_AND_WATER") or "FS" in options or _FAT_WORDS.search(words):
        return FatSuppression.FAT_SAT
    return FatSuppression.NONE


def _dixon(image_type: tuple[str, ...], words: str) -> str:
    """Which of the Dixon images this is, by *Image Type* (0008,0008) from value 3 on."""
    parts = set(image_type[2:])
    for name, signs in (
        ("water", {"W", "WATER", "DIXON_WATER"}),
        ("fat", {"F", "FAT", "DIXON_FAT"}),
        ("in phase", {"IP", "IN_PHASE", "IN-PHASE"}),
        ("opposed phase", {"OP", "OPP_PHASE", "OUT_PHASE", "OPPOSED_PHASE"}),
    ):
        if parts & signs:
            return name
    match = re.search(r"dixon.*(?<![a-z])(w|f|in|opp|water|fat)(?![a-z])", words)
    names = {"w": "water", "water": "water", "f": "fat", "fat": "fat", "in": "in phase", "opp": "opposed phase"}
    return names[match[1]] if match else ""


def _contrast(frames: Frames, words: str) -> tuple[bool, str]:
    """Whether contrast agent was given: the description first, then the agent with its time, then the coded agent."""
    if _NATIVE_WORDS.search(words):
        return False, "the description"
    if _CONTRAST_WORDS.search(words):
        return True, "the description"
    reader = frames.reader
    if reader.term("ContrastBolusAgent") not in _NO_AGENT:
        started, acquired = _seconds(reader.text("ContrastBolusStartTime")), _seconds(reader.text("AcquisitionTime"))
        if started is not None and acquired is not None and acquired < started:
            reader.notes.add("ContrastBolusAgent is given, but the image was acquired before ContrastBolusStartTime.")
            return False, "AcquisitionTime before ContrastBolusStartTime"
        return True, "ContrastBolusAgent"
    if reader.items("ContrastBolusAgentSequence"):
        return True, "ContrastBolusAgentSequence"
    return False, ""


def _seconds(text: str) -> float | None:
    """A time of day (VR TM) in seconds."""
    match = re.fullmatch(r"(\d{2}):?(\d{2})?:?(\d{2}(?:\.\d*)?)?", text)
    if not match:
        return None
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds
