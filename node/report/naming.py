"""What the series of results are called: of which source each is, early enough to be read in a narrow list.

A viewer lists a dozen series of one study, and OHIF 3.13 shows some twenty characters of each. So what it is and which
series it is about come first, "AI segmentation S2 DWI tra b1000 (diffusion 1.0)", the model last.

Our own words are ASCII. The words of a source may be in any character set: they are set in as the bytes that they are,
where what comes out reads as it should in the set that the source declares, and are left out where it does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import TEXT_VR_DELIMS

from models.findings import ModelIdentity
from node.report.encode import ascii_text
from node.report.header import numbers
from node.report.kind import Kind
from node.report.patient import bytes_of, character_sets, short_element
from node.report.subject import Subject

SERIES_DESCRIPTION = Tag(0x0008, 0x103E)
LONGEST = 64
"""Characters of a LO (PS3.5 6.2)."""
_LEAST = 4
"""Characters of a source's own words that are worth having."""
_WORDS = {
    Kind.SEG: "segmentation", Kind.MAP: "probability map", Kind.ADC: "ADC map", Kind.GSPS: "outlines",
    Kind.SC: "overlay", Kind.PDF: "summary", Kind.KOS: "key images", Kind.SEGMENT_SR: "segment report",
    Kind.SR: "report", Kind.REJECTION: "rejection note",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class About:
    """What a result is about; nothing of it where it is about the study."""

    place: str = ""
    """Which series, as viewers number it, and of several radiographs in it which image."""
    text: str = ""
    """What the source calls that series."""
    raw: bytes = b""
    """The same as it stands in the source."""
    character_sets: tuple[str, ...] = ()
    """That hold there."""

    def part(self, detail: str) -> "About":
        """Of several results about the same source one."""
        return replace(self, place=" ".join(filter(None, (self.place, detail))))


STUDY = About()


def about(subject: Subject, subjects: Sequence[Subject]) -> About:
    """What results about one source of a study are about."""
    series = numbers(subject.first, "SeriesNumber")
    place = f"S{series[0]:.0f}" if len(series) == 1 else ""
    sharing = [each for each in subjects if _series_of(each) == _series_of(subject)]
    image = numbers(subject.first, "InstanceNumber")
    if len(sharing) > 1 and len(image) == 1:
        place = f"{place} I{image[0]:.0f}".strip()
    raw, declared = bytes_of(subject.first, "SeriesDescription").strip(b" \0"), character_sets(subject.first)
    return About(place, _read(raw, declared), raw, declared)


def series_description(kind: Kind, run: int, model: ModelIdentity, of: About = STUDY) -> tuple[str, bytes]:
    """*Series Description* (0008,103E) of a result in ASCII, and in bytes with the words of its source."""
    head = " ".join(filter(None, ("AI", _WORDS[kind], of.place)))
    tail = f"{f', run {run}' if run > 1 else ''} ({ascii_text(f'{model.name} {model.version}')})"
    room = LONGEST - len(head) - len(tail) - 1
    words = f" {of.text[:room].rstrip()}" if of.text.isascii() and of.text and room >= _LEAST else ""
    plain = ascii_text(head + words + tail, LONGEST)
    if of.text.isascii() or len(of.text) > room:
        return plain, plain.encode("ascii")
    raw = b"%s %s%s" % (head.encode("ascii"), of.raw, tail.encode("ascii"))
    is_sound = _read(raw, of.character_sets) == f"{head} {of.text}{tail}"
    return plain, raw if is_sound else plain.encode("ascii")


def place_line(subject: Subject, plane: int) -> str:
    """Which plane this is, as a viewer numbers it."""
    shown = subject.findings.images[plane]
    header = subject.headers[shown.sop_instance_uid]
    series, image = numbers(header, "SeriesNumber"), numbers(header, "InstanceNumber")
    parts = [f"series {series[0]:.0f}"] if series else []
    if shown.frame is not None:
        parts.append(f"frame {shown.frame}")
    elif image:
        parts.append(f"image {image[0]:.0f}")
    return ", ".join(parts)


def with_description(carried: Mapping[BaseTag, bytes], description: bytes) -> Mapping[BaseTag, bytes]:
    """What a result carries of its source, with its description where that has more than ASCII."""
    if description.isascii() and b"\x1b" not in description:
        return carried
    return {**carried, SERIES_DESCRIPTION: short_element(SERIES_DESCRIPTION, "LO", description)}


def _series_of(subject: Subject) -> str:
    return str(Dataset.get(subject.first, "SeriesInstanceUID", ""))


def _read(raw: bytes, declared: Sequence[str]) -> str:
    """The characters that bytes stand for; "" where that is not sure or they are none of a single line."""
    if raw.isascii() and b"\x1b" not in raw:
        text = raw.decode("ascii")
    elif not any(declared):
        return ""
    else:
        try:
            text = decode_bytes(raw, convert_encodings(list(declared)), TEXT_VR_DELIMS)
        except (LookupError, ValueError, TypeError, AttributeError):
            return ""
    return text if text.isprintable() and "\\" not in text and "\ufffd" not in text else ""
