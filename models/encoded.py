"""A data set taken apart: its header, what the header says of the pixels, and the pixel data still encoded.

Nothing is decoded here, and nothing the size of an image is copied. Every promise of the header is checked before a
decoder may allocate for it. The pixel element is found by our own reading of its first bytes, because a reader that
gives up at a cut-off fragment would give up the header with it.
"""

import struct
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset

from models.errors import DecodeError, GeometryError, ImageTooLargeError
from models.syntaxes import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, NATIVE

_PIXEL_DATA = 0x7FE00010
_FLOAT_PIXEL_DATA = (0x7FE00008, 0x7FE00009)
_UNDEFINED = 0xFFFFFFFF
_LONG_VRS = (b"OB", b"OW", b"OF", b"OD", b"UN")
READING_FAULTS = (
    struct.error,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    OSError,
    OverflowError,
    RecursionError,
    NotImplementedError,
    InvalidDicomError,
    BytesLengthException,
    zlib.error,
)
"""What reading a hostile data set raises, as met with the fuzz corpus."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one image may take, checked on the header before anything is decoded."""

    pixels: int = 256 * 1024 * 1024
    """Rows x Columns x frames."""
    decoded_bytes: int = 1024 * 1024 * 1024
    """The same in bytes, with samples and bits; also for what a deflated data set may unpack to."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A data set with its pixel data apart."""

    header: Dataset
    transfer_syntax_uid: str
    value: memoryview
    """Native samples, or the items of an encapsulated value."""


@dataclass(frozen=True, slots=True)
class PixelHeader:
    """The Image Pixel module (PS3.3 C.7.6.3), checked."""

    rows: int
    columns: int
    frames: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool

    @property
    def frame_bytes(self) -> int:
        """Native size of one frame."""
        return self.rows * self.columns * self.bits_allocated // 8


def from_bytes(data: bytes, transfer_syntax_uid: str, limits: Limits) -> Encoded:
    """Take apart a data set as it came over the network, without file meta information."""
    syntax = str(transfer_syntax_uid)
    if syntax == DEFLATED:
        data = _inflated(data, limits)
    implicit, little = syntax == IMPLICIT_LITTLE, syntax != EXPLICIT_BIG
    stream = BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = read_dataset(stream, implicit, little, stop_when=lambda tag, _vr, _length: tag >= 0x7FE00008)
        start = stream.tell()
        implicit = bool(header.original_encoding[0])
        value = _pixel_value(memoryview(data), start, implicit, little)
    except READING_FAULTS as exc:
        raise DecodeError(f"The data set cannot be read: {type(exc).__name__}. Send the image again.") from exc
    return Encoded(header, syntax, value)


def from_dataset(ds: Dataset) -> Encoded:
    """Take apart a data set that pydicom has read from a file, or that was made here."""
    meta = getattr(ds, "file_meta", None)
    syntax = str(meta.get("TransferSyntaxUID", "")) if meta is not None else ""
    try:
        value = _value(ds, "PixelData")
    except READING_FAULTS as exc:
        raise DecodeError(f"Pixel Data (7FE0,0010) cannot be read: {type(exc).__name__}.") from exc
    if not isinstance(value, bytes):
        raise _no_pixels(any(tag in ds for tag in _FLOAT_PIXEL_DATA))
    return Encoded(ds, syntax or EXPLICIT_LITTLE, memoryview(value))


def pixel_header(encoded: Encoded, limits: Limits) -> PixelHeader:
    """Read and check what the header says of the pixels; grey images of up to 16 bits only.

    Raises
    ------
    DecodeError
        Colour, or bits that contradict each other.
    GeometryError
        Rows, columns or frames that are absent or zero.
    ImageTooLargeError
        More pixels or bytes than `limits` allow.
    """
    ds = encoded.header
    photometric = _text(ds, "PhotometricInterpretation")
    samples = _integer(ds, "SamplesPerPixel", default=1)
    if photometric not in ("MONOCHROME1", "MONOCHROME2") or samples != 1:
        raise DecodeError(
            f"Photometric Interpretation (0028,0004) is {photometric or 'absent'} with {samples} sample(s) per pixel. "
            "A radiograph is MONOCHROME1 or MONOCHROME2 with one sample; colour images are not read."
        )
    allocated = _integer(ds, "BitsAllocated", default=0)
    stored = _integer(ds, "BitsStored", default=allocated)
    high = _integer(ds, "HighBit", default=stored - 1)
    header = PixelHeader(
        rows=_integer(ds, "Rows", default=0),
        columns=_integer(ds, "Columns", default=0),
        frames=_frames(ds),
        photometric=photometric,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=_integer(ds, "PixelRepresentation", default=0) == 1,
    )
    _check_bits(header)
    _check_size(header, limits)
    return header


def _check_bits(header: PixelHeader) -> None:
    allocated, stored, high = header.bits_allocated, header.bits_stored, header.high_bit
    if allocated not in (8, 16):
        raise DecodeError(f"Bits Allocated (0028,0100) is {allocated}; a grey radiograph has 8 or 16.")
    if not 1 <= stored <= allocated:
        raise DecodeError(f"Bits Stored (0028,0101) is {stored}, not from 1 to Bits Allocated ({allocated}).")
    if not stored - 1 <= high < allocated:
        raise DecodeError(f"High Bit (0028,0102) is {high}, not from {stored - 1} to {allocated - 1}.")


def _check_size(header: PixelHeader, limits: Limits) -> None:
    size = f"Rows {header.rows} x Columns {header.columns} x frames {header.frames}"
    if header.rows < 1 or header.columns < 1 or header.frames < 1:
        raise GeometryError(f"{size} is no image: (0028,0010), (0028,0011) and (0028,0008) must be at least 1.")
    pixels = header.rows * header.columns * header.frames
    if pixels > limits.pixels or pixels * header.bits_allocated // 8 > limits.decoded_bytes:
        raise ImageTooLargeError(
            f"{size} x {header.bits_allocated} bits is more than the limit of {limits.pixels} pixels or "
            f"{limits.decoded_bytes} bytes, which no setting raises."
        )


def _frames(ds: Dataset) -> int:
    """*Number of Frames* (0028,0008); an empty one is one frame, as writers of single-frame images mean it."""
    try:
        value = _value(ds, "NumberOfFrames")
        return 1 if value in (None, "") else int(value)
    except READING_FAULTS as exc:
        raise GeometryError("Number of Frames (0028,0008) is not a number.") from exc


def _integer(ds: Dataset, keyword: str, default: int) -> int:
    try:
        value = _value(ds, keyword)
        return default if value in (None, "") else int(value)
    except READING_FAULTS as exc:
        raise DecodeError(f"{keyword} is not one number.") from exc


def _text(ds: Dataset, keyword: str) -> str:
    try:
        return str(_value(ds, keyword) or "").strip().upper()
    except READING_FAULTS:
        return ""


def _value(ds: Dataset, keyword: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ds.get(keyword)


def _inflated(data: bytes, limits: Limits) -> bytes:
    """Unpack no more than the limit, so that a small bomb stays small (PS3.5 A.5)."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = unpacker.decompress(data, limits.decoded_bytes)
    except zlib.error as exc:
        raise DecodeError("The deflated data set cannot be unpacked. Send the image again.") from exc
    if unpacker.unconsumed_tail:
        raise ImageTooLargeError(f"The deflated data set unpacks to more than {limits.decoded_bytes} bytes.")
    return inflated


def _pixel_value(data: memoryview, start: int, implicit: bool, little: bool) -> memoryview:
    """The value field of *Pixel Data* (7FE0,0010), whose element begins at `start`."""
    order = "<" if little else ">"
    if start + 8 > len(data):
        raise _no_pixels(False)
    group, element = struct.unpack_from(f"{order}HH", data, start)
    tag = group << 16 | element
    if tag != _PIXEL_DATA:
        raise _no_pixels(tag in _FLOAT_PIXEL_DATA)
    long_form = not implicit and bytes(data[start + 4 : start + 6]) in _LONG_VRS
    place = start + (8 if long_form else 4)
    (length,) = struct.unpack_from(f"{order}L", data, place)
    first = place + 4
    if length == _UNDEFINED:
        return data[first:]
    if first + length > len(data):
        raise DecodeError(
            f"Pixel Data (7FE0,0010) says {length} bytes and {len(data) - first} came: the image was cut short. "
            "Send it again."
        )
    return data[first : first + length]


def _no_pixels(floating: bool) -> DecodeError:
    if floating:
        return DecodeError("Pixels are floating point numbers (7FE0,0008 or 7FE0,0009); no radiograph has them.")
    return DecodeError("The data set has no Pixel Data (7FE0,0010).")


def frame_value(encoded: Encoded, header: PixelHeader, frame: int = 0) -> bytes | memoryview:
    """One frame's bytes: native samples, or one complete codestream.

    Raises
    ------
    DecodeError
        Fewer bytes than the header promises, a fragment cut short, or so many too many that the header must be wrong.
    """
    if encoded.transfer_syntax_uid in NATIVE:
        return _native_frame(encoded.value, header, frame)
    found = fragments(encoded.value)
    if header.frames == 1:
        return b"".join(found) if len(found) != 1 else found[0]
    if len(found) != header.frames:
        raise DecodeError(f"{len(found)} fragments hold {header.frames} frames; only one fragment per frame is read.")
    return found[frame]


def _native_frame(value: memoryview, header: PixelHeader, frame: int) -> memoryview:
    wanted = header.frame_bytes * header.frames
    if len(value) < wanted:
        raise DecodeError(
            f"Pixel Data (7FE0,0010) has {len(value)} bytes; {header.rows} rows x {header.columns} columns need "
            f"{wanted}: the image was cut short. Send it again."
        )
    row_bytes = header.columns * header.bits_allocated // 8
    if len(value) - wanted > max(1, row_bytes - 1):
        raise DecodeError(
            f"Pixel Data (7FE0,0010) has {len(value)} bytes; {header.rows} rows x {header.columns} columns need only "
            f"{wanted}: header and pixels do not belong together."
        )
    return value[frame * header.frame_bytes : (frame + 1) * header.frame_bytes]


def fragments(value: memoryview) -> list[memoryview]:
    """The fragments of an encapsulated value without the offset table (PS3.5 A.4)."""
    found: list[memoryview] = []
    place = 0
    while place + 8 <= len(value):
        group, element, length = struct.unpack_from("<HHL", value, place)
        place += 8
        if (group, element) == (0xFFFE, 0xE0DD):
            break
        if (group, element) != (0xFFFE, 0xE000):
            raise DecodeError("Encapsulated Pixel Data (7FE0,0010) does not consist of items (PS3.5 A.4).")
        if place + length > len(value):
            raise DecodeError(
                f"A fragment of Pixel Data (7FE0,0010) says {length} bytes and {len(value) - place} came: "
                "the image was cut short. Send it again."
            )
        found.append(value[place : place + length])
        place += length
    if len(found) < 2:
        raise DecodeError("Encapsulated Pixel Data (7FE0,0010) holds no fragment.")
    return found[1:]
