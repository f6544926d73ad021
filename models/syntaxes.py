"""Transfer syntaxes whose pixels we can decode, in the order in which a listener should offer them (PS3.6 table A-1).

Plain text on purpose: a listener reads this list without loading pydicom, which loads every decoder it finds.
"""

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"

_JPEG_LOSSLESS_SV1, _JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.57"
_JPEG_BASELINE, _JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
_JPEG_LS_LOSSLESS, _JPEG_LS_NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
_JPEG_2000_LOSSLESS, _JPEG_2000_LOSSY = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
_HTJ2K_LOSSLESS, _HTJ2K_RPCL = "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"
_HTJ2K_LOSSY = "1.2.840.10008.1.2.4.203"

NATIVE = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED)
JPEG = (_JPEG_LOSSLESS_SV1, _JPEG_LOSSLESS, _JPEG_BASELINE, _JPEG_EXTENDED)
JPEG_LS = (_JPEG_LS_LOSSLESS, _JPEG_LS_NEAR)
JPEG_2000 = (_JPEG_2000_LOSSLESS, _JPEG_2000_LOSSY, _HTJ2K_LOSSLESS, _HTJ2K_RPCL, _HTJ2K_LOSSY)

SUPPORTED_TRANSFER_SYNTAXES: tuple[str, ...] = (
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    _JPEG_LOSSLESS_SV1,
    _JPEG_LOSSLESS,
    _JPEG_LS_LOSSLESS,
    _JPEG_2000_LOSSLESS,
    RLE,
    _HTJ2K_LOSSLESS,
    _HTJ2K_RPCL,
    _JPEG_BASELINE,
    _JPEG_EXTENDED,
    _JPEG_2000_LOSSY,
    _JPEG_LS_NEAR,
    _HTJ2K_LOSSY,
    EXPLICIT_BIG,
)
"""DICOM.md §4.1: the acceptor's order decides. Lossless before lossy, big endian last.

Deflated Explicit VR Little Endian is readable (with a limit on what comes out) but not offered: a few hundred
kilobytes on the wire may unpack to gigabytes in every program that meets them (FAULTS.md §0).
"""
