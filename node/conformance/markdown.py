"""Tables and lists of the statement."""

from collections.abc import Iterable, Sequence

from pydicom.uid import UID

_NAMES = {  # of the standard, and newer than the dictionary of pydicom 3.0
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.66.8": "Height Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.1": "Waveform Presentation State Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.2": "Waveform Acquisition Presentation State Storage",
}


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; bars inside cells are escaped, line ends become spaces."""
    lines = [_row(head), _row(["---"] * len(head))]
    return "\n".join([*lines, *(_row([_cell(value) for value in row]) for row in rows)])


def bullets(points: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"* {point}" for point in points)


def uid_name(uid: str) -> str:
    """The name of a UID in the dictionary of the standard, the UID itself where that has none."""
    name = _NAMES.get(uid) or UID(uid).name
    return name.removesuffix(" (Retired)") + " (retired)" if name.endswith(" (Retired)") else name


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
