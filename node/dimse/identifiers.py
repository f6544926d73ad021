"""Data sets that travel with a command: identifiers of queries, requests and reports of storage commitment.

They are small, so they are written and read whole, by pydicom, in one of the two Little Endian encodings.
"""

import io
from collections.abc import Iterable

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from node.dimse import shape
from node.dimse.negotiate import IMPLICIT_LITTLE_ENDIAN
from node.errors import ProtocolBroken

IDENTIFIER_LIMIT = 1 << 20


def encoded(identifier: Dataset, transfer_syntax_uid: str) -> bytes:
    """The data set in Explicit or Implicit VR Little Endian."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = transfer_syntax_uid == IMPLICIT_LITTLE_ENDIAN
    write_dataset(buffer, identifier)
    return buffer.getvalue()


def decoded(pieces: Iterable[bytes | memoryview], transfer_syntax_uid: str) -> Dataset:
    """The data set that arrives in `pieces`; every element of it is read here, for later would be too late.

    Raises
    ------
    ProtocolBroken
        It is longer than `IDENTIFIER_LIMIT` bytes, too deep or of too many elements (shape.py), or no data set.
    """
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > IDENTIFIER_LIMIT:
            raise ProtocolBroken(f"An identifier is longer than {IDENTIFIER_LIMIT} bytes.")
    is_implicit = transfer_syntax_uid == IMPLICIT_LITTLE_ENDIAN
    shape.check(data, is_implicit=is_implicit)
    try:
        identifier = read_dataset(io.BytesIO(data), is_implicit, is_little_endian=True)
        for _ in identifier.iterall():
            pass
    except Exception as exc:  # foreign bytes in a foreign parser, which raises what it likes
        raise ProtocolBroken("An identifier cannot be read.") from exc
    return identifier
