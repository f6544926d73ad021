"""Transfer syntaxes whose pixels we can decode, in the order in which a listener should offer them.

Light on purpose: a listener reads this list without loading a decoder, numpy or scipy.
"""

from pydicom import uid

NATIVE = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian)

JPEG = (uid.JPEGLosslessSV1, uid.JPEGLossless, uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)

SUPPORTED_TRANSFER_SYNTAXES: tuple[str, ...] = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.RLELossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEG2000,
    uid.JPEGLSNearLossless,
    uid.HTJ2K,
    uid.ExplicitVRBigEndian,
)
"""DICOM.md §4.1: the acceptor's order decides. Lossless before lossy, fast before slow, big endian last.

Deflated Explicit VR Little Endian is readable (with a limit on what comes out) but not offered: a few hundred
kilobytes on the wire may unpack to gigabytes in every program that meets them (FAULTS.md §0).
"""
