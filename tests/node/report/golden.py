"""What each ready-made profile makes of fixed findings, as lines of text to compare and to read.

Written anew, after a change that is meant, by: PYTHONPATH=. python -m tests.node.report.golden
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from pydicom.dataset import Dataset

from node.report.encode import EncodedObject
from node.report.objects import objects
from node.report.profile import PROFILES
from tests.node.report.made_cases import read, stock

FOLDER = Path(__file__).parent / "golden"
STUDIES = ("dx-two-lesions", "mr", "normal")
_GROUP = "125007"


@cache
def made(profile: str, study: str) -> tuple[EncodedObject, ...]:
    """What a peer of that profile gets, and what is held ready for it."""
    case = stock(study)
    return objects(case.findings, case.sources, case.request, (PROFILES[profile],))


def lines_of(profile: str) -> str:
    """One line per object: its turn, kind, class, form, and what it stands in for; of a report its groups."""
    told = []
    for study in STUDIES:
        told.append(study)
        results = made(profile, study)
        turns = {result.sop_instance_uid: turn for turn, result in enumerate(results)}
        for turn, result in enumerate(results):
            told.append(f"  {turn} {_object(result)}{_role(result, turns)}")
            told += [f"      {line}" for line in _groups(read(result))]
    return "\n".join(told) + "\n"


def _object(result: EncodedObject) -> str:
    ds = read(result)
    form = [str(ds[each].value) for each in ("SegmentationType", "NumberOfFrames") if each in ds]
    words = [result.kind.value, str(ds.SOPClassUID), *form]
    if "SegmentSequence" in ds:  # of pictures the caption is part of the pixels, of documents the text of the bytes
        words.append(hashlib.sha256(ds.PixelData).hexdigest()[:16])
    return " ".join(words)


def _role(result: EncodedObject, turns: dict[str, int]) -> str:
    (role,) = result.roles
    stands_for = ", ".join(str(turns[uid]) for uid in role.instead_of)
    return (", in reserve" if role.in_reserve else "") + (f", instead of {stands_for}" if stands_for else "")


def _groups(document: Dataset) -> Iterator[str]:
    """By measurement group: who it is about, how many numbers it has, and what they are about."""
    for item in _items(document):
        if item.ConceptNameCodeSequence[0].CodeValue == _GROUP:
            children: Sequence[Dataset] = item.ContentSequence
            name = next(str(each.TextValue) for each in children if _is(each, "112039"))
            about = {"111030": "regions", "121191": "segments", "121214": "segmentation frames"}
            counts = {word: sum(_is(each, code) for each in children) for code, word in about.items()}
            numbers = sum(each.ValueType == "NUM" for each in children)
            yield ", ".join([name, f"{numbers} numbers", *(f"{n} {word}" for word, n in counts.items() if n)])


def _items(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence") or ():
        yield child
        yield from _items(child)


def _is(item: Dataset, code: str) -> bool:
    names = item.get("ConceptNameCodeSequence")
    return bool(names) and names[0].CodeValue == code


def main() -> None:
    """Write every file anew."""
    FOLDER.mkdir(exist_ok=True)
    for name in PROFILES:
        (FOLDER / f"{name}.txt").write_text(lines_of(name), encoding="ascii")


if __name__ == "__main__":
    main()
