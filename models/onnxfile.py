"""Looks into an ONNX file without a library, for the one thing that must be known before onnxruntime opens it.

onnxruntime 1.31 follows *external data* of a model that it is given as bytes: a file named in the model is read from
the working directory. Such a file is covered by no hash, so a model that names one is refused. Only the outline of the
file is walked (protobuf wire format); weights are stepped over.
"""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_MAX_DEPTH = 64

_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Of each message of onnx.proto, the fields in which a tensor may hide."""


def has_external_data(model: bytes) -> bool:
    """Whether any tensor of the model lies in another file.

    Raises
    ------
    ValueError
        The bytes are no ONNX file.
    """
    return _has_external(memoryview(model), "model", 0)


def _has_external(message: memoryview, kind: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise ValueError("messages are nested too deeply")
    if kind == "tensor":
        return any(field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value) for field, value in _fields(message))
    children = _CHILDREN[kind]
    return any(
        isinstance(value, memoryview) and _has_external(value, children[field], depth + 1)
        for field, value in _fields(message)
        if field in children
    )


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            number, place = _varint(message, place)
            yield field, number
            continue
        if wire == _BYTES:
            length, place = _varint(message, place)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire} is not used by ONNX")
        if place + length > len(message):
            raise ValueError("a field reaches beyond the end")
        yield field, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("a number reaches beyond the end")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number is longer than 10 bytes")
