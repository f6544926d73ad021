"""Which body part an image shows and of which side, with the attribute that said so (DICOM.md §3.1)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from node.facts.regions import GENERIC, Region, are_related, in_words, most_exact, spans
from node.facts.values import Reader
from node.lexicon import region_of_code, regions_in, side_in

_SERIES_TEXTS = ("ProtocolName", "SeriesDescription", "PerformedProcedureStepDescription")
_DEVICE_TEXTS = ("AcquisitionDeviceProcessingDescription", "ViewName")
_STUDY_TEXTS = ("RequestedProcedureDescription", "StudyDescription")
_STUDY_CODES = ("RequestedProcedureCodeSequence", "ProcedureCodeSequence", "PerformedProtocolCodeSequence")
_SIDE_CODES = {"7771000": "L", "24028007": "R", "51440002": "B", "G-A101": "L", "G-A100": "R", "G-A102": "B"}
_SIDE_WORDS = {"L": "left", "R": "right", "B": "both sides", "U": "unpaired"}
_HUMAN = frozenset({"337915000", "L-85B00", "HOMO SAPIENS", "HUMAN"})


@dataclass(frozen=True, slots=True)
class BodyPart:
    """What is imaged, as far as the header says it."""

    regions: tuple[Region, ...] = ()
    """Empty when nothing says it; several when a text names several, or when the evidence does not fit together."""
    source: str = ""
    """The attribute that said so, for example "BodyPartExamined"."""

    def __str__(self) -> str:
        return in_words(self.regions) if self.regions else "unknown body part"


@dataclass(frozen=True, slots=True)
class _Evidence:
    source: str
    regions: tuple[Region, ...]


def body_part(reader: Reader) -> BodyPart:
    """The first evidence wins, and what contradicts it is noted.

    A word that only says "limb" is narrowed by a later, more exact one inside that limb. If the later ones lie outside,
    all of them are kept: the image is then ambiguous.
    """
    evidence = list(_evidence(reader))
    if not evidence:
        return BodyPart()
    first, later = evidence[0], evidence[1:]
    if set(first.regions) <= GENERIC:
        narrowed = _narrowed(first, later)
        if narrowed is not None:
            return narrowed
    said: set[tuple[Region, ...]] = set()
    for other in later:
        if other.regions in said or _fit(first.regions, other.regions):
            continue
        said.add(other.regions)
        reader.notes.add(
            f"{first.source} says {in_words(first.regions)}, {other.source} says {in_words(other.regions)}; "
            "the first is used."
        )
    return BodyPart(first.regions, first.source)


def _narrowed(first: _Evidence, later: list[_Evidence]) -> BodyPart | None:
    for other in later:
        inside = tuple(region for region in other.regions if not spans(region).isdisjoint(first.regions))
        if inside and inside != first.regions:
            return BodyPart(inside, f"{first.source} and {other.source}")
    outside = [other for other in later if not _fit(first.regions, other.regions)]
    if outside:
        both = most_exact((*first.regions, *outside[0].regions))
        return BodyPart(both, f"{first.source} and {outside[0].source}, which do not fit together")
    return None


def _fit(some: tuple[Region, ...], others: tuple[Region, ...]) -> bool:
    return any(are_related(one, other) for one in some for other in others)


def _evidence(reader: Reader) -> Iterator[_Evidence]:
    """What names a region, strongest first."""
    for source, region in _coded(reader):
        yield _Evidence(source, (region,))
    if regions := _in_text(reader, "BodyPartExamined", is_term=True):
        yield _Evidence("BodyPartExamined", regions)
    elif reader.has("BodyPartExamined"):
        reader.notes.add("BodyPartExamined holds a term that names no body region known here.")
    for source, item, name in _texts(reader):
        if regions := _in_text(item, name):
            yield _Evidence(source, regions)


def _coded(reader: Reader) -> Iterator[tuple[str, Region]]:
    for holder in _anatomy(reader):
        for name in ("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence"):
            for code in holder.codes(name):
                region = region_of_code(code.value)
                found = (region,) if region else regions_in(code.meaning, is_term=True)
                if found:
                    yield name, found[0]
                elif code.value:
                    reader.notes.add(f"{name} holds a code that is not in the table of body regions.")


def _anatomy(reader: Reader) -> Iterator[Reader]:
    """Where a region may be coded: the data set, and the first frame of a multi-frame one."""
    yield reader
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        frame = reader.item(groups)
        anatomy = frame.item("FrameAnatomySequence") if frame else None
        if anatomy:
            yield anatomy


def _texts(reader: Reader) -> Iterator[tuple[str, Reader, str]]:
    """Text fields that may name a region: what belongs to the series before what belongs to the whole study.

    A study of hip and knee has one description and a series for each, so the series knows better.
    """
    for name in (*_SERIES_TEXTS, *_DEVICE_TEXTS):
        yield name, reader, name
    request = reader.item("RequestAttributesSequence")
    if request:
        for name in ("ScheduledProcedureStepDescription", "RequestedProcedureDescription"):
            yield name, request, name
    for sequence in _STUDY_CODES:
        for item in reader.items(sequence):
            yield sequence, item, "CodeMeaning"
    for name in _STUDY_TEXTS:
        yield name, reader, name


def _in_text(reader: Reader, name: str, *, is_term: bool = False) -> tuple[Region, ...]:
    """The regions in the first reading of the text that names any."""
    readings = reader.readings(name)
    for place, text in enumerate(readings):
        if regions := regions_in(text, is_term=is_term):
            if place or not (reader.declares_characters or text.isascii()):
                reader.notes.add(f"{name} is not in a declared character set; it was understood all the same.")
            return regions
    return ()


def laterality(reader: Reader, regions: tuple[Region, ...]) -> str:
    """ "L", "R", "B" (both), "U" (unpaired) or "" when nothing says it; it is never guessed."""
    evidence = list(_side_evidence(reader, regions))
    if not evidence:
        return ""
    source, side = evidence[0]
    for other_source, other in evidence[1:]:
        if other != side and {other, side} <= {"L", "R"}:
            words = f"{source} says {_SIDE_WORDS[side]}, {other_source} says {_SIDE_WORDS[other]}"
            reader.notes.add(f"{words}; the first is used.")
            break
    return side


def _side_evidence(reader: Reader, regions: tuple[Region, ...]) -> Iterator[tuple[str, str]]:
    for holder in _anatomy(reader):
        for name in ("ImageLaterality", "FrameLaterality", "Laterality"):
            side = holder.term(name)
            if side in _SIDE_WORDS:
                yield name, side
            elif side:
                reader.notes.add(f"{name} holds no defined term.")
        for item in holder.items("AnatomicRegionSequence"):
            for code in item.codes("AnatomicRegionModifierSequence"):
                if code.value in _SIDE_CODES:
                    yield "AnatomicRegionModifierSequence", _SIDE_CODES[code.value]
    for source, item, name in _texts(reader):
        for text in item.readings(name):
            if side := side_in(text, regions):
                yield source, side
                break


def is_animal(reader: Reader) -> bool:
    """Whether the patient is an animal (PS3.3 C.7.1.1, the attributes of veterinary patients)."""
    species = [*_species(reader)]
    if species:
        return not any(one in _HUMAN for one in species)
    return any(reader.has(name) for name in ("PatientBreedDescription", "PatientBreedCodeSequence"))


def _species(reader: Reader) -> Iterable[str]:
    text = reader.term("PatientSpeciesDescription")
    if text:
        yield text
    for code in reader.codes("PatientSpeciesCodeSequence"):
        yield from (part for part in (code.value.upper(), code.meaning.upper()) if part)
