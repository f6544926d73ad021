"""What the header promises of the pixels (PS3.3 C.7.6.3), enough to say beforehand that they cannot be used.

models/images.py checks the same again when it decodes, because it must not depend on who read the header before.
"""

from dataclasses import dataclass

from node.facts.values import Reader

_BITS_ALLOCATED = (8, 16)


@dataclass(frozen=True, slots=True)
class PixelFacts:
    """The image's size and storage; 0 where the header does not say."""

    rows: int = 0
    columns: int = 0
    frames: int = 1
    samples: int = 1
    photometric: str = ""
    bits_allocated: int = 0
    bits_stored: int = 0
    high_bit: int = 0
    is_present: bool | None = None
    """Whether there is a pixel data element; None when the header was read without looking."""

    @property
    def megapixels(self) -> float:
        """What decoding will hold."""
        return self.rows * self.columns * self.frames / 1e6


def pixel_facts(reader: Reader, is_present: bool | None) -> PixelFacts:
    """Read the Image Pixel module."""
    allocated = _count(reader, "BitsAllocated", 0)
    stored = _count(reader, "BitsStored", allocated)
    return PixelFacts(
        rows=_count(reader, "Rows", 0),
        columns=_count(reader, "Columns", 0),
        frames=_count(reader, "NumberOfFrames", 1),
        samples=_count(reader, "SamplesPerPixel", 1),
        photometric=reader.term("PhotometricInterpretation"),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=_count(reader, "HighBit", stored - 1),
        is_present=is_present,
    )


def colour_fault(pixels: PixelFacts) -> str:
    """Why the pixels are not grey values, "" when they are."""
    if pixels.samples != 1:
        return f"a colour image ({pixels.samples} samples per pixel), where grey values are needed"
    if pixels.photometric not in ("MONOCHROME1", "MONOCHROME2"):
        known = ("RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
        said = (
            pixels.photometric
            if pixels.photometric in known
            else "none that DICOM knows"
            if pixels.photometric
            else "missing"
        )
        return f"an image that is not grey (PhotometricInterpretation is {said})"
    return ""


def bits_fault(pixels: PixelFacts) -> str:
    """Why the stored bits make no grey value, "" when they do."""
    if pixels.bits_allocated not in _BITS_ALLOCATED:
        return f"an image whose BitsAllocated is {pixels.bits_allocated}, where 8 and 16 are read"
    if not 1 <= pixels.bits_stored <= pixels.bits_allocated:
        return f"an image whose BitsStored is {pixels.bits_stored}, not from 1 to {pixels.bits_allocated}"
    if not pixels.bits_stored - 1 <= pixels.high_bit < pixels.bits_allocated:
        allowed = f"{pixels.bits_stored - 1} to {pixels.bits_allocated - 1}"
        return f"an image whose HighBit is {pixels.high_bit}, not from {allowed}"
    return ""


def size_fault(pixels: PixelFacts, max_megapixels: float) -> str:
    """Why the size cannot be that of an image, "" when it can."""
    size = f"{pixels.rows} x {pixels.columns}" + (f" x {pixels.frames} frames" if pixels.frames != 1 else "")
    if pixels.rows < 1 or pixels.columns < 1 or pixels.frames < 1:
        return f"an image of {size} pixels"
    if pixels.megapixels > max_megapixels:
        limit = f"the limit is {max_megapixels:.0f} (route.max_megapixels)"
        return f"an image said to be {size}, {pixels.megapixels:.0f} megapixels where {limit}"
    return ""


def _count(reader: Reader, name: str, default: int) -> int:
    """A whole number; nothing sensible (negative, not a number) counts as 0, which is refused later."""
    if not reader.has(name):
        return default
    number = reader.integer(name)
    return number if number is not None and number >= 0 else 0
