"""Decoders: the bytes of one grey frame to its cells, by the fastest decoder that is right for the syntax.

A codestream states its own size. It is compared with the header before a decoder sees it, so that a small header
cannot hide a large allocation, nor a wrong one a skewed image. Speed on one core, 4096 x 3072, 12 bits: RLE 0.1 s,
JPEG-LS 0.3 s (pyjpegls; gdcm 0.7), JPEG lossless 0.5 s (gdcm), JPEG 2000 1.3 s (openjpeg; gdcm 1.8).
"""

import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder  # type: ignore[attr-defined]  # public there, re-exported without saying so

from models.encoded import READING_FAULTS, Encoded, PixelHeader, frame_value
from models.errors import DecodeError
from models.syntaxes import EXPLICIT_BIG, JPEG, JPEG_2000, JPEG_LS, NATIVE, RLE

Cells = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
_END_OF_IMAGE = b"\xff\xd9"
"""EOI of JPEG and JPEG-LS, EOC of JPEG 2000."""
_SLACK_BYTES = 64
"""Padding that writers leave behind the end marker."""
_DECODING_FAULTS = (*READING_FAULTS, RuntimeError, AssertionError)


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame."""

    cells: Cells
    """`(rows, columns)`, the bits as they are: which of them hold the value, and whether it is signed, is below."""
    bits: int
    """How many bits of a cell hold the value; all others above are to be ignored."""
    shift: int
    """How many bits below the value are to be ignored."""


@dataclass(frozen=True, slots=True)
class _Stream:
    rows: int
    columns: int
    components: int
    precision: int


def decode(encoded: Encoded, header: PixelHeader, frame: int = 0) -> Frame:
    """Decode one frame.

    Raises
    ------
    DecodeError
        The syntax is not one of ours, the codestream disagrees with the header, or the decoder gives up.
    """
    syntax = encoded.transfer_syntax_uid
    value = frame_value(encoded, header, frame)
    shift = header.high_bit - header.bits_stored + 1
    if syntax in NATIVE:
        return Frame(_native(value, header, ">" if syntax == EXPLICIT_BIG else "<"), header.bits_stored, shift)
    data = bytes(value)
    if syntax == RLE:
        _check_rle(data, header)
        return Frame(_rle(data, header), header.bits_stored, shift)
    stream = _stream(data, syntax)
    _check_stream(stream, header)
    _check_end(data)
    cells = _tried(_decoders(syntax), data, header, stream, syntax)
    return Frame(cells, min(max(header.bits_stored, stream.precision), cells.itemsize * 8), 0)


def _native(value: bytes | memoryview, header: PixelHeader, order: str) -> Cells:
    cells: Cells = np.frombuffer(value, dtype=f"{order}u{header.bits_allocated // 8}")
    cells = cells.reshape(header.rows, header.columns)
    return cells.astype(np.uint16) if order == ">" and header.bits_allocated == 16 else cells


_Decoder = Callable[[bytes, PixelHeader, _Stream, str], Cells]


def _decoders(syntax: str) -> tuple[_Decoder, ...]:
    """Fastest first; the second is asked when the first gives up (pyjpegls refuses some odd but valid streams)."""
    if syntax in JPEG:
        return (_by_gdcm,)
    if syntax in JPEG_LS:
        return _by_pyjpegls, _by_gdcm
    return (_by_openjpeg,)


def _tried(decoders: tuple[_Decoder, ...], data: bytes, header: PixelHeader, stream: _Stream, syntax: str) -> Cells:
    fault: Exception | None = None
    for decoder in decoders:
        try:
            return decoder(data, header, stream, syntax)
        except _DECODING_FAULTS as exc:
            fault = fault or exc
    name = uid.UID(syntax).name
    raise DecodeError(f"The {name} frame cannot be decoded: it is damaged. Send the image again.") from fault


def _by_pyjpegls(data: bytes, header: PixelHeader, _stream: _Stream, syntax: str) -> Cells:
    return _pydicom_cells(data, header, syntax, "pyjpegls")


def _by_openjpeg(data: bytes, header: PixelHeader, _stream: _Stream, syntax: str) -> Cells:
    return _pydicom_cells(data, header, syntax, "pylibjpeg")


def _rle(data: bytes, header: PixelHeader) -> Cells:
    """Fast, but its Rust panics on some damage, and a panic is no `Exception`."""
    try:
        return _pydicom_cells(data, header, RLE, "pylibjpeg")
    except BaseException as exc:
        if type(exc).__name__ != "PanicException" and not isinstance(exc, _DECODING_FAULTS):
            raise
        raise DecodeError("The RLE frame cannot be decoded: it is damaged. Send the image again.") from exc


def _pydicom_cells(data: bytes, header: PixelHeader, syntax: str, plugin: str) -> Cells:
    options: dict[str, Any] = {
        "rows": header.rows,
        "columns": header.columns,
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": header.photometric,
        "bits_allocated": header.bits_allocated,
        "bits_stored": header.bits_stored,
        "pixel_representation": int(header.signed),
        "pixel_keyword": "PixelData",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = encapsulate([data], has_bot=False)
        values, _ = get_decoder(uid.UID(syntax)).as_array(source, raw=True, decoding_plugin=plugin, **options)
    return _as_cells(np.ascontiguousarray(values), header)


def _by_gdcm(data: bytes, header: PixelHeader, stream: _Stream, syntax: str) -> Cells:
    """GDCM without pydicom's plugin, which refuses the 12-bit JPEG that GDCM decodes."""
    import gdcm  # loads 20 MB of libraries that a listener never needs

    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(data)
    sequence = gdcm.SequenceOfFragments.New()
    sequence.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(sequence.__ref__())
    bits = 8 if stream.precision <= 8 else 16
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((header.columns, header.rows, 1))
    image.SetPhotometricInterpretation(
        gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.GetPIType(header.photometric))
    )
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
    image.SetPixelFormat(gdcm.PixelFormat(1, bits, stream.precision, stream.precision - 1, int(header.signed)))
    image.SetDataElement(element)
    # GDCM hands its char* out as text
    cells = np.frombuffer(image.GetBuffer().encode("utf-8", "surrogateescape"), dtype=f"<u{bits // 8}")
    return cells.reshape(header.rows, header.columns)


def _as_cells(values: npt.NDArray[np.generic], header: PixelHeader) -> Cells:
    """The bits of what a decoder gave, as unsigned cells of at most 16 bits."""
    if values.shape != (header.rows, header.columns) or values.dtype.kind not in "iu":
        raise ValueError(f"the decoder gave {values.dtype} {values.shape}")
    if values.dtype.itemsize > 2:
        raise ValueError(f"the decoder gave {values.dtype.itemsize * 8} bits")
    return values.view(f"u{values.dtype.itemsize}")


def _check_rle(data: bytes, header: PixelHeader) -> None:
    segments = int.from_bytes(data[:4], "little") if len(data) >= 64 else 0
    if segments != header.bits_allocated // 8:
        raise DecodeError(
            f"The RLE frame has {segments} segments; {header.bits_allocated} bits need {header.bits_allocated // 8} "
            "(PS3.5 G.5). Send the image again."
        )


def _check_stream(stream: _Stream, header: PixelHeader) -> None:
    if (stream.rows, stream.columns, stream.components) != (header.rows, header.columns, 1):
        raise DecodeError(
            f"The compressed frame is {stream.rows} x {stream.columns} with {stream.components} component(s); "
            f"the header says {header.rows} x {header.columns} with 1."
        )
    if not 1 <= stream.precision <= 16:
        raise DecodeError(f"The compressed frame has {stream.precision} bits; at most 16 are read.")
    if stream.precision > 8 and header.bits_allocated == 8:
        raise DecodeError(f"The compressed frame has {stream.precision} bits; Bits Allocated (0028,0100) says 8.")


def _check_end(data: bytes) -> None:
    """Decoders fill what is missing from a codestream with grey and say so only to a console."""
    if data.rfind(_END_OF_IMAGE, max(0, len(data) - _SLACK_BYTES)) < 0:
        raise DecodeError("The compressed frame has no end marker: the image was cut short. Send it again.")


def _stream(data: bytes, syntax: str) -> _Stream:
    try:
        return _jpeg_2000(data) if syntax in JPEG_2000 else _jpeg(data, syntax)
    except (struct.error, IndexError) as exc:
        raise DecodeError("The compressed frame ends within its own header. Send the image again.") from exc


def _jpeg_2000(data: bytes) -> _Stream:
    """The SIZ marker (ISO 15444-1 A.5.1), behind the boxes of a JP2 file where a writer left them in."""
    start = data.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start < 0:
        raise DecodeError("The frame is no JPEG 2000 codestream.")
    x, y, x_offset, y_offset = struct.unpack_from(">4L", data, start + 8)
    (components,) = struct.unpack_from(">H", data, start + 40)
    return _Stream(y - y_offset, x - x_offset, components, (data[start + 42] & 0x7F) + 1)


def _jpeg(data: bytes, syntax: str) -> _Stream:
    """The start-of-frame marker of a JPEG or JPEG-LS stream (ISO 10918-1 B.2.2, ISO 14495-1 C.2.2)."""
    if syntax not in JPEG and syntax not in JPEG_LS:
        raise DecodeError(f"Transfer syntax {uid.UID(syntax).name} is not one that we decode.")
    if data[:2] != b"\xff\xd8":
        raise DecodeError("The frame is no JPEG stream.")
    place = 2
    while True:
        if data[place] != 0xFF:
            raise DecodeError("The JPEG stream is damaged before its first scan. Send the image again.")
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            precision, rows, columns, components = struct.unpack_from(">BHHB", data, place + 4)
            return _Stream(rows, columns, components, precision)
        if marker == 0xDA:
            raise DecodeError("The JPEG stream has no frame header. Send the image again.")
        (length,) = struct.unpack_from(">H", data, place + 2)
        place += 2 + length
