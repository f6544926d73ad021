"""Facts in a few words for a sentence. Nothing that a sender typed passes through here."""

from collections.abc import Sequence

from node.facts.geometry import Plane
from node.facts.kinds import MR, XRAY, Kind, class_name
from node.facts.mr import FatSuppression, Weighting
from node.facts.xray import View
from node.headers import ImageFacts
from node.series import SeriesFacts
from node.stack import Stack

_UNCLEAR = {
    Weighting.UNKNOWN: "MR of unknown weighting",
    Weighting.AMBIGUOUS: "MR of contradictory weighting",
    Weighting.OTHER: "MR of another kind",
}
_MOST_IMAGES = 100_000
_SIDES = {"L": "left", "R": "right", "B": "both sides"}
_KIND_WORDS = {Kind.CR: "CR", Kind.DX: "DX", Kind.DX_FOR_PROCESSING: "DX for processing"}


def series_name(series: SeriesFacts) -> str:
    """ "series 2" """
    return f"series {series.number}" if series.number is not None else "series without a number"


def image_name(image: ImageFacts, place: int) -> str:
    """ "image 3", by its number in the series, else by its place there (from 0)."""
    number = image_number(image)
    return f"image {number if number is not None else place + 1}"


def image_number(image: ImageFacts) -> int | None:
    """*Instance Number* (0020,0013), if it is one that people count with; some senders put a date or an order there."""
    number = image.instance_number
    return number if number is not None and 0 <= number < _MOST_IMAGES else None


def radiographs(images: Sequence[ImageFacts]) -> str:
    """ "DX left knee AP and lateral" """
    kinds = " and ".join(dict.fromkeys(_KIND_WORDS.get(image.kind, image.kind) for image in images))
    parts = " and ".join(dict.fromkeys(_part(image) for image in images))
    views = dict.fromkeys(image.xray.view for image in images if image.xray and image.xray.view is not View.UNKNOWN)
    return " ".join(word for word in (kinds, parts, " and ".join(views)) if word)


def stack_words(stack: Stack) -> str:
    """ "axial T1 with fat saturation, left hand, 24 slices" """
    image = stack.images[0]
    is_dwi = stack.weighting is Weighting.DWI
    b_value = f" b={stack.b_value:g}" if is_dwi and stack.b_value is not None else ""
    oblique = "oblique " if image.geometry.is_oblique else ""
    more = []
    mr = image.mr
    if stack.directions:
        more.append(f"{'' if stack.fault else 'average of '}{stack.directions} directions")
    elif stack.parts:
        more.append(f"average of {len(stack.parts)} repetitions")
    elif stack.is_directional and stack.b_value:
        more.append("one direction")
    if mr and mr.fat_suppression is FatSuppression.FAT_SAT and not is_dwi:
        more.append("fat-suppressed")
    if mr and mr.has_contrast:
        more.append("after contrast agent")
    count = f"{stack.slices} slice" + ("" if stack.slices == 1 else "s")
    weighting = _UNCLEAR.get(stack.weighting, stack.weighting.value)
    words = f"{oblique}{_plane(stack.plane)}{weighting}{b_value}"
    return ", ".join([words, *more, _part(image), count])


def what_it_is(image: ImageFacts) -> str:
    """One instance in words, whatever it is."""
    if image.kind in XRAY:
        return radiographs([image])
    if image.kind in MR:
        return f"MR {_part(image)}" + (f", {image.mr.weighting.value}" if image.mr else "")
    name = class_name(image.sop_class_uid)
    if image.kind is Kind.NOT_AN_IMAGE or "unknown" in name:
        return f"object of class {name}"
    return f"{name}, {_part(image)}"


def _plane(plane: Plane) -> str:
    return {Plane.UNKNOWN: "", Plane.AMBIGUOUS: "in no clear plane "}.get(plane, f"{plane.value} ")


def _part(image: ImageFacts) -> str:
    side = _SIDES.get(image.laterality, "")
    return " ".join(word for word in (side, str(image.body_part)) if word)
