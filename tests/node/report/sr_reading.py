"""Reads a TID 1500 report as a stranger would: by codes, without the library that wrote it."""

from collections.abc import Iterator

from pydicom.dataset import Dataset

CONCEPTS = {
    "group": "125007",
    "tracking": "112039",
    "tracking uid": "112040",
    "finding": "121071",
    "category": "276214006",
    "site": "363698007",
    "side": "272741003",
    "assessment": "111005",
    "algorithm": "111001",
    "algorithm version": "111003",
    "parameters": "111002",
    "comment": "121106",
    "cancer": "111047",
    "certainty": "111012",
    "benign": "P-BENIGN",
    "by detector": "T-DETECTOR",
    "by classifier": "T-SEQUENCE",
    "by age": "T-AGE",
    "weight of detector": "W-DETECTOR",
    "weight of classifier": "W-SEQUENCE",
    "weight of age": "W-AGE",
    "kind": "KIND",
    "ganglion": "P-GANGLION",
    "lipoma": "P-LIPOMA",
    "area": "42798000",
    "long axis": "103339001",
    "short axis": "103340004",
    "volume": "118565006",
    "observer uid": "121012",
    "region": "111030",
    "procedure": "121058",
    "description": "113012",
    "image library": "111028",
    "image group": "126200",
    "modality": "121139",
    "used": "USED",
    "left out": "LEFT-OUT",
    "wait": "WAIT",
    "level tumour": "D-TUMOUR",
    "level near": "D-NEAR",
    "level background": "D-BACKGROUND",
}


def walk(item: Dataset) -> Iterator[Dataset]:
    """The item and everything below it, depth first."""
    yield item
    for child in item.get("ContentSequence") or ():
        yield from walk(child)


def groups(report: Dataset) -> list[Dataset]:
    """All measurement groups."""
    return [item for item in walk(report) if concept(item) == CONCEPTS["group"]]


def concept(item: Dataset) -> str:
    """The code of what an item says."""
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].CodeValue) if names else ""


def items(parent: Dataset, name: str) -> list[Dataset]:
    """Everything below that carries a concept of `CONCEPTS`."""
    return [item for item in walk(parent) if concept(item) == CONCEPTS[name]]


def texts(parent: Dataset, name: str) -> list[str]:
    """The text values of a concept."""
    return [str(item.TextValue) for item in items(parent, name)]


def codes(parent: Dataset, name: str) -> list[tuple[str, str, str]]:
    """Value, scheme and meaning of the coded answers to a concept."""
    found = [item.ConceptCodeSequence[0] for item in items(parent, name)]
    return [(str(code.CodeValue), str(code.CodingSchemeDesignator), str(code.CodeMeaning)) for code in found]


def numbers(parent: Dataset, name: str) -> list[tuple[float, str]]:
    """Value and UCUM unit of the numbers of a concept."""
    found = [item.MeasuredValueSequence[0] for item in items(parent, name)]
    return [(float(each.NumericValue), str(each.MeasurementUnitsCodeSequence[0].CodeValue)) for each in found]


def tracking_uids(parent: Dataset) -> list[str]:
    """The tracking UIDs of all groups, in order."""
    return [str(item.UID) for item in items(parent, "tracking uid")]
